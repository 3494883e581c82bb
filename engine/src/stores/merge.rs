//! How a persistent store gives its exceptions back, last first: `persistent_prepare_merge`, `persistent_commit_merge`.
//!
//! Invariants: only what stands in the current area is merged with one copy; an exception is cleared on the disk after
//! its data has reached the origin.
//! Not here: copying (the snapshot-merge target).

use super::format::Exception;
use super::persistent::{COMMIT, Persistent};
use super::store::{MergeRun, MergeStore};
use crate::block::{BioFlags, BioOp, Opf};
use crate::dm::Errno;
use crate::sched::Task;

impl MergeStore for Persistent {
    fn prepare_merge(&self, current: &Task) -> Result<Option<MergeRun>, Errno> {
        let _frame = current.enter("persistent_prepare_merge");
        if self.current_committed.get() == 0 {
            let area = self.current_area.get();
            if area == 0 {
                return Ok(None);
            }
            self.current_area.set(area - 1);
            self.area_io(current, Opf::new(BioOp::Read, BioFlags::empty()))?;
            self.current_committed.set(self.geometry().exceptions_per_area() as u64);
        }
        let committed = self.current_committed.get() as usize;
        let run = self.area(current).with(current, |bytes| {
            let at = |index: usize| Exception::decode(bytes, index).unwrap_or_default();
            let last = at(committed - 1);
            // How many before it stand next to each other, going back.
            let follows = |back: &usize| {
                let before = at(committed - 1 - back);
                let back = *back as u64;
                last.old_chunk.checked_sub(back) == Some(before.old_chunk)
                    && last.new_chunk.checked_sub(back) == Some(before.new_chunk)
            };
            MergeRun { last, chunks: 1 + (1..committed).take_while(follows).count() as u64 }
        });
        current.learns(|| run.last.old_chunk << 32 ^ run.chunks);
        Ok(Some(run))
    }

    fn commit_merge(&self, current: &Task, chunks: u64) -> Result<(), Errno> {
        let _frame = current.enter("persistent_commit_merge");
        let committed = self.current_committed.get();
        if chunks > committed {
            current.bug(format!("{chunks} chunks were merged, but {committed} exceptions are in the area"));
        }
        let left = committed - chunks;
        self.area(current).with(current, |bytes| {
            (left..committed).for_each(|index| Exception::default().encode(bytes, index as usize));
        });
        self.area_io(current, Opf::new(BioOp::Write, COMMIT.difference(BioFlags::SYNC)))?;
        self.current_committed.set(left);
        // For status only: what it would be had all been committed in order.
        let area = self.geometry().area_chunk(self.current_area.get()).unwrap_or(u64::MAX);
        self.next_free.set(area.saturating_add(left).saturating_add(1));
        Ok(())
    }
}
