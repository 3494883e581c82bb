//! [`MergeTarget`]: the snapshot-merge target: a snapshot and the origin at once, while the one becomes the other.
//!
//! Invariants: a chunk with an exception is read and written on the COW device, and tracked while it is written; a write
//! to a chunk that is just being merged waits, and then goes to the origin; everything else goes to the origin, past
//! its other snapshots.
//! Not here: the merging itself ([`super::merge`]).

use std::sync::Arc;

use dmlab_units::Sectors;

use super::origin::{is_flush, is_write};
use super::state::Snapshot;
use crate::block::{Bio, BioOp, BlkStatus, Device};
use crate::dm::target::Ended;
use crate::dm::{Errno, Mapped, Target, TargetRange};
use crate::sched::Task;

/// The snapshot-merge target.
pub(super) struct MergeTarget(pub(super) Arc<Snapshot>);

impl Snapshot {
    /// `snapshot_merge_map`.
    fn merge_map(&self, current: &Task, mut bio: Bio) -> Mapped {
        let _frame = current.enter("snapshot_merge_map");
        if is_flush(&bio) {
            bio.set_dev(Arc::clone(if bio.target_bio_nr() == 0 { &self.origin } else { &self.cow }));
            return Mapped::Remapped(bio);
        }
        if bio.op() == BioOp::Discard {
            // Once merging, discards change nothing any more.
            bio.end(current, BlkStatus::Ok);
            return Mapped::Submitted;
        }
        let chunk = self.chunk_of(current, bio.sector);
        let held = self.lock.write(current);
        // A full snapshot is the origin.
        let place = if self.is_valid() { self.slots.with(current, chunk, |slot| slot.lookup(chunk)) } else { None };
        if let Some(place) = place {
            if is_write(&bio) {
                bio.set_dev(Arc::clone(&self.origin));
                let queued = self.merge.window.change(current, |window| {
                    if !(window.first..window.first + window.chunks).contains(&chunk) {
                        return Some(bio);
                    }
                    window.bios.push(bio);
                    None
                });
                let Some(back) = queued else { return Mapped::Submitted };
                bio = back;
                self.track(current, &bio, chunk);
            }
            self.remap(current, &mut bio, place);
            return Mapped::Remapped(bio);
        }
        bio.set_dev(Arc::clone(&self.origin));
        if !is_write(&bio) {
            return Mapped::Remapped(bio);
        }
        drop(held);
        match self.registry.do_origin(current, &self.origin, bio, false) {
            Some(bio) => Mapped::Remapped(bio),
            None => Mapped::Submitted,
        }
    }
}

impl Target for MergeTarget {
    fn map(&self, current: &Task, _dev: &Device, _range: &TargetRange, bio: Bio) -> Mapped {
        self.0.merge_map(current, bio)
    }

    fn max_io_len(&self) -> Option<Sectors> {
        self.0.max_io_len()
    }

    fn num_flush_bios(&self) -> u64 {
        2
    }

    fn num_discard_bios(&self) -> u64 {
        self.0.features.num_discard_bios()
    }

    fn wants_end_io(&self) -> bool {
        true
    }

    fn end_io(&self, current: &Task, _range: &TargetRange, clone: Bio, status: BlkStatus) -> Ended {
        self.0.end_io(current, &clone);
        Ended::Done(status)
    }

    /// `snapshot_merge_presuspend`.
    fn presuspend(&self, current: &Task) {
        self.0.stop_merge(current);
    }

    fn preresume(&self, current: &Task) -> Result<(), Errno> {
        self.0.preresume(current)
    }

    /// `snapshot_merge_resume`.
    fn resume(&self, current: &Task) {
        self.0.resume(current);
        self.0.take_origin_boundary(current);
        self.0.start_merge(current);
    }

    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        self.0.devices(range)
    }

    fn status(&self, current: &Task, _noflush: bool) -> String {
        self.0.status(current)
    }

    fn table(&self, current: &Task) -> String {
        self.0.table(current)
    }

    fn dtr(&self, current: &Task) {
        self.0.stop_merge(current);
        self.0.dtr(current);
    }
}
