//! [`DmIo`]: `struct dm_io`: counts the pieces of one original bio and ends it after the last (dm-spec §4.1).
//!
//! Invariants: `remaining` counts the clones in flight and the submitter's own hold; an error of any piece is an
//! error of the whole, the last one deciding which (I12, `dm_io_set_error`); whichever share is dropped last frees the pool element, ends the accounting and ends
//! what `completes` names at that moment (a splitter may replace it while it holds its own share; that is why
//! reassigning `io->bio` after mapping is safe, dm-spec S5).
//! Not here: push-back during noflush suspend.

use std::panic::Location;
use std::sync::Arc;

use dmlab_units::Sectors;

use super::mapped_device::MappedDevice;
use super::table::Table;
use crate::block::{BioDone, BlkStatus, EndIo};
use crate::sched::cell::Tiny;
use crate::sched::{ObjectId, OpKind, Task};
use crate::sync::Mempool;
use crate::sync::mempool::Element;
use crate::variants::Planted;

/// One original bio, or one piece of it under `trim`.
pub struct DmIo {
    id: ObjectId,
    md: Arc<MappedDevice>,
    /// Kept only where a target's `end_io` is to be called.
    table: Option<Arc<Table>>,
    state: Tiny<IoState>,
}

struct IoState {
    remaining: u32,
    status: BlkStatus,
    completes: Arc<BioDone>,
    element: Option<(Arc<Mempool>, Element)>,
}

impl DmIo {
    /// `alloc_io`, for the bio that ends with `completes`; the submitter holds one share.
    pub(super) fn new(
        current: &Task,
        md: &Arc<MappedDevice>,
        table: &Arc<Table>,
        completes: Arc<BioDone>,
        element: (Arc<Mempool>, Element),
    ) -> Arc<Self> {
        md.start_io_acct(current);
        let state = IoState { remaining: 1, status: BlkStatus::Ok, completes, element: Some(element) };
        Arc::new(Self {
            id: current.runtime().register("dm_io", "dm_io"),
            md: Arc::clone(md),
            table: table.wants_end_io().then(|| Arc::clone(table)),
            state: Tiny::new(state),
        })
    }

    /// One more piece in flight. Only the submitter calls it, which holds a share, so nobody can see the order.
    #[inline]
    pub(super) fn inc_pending(&self, current: &Task) {
        self.state.lock_for(current).remaining += 1;
    }

    /// `io->bio = …`.
    pub(super) fn set_completes(&self, current: &Task, completes: Arc<BioDone>) {
        self.state.lock_for(current).completes = completes;
    }

    /// `dec_pending` / `dm_io_dec_pending`: a share is done.
    #[track_caller]
    pub(super) fn dec_pending(&self, current: &Task, status: BlkStatus) {
        let _frame = current.enter("dec_pending");
        current.announce(OpKind::RefPut, self.id, 0, Location::caller());
        let mut state = self.state.lock_for(current);
        if !status.is_ok() && self.md.planted() != Planted::DropsError {
            state.status = status;
        }
        state.remaining -= 1;
        if state.remaining > 0 {
            return;
        }
        let (completes, status, element) = (Arc::clone(&state.completes), state.status, state.element.take());
        drop(state);
        let (pool, element) = element.expect("the last share is dropped once");
        pool.free(current, element);
        self.md.end_io_acct(current);
        completes.end(current, status);
    }
}

/// Packs which target a clone went to and which sector it began at into a hook's cookie.
pub(super) const fn cookie(target: usize, sector: Sectors) -> u64 {
    (target as u64) << 48 | sector.0
}

impl EndIo for DmIo {
    /// `clone_endio`.
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, cookie: u64) {
        let _frame = current.enter("clone_endio");
        if let Some(table) = &self.table {
            let target = &table.targets()[(cookie >> 48) as usize];
            let sector = Sectors(cookie & ((1 << 48) - 1));
            target.target.end_io(current, &target.range, sector, status);
        }
        self.dec_pending(current, status);
    }
}
