//! What asks a device and its targets: `DM_TARGET_MSG`, `DM_DEV_WAIT`, `DM_TABLE_STATUS`, `DM_TABLE_DEPS`.
//!
//! Invariant: a table stays while its targets are asked.
//! Not here: what targets answer (`targets`).

use std::sync::Arc;

use dmlab_units::Sectors;

use super::super::Target;
use super::super::errno::Errno;
use super::super::table::{Slot, Table, TableTarget, split_args};
use super::{Cell, DmControl};
use crate::block::DevId;
use crate::sched::Task;

/// Which of a device's two tables is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// The live one.
    #[default]
    Live,
    /// The one that waits for a resume (`DM_QUERY_INACTIVE_TABLE_FLAG`).
    Inactive,
}

impl DmControl {
    /// `DM_TARGET_MSG`: hands `text` to the target at `sector`, or to the core if it begins with `@`; gives the reply.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device, `EINVAL` for what nobody understands; else what the target answers.
    pub fn message(&self, current: &Task, name: &str, sector: Sectors, text: &str) -> Result<Option<String>, Errno> {
        let _frame = current.enter("target_message");
        let cell = self.find(current, name)?;
        let refuse = |message: &str| {
            self.say(current, message);
            Err(Errno::EINVAL)
        };
        let words = split_args(text);
        let argv: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some(first) = argv.first() else { return refuse("Empty message received.") };
        if first.eq_ignore_ascii_case("@cancel_deferred_remove") {
            if argv.len() != 1 {
                return refuse("Invalid arguments for @cancel_deferred_remove");
            }
            return cell.md.cancel_deferred_remove().map(|()| None);
        }
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
        Ok(Self::lines(current, &cell, Which::Live, |target| target.status(current, false)))
    }

    /// `dmsetup status [--noflush]` of the live table: a line per target.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device.
    pub fn status(&self, current: &Task, name: &str, noflush: bool) -> Result<Vec<String>, Errno> {
        self.status_of(current, name, Which::Live, noflush)
    }

    /// `dmsetup table` of the live table: a line per target.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device.
    pub fn table(&self, current: &Task, name: &str) -> Result<Vec<String>, Errno> {
        self.table_of(current, name, Which::Live)
    }

    /// `dmsetup status [--noflush] [--inactive]`: a line per target.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device.
    pub fn status_of(&self, current: &Task, name: &str, which: Which, noflush: bool) -> Result<Vec<String>, Errno> {
        let cell = self.find(current, name)?;
        Ok(Self::lines(current, &cell, which, |target| target.status(current, noflush)))
    }

    /// `dmsetup table [--inactive]`: a line per target.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device.
    pub fn table_of(&self, current: &Task, name: &str, which: Which) -> Result<Vec<String>, Errno> {
        let cell = self.find(current, name)?;
        Ok(Self::lines(current, &cell, which, |target| target.table(current)))
    }

    /// `DM_TABLE_DEPS`: the devices below, the one that was named last first.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device.
    pub fn deps(&self, current: &Task, name: &str, which: Which) -> Result<Vec<DevId>, Errno> {
        let cell = self.find(current, name)?;
        let ids = |table: &Table| table.unique_devices().iter().map(|device| device.id()).collect();
        Ok(Self::with_table(current, &cell, which, |table| table.map_or_else(Vec::new, ids)))
    }

    /// `dm_get_live_or_inactive_table`, around `use_it`.
    fn with_table<R>(current: &Task, cell: &Cell, which: Which, use_it: impl FnOnce(Option<&Table>) -> R) -> R {
        match which {
            Which::Live => cell.md.with_live_table(current, use_it),
            Which::Inactive => {
                let table = |inactive: &Option<Slot>| inactive.as_ref().map(|slot| Arc::clone(slot.table()));
                let table = cell.inactive.look(current, table);
                use_it(table.as_deref())
            }
        }
    }

    /// `retrieve_status`, with the table held.
    fn lines(current: &Task, cell: &Cell, which: Which, say: impl Fn(&dyn Target) -> String) -> Vec<String> {
        Self::with_table(current, cell, which, |table| {
            let targets = table.map_or(&[][..], Table::targets);
            let line = |target: &TableTarget| {
                format!("{} {} {} {}", target.range.begin, target.range.len, target.kind.name, say(&*target.target))
            };
            targets.iter().map(line).collect()
        })
    }
}
