//! [`DmControl`]: the ioctls of dm, typed: create, load, suspend, resume, message, wait, status, table, remove
//! (dm-spec §8).
//!
//! Invariants: names are unique; a loaded table waits in the inactive slot until a resume takes it; a device that is
//! held open is not removed. Lock order: the hash lock, then a device's own.
//! Not here: the wire format, loading a table (`load`), status and messages (`ask`), names and uuids (`names`), deferred
//! removal (`removal`).

mod ask;
mod devices;
mod load;
mod names;
mod removal;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dmlab_units::Sectors;

use super::errno::Errno;
use super::mapped_device::{DmDriver, Holder, MappedDevice, SuspendFlags};
use super::table::Slot;
use super::target::TargetType;
use crate::block::device::DM_MAJOR;
use crate::block::{BlockCore, DevId, Device};
use crate::sched::Task;
use crate::sched::cell::Word;
use crate::sync::{Confided, Mutex, RwSem};
use crate::variants::Planted;

pub use ask::Which;
pub use devices::DeviceTable;
pub use names::DeviceInfo;
pub(super) use removal::DeferredRemoval;

/// Default of `reserved_bio_based_ios` (dm-spec §1.1).
const RESERVED_BIO_BASED_IOS: u64 = 16;
/// `RESERVED_MAX_IOS`.
const RESERVED_MAX_IOS: u64 = 1024;

/// The kernel's `hash_cell`, and what belongs to its device alone.
pub(super) struct Cell {
    md: Arc<MappedDevice>,
    dev: Arc<Device>,
    /// `md->type_lock`, around a table load; whether there was one: the first also makes the disk.
    type_lock: Mutex<bool>,
    /// The inactive table (`new_map`); changed under the hash lock.
    inactive: Confided<Option<Slot>>,
    /// Changed under the hash lock.
    uuid: Confided<Option<String>>,
}

/// What there is, under `_hash_lock`: by name, in order.
type Cells = BTreeMap<String, Arc<Cell>>;

/// Everything that outlives a single ioctl.
pub(super) struct Registry {
    core: Arc<BlockCore>,
    devices: Arc<DeviceTable>,
    cells: RwSem<Cells>,
}

/// The control device.
pub struct DmControl {
    registry: Arc<Registry>,
    types: &'static [&'static TargetType],
    removal: Arc<DeferredRemoval>,
    reserved_bio_based_ios: Word,
}

impl DmControl {
    /// A control device that knows `types`.
    pub fn new(
        current: &Task,
        core: &Arc<BlockCore>,
        devices: &Arc<DeviceTable>,
        types: &'static [&'static TargetType],
    ) -> Self {
        let registry = Arc::new(Registry {
            core: Arc::clone(core),
            devices: Arc::clone(devices),
            cells: RwSem::new(current.runtime(), "_hash_lock", BTreeMap::new()),
        });
        let removal = DeferredRemoval::new(current, &registry);
        Self { registry, types, removal, reserved_bio_based_ios: Word::new(RESERVED_BIO_BASED_IOS) }
    }

    /// `/sys/module/dm_mod/parameters/reserved_bio_based_ios`: 0 means the default, and it is sampled at table load.
    pub fn set_reserved_bio_based_ios(&self, value: u64) {
        let clamped = if value == 0 { RESERVED_BIO_BASED_IOS } else { value.min(RESERVED_MAX_IOS) };
        self.reserved_bio_based_ios.set(clamped);
    }

    /// `DM_DEV_CREATE`.
    ///
    /// # Errors
    /// `EINVAL` for a name that is not allowed, `EBUSY` for one that exists.
    pub fn create(&self, current: &Task, name: &str) -> Result<Arc<Device>, Errno> {
        self.create_with_uuid(current, name, None)
    }

    /// The same, with a uuid that stays for ever.
    ///
    /// # Errors
    /// `EINVAL` for a name that is not allowed, `EBUSY` for a name or uuid that exists.
    pub fn create_with_uuid(&self, current: &Task, name: &str, uuid: Option<&str>) -> Result<Arc<Device>, Errno> {
        let _frame = current.enter("dev_create");
        let core = &self.registry.core;
        names::check_name(current, core, name)?;
        let mut cells = self.registry.cells.write(current);
        if cells.contains_key(name) || uuid.is_some_and(|uuid| names::has_uuid(current, &cells, uuid)) {
            return Err(Errno::EBUSY);
        }
        // The lowest free one, so that minors are used again after a remove.
        let used: BTreeSet<u32> = cells.values().map(|cell| cell.dev.id().minor).collect();
        let minor = (0..).find(|minor| !used.contains(minor)).expect("fewer than 2^32 devices");
        let md = MappedDevice::new(current, core, name);
        let driver = Box::new(DmDriver { md: Arc::clone(&md), removal: Arc::clone(&self.removal) });
        let dev = Device::new(core, DevId { major: DM_MAJOR, minor }, name, Sectors::ZERO, driver);
        md.deferred().set_disk(&dev);
        let runtime = current.runtime();
        let named = |part: &str| format!("{name}.{part}");
        let cell = Cell {
            md,
            dev: Arc::clone(&dev),
            type_lock: Mutex::new(runtime, &named("type_lock"), false),
            inactive: Confided::new(runtime, &named("inactive"), None),
            uuid: Confided::new(runtime, &named("uuid"), uuid.map(str::to_owned)),
        };
        cells.insert(name.to_owned(), Arc::new(cell));
        Ok(dev)
    }

    fn find(&self, current: &Task, name: &str) -> Result<Arc<Cell>, Errno> {
        self.registry.cells.read(current).get(name).cloned().ok_or(Errno::ENXIO)
    }

    /// Whether the cell is still there: somebody may have removed the device meanwhile. (Rename keeps the cell.)
    fn is_known(cells: &Cells, cell: &Arc<Cell>) -> bool {
        cells.values().any(|known| Arc::ptr_eq(known, cell))
    }

    fn say(&self, current: &Task, message: &str) {
        self.registry.core.log(current, format!("device-mapper: ioctl: {message}"));
    }

    /// `DM_DEV_SUSPEND` with the suspend flag.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device; what a holder that cannot be frozen answers.
    pub fn suspend(&self, current: &Task, name: &str, flags: SuspendFlags) -> Result<(), Errno> {
        let cell = self.find(current, name)?;
        if cell.md.is_suspended() { Ok(()) } else { cell.md.suspend(current, flags) }
    }

    /// What lives on a device from now on; gives what did.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device.
    pub fn set_holder(
        &self,
        current: &Task,
        name: &str,
        holder: Option<Arc<dyn Holder>>,
    ) -> Result<Option<Arc<dyn Holder>>, Errno> {
        Ok(self.find(current, name)?.md.set_holder(current, holder))
    }

    /// `DM_DEV_SUSPEND` without it: resume, taking the inactive table if there is one. A running device with a new table
    /// is suspended first.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device, `EINVAL` when it is suspended and has no table to run with, or the new
    /// table does not fit; what a target's `preresume` answers.
    pub fn resume(&self, current: &Task, name: &str) -> Result<(), Errno> {
        self.resume_flagged(current, name, SuspendFlags::LOCKFS)
    }

    /// As [`Self::resume`]; a running device with a new table is suspended with these `flags`.
    ///
    /// # Errors
    /// Those of [`Self::resume`].
    pub fn resume_flagged(&self, current: &Task, name: &str, flags: SuspendFlags) -> Result<(), Errno> {
        let _frame = current.enter("do_resume");
        let cells = self.registry.cells.write(current);
        let cell = cells.get(name).cloned().ok_or(Errno::ENXIO)?;
        let inactive = cell.inactive.change(current, Option::take);
        drop(cells);
        if self.registry.core.variants().planted == Planted::LocksBackwards {
            cell.md.under_suspend_lock(current, || drop(self.registry.cells.read(current)));
        }
        let Some(slot) = inactive else {
            return if cell.md.is_suspended() { cell.md.resume(current) } else { Ok(()) };
        };
        if !cell.md.is_suspended()
            && let Err(errno) = cell.md.suspend(current, flags)
        {
            return Err(self.put_back(current, &cell, slot, errno));
        }
        let replaced = cell.md.swap_table(current, &cell.dev, slot)?;
        let result = if cell.md.is_suspended() { cell.md.resume(current) } else { Ok(()) };
        if let Some(replaced) = replaced {
            replaced.destroy(current);
        }
        result
    }

    /// After a suspend that failed: the table waits on, unless a newer one has come or the device has gone.
    fn put_back(&self, current: &Task, cell: &Arc<Cell>, slot: Slot, errno: Errno) -> Errno {
        let cells = self.registry.cells.write(current);
        let known = Self::is_known(&cells, cell);
        let left_over = cell.inactive.change(current, |inactive| {
            if known && inactive.is_none() {
                *inactive = Some(slot);
                return None;
            }
            Some(slot)
        });
        drop(cells);
        match left_over {
            Some(slot) => {
                slot.destroy(current);
                Errno::ENXIO
            }
            None => errno,
        }
    }

    /// `DM_DEV_REMOVE`.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device, `EBUSY` when somebody holds it open.
    pub fn remove(&self, current: &Task, name: &str) -> Result<(), Errno> {
        let _frame = current.enter("dev_remove");
        let mut cells = self.registry.cells.write(current);
        let cell = cells.get(name).cloned().ok_or(Errno::ENXIO)?;
        if cell.dev.is_open() {
            return Err(Errno::EBUSY);
        }
        cells.remove(name);
        if self.registry.core.variants().planted == Planted::LocksBackwards {
            cell.md.under_suspend_lock(current, || ());
        }
        drop(cells);
        self.registry.destroy(current, &cell);
        Ok(())
    }

    /// The mapped device of that name: for what has no ioctl (internal suspend, holders).
    pub fn mapped_device(&self, current: &Task, name: &str) -> Option<Arc<MappedDevice>> {
        self.find(current, name).ok().map(|cell| Arc::clone(&cell.md))
    }

    /// The device of that name.
    pub fn device(&self, current: &Task, name: &str) -> Option<Arc<Device>> {
        self.find(current, name).ok().map(|cell| Arc::clone(&cell.dev))
    }

    /// Names of all devices, sorted.
    pub fn names(&self, current: &Task) -> Vec<String> {
        self.registry.cells.read(current).keys().cloned().collect()
    }

    /// What must be true when nothing runs any more, for every device.
    ///
    /// # Errors
    /// What is not at rest.
    pub fn check_at_rest(&self, current: &Task) -> Result<(), String> {
        self.registry.cells.read(current).values().try_for_each(|cell| cell.md.at_rest())
    }
}
