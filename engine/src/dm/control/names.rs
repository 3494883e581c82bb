//! Names and uuids of mapped devices: what they may be, rename, list, info.
//!
//! Invariants: names are unique, and so are uuids; a uuid is given once; a rename keeps the device and all that hangs on
//! it. Pools and locks of a device keep the name it was created with, so that reports of one run speak of one thing.
//! Not here: who finds a device by its name (`control`).

use std::sync::Arc;

use super::{Cells, DmControl};
use crate::block::{BlockCore, DevId};
use crate::dm::errno::Errno;
use crate::sched::Task;

/// `DM_NAME_LEN` - 1.
const NAME_LEN_MAX: usize = 127;
/// `DM_UUID_LEN` - 1.
const UUID_LEN_MAX: usize = 128;

/// What `dmsetup info` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Name.
    pub name: String,
    /// Uuid, if it was given one.
    pub uuid: Option<String>,
    /// Number.
    pub dev: DevId,
    /// Number of the last event.
    pub event_nr: u32,
    /// `DM_SUSPEND_FLAG`.
    pub suspended: bool,
    /// `DM_INTERNAL_SUSPEND_FLAG`.
    pub suspended_internally: bool,
    /// `DM_ACTIVE_PRESENT_FLAG`.
    pub live_table: bool,
    /// `DM_INACTIVE_PRESENT_FLAG`.
    pub inactive_table: bool,
    /// `DM_DEFERRED_REMOVE`.
    pub deferred_remove: bool,
}

/// `check_name`, and the length that the structure of the ioctl has room for.
pub(super) fn check_name(current: &Task, core: &BlockCore, name: &str) -> Result<(), Errno> {
    let complaint = match name {
        _ if name.contains('/') => "device name cannot contain '/'",
        "control" | "." | ".." => "device name cannot be \"control\", \".\", or \"..\"",
        _ if name.is_empty() || name.len() > NAME_LEN_MAX => return Err(Errno::EINVAL),
        _ => return Ok(()),
    };
    core.log(current, format!("device-mapper: ioctl: {complaint}"));
    Err(Errno::EINVAL)
}

/// Whether some device has this uuid.
pub(super) fn has_uuid(current: &Task, cells: &Cells, uuid: &str) -> bool {
    cells.values().any(|cell| cell.uuid.look(current, |known| known.as_deref() == Some(uuid)))
}

impl DmControl {
    /// `DM_DEV_RENAME`: gives a device another name.
    ///
    /// # Errors
    /// `EINVAL` for a name that is not allowed, `EBUSY` for one that exists, `ENXIO` when there is no such device.
    pub fn rename(&self, current: &Task, name: &str, new: &str) -> Result<(), Errno> {
        let _frame = current.enter("dev_rename");
        if new.is_empty() || new.len() > NAME_LEN_MAX {
            return Err(self.bad_string(current));
        }
        check_name(current, &self.registry.core, new)?;
        let mut cells = self.registry.cells.write(current);
        if cells.contains_key(new) {
            self.say(
                current,
                &format!("Unable to change name on mapped device {name} to one that already exists: {new}"),
            );
            return Err(Errno::EBUSY);
        }
        let Some(cell) = cells.remove(name) else {
            self.say(current, &format!("Unable to rename non-existent device, {name} to {new}"));
            return Err(Errno::ENXIO);
        };
        cells.insert(new.to_owned(), Arc::clone(&cell));
        cell.md.raise_event(current);
        Ok(())
    }

    /// `DM_DEV_RENAME` with `DM_UUID_FLAG`: gives a device a uuid.
    ///
    /// # Errors
    /// `EINVAL` for a string that is none, or when the device has a uuid; `EBUSY` for one that exists, `ENXIO` when there
    /// is no such device.
    pub fn set_uuid(&self, current: &Task, name: &str, uuid: &str) -> Result<(), Errno> {
        let _frame = current.enter("dev_rename");
        if uuid.is_empty() || uuid.len() > UUID_LEN_MAX {
            return Err(self.bad_string(current));
        }
        let cells = self.registry.cells.write(current);
        if has_uuid(current, &cells, uuid) {
            self.say(
                current,
                &format!("Unable to change uuid on mapped device {name} to one that already exists: {uuid}"),
            );
            return Err(Errno::EBUSY);
        }
        let Some(cell) = cells.get(name) else {
            self.say(current, &format!("Unable to rename non-existent device, {name} to uuid {uuid}"));
            return Err(Errno::ENXIO);
        };
        if let Some(old) = cell.uuid.look(current, Clone::clone) {
            let text =
                format!("Unable to change uuid of mapped device {name} to {uuid} because uuid is already set to {old}");
            self.say(current, &text);
            return Err(Errno::EINVAL);
        }
        cell.uuid.change(current, |known| *known = Some(uuid.to_owned()));
        cell.md.raise_event(current);
        Ok(())
    }

    fn bad_string(&self, current: &Task) -> Errno {
        self.say(current, "Invalid new mapped device name or uuid string supplied.");
        Errno::EINVAL
    }

    /// `DM_LIST_DEVICES` and `DM_DEV_STATUS`: every device, in order of name.
    pub fn list(&self, current: &Task) -> Vec<DeviceInfo> {
        let cells = self.registry.cells.read(current);
        let info = |(name, cell): (&String, &Arc<super::Cell>)| DeviceInfo {
            name: name.clone(),
            uuid: cell.uuid.look(current, Clone::clone),
            dev: cell.dev.id(),
            event_nr: cell.md.events().number(current),
            suspended: cell.md.is_suspended(),
            suspended_internally: cell.md.is_suspended_internally(),
            live_table: cell.md.live_table(current).is_some(),
            inactive_table: cell.inactive.look(current, Option::is_some),
            deferred_remove: cell.md.is_to_be_removed(),
        };
        cells.iter().map(info).collect()
    }
}
