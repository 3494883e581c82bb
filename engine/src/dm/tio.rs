//! [`TargetIo`]: `struct dm_target_io`: a clone from `md->bs`, and [`CloneState`], what there is to know of any clone.
//!
//! Invariants: a clone gives its element back when it has ended for good: after its target's `end_io`, before its
//! `dm_io` is told; a target that keeps it (`Ended::Incomplete`) gets it as `map` got it, and it can end once more.
//! Not here: the clone that is part of its `dm_io` ([`super::io`]), which has a [`CloneState`] too.

use std::panic::Location;
use std::sync::Arc;

use dmlab_units::Sectors;

use super::io::DmIo;
use super::table::TableTarget;
use super::target::Ended;
use crate::block::bio::{BioDetails, Completion, Ending, Shares, Via};
use crate::block::{Bio, BioSet, BlkStatus};
use crate::sched::cell::Tiny;
use crate::sched::{ObjectId, OpKind, Task};
use crate::sync::Mempool;
use crate::sync::mempool::Element;

/// Where a clone went.
pub(super) struct Piece {
    /// Index of the target in the table; `None` for a flush that goes past the targets.
    pub target: Option<usize>,
    /// First sector, of the mapped device.
    pub sector: Sectors,
    /// `target_bio_nr`.
    pub number: u64,
    /// What it was, where the target wants to know how it ends.
    pub details: Option<BioDetails>,
}

impl Piece {
    /// No clone at all.
    pub(super) const NONE: Self = Self { target: None, sector: Sectors::ZERO, number: 0, details: None };
}

/// What changes about a clone.
#[derive(Default)]
pub(super) struct CloneState {
    pub shares: Shares,
    pub per_bio_data: u64,
}

impl CloneState {
    /// Drops a share; the status of the whole when it was the last.
    pub(super) fn put(&mut self, current: &Task, id: ObjectId, status: BlkStatus, via: Via) -> Option<BlkStatus> {
        let ended = self.shares.put(current, status, via);
        if self.shares.is_chained() {
            let shares = &self.shares;
            current.shows(id, ended.map_or(0, |status| 1 + status as u64), |digest| shares.digest(digest));
        }
        ended
    }
}

/// `clone_endio`, the target's part: what the clone's end is to be, or `None` if the target has kept it. `reopen` makes
/// the clone able to end once more, and gives its completion.
pub(super) fn tell_target(
    current: &Task,
    io: &DmIo,
    piece: &Piece,
    status: BlkStatus,
    reopen: impl FnOnce() -> Arc<dyn Completion>,
) -> Option<BlkStatus> {
    let (Some(details), Some(target)) = (&piece.details, piece.target) else { return Some(status) };
    let target = &io.table().targets()[target];
    match target.target.end_io(current, &target.range, details.restore(reopen()), status) {
        Ended::Done(status) => Some(status),
        Ended::Incomplete => None,
        Ended::Requeue => Some(BlkStatus::DmRequeue),
    }
}

impl Piece {
    /// The clone of the first `sectors` of `bio` that goes to a target as duplicate `number`.
    pub(super) fn of(bio: &Bio, sectors: Sectors, (index, target): (usize, &TableTarget), number: u64) -> Self {
        let details = target.target.wants_end_io().then(|| bio.record(sectors));
        Self { target: Some(index), sector: bio.sector, number, details }
    }
}

/// A clone's own, and its bvecs' where it has some of its own.
type Elements = (Element, Option<Element>);

/// A clone from `md->bs`.
pub(super) struct TargetIo {
    id: ObjectId,
    io: Arc<DmIo>,
    piece: Piece,
    /// With the elements that it takes up.
    state: Tiny<(CloneState, Option<Elements>)>,
}

impl TargetIo {
    /// `alloc_tio`, with the element that it takes up.
    pub(super) fn new(current: &Task, io: &Arc<DmIo>, piece: Piece, element: Element) -> Arc<Self> {
        Self::with_vecs(current, io, piece, element, None)
    }

    /// As [`Self::new`], with bvecs of its own.
    pub(super) fn with_vecs(
        current: &Task,
        io: &Arc<DmIo>,
        piece: Piece,
        element: Element,
        vecs: Option<Element>,
    ) -> Arc<Self> {
        let id = current.runtime().register("bio", "bio");
        let state = Tiny::new((CloneState::default(), Some((element, vecs))));
        Arc::new(Self { id, io: Arc::clone(io), piece, state })
    }

    fn free(&self, current: &Task) {
        let elements = self.state.lock_for(current).1.take();
        let (element, vecs) = elements.expect("a clone is freed once");
        let set = &self.io.table().pools().bs;
        if let Some(vecs) = vecs {
            set.free_vecs(current, vecs);
        }
        set.pool().free(current, element);
    }
}

impl Completion for TargetIo {
    fn id(&self) -> ObjectId {
        self.id
    }

    fn get_share(&self, current: &Task) {
        self.state.lock_for(current).0.shares.get(current);
    }

    fn drop_share(self: Arc<Self>, current: &Task, status: BlkStatus, via: Via) -> Option<Ending> {
        if self.state.lock_for(current).0.shares.is_chained() {
            current.announce(OpKind::RefPut, self.id, 0, Location::caller());
        }
        let status = self.state.lock_for(current).0.put(current, self.id, status, via)?;
        let _frame = current.enter("clone_endio");
        let reopen = || {
            self.state.lock_for(current).0.shares = Shares::default();
            Arc::clone(&self) as Arc<dyn Completion>
        };
        let status = tell_target(current, &self.io, &self.piece, status, reopen)?;
        self.free(current);
        self.io.dec_pending(current, status);
        None
    }

    fn with_elements(&self, current: &Task, look: &mut dyn FnMut(&BioSet, &Mempool, &Element)) {
        if let Some((element, vecs)) = &self.state.lock_for(current).1 {
            let set = &self.io.table().pools().bs;
            look(set, set.pool(), element);
            if let (Some(pool), Some(vecs)) = (set.vecs(), vecs) {
                look(set, pool, vecs);
            }
        }
    }

    fn discard(&self, current: &Task) {
        self.free(current);
    }

    fn target_bio_nr(&self) -> u64 {
        self.piece.number
    }

    fn per_bio_data(&self, current: &Task) -> u64 {
        self.state.lock_for(current).0.per_bio_data
    }

    fn set_per_bio_data(&self, current: &Task, data: u64) {
        self.state.lock_for(current).0.per_bio_data = data;
    }
}
