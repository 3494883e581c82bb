//! [`DmIo`]: `struct dm_io`: counts the pieces of one original bio and ends it after the last (dm-spec §4.1).
//!
//! Under `trim` it is one piece, and its first clone is part of it (`struct dm_target_io` embedded): it then is the
//! clone's completion as well.
//!
//! Invariants: `remaining` counts the clones in flight and the submitter's own hold; an error of any piece is an
//! error of the whole, the last one deciding which (I12, `dm_io_set_error`); whichever share is dropped last frees the
//! pool element, ends the accounting and ends what `completes` names at that moment (a splitter may replace it while it
//! holds its own share; that is why reassigning `io->bio` after mapping is safe, dm-spec S5).
//! Not here: push-back during noflush suspend.

use std::panic::Location;
use std::sync::Arc;

use super::table::Table;
use super::tio::{CloneState, Piece, tell_target};
use crate::block::BlkStatus;
use crate::block::bio::{Completion, Ending, Shares, bio_endio};
use crate::sched::cell::Tiny;
use crate::sched::{ObjectId, OpKind, Task};
use crate::sync::Mempool;
use crate::sync::mempool::Element;
use crate::variants::Planted;

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
        let (completes, element, clone) = (Some(completes), Some(element), CloneState::default());
        let state = IoState { remaining: holders, status: BlkStatus::Ok, completes, element, clone };
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

    /// `dec_pending` / `dm_io_dec_pending`: a share is done. Ends the original bio with the last.
    pub(super) fn dec_pending(&self, current: &Task, status: BlkStatus) {
        current.announce(OpKind::RefPut, self.id, 0, Location::caller());
        if let Some(Ending { done, status, .. }) = self.drop_hold(current, status) {
            bio_endio(current, done, status);
        }
    }

    #[inline]
    fn drop_hold(&self, current: &Task, status: BlkStatus) -> Option<Ending> {
        let mut state = self.state.lock_for(current);
        if !status.is_ok() && self.table.accounting().planted != Planted::DropsError {
            state.status = status;
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
        let (completes, element) = (state.completes.take(), state.element.take());
        drop(state);
        self.pool().free(current, element.expect("the last share is dropped once"));
        self.table.accounting().end(current);
        completes.map(|done| Ending { done, status, up_a_chain: false })
    }

    /// Where its element is from.
    fn pool(&self) -> &Mempool {
        let pools = self.table.pools();
        match &pools.io_pool {
            Some(pool) => pool,
            None => pools.io_bs.as_ref().expect("a table has one or the other").pool(),
        }
    }
}

/// For the embedded clone.
impl Completion for DmIo {
    fn get_share(&self, current: &Task) {
        self.state.lock_for(current).clone.shares.get(current);
    }

    fn drop_share(self: Arc<Self>, current: &Task, status: BlkStatus, up_a_chain: bool) -> Option<Ending> {
        let _frame = current.enter("clone_endio");
        current.announce(OpKind::RefPut, self.id, 0, Location::caller());
        let status = self.state.lock_for(current).clone.shares.put(current, status, up_a_chain)?;
        let reopen = || {
            self.state.lock_for(current).clone.shares = Shares::default();
            Arc::clone(&self) as Arc<dyn Completion>
        };
        let status = tell_target(current, &self, &self.piece, status, reopen)?;
        self.drop_hold(current, status)
    }

    fn with_element(&self, current: &Task, look: &mut dyn FnMut(&Mempool, &Element)) {
        if let Some(element) = &self.state.lock_for(current).element {
            look(self.pool(), element);
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
