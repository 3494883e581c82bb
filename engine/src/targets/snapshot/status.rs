//! Status and table lines of snapshots, byte for byte: `snapshot_status`.
//!
//! Invariant: what a snapshot is not able to do any more comes first.
//! Not here: how full a store is (the store).

use super::state::{Features, Snapshot};
use crate::sched::Task;
use crate::stores::Usage;
use crate::variants::Planted;

impl Snapshot {
    /// `STATUSTYPE_INFO`.
    pub(super) fn status(&self, current: &Task) -> String {
        let _frame = current.enter("snapshot_status");
        self.check_not_freed(current);
        let _held = self.lock.write(current);
        if !self.is_valid() {
            "Invalid".to_owned()
        } else if self.merge.failed.get() != 0 {
            "Merge failed".to_owned()
        } else if self.overflowed.get() != 0 {
            "Overflow".to_owned()
        } else {
            let Usage { total, allocated, metadata } = self.store(current).usage(current);
            let lies = self.variants.planted == Planted::SnapUsageLies;
            let allocated = if lies { allocated.saturating_sub(metadata) } else { allocated };
            format!("{allocated}/{total} {metadata}")
        }
    }

    /// `STATUSTYPE_TABLE`.
    pub(super) fn table(&self, current: &Task) -> String {
        let line = format!("{} {} {}", self.origin.id(), self.cow.id(), self.store(current).common().table());
        let words = self.features.words();
        if words.is_empty() { line } else { format!("{line} {} {}", words.len(), words.join(" ")) }
    }
}

impl Features {
    /// As in a table line.
    fn words(self) -> Vec<&'static str> {
        let all = [
            (self.discard_zeroes_cow, "discard_zeroes_cow"),
            (self.discard_passdown_origin, "discard_passdown_origin"),
        ];
        all.into_iter().filter_map(|(on, word)| on.then_some(word)).collect()
    }

    /// `ti->num_discard_bios`.
    pub(super) const fn num_discard_bios(self) -> u64 {
        self.discard_zeroes_cow as u64 + self.discard_passdown_origin as u64
    }
}
