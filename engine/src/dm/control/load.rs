//! `DM_TABLE_LOAD` and `DM_TABLE_CLEAR`: what fills and empties the inactive slot.
//!
//! Invariant: a table that does not get into the slot is destroyed, with no lock held.
//! Not here: building tables (`table`), taking them from the slot (`super`, resume).

use std::sync::Arc;

use super::super::errno::Errno;
use super::super::limits;
use super::super::table::{Slot, Table, TableContext};
use super::{Cell, DmControl};
use crate::sched::Task;

impl DmControl {
    /// `DM_TABLE_LOAD`: builds a table and puts it into the inactive slot.
    ///
    /// # Errors
    /// What the kernel answers; its words are in the kernel log.
    pub fn load(&self, current: &Task, name: &str, lines: &[String]) -> Result<(), Errno> {
        let cell = self.find(current, name)?;
        let registry = &self.registry;
        let get_device = |path: &str| {
            if !path.contains(':') {
                // The engine has no paths: only numbers name devices.
                return Err(Errno::ENOENT);
            }
            if path == cell.dev.id().to_string() {
                return Err(Errno::EINVAL);
            }
            // A dm device gets its disk with its first table; before, nobody can open it.
            registry.devices.find(current, path).ok_or(Errno::ENXIO)
        };
        let host = cell.md.new_host(current, cell.dev.id());
        let context = TableContext {
            device: cell.md.name(),
            host: &host,
            accounting: cell.md.accounting(),
            deferred: cell.md.deferred(),
            core: &registry.core,
            types: self.types,
            reserved_bio_based_ios: self.reserved_bio_based_ios.get(),
            get_device: &get_device,
        };
        let mut has_type = cell.type_lock.lock(current);
        let slot = Table::load(current, lines, &context)?;
        if let Err(errno) = self.check_type(current, &cell, &slot, *has_type) {
            drop(has_type);
            slot.destroy(current);
            return Err(errno);
        }
        if !std::mem::replace(&mut *has_type, true) {
            registry.devices.add(current, Arc::clone(&cell.dev));
        }
        drop(has_type);
        let cells = registry.cells.write(current);
        if !Self::is_known(&cells, &cell) {
            drop(cells);
            self.say(current, "device has been removed from the dev hash table.");
            slot.destroy(current);
            return Err(Errno::ENXIO);
        }
        let replaced = cell.inactive.change(current, |inactive| inactive.replace(slot));
        drop(cells);
        if let Some(replaced) = replaced {
            replaced.destroy(current);
        }
        Ok(())
    }

    /// What `table_load` checks of a table that is well-formed: type rules, and with the first one the limits.
    fn check_type(&self, current: &Task, cell: &Cell, slot: &Slot, has_type: bool) -> Result<(), Errno> {
        let table = slot.table();
        if let Some(immutable) = cell.md.immutable_type()
            && !table.immutable_type().is_some_and(|new| std::ptr::eq(new, immutable))
            && !table.has_wildcard()
        {
            self.say(current, &format!("can't replace immutable target type {}", immutable.name));
            return Err(Errno::EINVAL);
        }
        if !has_type && let Some(complaint) = limits::complaint(table) {
            let core = &self.registry.core;
            core.log(current, format!("device-mapper: table: {}: {complaint}", cell.dev.id()));
            core.log(current, "device-mapper: core: Cannot calculate initial queue limits".to_owned());
            self.say(current, "unable to set up device queue for new table.");
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    /// `DM_TABLE_CLEAR`: drops the inactive table, if there is one.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device.
    pub fn clear(&self, current: &Task, name: &str) -> Result<(), Errno> {
        let _frame = current.enter("table_clear");
        let cells = self.registry.cells.write(current);
        let cell = cells.get(name).cloned().ok_or(Errno::ENXIO)?;
        let old = cell.inactive.change(current, Option::take);
        drop(cells);
        if let Some(old) = old {
            old.destroy(current);
        }
        Ok(())
    }
}
