//! What lives on a dm device, as a file system does: it holds the device open, and writes when it is frozen.
//!
//! Invariants: a device is open for it from its mount to its unmount; it writes in the task that suspends the device, with
//! the suspend lock held, as the kernel's `bdev_freeze` does. Who mounts waits for suspends that are under way.
//! Not here: what it writes (`script`). It does nothing of its own between freezes, so that there is nothing to thaw.

use std::sync::Arc;

use dmlab_engine::block::Device;
use dmlab_engine::dm::{self, Holder};
use dmlab_engine::sched::Task;
use dmlab_units::Sectors;

use super::actor::{World, errno_to_dm};
use super::io::EngineDevice;
use crate::backend::FreezeBody;

struct Mounted {
    device: Arc<Device>,
    slot_sectors: Sectors,
    freeze: FreezeBody,
}

impl Holder for Mounted {
    fn freeze(&self, current: &Task) -> Result<(), dm::Errno> {
        let _frame = current.enter("freeze_super");
        // When an I/O ends is nobody's concern here.
        let open = EngineDevice::new(current, Arc::clone(&self.device), (1, self.slot_sectors), false);
        (self.freeze)(&open).map_err(errno_to_dm)
    }

    fn thaw(&self, _current: &Task) {}
}

pub(super) fn mount(
    current: &Task,
    world: &World,
    name: &str,
    slot_sectors: Sectors,
    freeze: FreezeBody,
) -> Result<(), dm::Errno> {
    let dm = world.machine.dm();
    let device = dm.device(current, name).ok_or(dm::Errno::ENXIO)?;
    device.open();
    let mounted = Arc::new(Mounted { device: Arc::clone(&device), slot_sectors, freeze });
    let refused = match dm.set_holder(current, name, Some(mounted)) {
        Ok(None) => return Ok(()),
        Ok(Some(earlier)) => {
            // The one that was there stays, and so does its hold.
            drop(dm.set_holder(current, name, Some(earlier)));
            dm::Errno::EBUSY
        }
        Err(errno) => errno,
    };
    device.put(current);
    Err(refused)
}

pub(super) fn unmount(current: &Task, world: &World, name: &str) -> Result<(), dm::Errno> {
    let dm = world.machine.dm();
    let device = dm.device(current, name).ok_or(dm::Errno::ENXIO)?;
    dm.set_holder(current, name, None)?.ok_or(dm::Errno::EINVAL)?;
    device.put(current);
    Ok(())
}
