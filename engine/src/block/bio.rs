//! [`Bio`]: the unit of I/O, in two halves.
//!
//! The *descriptor* ([`Bio`]) says what is still to be done and where; it is owned by whoever works on it and moved
//! from list to list. The *completion* ([`Completion`]) says who is told in the end; children that were chained to the
//! bio and its descriptor each hold a share of it. (The kernel keeps both in one struct behind raw pointers: submitting
//! the remainder of a bio while its head is in flight needs exactly this sharing.) Most bios end in a [`BioDone`]; a
//! driver whose clone is part of a larger structure, as dm's first clone is part of `dm_io`, makes that structure the
//! completion.
//!
//! Invariants: a completion ends exactly once, when its last share is dropped (I1: ending it again is a `BUG`); a later
//! success never erases an error. Which of several errors remains is as in the kernel: the first one up a chain
//! (`bio_chain_endio`), the last one among those that are ended on the bio itself; a pooled bio returns to its set just
//! before its hook runs. Completions are unwound in a loop, however long the chain.
//! Not here: splitting ([`super::split`]) and allocation from a set ([`super::bio_set`]).

mod details;

use std::panic::Location;
use std::sync::Arc;

use dmlab_units::Sectors;

use super::bio_set::{BioSet, PooledBio};
use super::buffer::BioVec;
use super::device::Device;
use super::opf::{BioFlags, BioOp, Opf};
use super::status::BlkStatus;
use crate::sched::cell::Tiny;
use crate::sched::{Digest, ObjectId, OpKind, Task, TaskId};
use crate::sync::Mempool;
use crate::sync::mempool::Element;
use crate::variants::Planted;

pub(crate) use details::BioDetails;

/// Who is told when a bio has ended.
pub trait EndIo: Send + Sync {
    /// The kernel's `bi_end_io`; `cookie` is what was given with the hook.
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, cookie: u64);
}

/// A share of a completion that is to be dropped next, and how.
pub struct Ending {
    /// Whose share.
    pub done: Arc<dyn Completion>,
    /// How it ended.
    pub status: BlkStatus,
    /// What it does to the status of the whole.
    pub via: Via,
}

/// What the end of a share does to the status of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// An error becomes the whole's.
    Itself,
    /// It comes from a chained child, whose error does not replace an earlier one.
    Chain,
    /// `bio->bi_status = error`, be it an error or not: what was there before is lost (dm-spec S7).
    Assigned,
}

/// The completion half of a bio.
pub trait Completion: Send + Sync {
    /// By which a search tells it from others.
    fn id(&self) -> ObjectId;

    /// `bio_inc_remaining`: one more must end before this one does.
    fn get_share(&self, current: &Task);

    /// Drops one share; what is to end because of that, if anything.
    fn drop_share(self: Arc<Self>, current: &Task, status: BlkStatus, via: Via) -> Option<Ending>;

    /// The set that the bio came from, if any, and each element that it takes up, with its pool.
    fn with_elements(&self, current: &Task, look: &mut dyn FnMut(&BioSet, &Mempool, &Element));

    /// dm's `free_tio`: gives the element back, if it is the bio's alone, without telling anyone. The bio was never
    /// submitted.
    fn discard(&self, current: &Task);

    /// `dm_bio_get_target_bio_nr`: which of the duplicates of a flush or discard a dm target's bio is.
    fn target_bio_nr(&self) -> u64 {
        0
    }

    /// `dm_per_bio_data`: what the target that mapped the bio has noted about it.
    fn per_bio_data(&self, _current: &Task) -> u64 {
        0
    }

    /// Notes something for the target that maps the bio.
    fn set_per_bio_data(&self, current: &Task, _data: u64) {
        current.bug("per-bio data for a bio that is no dm target's");
    }
}

/// `bio_endio`: drops a share of `done`, and of whatever ends with it.
pub fn bio_endio(current: &Task, done: Arc<dyn Completion>, status: BlkStatus) {
    end_all(current, Ending { done, status, via: Via::Itself });
}

/// Carries out `ending`, and what follows from it.
pub fn end_all(current: &Task, ending: Ending) {
    let mut next = Some(ending);
    while let Some(Ending { done, status, via }) = next {
        next = done.drop_share(current, status, via);
    }
}

/// The kernel's `__bi_remaining` and `bi_status`: the shares of a completion.
pub struct Shares {
    /// The descriptor's share and one per chained child.
    remaining: u32,
    chained: bool,
    ended: bool,
    status: BlkStatus,
}

impl Default for Shares {
    /// One share: the descriptor's.
    fn default() -> Self {
        Self { remaining: 1, chained: false, ended: false, status: BlkStatus::Ok }
    }
}

impl Shares {
    /// One share more.
    pub fn get(&mut self, current: &Task) {
        if self.ended {
            current.bug("bio_inc_remaining on a bio that has ended");
        }
        self.remaining += 1;
        self.chained = true;
    }

    /// Whether several tasks may hold shares, so that another task can see the order in which they are dropped.
    #[inline]
    pub const fn is_chained(&self) -> bool {
        self.chained
    }

    /// What the next to drop a share can find out.
    pub(crate) fn digest(&self, into: &mut Digest<'_>) {
        into.word(u64::from(self.remaining));
        into.word(self.status as u64);
    }

    /// One share less; the status of the whole when it was the last.
    #[inline]
    pub fn put(&mut self, current: &Task, status: BlkStatus, via: Via) -> Option<BlkStatus> {
        if self.ended {
            current.bug("bio_endio on a bio that has ended");
        }
        let replaces = match via {
            Via::Itself => !status.is_ok(),
            Via::Chain => !status.is_ok() && self.status.is_ok(),
            Via::Assigned => true,
        };
        if replaces {
            self.status = status;
        }
        self.remaining -= 1;
        self.ended = self.remaining == 0;
        self.ended.then_some(self.status)
    }
}

enum Hook {
    None,
    Chain(Arc<dyn Completion>),
    Call(Arc<dyn EndIo>, u64),
}

struct DoneState {
    shares: Shares,
    hook: Hook,
    pooled: Option<PooledBio>,
}

/// The ordinary completion: a hook, and the set that the bio goes back to.
pub struct BioDone {
    id: ObjectId,
    state: Tiny<DoneState>,
}

/// The descriptor half of a bio.
pub struct Bio {
    /// What to do and how.
    opf: Opf,
    /// With which device (the kernel's `bi_bdev`); `None` while the device's driver has it in hand.
    dev: Option<Arc<Device>>,
    /// First sector of what is still to be done.
    pub sector: Sectors,
    /// How much is still to be done.
    pub sectors: Sectors,
    data: Option<BioVec>,
    done: Arc<dyn Completion>,
}

impl Bio {
    /// A bio of its own, from no set, without modifiers, that tells `hook` when it ends. `data` of `None` moves nothing (a
    /// flush, a discard, or I/O to a null device).
    pub fn new(
        current: &Task,
        op: BioOp,
        dev: Arc<Device>,
        (sector, sectors): (Sectors, Sectors),
        data: Option<BioVec>,
        hook: (Arc<dyn EndIo>, u64),
    ) -> Self {
        let done = BioDone::new(current, None, Hook::Call(hook.0, hook.1));
        Self { opf: Opf::new(op, BioFlags::empty()), dev: Some(dev), sector, sectors, data, done }
    }

    /// The same bio, with modifiers; for whoever makes one.
    #[must_use]
    pub fn with_flags(mut self, flags: BioFlags) -> Self {
        self.opf = Opf::new(self.op(), flags);
        self
    }

    /// As [`Self::new`], for a bio of a set: it goes back to `pooled` when it has ended.
    pub(crate) fn from_set(
        current: &Task,
        opf: Opf,
        dev: Arc<Device>,
        (sector, sectors): (Sectors, Sectors),
        data: Option<BioVec>,
        pooled: PooledBio,
        hook: (Arc<dyn EndIo>, u64),
    ) -> Self {
        let done = BioDone::new(current, Some(pooled), Hook::Call(hook.0, hook.1));
        Self { opf, dev: Some(dev), sector, sectors, data, done }
    }

    /// A bio over the same sectors and memory, on no device yet, that ends by itself; with `pooled` it goes back there.
    pub(crate) fn clone_of(
        &self,
        current: &Task,
        pooled: Option<PooledBio>,
        hook: Option<(Arc<dyn EndIo>, u64)>,
    ) -> Self {
        let hook = hook.map_or(Hook::None, |(hook, cookie)| Hook::Call(hook, cookie));
        self.with_done(BioDone::new(current, pooled, hook))
    }

    /// `bio_chain` of a new clone: a bio over the same sectors and memory that ends into `self`, which cannot end before.
    pub(crate) fn chained_clone(&self, current: &Task, pooled: Option<PooledBio>) -> Self {
        self.done.get_share(current);
        self.with_done(BioDone::new(current, pooled, Hook::Chain(Arc::clone(&self.done))))
    }

    /// A bio over the same sectors and memory, on no device yet, that ends in `done`.
    pub(crate) fn with_done(&self, done: Arc<dyn Completion>) -> Self {
        let (opf, sector, sectors) = (self.opf, self.sector, self.sectors);
        Self { opf, dev: None, sector, sectors, data: self.data.clone(), done }
    }

    /// The same bio, ending in `done` from now on; what it ended in before.
    pub(crate) fn replace_done(&mut self, done: Arc<dyn Completion>) -> Arc<dyn Completion> {
        std::mem::replace(&mut self.done, done)
    }

    /// `bio_op`.
    #[inline]
    pub const fn op(&self) -> BioOp {
        self.opf.op()
    }

    /// `bi_opf`: operation and modifiers.
    #[inline]
    pub const fn opf(&self) -> Opf {
        self.opf
    }

    /// Its `REQ_*` modifiers.
    #[inline]
    pub const fn flags(&self) -> BioFlags {
        self.opf.flags()
    }

    /// Sets the modifiers of a bio that exists already.
    pub fn set_flags(&mut self, current: &Task, planted: Planted, flags: BioFlags) {
        self.opf.set_flags(current, planted, flags);
    }

    /// Which device it is for.
    ///
    /// # Panics
    /// While the device's driver has it in hand.
    #[inline]
    pub fn dev(&self) -> &Arc<Device> {
        self.dev.as_ref().expect("a submitted bio is for a device")
    }

    /// `bio_set_dev`.
    #[inline]
    pub fn set_dev(&mut self, dev: Arc<Device>) {
        self.dev = Some(dev);
    }

    /// Takes the device, to hand the bio to its driver.
    #[inline]
    pub(crate) fn take_dev(&mut self) -> Arc<Device> {
        self.dev.take().expect("a submitted bio is for a device")
    }

    /// The memory it reads into or writes from.
    pub const fn data(&self) -> Option<&BioVec> {
        self.data.as_ref()
    }

    /// The completion half.
    pub const fn done(&self) -> &Arc<dyn Completion> {
        &self.done
    }

    /// `dm_bio_get_target_bio_nr`: which of the duplicates of a flush or discard this is, from 0. For dm targets.
    pub fn target_bio_nr(&self) -> u64 {
        self.done.target_bio_nr()
    }

    /// `dm_per_bio_data`: what the target that mapped the bio has noted about it; 0 at first.
    pub fn per_bio_data(&self, current: &Task) -> u64 {
        self.done.per_bio_data(current)
    }

    /// Notes something about the bio for the target's `end_io`. For dm targets, while they have the bio in hand.
    pub fn set_per_bio_data(&self, current: &Task, data: u64) {
        self.done.set_per_bio_data(current, data);
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

    /// `bio_endio`: the descriptor's work is done, with `status`.
    #[inline]
    pub fn end(self, current: &Task, status: BlkStatus) {
        bio_endio(current, self.done, status);
    }

    /// Says for reports that `keeper` is to dispatch it now.
    pub(super) fn hand_over(&self, current: &Task, keeper: TaskId, note: &'static str) {
        self.done.with_elements(current, &mut |_, pool, element| pool.hand_over(current, element, keeper, note));
    }

    /// `bi_pool`: the set that it came from, if any.
    pub(super) fn set(&self, current: &Task) -> Option<BioSet> {
        let mut found = None;
        self.done.with_elements(current, &mut |set, _, _| found = Some(set.clone()));
        found
    }

    /// Whether it came from `set`.
    pub(crate) fn is_from(&self, current: &Task, set: &BioSet) -> bool {
        self.set(current).is_some_and(|own| own.is(set))
    }

    /// What reports call it, e.g. `write t 8+8`.
    pub fn describe(&self) -> String {
        let dev = self.dev.as_ref().map_or("-", |dev| dev.name());
        format!("{} {dev} {}+{}", self.op().name(), self.sector, self.sectors)
    }
}

impl BioDone {
    fn new(current: &Task, pooled: Option<PooledBio>, hook: Hook) -> Arc<Self> {
        let state = DoneState { shares: Shares::default(), hook, pooled };
        Arc::new(Self { id: current.runtime().register("bio", "bio"), state: Tiny::new(state) })
    }
}

impl Completion for BioDone {
    fn id(&self) -> ObjectId {
        self.id
    }

    fn get_share(&self, current: &Task) {
        self.state.lock_for(current).shares.get(current);
    }

    fn drop_share(self: Arc<Self>, current: &Task, status: BlkStatus, via: Via) -> Option<Ending> {
        let mut state = self.state.lock_for(current);
        if state.shares.is_chained() {
            drop(state);
            current.announce(OpKind::RefPut, self.id, 0, Location::caller());
            state = self.state.lock_for(current);
        }
        let ended = state.shares.put(current, status, via);
        if state.shares.is_chained() {
            let shares = &state.shares;
            current.shows(self.id, ended.map_or(0, |status| 1 + status as u64), |digest| shares.digest(digest));
        }
        let status = ended?;
        let hook = std::mem::replace(&mut state.hook, Hook::None);
        let pooled = state.pooled.take();
        drop(state);
        if let Some(pooled) = pooled {
            pooled.free(current);
        }
        match hook {
            Hook::None => None,
            Hook::Chain(done) => Some(Ending { done, status, via: Via::Chain }),
            Hook::Call(hook, cookie) => {
                hook.end_io(current, status, cookie);
                None
            }
        }
    }

    fn with_elements(&self, current: &Task, look: &mut dyn FnMut(&BioSet, &Mempool, &Element)) {
        if let Some(pooled) = &self.state.lock_for(current).pooled {
            look(&pooled.set, pooled.set.pool(), &pooled.element);
        }
    }

    fn discard(&self, current: &Task) {
        let pooled = self.state.lock_for(current).pooled.take();
        if let Some(pooled) = pooled {
            pooled.free(current);
        }
    }
}
