//! [`DeviceTable`]: which block devices there are, for what names them by number.
//!
//! Not here: dm's own names (`names`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::block::{DevId, Device};
use crate::sched::Task;
use crate::sync::Confided;

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
