//! `persistent_commit_exception`: exceptions are gathered in memory and written in batches.
//!
//! A batch is written when no exception is pending any more, or when the area is full. Before a full area is written,
//! the next one is zeroed on the disk, so that whoever reads the store behind the full area finds an end. The area is
//! written with a preflush (the copied data and the zeros first) and FUA.
//!
//! Invariants: callbacks are called in the order of committing, after the write, and all alike: with whether the store is
//! still valid. Runs in the kcopyd worker alone, which it keeps waiting.
//! Not here: who calls it, and in which order (the snapshot).

use super::format::Exception;
use super::persistent::{COMMIT, Persistent};
use super::store::CommitCallback;
use crate::block::{BioFlags, BioOp, Opf};
use crate::sched::Task;
use crate::variants::Planted;

/// Who waits for the batch.
#[derive(Default)]
pub(super) struct Commit {
    callbacks: Vec<CommitCallback>,
}

impl Persistent {
    pub(super) fn commit_exception(&self, current: &Task, exception: Exception, valid: bool, callback: CommitCallback) {
        let _frame = current.enter("persistent_commit_exception");
        if !valid {
            self.valid.set(0);
        }
        let index = self.current_committed.get();
        self.area(current).with(current, |bytes| exception.encode(bytes, index as usize));
        current.learns(|| exception.old_chunk << 32 ^ exception.new_chunk);
        self.current_committed.set(index + 1);
        self.commit.change(current, |commit| commit.callbacks.push(callback));
        if self.planted == Planted::StoreTellsEarly {
            self.tell(current);
        }
        let is_full = index + 1 == self.geometry().exceptions_per_area() as u64;
        self.pending_count.dec(current);
        if !self.pending_count.is_zero() && !is_full {
            return;
        }
        self.write_batch(current, is_full);
        self.tell(current);
    }

    fn write_batch(&self, current: &Task, is_full: bool) {
        let area = self.current_area.get();
        if is_full && self.planted != Planted::StoreKeepsNextArea && self.zero_disk_area(current, area + 1).is_err() {
            self.valid.set(0);
        }
        let flags = if self.planted == Planted::StoreNoFlush { BioFlags::SYNC } else { COMMIT };
        if self.valid.get() != 0 && self.area_io(current, Opf::new(BioOp::Write, flags)).is_err() {
            self.valid.set(0);
        }
        if is_full {
            self.current_committed.set(0);
            self.current_area.set(area + 1);
            self.area(current).with(current, |bytes| bytes.fill(0));
        }
    }

    fn tell(&self, current: &Task) {
        let callbacks = self.commit.change(current, |commit| std::mem::take(&mut commit.callbacks));
        for callback in callbacks {
            callback(current, self.valid.get() != 0);
        }
    }
}
