//! [`Device`]: a block device: a name, a number, a size and a driver.
//!
//! Invariants: `major:minor` is unique within a machine; the capacity of a leaf never changes, that of a dm device
//! changes only while it is suspended. Not here: partitions, queue freezing.

use std::fmt;
use std::sync::Arc;

use dmlab_units::Sectors;

use super::bio::Bio;
use super::core::BlockCore;
use super::opf::BioOp;
use crate::sched::Task;
use crate::sched::cell::Tiny;
use crate::sync::{Count, Semaphore, Variable};

/// Major number of dm devices (dynamic in the kernel; 254 or 253 on most systems).
pub const DM_MAJOR: u32 = 254;
/// Major number of ramdisks.
pub const RAM_MAJOR: u32 = 1;
/// Major number of null devices (dynamic in the kernel).
pub const NULL_MAJOR: u32 = 250;
/// Major number of timed devices: nvme's (dynamic in the kernel).
pub const TIMED_MAJOR: u32 = 259;
/// Major number of barrier devices: md's.
pub const MD_MAJOR: u32 = 9;

/// The kernel's `dev_t`, printed as in table lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DevId {
    /// Driver.
    pub major: u32,
    /// Device.
    pub minor: u32,
}

impl fmt::Display for DevId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// What a device does with bios.
pub trait Driver: Send + Sync {
    /// The kernel's `submit_bio` of `block_device_operations` (before 5.9, `make_request_fn`). The bio was for `dev`,
    /// and is for no device until somebody says so.
    fn submit_bio(&self, current: &Task, dev: &Arc<Device>, bio: Bio);

    /// What a leaf device does with a bio once nothing keeps it from doing so; a stacking driver knows no difference.
    fn carry_out(&self, current: &Task, dev: &Arc<Device>, bio: Bio) {
        self.submit_bio(current, dev, bio);
    }

    /// Whether flushes mean anything below.
    fn has_write_cache(&self) -> bool {
        false
    }

    /// The power was gone: what a volatile cache held and had not written back is lost as `pick` says, which chooses from
    /// so many ways for each unit of it; 0 is that nothing is lost.
    fn lose_cache(&self, _current: &Task, _pick: &mut dyn FnMut(u32) -> u32) {}

    /// Whether the queue limits let `op` through; what they do not ends with -EOPNOTSUPP.
    fn takes(&self, op: BioOp) -> bool {
        !op.is_abnormal()
    }

    /// `logical_block_size`: the smallest unit it can be addressed in, in bytes; a power of two, at least 512.
    fn logical_block_size(&self) -> u64 {
        512
    }

    /// Whether it wants to be told when nobody holds the device open any more.
    fn wants_last_close(&self) -> bool {
        false
    }

    /// Nobody holds the device open any more.
    fn last_close(&self, _current: &Task) {}

    /// `BLK_FEAT_NOWAIT`: whether it knows how to fail with -EAGAIN rather than wait.
    fn has_nowait(&self) -> bool {
        false
    }
}

/// A block device.
pub struct Device {
    id: DevId,
    name: Box<str>,
    core: Arc<BlockCore>,
    capacity: Variable,
    /// How many users hold it open: tables of dm devices above it, and loads.
    openers: Count,
    driver: Box<dyn Driver>,
    /// Made by the first target that asks for it.
    gate: Tiny<Option<Arc<Semaphore>>>,
}

impl Device {
    /// A device of `capacity` sectors.
    pub fn new(core: &Arc<BlockCore>, id: DevId, name: &str, capacity: Sectors, driver: Box<dyn Driver>) -> Arc<Self> {
        let (runtime, core) = (core.runtime(), Arc::clone(core));
        let capacity = Variable::new(runtime, &format!("{name}.capacity"), capacity.0);
        let openers = Count::new(runtime, &format!("{name}.openers"));
        Arc::new(Self { id, name: name.into(), core, capacity, openers, driver, gate: Tiny::new(None) })
    }

    /// `major:minor`.
    pub const fn id(&self) -> DevId {
        self.id
    }

    /// Name in reports, e.g. `ram0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it shares with the machine's other devices.
    #[inline]
    pub const fn core(&self) -> &Arc<BlockCore> {
        &self.core
    }

    /// Its size.
    #[inline]
    pub fn capacity(&self) -> Sectors {
        Sectors(self.capacity.get())
    }

    /// `set_capacity`.
    pub fn set_capacity(&self, capacity: Sectors) {
        self.capacity.set(capacity.0);
    }

    /// Its driver.
    #[inline]
    pub fn driver(&self) -> &dyn Driver {
        &*self.driver
    }

    /// What lets one bio at a time through to this device, for all gate targets above it.
    pub fn gate(&self, current: &Task) -> Arc<Semaphore> {
        let make = || Arc::new(Semaphore::new(current.runtime(), &format!("{}.gate", self.name), 1));
        Arc::clone(self.gate.lock_for(current).get_or_insert_with(make))
    }

    /// One user more.
    pub fn open(&self) {
        self.openers.inc();
    }

    /// One user less.
    pub fn close(&self) {
        self.openers.drop_one();
    }

    /// One user less, who sees to what is to be done when it was the last.
    pub fn put(&self, current: &Task) {
        self.close();
        if self.driver.wants_last_close() && !self.is_open() {
            self.driver.last_close(current);
        }
    }

    /// Whether anybody holds it open.
    pub fn is_open(&self) -> bool {
        !self.openers.is_zero()
    }
}
