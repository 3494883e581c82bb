//! [`DmControl`]: the ioctls of dm, typed: create, load, suspend, resume, message, wait, status, table, remove
//! (dm-spec §8).
//!
//! Invariants: names are unique; a loaded table waits in the inactive slot until a resume takes it; a device that is
//! held open is not removed. Lock order: the hash lock, then a device's own.
//! Not here: the wire format, uuids, rename, deferred removal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dmlab_units::Sectors;

use super::errno::Errno;
use super::mapped_device::{DmDriver, MappedDevice, SuspendFlags};
use super::table::{Slot, Table, TableContext, split_args};
use super::target::TargetType;
use crate::block::device::DM_MAJOR;
use crate::block::{BlockCore, DevId, Device};
use crate::sched::Task;
use crate::sched::cell::Word;
use crate::sync::{Confided, RwSem, Variable};
use crate::variants::Planted;

/// Default of `reserved_bio_based_ios` (dm-spec §1.1).
const RESERVED_BIO_BASED_IOS: u64 = 16;
/// `RESERVED_MAX_IOS`.
const RESERVED_MAX_IOS: u64 = 1024;

/// All block devices of a machine, by number.
pub struct DeviceTable(Confided<BTreeMap<DevId, Arc<Device>>>);

impl DeviceTable {
    /// No devices.
    pub fn new(current: &Task) -> Self {
        Self(Confided::new(current.runtime(), "block devices", BTreeMap::new()))
    }

    /// Makes a device known.
    pub fn add(&self, current: &Task, device: Arc<Device>) {
        self.0.change(current, |devices| devices.insert(device.id(), device));
    }

    /// Forgets a device.
    pub fn remove(&self, current: &Task, id: DevId) {
        self.0.change(current, |devices| devices.remove(&id));
    }

    /// Finds a device by `major:minor`.
    pub fn find(&self, current: &Task, text: &str) -> Option<Arc<Device>> {
        let (major, minor) = text.split_once(':')?;
        let id = DevId { major: major.parse().ok()?, minor: minor.parse().ok()? };
        self.0.look(current, |devices| devices.get(&id).cloned())
    }
}

/// The kernel's `hash_cell`.
struct Cell {
    md: Arc<MappedDevice>,
    dev: Arc<Device>,
    /// The inactive table (`new_map`).
    inactive: Confided<Option<Slot>>,
    /// Whether a table was ever loaded: the first load also checks the devices' sizes.
    loaded: Variable,
}

/// The control device.
pub struct DmControl {
    core: Arc<BlockCore>,
    devices: Arc<DeviceTable>,
    types: &'static [&'static TargetType],
    cells: RwSem<BTreeMap<String, Arc<Cell>>>,
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
        Self {
            core: Arc::clone(core),
            devices: Arc::clone(devices),
            types,
            cells: RwSem::new(current.runtime(), "_hash_lock", BTreeMap::new()),
            reserved_bio_based_ios: Word::new(RESERVED_BIO_BASED_IOS),
        }
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
        let _frame = current.enter("dev_create");
        if name.is_empty() || name.contains('/') || matches!(name, "control" | "." | "..") || name.len() > 127 {
            return Err(Errno::EINVAL);
        }
        let mut cells = self.cells.write(current);
        if cells.contains_key(name) {
            return Err(Errno::EBUSY);
        }
        // The lowest free one, so that minors are used again after a remove.
        let used: BTreeSet<u32> = cells.values().map(|cell| cell.dev.id().minor).collect();
        let minor = (0..).find(|minor| !used.contains(minor)).expect("fewer than 2^32 devices");
        let md = MappedDevice::new(current, &self.core, name);
        let driver = Box::new(DmDriver(Arc::clone(&md)));
        let dev = Device::new(&self.core, DevId { major: DM_MAJOR, minor }, name, Sectors::ZERO, driver);
        md.deferred().set_disk(&dev);
        self.devices.add(current, Arc::clone(&dev));
        let named = |part: &str| format!("{name}.{part}");
        let inactive = Confided::new(current.runtime(), &named("inactive"), None);
        let loaded = Variable::new(current.runtime(), &named("loaded"), 0);
        let cell = Cell { md, dev: Arc::clone(&dev), inactive, loaded };
        cells.insert(name.to_owned(), Arc::new(cell));
        Ok(dev)
    }

    fn find(&self, current: &Task, name: &str) -> Result<Arc<Cell>, Errno> {
        self.cells.read(current).get(name).cloned().ok_or(Errno::ENXIO)
    }

    /// `DM_TABLE_LOAD`: builds a table and puts it into the inactive slot.
    ///
    /// # Errors
    /// What the kernel answers; its words are in the kernel log.
    pub fn load(&self, current: &Task, name: &str, lines: &[String]) -> Result<(), Errno> {
        let cell = self.find(current, name)?;
        let get_device = |path: &str| {
            if !path.contains(':') {
                // The engine has no paths: only numbers name devices.
                return Err(Errno::ENOENT);
            }
            let device = self.devices.find(current, path).ok_or(Errno::ENXIO)?;
            match (device.id() == cell.dev.id(), self.has_disk(current, &device)) {
                (true, _) => Err(Errno::EINVAL),
                (false, true) => Ok(device),
                (false, false) => Err(Errno::ENXIO),
            }
        };
        let host = cell.md.new_host(current, cell.dev.id());
        let context = TableContext {
            device: name,
            host: &host,
            accounting: cell.md.accounting(),
            deferred: cell.md.deferred(),
            core: &self.core,
            types: self.types,
            reserved_bio_based_ios: self.reserved_bio_based_ios.get(),
            get_device: &get_device,
        };
        let slot = Table::load(current, lines, &context)?;
        if cell.loaded.get() == 0
            && let Some(complaint) = slot.table().invalid_area()
        {
            self.core.log(current, format!("device-mapper: table: {}: {complaint}", cell.dev.id()));
            self.core.log(current, "device-mapper: core: Cannot calculate initial queue limits".to_owned());
            slot.destroy(current);
            return Err(Errno::EINVAL);
        }
        cell.loaded.set(1);
        let replaced = cell.inactive.change(current, |inactive| inactive.replace(slot));
        if let Some(replaced) = replaced {
            replaced.destroy(current);
        }
        Ok(())
    }

    /// A dm device gets its disk with its first table; before, nobody can open it.
    fn has_disk(&self, current: &Task, device: &Device) -> bool {
        let cells = self.cells.read(current);
        let cell = cells.values().find(|cell| cell.dev.id() == device.id());
        cell.is_none_or(|cell| cell.loaded.get() != 0)
    }

    /// `DM_DEV_SUSPEND` with the suspend flag.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device.
    pub fn suspend(&self, current: &Task, name: &str, flags: SuspendFlags) -> Result<(), Errno> {
        let cell = self.find(current, name)?;
        if cell.md.is_suspended() { Ok(()) } else { cell.md.suspend(current, flags) }
    }

    /// `DM_DEV_SUSPEND` without it: resume, taking the inactive table if there is one.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device, `EINVAL` when it is suspended and has no table to run with, or the new
    /// table does not fit.
    pub fn resume(&self, current: &Task, name: &str) -> Result<(), Errno> {
        let _frame = current.enter("do_resume");
        let cell = self.find(current, name)?;
        if self.core.variants().planted == Planted::LocksBackwards {
            cell.md.under_suspend_lock(current, || drop(self.cells.read(current)));
        }
        let inactive = cell.inactive.change(current, Option::take);
        if let Some(slot) = inactive {
            if !cell.md.is_suspended()
                && let Err(errno) = cell.md.suspend(current, SuspendFlags::LOCKFS)
            {
                // Lost a race with another suspend: the table waits on, unless a newer one has come.
                cell.inactive.change(current, |inactive| inactive.get_or_insert(slot).table().size());
                return Err(errno);
            }
            let replaced = cell.md.swap_table(current, &cell.dev, slot)?;
            let result = if cell.md.is_suspended() { cell.md.resume(current) } else { Ok(()) };
            if let Some(replaced) = replaced {
                replaced.destroy(current);
            }
            return result;
        }
        if cell.md.is_suspended() { cell.md.resume(current) } else { Ok(()) }
    }

    /// `DM_DEV_REMOVE`.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device, `EBUSY` when somebody holds it open.
    pub fn remove(&self, current: &Task, name: &str) -> Result<(), Errno> {
        let _frame = current.enter("dev_remove");
        let mut cells = self.cells.write(current);
        let cell = cells.get(name).cloned().ok_or(Errno::ENXIO)?;
        if cell.dev.is_open() {
            return Err(Errno::EBUSY);
        }
        cells.remove(name);
        if self.core.variants().planted == Planted::LocksBackwards {
            cell.md.under_suspend_lock(current, || ());
        }
        drop(cells);
        self.devices.remove(current, cell.dev.id());
        // dm_table_event in __hash_remove, for whoever waits.
        if cell.md.live_table(current).is_some() {
            cell.md.events().raise(current);
        }
        let inactive = cell.inactive.change(current, Option::take);
        if let Some(inactive) = inactive {
            inactive.destroy(current);
        }
        cell.md.destroy(current);
        Ok(())
    }

    /// `DM_TARGET_MSG`: hands `text` to the target at `sector`, or to the core if it begins with `@`; gives the reply.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device, `EINVAL` for what nobody understands; else what the target answers.
    pub fn message(&self, current: &Task, name: &str, sector: Sectors, text: &str) -> Result<Option<String>, Errno> {
        let _frame = current.enter("target_message");
        let cell = self.find(current, name)?;
        let refuse = |message: &str| {
            self.core.log(current, format!("device-mapper: ioctl: {message}"));
            Err(Errno::EINVAL)
        };
        let words = split_args(text);
        let argv: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some(first) = argv.first() else { return refuse("Empty message received.") };
        if first.starts_with('@') {
            return refuse(&format!("Unsupported message sent to DM core: {first}"));
        }
        cell.md.with_live_table(current, |table| {
            let Some(table) = table else { return refuse("The device has no table.") };
            let Some((_, target)) = table.find(sector) else {
                return refuse("Target message sector outside device.");
            };
            target.target.message(current, table.host(), &argv)
        })
    }

    /// The number of the device's last event (`event_nr` of every reply).
    ///
    /// # Errors
    /// `ENXIO` when there is no such device.
    pub fn event_nr(&self, current: &Task, name: &str) -> Result<u32, Errno> {
        Ok(self.find(current, name)?.md.events().number(current))
    }

    /// `DM_DEV_WAIT`: sleeps until the number of the device's last event is another than `known`; gives the lines of
    /// `dmsetup status`.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device.
    pub fn wait_event(&self, current: &Task, name: &str, known: u32) -> Result<Vec<String>, Errno> {
        let _frame = current.enter("dev_wait");
        let cell = self.find(current, name)?;
        cell.md.events().wait(current, known);
        Ok(Self::lines(current, &cell, |target| target.status(current, false)))
    }

    /// `dmsetup status [--noflush]`: a line per target.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device.
    pub fn status(&self, current: &Task, name: &str, noflush: bool) -> Result<Vec<String>, Errno> {
        let cell = self.find(current, name)?;
        Ok(Self::lines(current, &cell, |target| target.status(current, noflush)))
    }

    /// `dmsetup table`: a line per target.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device.
    pub fn table(&self, current: &Task, name: &str) -> Result<Vec<String>, Errno> {
        let cell = self.find(current, name)?;
        Ok(Self::lines(current, &cell, |target| target.table(current)))
    }

    /// `retrieve_status`, with the live table held.
    fn lines(current: &Task, cell: &Cell, say: impl Fn(&dyn super::Target) -> String) -> Vec<String> {
        cell.md.with_live_table(current, |table| {
            let targets = table.map_or(&[][..], Table::targets);
            let line = |target: &super::table::TableTarget| {
                format!("{} {} {} {}", target.range.begin, target.range.len, target.kind.name, say(&*target.target))
            };
            targets.iter().map(line).collect()
        })
    }

    /// The device of that name.
    pub fn device(&self, current: &Task, name: &str) -> Option<Arc<Device>> {
        self.find(current, name).ok().map(|cell| Arc::clone(&cell.dev))
    }

    /// Names of all devices, sorted.
    pub fn names(&self, current: &Task) -> Vec<String> {
        self.cells.read(current).keys().cloned().collect()
    }

    /// What must be true when nothing runs any more, for every device.
    ///
    /// # Errors
    /// What is not at rest.
    pub fn check_at_rest(&self, current: &Task) -> Result<(), String> {
        self.cells.read(current).values().try_for_each(|cell| cell.md.at_rest())
    }
}
