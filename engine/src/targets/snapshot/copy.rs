//! Copying a chunk to the COW device, and what happens when that has ended: `start_copy`, `start_full_bio`,
//! `copy_callback`, `pending_complete`.
//!
//! Everything from `copy_callback` on runs in the snapshot's kcopyd worker, one copy after another.
//!
//! Invariants: copies are committed in the order of the variant; a chunk is in the completed table before its exception
//! ceases to be pending, so that neither table is ever without it; nothing that waits for a copy goes on before the
//! exception is committed (I5), nor before reads of the origin's old data have ended.
//! Not here: who needs a copy.

use std::sync::{Arc, Weak};

use dmlab_units::Sectors;

use super::pending::Pending;
use super::state::Snapshot;
use crate::block::submit::submit_bio_noacct;
use crate::block::{Bio, BlkStatus, EndIo};
use crate::dm::Errno;
use crate::dm::io_client::Region;
use crate::kcopyd::{Callback, CopyFlags, CopyResult, PreparedCallback};
use crate::sched::cell::Tiny;
use crate::sched::digest::Answer;
use crate::sched::{Digest, Task};
use crate::stores::Exception;
use crate::variants::{ChunkTracking, CommitOrder, PendingPoll, Planted};

/// A copy on its way: what is known without looking at the tables.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy {
    pub(super) exception: Exception,
    pub(super) sequence: u64,
}

/// A copy that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    copy: Copy,
    failed: bool,
}

impl Answer for Copy {
    fn digest(&self, into: &mut Digest<'_>) {
        let Self { exception: Exception { old_chunk, new_chunk }, sequence } = *self;
        [old_chunk, new_chunk, sequence].into_iter().for_each(|word| into.word(word));
    }
}

impl Copy {
    /// Of a pending exception.
    pub(super) const fn of(old_chunk: u64, pending: &Pending) -> Self {
        let exception = Exception { old_chunk, new_chunk: pending.new_chunk };
        Self { exception, sequence: pending.sequence }
    }
}

/// A write of a whole chunk that needs no copy: it ends in the kcopyd worker, as a copy does.
pub(super) struct FullBio {
    snap: Weak<Snapshot>,
    prepared: Tiny<Option<PreparedCallback>>,
}

impl EndIo for FullBio {
    /// `full_bio_end_io`.
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, _cookie: u64) {
        let prepared = self.prepared.lock_for(current).take().expect("a bio ends once");
        let snap = self.snap.upgrade().expect("a snapshot outlives its copies");
        let result = CopyResult { read_err: false, write_err: u64::from(!status.is_ok()) };
        snap.kcopyd.do_callback(current, prepared, result);
    }
}

impl Snapshot {
    /// `start_copy`: hands a chunk to kcopyd.
    #[track_caller]
    pub(super) fn start_copy(self: &Arc<Self>, current: &Task, copy: Copy) {
        let _frame = current.enter("start_copy");
        let Exception { old_chunk, new_chunk } = copy.exception;
        let chunk = self.chunk_size(current);
        let sector = Sectors(old_chunk * chunk.0);
        // The last chunk may reach beyond the end of the origin.
        let count = chunk.min(self.origin.capacity().saturating_sub(sector));
        let from = Region { dev: Arc::clone(&self.origin), sector, count };
        let dest = Region { dev: Arc::clone(&self.cow), sector: Sectors(new_chunk * chunk.0), count };
        if self.kcopyd.is_worker(current) {
            self.throttle.in_worker(current);
        }
        self.throttle.start_copy(current);
        self.kcopyd.copy(current, &from, &[dest], CopyFlags::empty(), self.callback(copy));
        self.throttle.handed_over(current);
    }

    fn callback(self: &Arc<Self>, copy: Copy) -> Callback {
        let snap = Arc::downgrade(self);
        Box::new(move |worker, result| {
            let snap = snap.upgrade().expect("a snapshot outlives its copies");
            snap.copy_callback(worker, copy, result);
        })
    }

    /// What stands in for a bio that is a whole chunk, and its hook; the bio itself becomes the exception's `full_bio`.
    pub(super) fn full_bio(self: &Arc<Self>, current: &Task, bio: &Bio) -> (Bio, Arc<FullBio>) {
        let hook = Arc::new(FullBio { snap: Arc::downgrade(self), prepared: Tiny::new(None) });
        let mut stand_in = bio.clone_of(current, None, Some((Arc::clone(&hook) as Arc<dyn EndIo>, 0)));
        stand_in.set_dev(Arc::clone(bio.dev()));
        (stand_in, hook)
    }

    /// `start_full_bio`.
    pub(super) fn start_full_bio(self: &Arc<Self>, current: &Task, copy: Copy, (bio, hook): (Bio, Arc<FullBio>)) {
        let _frame = current.enter("start_full_bio");
        self.throttle.start_copy(current);
        let prepared = self.kcopyd.prepare_callback(current, self.callback(copy));
        *hook.prepared.lock_for(current) = Some(prepared);
        self.throttle.handed_over(current);
        submit_bio_noacct(current, bio);
    }

    /// `copy_callback`.
    fn copy_callback(self: &Arc<Self>, worker: &Task, copy: Copy, result: CopyResult) {
        let _frame = worker.enter("copy_callback");
        self.throttle.in_worker(worker);
        let copied = Copied { copy, failed: !result.is_ok() };
        if self.variants.commit_order == CommitOrder::Completion {
            self.complete_exception(worker, copied);
        } else if copy.sequence == self.sequence.complete.get() {
            self.sequence.complete.set(copy.sequence + 1);
            self.complete_exception(worker, copied);
            let mut next = copy.sequence + 1;
            while let Some(early) = self.sequence.early.change(worker, |early| early.remove(&next)) {
                next += 1;
                self.sequence.complete.set(next);
                self.complete_exception(worker, early);
            }
        } else {
            self.sequence.early.change(worker, |early| early.insert(copy.sequence, copied));
        }
        self.throttle.end_copy(worker);
    }

    /// `complete_exception`.
    fn complete_exception(self: &Arc<Self>, worker: &Task, Copied { copy, failed }: Copied) {
        let _frame = worker.enter("complete_exception");
        let snap = Arc::downgrade(self);
        let callback = Box::new(move |worker: &Task, success: bool| {
            let snap = snap.upgrade().expect("a snapshot outlives its copies");
            snap.pending_complete(worker, copy.exception, success);
        });
        self.store(worker).commit(worker, copy.exception, !failed, callback);
    }

    /// `pending_complete`: the exception is committed, or never will be.
    fn pending_complete(self: &Arc<Self>, worker: &Task, exception: Exception, success: bool) {
        let _frame = worker.enter("pending_complete");
        if !success {
            // Read or write error: the snapshot is unusable.
            self.invalidate(worker, Errno::EIO);
        }
        let (error, pending) = match self.variants.pending_poll {
            PendingPoll::Unlocked => self.insert_then_wait(worker, exception, success),
            PendingPoll::Locked => self.wait_then_insert(worker, exception, success),
        };
        let Pending { origin_bios, snapshot_bios, full_bio, element, .. } = pending;
        self.registry.count_done(worker);
        if let Some(full_bio) = full_bio {
            full_bio.end(worker, if error { BlkStatus::IoErr } else { BlkStatus::Ok });
        }
        for bio in snapshot_bios {
            if error { bio.end(worker, BlkStatus::IoErr) } else { submit_bio_noacct(worker, bio) }
        }
        self.retry_origin_bios(worker, origin_bios);
        if self.variants.planted == Planted::SnapKeepsPending {
            return self.pending_count.dec(worker);
        }
        self.free_pending(worker, element);
    }

    /// Since 5.2: new reads find the chunk on the COW device at once; those that went to the origin are waited for
    /// without the lock, while the exception is still pending.
    fn insert_then_wait(&self, worker: &Task, exception: Exception, success: bool) -> (bool, Pending) {
        let chunk = exception.old_chunk;
        {
            let _held = self.lock.io(worker);
            let error = !success || !self.is_valid();
            let pending = self.slots.with(worker, chunk, |slot| {
                if !error {
                    slot.completed.insert(exception);
                }
                let waits = !error && self.tracked.is_tracked_inside(worker, chunk) && self.polls();
                (!waits).then(|| slot.pending.remove(&chunk))
            });
            if let Some(pending) = pending {
                return (error, pending.expect(IS_PENDING));
            }
        }
        self.tracked.wait(worker, chunk);
        let _held = self.lock.io(worker);
        let pending = self.slots.with(worker, chunk, |slot| slot.pending.remove(&chunk));
        (false, pending.expect(IS_PENDING))
    }

    /// To 5.1: reads are waited for with the lock held, which new ones need.
    fn wait_then_insert(&self, worker: &Task, exception: Exception, success: bool) -> (bool, Pending) {
        let chunk = exception.old_chunk;
        let _held = self.lock.io(worker);
        let error = !success || !self.is_valid();
        if !error && self.polls() {
            self.tracked.wait(worker, chunk);
        }
        let pending = self.slots.with(worker, chunk, |slot| {
            if !error {
                slot.completed.insert(exception);
            }
            slot.pending.remove(&chunk)
        });
        (error, pending.expect(IS_PENDING))
    }

    fn polls(&self) -> bool {
        self.variants.planted != Planted::SnapNoDrain && self.variants.chunk_tracking == ChunkTracking::On
    }

    /// `retry_origin_bios`: writes to the origin that have waited for this snapshot may have to wait for another one.
    fn retry_origin_bios(&self, worker: &Task, bios: Vec<Bio>) {
        let _frame = worker.enter("retry_origin_bios");
        let limit = self.variants.planted == Planted::SnapThrottlesWorker;
        for bio in bios {
            if let Some(bio) = self.registry.do_origin(worker, &self.origin, bio, limit) {
                submit_bio_noacct(worker, bio);
            }
        }
    }
}

/// Nobody but the worker takes a pending exception out of the table.
const IS_PENDING: &str = "an exception is pending until the worker takes it out";
