//! [`Bio`]: the unit of I/O, in two halves.
//!
//! The *descriptor* ([`Bio`]) says what is still to be done and where; it is owned by whoever works on it and moved
//! from list to list. The *completion* ([`BioDone`]) says who is told in the end; children that were chained to the bio
//! and its descriptor each hold a share of it. (The kernel keeps both in one struct behind raw pointers: submitting
//! the remainder of a bio while its head is in flight needs exactly this sharing.)
//!
//! Invariants: a completion ends exactly once, when `remaining` reaches 0 (I1: ending it again is a `BUG`); a later
//! success never erases an error. Which of several errors remains is as in the kernel: the first one up a chain
//! (`bio_chain_endio`), the last one among the pieces that dm ends on the original itself (`dm_io_complete`); a pooled bio returns to its set just before its hook runs, as dm's
//! `clone_endio` frees the clone before it counts down.
//! Not here: splitting ([`super::split`]) and allocation from a set ([`super::bio_set`]).

use std::sync::Arc;

use dmlab_units::Sectors;

use super::bio_set::PooledBio;
use super::buffer::BioVec;
use super::device::Device;
use super::status::BlkStatus;
use crate::sched::cell::Tiny;
use crate::sched::{ObjectId, OpKind, Task, TaskId};

/// What a bio asks for: the kernel's `REQ_OP_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BioOp {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Empty flush.
    Flush,
}

impl BioOp {
    /// Lower case, for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Flush => "flush",
        }
    }
}

bitflags::bitflags! {
    /// The kernel's `REQ_*` modifiers.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct BioFlags: u32 {
        /// Forced unit access.
        const FUA = 1;
        /// Flush first.
        const PREFLUSH = 1 << 1;
    }
}

/// Who is told when a bio has ended.
pub trait EndIo: Send + Sync {
    /// The kernel's `bi_end_io`; `cookie` is what was given with the hook.
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, cookie: u64);
}

enum Hook {
    None,
    Chain(Arc<BioDone>),
    Call(Arc<dyn EndIo>, u64),
}

struct DoneState {
    /// The kernel's `__bi_remaining`: the descriptor's share and one per chained child.
    remaining: u32,
    chained: bool,
    ended: bool,
    status: BlkStatus,
    hook: Hook,
    pooled: Option<PooledBio>,
}

/// The completion half of a bio.
pub struct BioDone {
    id: ObjectId,
    state: Tiny<DoneState>,
}

/// The descriptor half of a bio.
pub struct Bio {
    /// What to do.
    pub op: BioOp,
    /// How.
    pub flags: BioFlags,
    /// With which device (the kernel's `bi_bdev`).
    pub dev: Arc<Device>,
    /// First sector of what is still to be done.
    pub sector: Sectors,
    /// How much is still to be done.
    pub sectors: Sectors,
    data: Option<BioVec>,
    done: Arc<BioDone>,
}

impl Bio {
    /// A bio of its own, from no set. `data` of `None` moves nothing (a flush, or I/O to a null device).
    pub fn new(
        current: &Task,
        op: BioOp,
        dev: Arc<Device>,
        sector: Sectors,
        sectors: Sectors,
        data: Option<BioVec>,
    ) -> Self {
        let done = BioDone::new(current, None);
        Self { op, flags: BioFlags::empty(), dev, sector, sectors, data, done }
    }

    /// A bio over the same sectors and memory that ends by itself; with `pooled` it goes back there when it ends.
    pub(crate) fn clone_from(current: &Task, other: &Self, pooled: Option<PooledBio>) -> Self {
        Self {
            op: other.op,
            flags: other.flags,
            dev: Arc::clone(&other.dev),
            sector: other.sector,
            sectors: other.sectors,
            data: other.data.clone(),
            done: BioDone::new(current, pooled),
        }
    }

    /// Tells `hook` when this bio ends.
    pub fn on_end(&self, current: &Task, hook: Arc<dyn EndIo>, cookie: u64) {
        let state = &mut *self.done.state.lock_for(current);
        assert!(matches!(state.hook, Hook::None), "a bio has one completion hook");
        state.hook = Hook::Call(hook, cookie);
    }

    /// The memory it reads into or writes from.
    pub const fn data(&self) -> Option<&BioVec> {
        self.data.as_ref()
    }

    /// The completion half.
    pub const fn done(&self) -> &Arc<BioDone> {
        &self.done
    }

    /// `bio_advance`: the first `sectors` are somebody else's now.
    pub fn advance(&mut self, sectors: Sectors) {
        assert!(sectors <= self.sectors, "a bio is not advanced past its end");
        self.sector += sectors;
        self.sectors -= sectors;
        if let Some(data) = &mut self.data {
            data.advance(sectors);
        }
    }

    /// Keeps only the first `sectors`.
    pub fn truncate(&mut self, sectors: Sectors) {
        assert!(sectors <= self.sectors, "a bio is not truncated to more than it is");
        self.sectors = sectors;
    }

    /// `bio_chain`: `self` ends into `parent`, which cannot end before it.
    pub fn chain_to(&self, current: &Task, parent: &Self) {
        parent.done.get_share(current);
        let state = &mut *self.done.state.lock_for(current);
        assert!(matches!(state.hook, Hook::None), "a chained bio has no hook of its own");
        state.hook = Hook::Chain(Arc::clone(&parent.done));
    }

    /// `bio_endio`: the descriptor's work is done, with `status`.
    #[track_caller]
    pub fn end(self, current: &Task, status: BlkStatus) {
        let Self { done, .. } = self;
        done.end(current, status);
    }

    /// Gives it back to its set without telling anyone, as dm's `free_tio` does with a clone that was never submitted.
    pub(crate) fn free(self, current: &Task) {
        let pooled = self.done.state.lock_for(current).pooled.take();
        if let Some(pooled) = pooled {
            pooled.free(current);
        }
    }

    /// What reports call it, e.g. `write t 8+8`.
    pub fn describe(&self) -> String {
        format!("{} {} {}+{}", self.op.name(), self.dev.name(), self.sector, self.sectors)
    }

    /// Says for reports that `keeper` is to dispatch it now.
    pub(crate) fn hand_over(&self, current: &Task, keeper: TaskId, note: &'static str) {
        if let Some(pooled) = &self.done.state.lock_for(current).pooled {
            pooled.hand_over(current, keeper, note);
        }
    }

    /// Whether it came from `set`'s pool.
    pub(crate) fn is_from(&self, current: &Task, set: &super::BioSet) -> bool {
        self.done.state.lock_for(current).pooled.as_ref().is_some_and(|pooled| pooled.is_from(set))
    }
}

impl BioDone {
    fn new(current: &Task, pooled: Option<PooledBio>) -> Arc<Self> {
        let status = BlkStatus::Ok;
        let state = DoneState { remaining: 1, chained: false, ended: false, status, hook: Hook::None, pooled };
        Arc::new(Self { id: current.runtime().register("bio", "bio"), state: Tiny::new(state) })
    }

    /// `bio_inc_remaining`: one more must end before this one does.
    pub fn get_share(&self, current: &Task) {
        let state = &mut *self.state.lock_for(current);
        if state.ended {
            current.bug("bio_inc_remaining on a bio that has ended");
        }
        state.remaining += 1;
        state.chained = true;
    }

    /// `bio_endio`: one share is done. The last one sets off the hook, and up the chain, without recursion.
    #[track_caller]
    pub fn end(self: Arc<Self>, current: &Task, status: BlkStatus) {
        let at = std::panic::Location::caller();
        let mut ending = (self, status);
        let mut up_a_chain = false;
        loop {
            let (done, status) = ending;
            // Only a chained bio has several shares, whose order of ending another task can see.
            if done.state.lock_for(current).chained {
                current.announce(OpKind::RefPut, done.id, 0, at);
            }
            let Some((hook, status)) = done.drop_share(current, status, up_a_chain) else { return };
            up_a_chain = true;
            match hook {
                Hook::None => return,
                Hook::Chain(parent) => ending = (parent, status),
                Hook::Call(hook, cookie) => return hook.end_io(current, status, cookie),
            }
        }
    }

    /// Merges `status` and drops one share; for the last one, frees the bio to its set and gives its hook.
    fn drop_share(&self, current: &Task, status: BlkStatus, first_error_stays: bool) -> Option<(Hook, BlkStatus)> {
        let mut state = self.state.lock_for(current);
        if state.ended {
            drop(state);
            current.bug("bio_endio on a bio that has ended");
        }
        let keeps_error = first_error_stays && !state.status.is_ok();
        if !status.is_ok() && !keeps_error {
            state.status = status;
        }
        state.remaining -= 1;
        if state.remaining > 0 {
            return None;
        }
        state.ended = true;
        let hook = std::mem::replace(&mut state.hook, Hook::None);
        let (pooled, status) = (state.pooled.take(), state.status);
        drop(state);
        if let Some(pooled) = pooled {
            pooled.free(current);
        }
        Some((hook, status))
    }
}
