//! [`DmIo`]: `struct dm_io`: counts the pieces of one original bio and ends it after the last (dm-spec §4.1).
//!
//! Under `trim` it is one piece, and its first clone is part of it (`struct dm_target_io` embedded): it then is the
//! clone's completion as well.
//!
//! Invariants: `remaining` counts the clones in flight and the submitter's own hold; an error of any piece is an
//! error of the whole, the last one deciding which (I12, `dm_io_set_error`), but a push-back during a noflush suspend
//! outdoes errors; whichever share is dropped last frees the pool element, ends the accounting and ends what
//! `completes` names at that moment (a splitter may replace it while it holds its own share; that is why reassigning
//! `io->bio` after mapping is safe, dm-spec S5), or puts off what is left to do: a bio that was pushed back, and the write
//! of a flush with data. As in the kernel, an error of that flush is not the write's.
//! Not here: the list of what was put off (`deferred`).

use std::panic::Location;
use std::sync::Arc;

use super::deferred::Deferred;
use super::table::Table;
use super::tio::{CloneState, Piece, tell_target};
use crate::block::bio::{BioDetails, Completion, Ending, Shares, Via, end_all};
use crate::block::{Bio, BioFlags, BioSet, BlkStatus};
use crate::sched::cell::Tiny;
use crate::sched::{ObjectId, OpKind, Task};
use crate::sync::Mempool;
use crate::sync::mempool::Element;
use crate::variants::{ChainStatus, Planted, Requeue};

/// One original bio, or one piece of it under `trim`.
pub struct DmIo {
    id: ObjectId,
    table: Arc<Table>,
    /// Where the embedded clone went.
    piece: Piece,
    state: Tiny<IoState>,
}

struct IoState {
    remaining: u32,
    status: BlkStatus,
    completes: Option<Arc<dyn Completion>>,
    /// The original itself, where something may be left to do with it.
    original: Option<Bio>,
    /// What a piece was that its target pushed back.
    pushed_back: Option<BioDetails>,
    /// `DM_IO_WAS_SPLIT`: the original has other pieces, in `dm_io`s of their own.
    was_split: bool,
    element: Option<Element>,
    /// The embedded clone.
    clone: CloneState,
}

impl DmIo {
    /// `alloc_io`, for what ends with `completes`. `holders` counts the submitter and, if there is one, the embedded
    /// clone that goes to `piece`.
    pub(super) fn new(
        current: &Task,
        table: Arc<Table>,
        completes: Arc<dyn Completion>,
        element: Element,
        holders: u32,
        piece: Piece,
    ) -> Arc<Self> {
        table.accounting().start();
        let state = IoState {
            remaining: holders,
            status: BlkStatus::Ok,
            completes: Some(completes),
            original: None,
            pushed_back: None,
            was_split: false,
            element: Some(element),
            clone: CloneState::default(),
        };
        let id = current.runtime().register("dm_io", "dm_io");
        Arc::new(Self { id, table, piece, state: Tiny::new(state) })
    }

    /// The table that it was mapped with.
    pub(super) const fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// One more piece in flight. Only the submitter calls it, which holds a share, so nobody can see the order.
    #[inline]
    pub(super) fn inc_pending(&self, current: &Task) {
        self.state.lock_for(current).remaining += 1;
    }

    /// `io->bio = …`.
    pub(super) fn set_completes(&self, current: &Task, completes: Arc<dyn Completion>) {
        self.state.lock_for(current).completes = Some(completes);
    }

    /// Leaves the original with it, for what may be left to do.
    pub(super) fn keep_original(&self, current: &Task, original: Bio) {
        self.state.lock_for(current).original = Some(original);
    }

    /// `DM_IO_WAS_SPLIT`.
    pub(super) fn set_was_split(&self, current: &Task) {
        self.state.lock_for(current).was_split = true;
    }

    /// `DM_MAPIO_REQUEUE` of the embedded clone, which the target gives back.
    pub(super) fn note_pushed_back(&self, current: &Task, clone: &Bio) {
        self.state.lock_for(current).pushed_back = Some(clone.record(clone.sectors).at(self.piece.sector));
    }

    /// `dec_pending` / `dm_io_dec_pending`: a share is done. Ends the original bio with the last.
    pub(super) fn dec_pending(self: &Arc<Self>, current: &Task, status: BlkStatus) {
        current.announce(OpKind::RefPut, self.id, 0, Location::caller());
        if let Some(ending) = self.drop_hold(current, status) {
            end_all(current, ending);
        }
    }

    #[inline]
    fn drop_hold(self: &Arc<Self>, current: &Task, status: BlkStatus) -> Option<Ending> {
        let mut state = self.state.lock_for(current);
        if !status.is_ok() && self.table.accounting().planted != Planted::DropsError {
            // Push-back supersedes any error.
            let pushed = state.status == BlkStatus::DmRequeue && self.table.accounting().is_noflush_suspending();
            state.status = if pushed { state.status } else { status };
        }
        state.remaining -= 1;
        let (remaining, status) = (state.remaining, state.status);
        current.shows(self.id, u64::from(remaining == 0), |digest| {
            digest.word(u64::from(remaining));
            digest.word(status as u64);
        });
        if remaining > 0 {
            return None;
        }
        let two_stages = self.table.variants().requeue == Requeue::TwoStages;
        let first_stage = status == BlkStatus::DmRequeue && state.was_split && two_stages;
        drop(state);
        if first_stage {
            self.table.deferred().requeue(current, Arc::clone(self));
            return None;
        }
        self.complete(current, status)
    }

    /// `__dm_io_complete`, but for the first stage of a requeue.
    #[inline]
    fn complete(self: &Arc<Self>, current: &Task, mut status: BlkStatus) -> Option<Ending> {
        let mut state = self.state.lock_for(current);
        let (completes, mut original) = (state.completes.take(), state.original.take());
        let pushed_back = state.pushed_back.take();
        let element = state.element.take();
        drop(state);
        let mut completes = completes.expect("an I/O completes once");
        let mut requeued = false;
        if status == BlkStatus::DmRequeue {
            let bio = self.left(current, pushed_back, original.take(), &completes);
            match self.table.deferred().push_back(current, self.table.accounting(), bio) {
                None => requeued = true,
                Some(bio) => {
                    status = BlkStatus::IoErr;
                    completes = Arc::clone(bio.done());
                }
            }
        }
        self.table.pools().io().free(current, element.expect("the last share is dropped once"));
        self.table.accounting().end(current);
        if requeued {
            return None;
        }
        if let Some(mut bio) = original
            && bio.flags().contains(BioFlags::PREFLUSH)
            && bio.sectors.0 > 0
        {
            // The flush is done: now the data.
            let flags = bio.flags() - BioFlags::PREFLUSH;
            bio.set_flags(current, self.table.variants().planted, flags);
            self.table.deferred().queue_io(current, bio);
            return None;
        }
        let via = match self.table.variants().chain_status {
            ChainStatus::Overwritten => Via::Assigned,
            ChainStatus::Sticky => Via::Itself,
        };
        Some(Ending { done: completes, status, via })
    }

    /// What is to be done again after a push-back.
    fn left(
        &self,
        current: &Task,
        pushed_back: Option<BioDetails>,
        original: Option<Bio>,
        completes: &Arc<dyn Completion>,
    ) -> Bio {
        if let Some(original) = original {
            return original;
        }
        // 7dd76d1feec7: the original that this piece shares with the others, as the last of them left it.
        let shared = match self.table.variants().requeue {
            Requeue::SharedOriginal => self.table.deferred().shared_original(current, completes),
            Requeue::TwoStages => None,
        };
        let piece = pushed_back.or_else(|| self.piece.details.clone());
        let details = shared.or(piece).expect("what was mapped can be mapped again");
        details.restore(Arc::clone(completes))
    }

    /// `dm_io_rewind`, then the second stage: the piece becomes a bio of its own that ends into the original.
    pub(super) fn complete_rewound(self: &Arc<Self>, worker: &Task, deferred: &Deferred) {
        let pooled = {
            let _frame = worker.enter("dm_io_rewind");
            deferred.bio_split(worker).alloc(worker)
        };
        let mut state = self.state.lock_for(worker);
        let details = state.pushed_back.take().or_else(|| self.piece.details.clone());
        let details = details.expect("what was mapped can be mapped again");
        let original = state.completes.take().expect("an I/O completes once");
        let bio = details.restore_into(worker, original, pooled);
        state.completes = Some(Arc::clone(bio.done()));
        state.original = Some(bio);
        drop(state);
        if let Some(ending) = self.complete(worker, BlkStatus::DmRequeue) {
            end_all(worker, ending);
        }
    }
}

/// For the embedded clone.
impl Completion for DmIo {
    fn id(&self) -> ObjectId {
        self.id
    }

    fn get_share(&self, current: &Task) {
        self.state.lock_for(current).clone.shares.get(current);
    }

    fn drop_share(self: Arc<Self>, current: &Task, status: BlkStatus, via: Via) -> Option<Ending> {
        let _frame = current.enter("clone_endio");
        current.announce(OpKind::RefPut, self.id, 0, Location::caller());
        let status = self.state.lock_for(current).clone.shares.put(current, status, via)?;
        let reopen = || {
            self.state.lock_for(current).clone.shares = Shares::default();
            Arc::clone(&self) as Arc<dyn Completion>
        };
        let status = tell_target(current, &self, &self.piece, status, reopen)?;
        self.drop_hold(current, status)
    }

    fn with_elements(&self, current: &Task, look: &mut dyn FnMut(&BioSet, &Mempool, &Element)) {
        // Only under `trim` is there an embedded clone.
        if let (Some(set), Some(element)) = (&self.table.pools().io_bs, &self.state.lock_for(current).element) {
            look(set, set.pool(), element);
        }
    }

    fn discard(&self, _current: &Task) {
        // The element is the dm_io's, which goes with its last hold.
    }

    fn target_bio_nr(&self) -> u64 {
        self.piece.number
    }

    fn per_bio_data(&self, current: &Task) -> u64 {
        self.state.lock_for(current).clone.per_bio_data
    }

    fn set_per_bio_data(&self, current: &Task, data: u64) {
        self.state.lock_for(current).clone.per_bio_data = data;
    }
}
