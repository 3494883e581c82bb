//! [`Machine`]: one instance of the whole engine: block layer, devices and dm control, with its variants.
//!
//! Invariants: nothing outside a machine refers to it when its run is over; thousands can live one after another in
//! one process. [`Machine::check_at_rest`] is what must hold when a run has finished (I2, and I1 in as far as a bio
//! that never ended keeps a pool element or an in-flight count).
//! Not here: what is done with it (the harness).

use std::sync::Arc;

use dmlab_units::{Sectors, Seed};

use crate::block::barrier::new_barrier;
use crate::block::null::new_null;
use crate::block::ram::{new_cached, new_ramdisk};
use crate::block::timed::{ServiceModel, new_timed};
use crate::block::{BlockCore, DevId, Device, Driver};
use crate::dm::{DeviceTable, DmControl};
use crate::kcopyd;
use crate::sched::Task;
use crate::sched::cell::Word;
use crate::targets;
use crate::variants::Variants;

/// A small kernel.
pub struct Machine {
    core: Arc<BlockCore>,
    devices: Arc<DeviceTable>,
    dm: DmControl,
    next_minor: Word,
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.core.abandon();
    }
}

impl Machine {
    /// A machine without devices that runs `variants`. With `log_entries` it notes each bio that enters a driver.
    pub fn new(current: &Task, variants: Variants, log_entries: bool) -> Arc<Self> {
        let core = BlockCore::new(current.runtime(), variants, log_entries);
        let devices = Arc::new(DeviceTable::new(current));
        let dm = DmControl::new(current, &core, &devices, targets::TYPES);
        Arc::new(Self { core, devices, dm, next_minor: Word::default() })
    }

    /// The block layer.
    pub const fn core(&self) -> &Arc<BlockCore> {
        &self.core
    }

    /// The dm control device.
    pub const fn dm(&self) -> &DmControl {
        &self.dm
    }

    /// Sets a module parameter: `false` if no module has one of that name. A value out of range is clamped as the kernel
    /// clamps it.
    pub fn set_parameter(&self, current: &Task, name: &str, value: u64) -> bool {
        let snapshot = || targets::snapshot::Registry::of(current, &self.core);
        match name {
            "reserved_bio_based_ios" => self.dm.set_reserved_bio_based_ios(value),
            "kcopyd_subjob_size_kb" => kcopyd::client::Module::of(current, &self.core).set_subjob_size_kb(value),
            "snapshot_cow_threshold" => snapshot().set_cow_threshold(value),
            "snapshot_copy_throttle" => snapshot().set_copy_throttle(value),
            _ => return false,
        }
        true
    }

    fn add(&self, current: &Task, make: impl FnOnce(u32) -> Arc<Device>) -> Arc<Device> {
        let minor = self.next_minor.get() as u32;
        self.next_minor.add(1);
        let device = make(minor);
        self.devices.add(current, Arc::clone(&device));
        device
    }

    /// A ramdisk.
    pub fn add_ramdisk(&self, current: &Task, name: &str, capacity: Sectors) -> Arc<Device> {
        self.add(current, |minor| new_ramdisk(&self.core, minor, name, capacity))
    }

    /// A ramdisk with a volatile write cache, which is written back in units of `unit` bytes: 512, 1024, 2048 or 4096.
    pub fn add_cached(&self, current: &Task, name: &str, capacity: Sectors, unit: usize) -> Arc<Device> {
        self.add(current, |minor| new_cached(&self.core, minor, name, capacity, unit))
    }

    /// A null device.
    pub fn add_null(&self, current: &Task, name: &str, capacity: Sectors) -> Arc<Device> {
        self.add(current, |minor| new_null(&self.core, minor, name, capacity))
    }

    /// A timed device, whose service times under `model` are drawn from `seed`.
    pub fn add_timed(
        &self,
        current: &Task,
        name: &str,
        capacity: Sectors,
        model: ServiceModel,
        seed: Seed,
    ) -> Arc<Device> {
        self.add(current, |minor| new_timed(&self.core, (minor, name), capacity, model, seed))
    }

    /// A leaf device with a driver that the engine does not know.
    pub fn add_leaf(
        &self,
        current: &Task,
        name: &str,
        major: u32,
        capacity: Sectors,
        driver: Box<dyn Driver>,
    ) -> Arc<Device> {
        self.add(current, |minor| Device::new(&self.core, DevId { major, minor }, name, capacity, driver))
    }

    /// Removes a leaf device from under its users: it can no longer be found, and its I/O ends with errors.
    pub fn unplug(&self, current: &Task, device: &Device) {
        self.core.mark_dead(current, device);
        self.devices.remove(current, device.id());
    }

    /// A barrier device above `below`.
    pub fn add_barrier(&self, current: &Task, name: &str, below: Arc<Device>) -> Arc<Device> {
        self.add(current, |minor| new_barrier(&self.core, minor, name, below))
    }

    /// What must be true when nothing runs any more.
    ///
    /// # Errors
    /// What is not at rest, in words.
    pub fn check_at_rest(&self, current: &Task) -> Result<(), String> {
        self.dm.check_at_rest(current)?;
        for pool in self.core.pools() {
            if !pool.at_rest() {
                let stats = pool.stats();
                return Err(format!("{}: {} element(s) never came back", pool.name(), stats.in_use));
            }
        }
        Ok(())
    }
}
