//! [`SnapshotTarget`]: the snapshot target: reads of chunks that were not copied go to the origin, all else to the COW
//! device, writes after an exception was made.
//!
//! Invariants: a read that goes to the origin is tracked until it ends; every bio stays within a chunk; a write that
//! finds no room invalidates the snapshot, or overflows it where user space knows what that is (`PO`).
//! Not here: resume and destructor ([`super::handover`]), the snapshot-merge target ([`super::merge_map`]).

use std::sync::Arc;

use dmlab_units::Sectors;

use super::copy::{Copy, FullBio};
use super::lock::SnapGuard;
use super::origin::{is_flush, is_write};
use super::slots::Slot;
use super::state::Snapshot;
use crate::block::{Bio, BioOp, BlkStatus, Device};
use crate::dm::io_client::Region;
use crate::dm::target::Ended;
use crate::dm::{Errno, Mapped, Target, TargetRange};
use crate::kcopyd::CopyFlags;
use crate::sched::digest::Answer;
use crate::sched::{Digest, Task};
use crate::variants::{ChunkTracking, Planted};

/// The snapshot target.
pub(super) struct SnapshotTarget(pub(super) Arc<Snapshot>);

/// What a look at the tables says about a write.
enum Write {
    /// Its chunk was copied: to there.
    Completed(Bio, u64),
    /// It waits for a copy, which is to be started if it was not.
    Waits(Option<Copy>),
    /// It is a whole chunk and stands in for the copy.
    Full(Copy, (Bio, Arc<FullBio>)),
    /// There is no exception.
    Nothing(Bio),
    /// And no room for one.
    NoRoom(Bio),
}

impl Answer for Write {
    fn digest(&self, into: &mut Digest<'_>) {
        match self {
            Self::Completed(_, place) => (0_u64, *place).digest(into),
            Self::Waits(copy) => (1_u64, *copy).digest(into),
            Self::Full(copy, _) => (2_u64, *copy).digest(into),
            Self::Nothing(_) => into.word(3),
            Self::NoRoom(_) => into.word(4),
        }
    }
}

impl Snapshot {
    /// `snapshot_map`.
    fn map(self: &Arc<Self>, current: &Task, mut bio: Bio) -> Mapped {
        let _frame = current.enter("snapshot_map");
        self.check_not_freed(current);
        if is_flush(&bio) {
            bio.set_dev(Arc::clone(&self.cow));
            return Mapped::Remapped(bio);
        }
        let chunk = self.chunk_of(current, bio.sector);
        if !self.is_valid() {
            return Mapped::Kill(bio);
        }
        if is_write(&bio) {
            while !self.throttle.may_pass(current) {
                self.throttle.wait(current);
            }
        }
        let held = self.lock.io(current);
        if !self.is_valid() || (self.overflowed.get() != 0 && is_write(&bio)) {
            return Mapped::Kill(bio);
        }
        match bio.op() {
            BioOp::Discard => self.map_discard(current, held, chunk, bio),
            BioOp::Read => self.map_read(current, chunk, bio),
            _ => self.map_write(current, held, chunk, bio),
        }
    }

    fn map_read(&self, current: &Task, chunk: u64, mut bio: Bio) -> Mapped {
        let place = self.slots.with(current, chunk, |slot| {
            let place = slot.lookup(chunk);
            if place.is_none() && self.slots.is_locked() && self.notes(current, &bio, chunk) {
                self.tracked.track_inside(current, chunk);
            }
            place
        });
        match place {
            Some(place) => self.remap(current, &mut bio, place),
            None => {
                if !self.slots.is_locked() {
                    self.track(current, &bio, chunk);
                }
                bio.set_dev(Arc::clone(&self.origin));
            }
        }
        Mapped::Remapped(bio)
    }

    fn map_discard(self: &Arc<Self>, current: &Task, held: SnapGuard<'_>, chunk: u64, mut bio: Bio) -> Mapped {
        if self.features.discard_passdown_origin && bio.target_bio_nr() != 0 {
            // Without exceptions: they would use up what the discard is to free.
            bio.set_dev(Arc::clone(&self.origin));
            self.track(current, &bio, chunk);
            return Mapped::Remapped(bio);
        }
        let Some(place) = self.slots.with(current, chunk, |slot| slot.lookup(chunk)) else {
            drop(held);
            bio.end(current, BlkStatus::Ok);
            return Mapped::Submitted;
        };
        self.remap(current, &mut bio, place);
        if bio.sectors != self.chunk_size(current) {
            return Mapped::Remapped(bio);
        }
        drop(held);
        self.zero_exception(current, bio);
        Mapped::Submitted
    }

    /// `zero_exception`: what a discard of a whole chunk comes to.
    fn zero_exception(self: &Arc<Self>, current: &Task, bio: Bio) {
        let _frame = current.enter("zero_exception");
        let dest = Region { dev: Arc::clone(&self.cow), sector: bio.sector, count: bio.sectors };
        self.throttle.start_copy(current);
        let snap = Arc::downgrade(self);
        let callback = Box::new(move |worker: &Task, result: crate::kcopyd::CopyResult| {
            snap.upgrade().expect("a snapshot outlives its copies").throttle.end_copy(worker);
            bio.end(worker, if result.write_err == 0 { BlkStatus::Ok } else { BlkStatus::IoErr });
        });
        self.kcopyd.zero(current, &[dest], CopyFlags::empty(), callback);
        self.throttle.handed_over(current);
    }

    fn map_write(self: &Arc<Self>, current: &Task, held: SnapGuard<'_>, chunk: u64, bio: Bio) -> Mapped {
        let write = self.slots.with(current, chunk, |slot| self.look(current, slot, chunk, bio));
        let Write::Nothing(bio) = write else {
            drop(held);
            return self.go_on(current, write);
        };
        let (held, element) = self.alloc_between(current, held);
        if held.is_exclusive() && (!self.is_valid() || self.overflowed.get() != 0) {
            drop(held);
            self.free_pending(current, element);
            return Mapped::Kill(bio);
        }
        let (write, unused) = self.slots.with(current, chunk, |slot| {
            let bio = match self.look(current, slot, chunk, bio) {
                Write::Nothing(bio) => bio,
                found => return (found, Some(element)),
            };
            match self.new_pending(current, element) {
                Ok(pending) => {
                    slot.pending.insert(chunk, pending);
                    (self.look(current, slot, chunk, bio), None)
                }
                Err((_, element)) => (Write::NoRoom(bio), Some(element)),
            }
        });
        if let Some(element) = unused {
            self.free_pending(current, element);
        }
        if let Write::NoRoom(bio) = write {
            self.no_room(current, held);
            return Mapped::Kill(bio);
        }
        drop(held);
        self.go_on(current, write)
    }

    /// What the tables say of a chunk that is written to; a bio that has to wait is queued.
    fn look(self: &Arc<Self>, current: &Task, slot: &mut Slot, chunk: u64, mut bio: Bio) -> Write {
        if let Some(place) = slot.lookup(chunk) {
            return Write::Completed(bio, place);
        }
        let Some(pending) = slot.pending.get_mut(&chunk) else { return Write::Nothing(bio) };
        self.remap(current, &mut bio, pending.new_chunk);
        let fresh = !std::mem::replace(&mut pending.started, true);
        let copy = Copy::of(chunk, pending);
        if fresh && bio.sectors == self.chunk_size(current) {
            let stand_in = self.full_bio(current, &bio);
            pending.full_bio = Some(bio);
            return Write::Full(copy, stand_in);
        }
        pending.snapshot_bios.push(bio);
        Write::Waits(fresh.then_some(copy))
    }

    fn go_on(self: &Arc<Self>, current: &Task, write: Write) -> Mapped {
        match write {
            Write::Completed(mut bio, place) => {
                self.remap(current, &mut bio, place);
                return Mapped::Remapped(bio);
            }
            Write::Waits(Some(copy)) => self.start_copy(current, copy),
            Write::Waits(None) => {}
            Write::Full(copy, stand_in) => self.start_full_bio(current, copy, stand_in),
            Write::Nothing(bio) | Write::NoRoom(bio) => return Mapped::Kill(bio),
        }
        Mapped::Submitted
    }

    /// There is no room for another exception.
    fn no_room(&self, current: &Task, held: SnapGuard<'_>) {
        let _held = if held.is_exclusive() {
            held
        } else {
            drop(held);
            self.lock.write(current)
        };
        if self.variants.planted == Planted::SnapIgnoresFull {
            return;
        }
        if !self.store(current).common().overflow() {
            self.invalidate_locked(current, Errno::ENOMEM);
        } else if self.is_valid() && self.overflowed.get() == 0 {
            self.overflowed.set(1);
            self.err(current, "Snapshot overflowed: Unable to allocate exception.");
        }
    }

    /// `track_chunk`.
    pub(super) fn track(&self, current: &Task, bio: &Bio, chunk: u64) {
        if self.notes(current, bio, chunk) {
            self.tracked.track(current, chunk);
        }
    }

    /// Notes with the bio that it is tracked, if it is to be.
    fn notes(&self, current: &Task, bio: &Bio, chunk: u64) -> bool {
        let tracks = self.variants.chunk_tracking == ChunkTracking::On;
        if tracks {
            bio.set_per_bio_data(current, chunk + 1);
        }
        tracks
    }

    /// `snapshot_end_io`.
    pub(super) fn end_io(&self, current: &Task, clone: &Bio) {
        match clone.per_bio_data(current) {
            0 => {}
            tracked => self.tracked.stop(current, tracked - 1),
        }
    }

    /// `snapshot_iterate_devices`.
    pub(super) fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        let cow = (Arc::clone(&self.cow), Sectors::ZERO, self.cow.capacity());
        vec![(Arc::clone(&self.origin), Sectors::ZERO, range.len), cow]
    }
}

impl Target for SnapshotTarget {
    fn map(&self, current: &Task, _dev: &Device, _range: &TargetRange, bio: Bio) -> Mapped {
        self.0.map(current, bio)
    }

    fn max_io_len(&self) -> Option<Sectors> {
        self.0.max_io_len()
    }

    fn num_flush_bios(&self) -> u64 {
        1
    }

    fn num_discard_bios(&self) -> u64 {
        self.0.features.num_discard_bios()
    }

    /// `snapshot_io_hints`: all discards are split at chunks. The kernel has queue limits for that.
    fn max_discard_granularity(&self) -> bool {
        self.0.features.discard_zeroes_cow && self.0.variants.planted != Planted::SnapDiscardsUnsplit
    }

    fn wants_end_io(&self) -> bool {
        true
    }

    fn end_io(&self, current: &Task, _range: &TargetRange, clone: Bio, status: BlkStatus) -> Ended {
        self.0.end_io(current, &clone);
        Ended::Done(status)
    }

    fn preresume(&self, current: &Task) -> Result<(), Errno> {
        self.0.preresume(current)
    }

    fn resume(&self, current: &Task) {
        self.0.resume(current);
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
        self.0.dtr(current);
    }
}
