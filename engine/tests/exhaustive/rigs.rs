//! State machines by themselves, played by hand: who may do what, who waits, what each task was told.
//!
//! Invariants: a play is rebuilt from its acts, so that no state machine needs to be cloned; a task that waits does
//! nothing; who is woken collects at once, in the order of waking, as on the explorer.
//! Not here: what plays are compared for (`search_commute.rs`).

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use dmlab_engine::sched::digest::{Lanes, Names, Statistics};
use dmlab_engine::sched::{
    Digest, Frame, Holder, Mode, ObjectId, OpKind, Release, Site, StateMachine, Step, TaskId, Wakes,
};
use dmlab_engine::sync::completion::{CompletionOp, CompletionState};
use dmlab_engine::sync::lock::{LockOp, LockState, Sleeping};
use dmlab_engine::sync::mempool::{Element, PoolGrant, PoolOp, PoolState};
use dmlab_engine::sync::refcount::{RefOp, RefState};
use dmlab_engine::sync::rwsem::{RwOp, RwState};
use dmlab_engine::sync::semaphore::{SemaphoreOp, SemaphoreState};
use dmlab_engine::sync::srcu::{SrcuOp, SrcuState};
use dmlab_engine::sync::wait_queue::{WaitQueueOp, WaitQueueState};
use dmlab_engine::sync::workqueue::{Start, Work, WqFlags, WqGrant, WqOp, WqState};
use dmlab_units::Nanos;

use super::program::allocator;

/// Tasks of a play.
pub(crate) const TASKS: u32 = 4;

/// Who may do what on one state machine. An act is a number; what it stands for is the rig's business.
pub(crate) trait Rig: Default {
    type S: StateMachine;
    /// A state machine of this variant.
    fn fresh(variant: u64) -> Self::S;
    /// The operation that `act` stands for, if `who` may do it now.
    fn op(&mut self, who: u32, act: u8) -> Option<<Self::S as StateMachine>::Op>;
    /// `who` was granted what it asked for by `act`.
    fn granted(&mut self, who: u32, act: u8, grant: <Self::S as StateMachine>::Grant);
}

struct Numbers;

impl Names for Numbers {
    fn canonical(&self, task: TaskId) -> u64 {
        1000 + u64::from(task.0)
    }

    fn object(&self, object: ObjectId) -> u64 {
        u64::from(object.0)
    }
}

/// A state machine in use.
pub(crate) struct Play<R: Rig> {
    rig: R,
    state: R::S,
    waiting: BTreeMap<u32, u8>,
    /// What each task did and was told.
    pub(crate) told: BTreeMap<u32, Vec<u64>>,
}

impl<R: Rig> Play<R> {
    /// A fresh one in which `acts` were done, as far as they could be.
    pub(crate) fn of(variant: u64, acts: &[(u32, u8)]) -> Self {
        let mut play =
            Self { rig: R::default(), state: R::fresh(variant), waiting: BTreeMap::new(), told: BTreeMap::new() };
        for &(who, act) in acts {
            play.act(who, act);
        }
        play
    }

    /// How `act` relates to others, if `who` may do it.
    pub(crate) fn mode(&mut self, who: u32, act: u8) -> Option<Mode> {
        if self.waiting.contains_key(&who) {
            return None;
        }
        // Looking takes nothing away: a play whose mode was asked is not used any further.
        let op = self.rig.op(who, act)?;
        Some(self.state.mode(&op))
    }

    /// `who` does `act`; `false` when it cannot.
    pub(crate) fn act(&mut self, who: u32, act: u8) -> bool {
        if self.waiting.contains_key(&who) {
            return false;
        }
        let Some(op) = self.rig.op(who, act) else { return false };
        let (kind, arg) = R::S::announce(&op);
        self.told.entry(who).or_default().extend([kind as u64, arg]);
        let site = Site { task: TaskId(who), frame: Frame::root(), at: Location::caller() };
        let mut wakes = Wakes::new();
        match self.state.apply(site, op, &mut wakes) {
            Step::Granted(grant) => self.grant(who, act, grant),
            Step::Wait(_) => drop(self.waiting.insert(who, act)),
        }
        for woken in wakes {
            let act = self.waiting.remove(&woken.0).expect("who is woken has waited");
            let grant = self.state.collect(woken);
            self.grant(woken.0, act, grant);
        }
        true
    }

    fn grant(&mut self, who: u32, act: u8, grant: <R::S as StateMachine>::Grant) {
        self.told.entry(who).or_default().push(R::S::observed(&grant));
        self.rig.granted(who, act, grant);
    }

    pub(crate) fn digest(&self) -> Lanes {
        let mut digest = Digest::new(&Numbers, Statistics::NONE);
        self.state.digest(&mut digest);
        digest.finish()
    }
}

/// Two holds of one task would be its own doing.
type Holds = BTreeMap<u32, u8>;

#[derive(Default)]
pub(crate) struct LockRig(Holds);

impl Rig for LockRig {
    type S = LockState<Sleeping>;
    fn fresh(_: u64) -> Self::S {
        LockState::default()
    }
    fn op(&mut self, who: u32, act: u8) -> Option<LockOp> {
        match (act % 3, self.0.contains_key(&who)) {
            (0, false) => Some(LockOp::Lock),
            (1, false) => Some(LockOp::TryLock),
            (_, true) => Some(LockOp::Unlock),
            _ => None,
        }
    }
    fn granted(&mut self, who: u32, _: u8, grant: bool) {
        if self.0.remove(&who).is_none() && grant {
            self.0.insert(who, 0);
        }
    }
}

#[derive(Default)]
pub(crate) struct RwRig(Holds);

impl Rig for RwRig {
    type S = RwState;
    fn fresh(_: u64) -> Self::S {
        RwState::default()
    }
    fn op(&mut self, who: u32, act: u8) -> Option<RwOp> {
        match (act % 2, self.0.get(&who)) {
            (_, Some(0)) => Some(RwOp::UpRead),
            (_, Some(_)) => Some(RwOp::UpWrite),
            (0, None) => Some(RwOp::DownRead),
            (_, None) => Some(RwOp::DownWrite),
        }
    }
    fn granted(&mut self, who: u32, act: u8, (): ()) {
        if self.0.remove(&who).is_none() {
            self.0.insert(who, act % 2);
        }
    }
}

#[derive(Default)]
pub(crate) struct SemaphoreRig;

impl Rig for SemaphoreRig {
    type S = SemaphoreState;
    fn fresh(variant: u64) -> Self::S {
        SemaphoreState::new(variant % 3)
    }
    fn op(&mut self, _: u32, act: u8) -> Option<SemaphoreOp> {
        Some([SemaphoreOp::Down, SemaphoreOp::DownTry, SemaphoreOp::Up][act as usize % 3])
    }
    fn granted(&mut self, _: u32, _: u8, _: bool) {}
}

#[derive(Default)]
pub(crate) struct CompletionRig;

impl Rig for CompletionRig {
    type S = CompletionState;
    fn fresh(_: u64) -> Self::S {
        CompletionState::default()
    }
    fn op(&mut self, _: u32, act: u8) -> Option<CompletionOp> {
        Some(match act % 8 {
            0..4 => CompletionOp::Wait,
            4 => CompletionOp::CompleteAll,
            _ => CompletionOp::Complete,
        })
    }
    fn granted(&mut self, _: u32, _: u8, (): ()) {}
}

/// Who stands in the queue.
#[derive(Default)]
pub(crate) struct WaitQueueRig(Holds);

impl Rig for WaitQueueRig {
    type S = WaitQueueState;
    fn fresh(_: u64) -> Self::S {
        WaitQueueState::default()
    }
    fn op(&mut self, who: u32, act: u8) -> Option<WaitQueueOp> {
        match (act % 6, self.0.contains_key(&who)) {
            (0, _) => Some(WaitQueueOp::Prepare),
            (1, true) => Some(WaitQueueOp::Schedule),
            (2, true) => Some(WaitQueueOp::Finish),
            (3, _) => Some(WaitQueueOp::WakeUp),
            (4, _) => Some(WaitQueueOp::WakeUpAll),
            (5, true) => Some(WaitQueueOp::ScheduleTimeout(Nanos(10))),
            _ => None,
        }
    }
    fn granted(&mut self, who: u32, act: u8, (): ()) {
        match act % 6 {
            0 => drop(self.0.insert(who, 0)),
            2 => drop(self.0.remove(&who)),
            _ => {}
        }
    }
}

#[derive(Default)]
pub(crate) struct RefRig;

impl Rig for RefRig {
    type S = RefState;
    fn fresh(variant: u64) -> Self::S {
        RefState::new(1 + variant % 3)
    }
    fn op(&mut self, _: u32, act: u8) -> Option<RefOp> {
        Some([RefOp::Get, RefOp::Put][act as usize % 2])
    }
    fn granted(&mut self, _: u32, _: u8, _: Option<u64>) {}
}

/// The generation in which each reader began.
#[derive(Default)]
pub(crate) struct SrcuRig(BTreeMap<u32, u64>);

impl Rig for SrcuRig {
    type S = SrcuState<u64>;
    fn fresh(_: u64) -> Self::S {
        SrcuState::new(0)
    }
    fn op(&mut self, who: u32, act: u8) -> Option<SrcuOp<u64>> {
        match (act % 4, self.0.get(&who)) {
            (0 | 1, Some(generation)) => Some(SrcuOp::ReadUnlock(*generation)),
            (0 | 1, None) => Some(SrcuOp::ReadLock),
            (2, _) => Some(SrcuOp::Publish(7)),
            (_, None) => Some(SrcuOp::Synchronize),
            _ => None,
        }
    }
    fn granted(&mut self, who: u32, act: u8, grant: Option<(u64, u64)>) {
        match grant {
            Some((generation, _)) => drop(self.0.insert(who, generation)),
            None if act % 4 < 2 => drop(self.0.remove(&who)),
            None => {}
        }
    }
}

#[derive(Default)]
pub(crate) struct PoolRig {
    elements: BTreeMap<u32, Vec<Element>>,
    /// Who was told to start over.
    again: Holds,
}

impl Rig for PoolRig {
    type S = PoolState;
    fn fresh(variant: u64) -> Self::S {
        let mut state = PoolState::new(variant / 4 % 3);
        let site = Site { task: TaskId(TASKS), frame: Frame::root(), at: Location::caller() };
        state.apply(site, PoolOp::SetAllocator(allocator(variant as u8 % 4)), &mut Wakes::new());
        state
    }
    fn op(&mut self, who: u32, act: u8) -> Option<PoolOp> {
        if self.again.contains_key(&who) {
            return Some(PoolOp::Alloc { gfp: dmlab_engine::sync::Gfp::NoIo, again: true, fails: None });
        }
        match act % 16 {
            0..5 => Some(PoolOp::Alloc { gfp: dmlab_engine::sync::Gfp::NoIo, again: false, fails: None }),
            5..8 => Some(PoolOp::Alloc { gfp: dmlab_engine::sync::Gfp::NoWait, again: false, fails: None }),
            8 => Some(PoolOp::SetAllocator(allocator(act / 16 % 4))),
            _ => Some(PoolOp::Free(self.elements.get_mut(&who)?.pop()?)),
        }
    }
    fn granted(&mut self, who: u32, _: u8, grant: PoolGrant) {
        self.again.remove(&who);
        match grant {
            PoolGrant::Element(element) => self.elements.entry(who).or_default().push(element),
            PoolGrant::Again => drop(self.again.insert(who, 0)),
            PoolGrant::Null => {}
        }
    }
}

/// Tasks 2 and up are workers, once they were started.
#[derive(Default)]
pub(crate) struct WqRig {
    works: Vec<Work>,
    live: Vec<u32>,
    busy: Holds,
}

impl Rig for WqRig {
    type S = WqState;
    fn fresh(variant: u64) -> Self::S {
        let worker_fails =
            (variant & 4 != 0).then(|| Arc::new(|k: u64| k < 1) as Arc<dyn Fn(u64) -> bool + Send + Sync>);
        WqState::new(WqFlags { max_active: 1 + (variant & 1) as u32, mem_reclaim: variant & 2 != 0, worker_fails })
    }
    fn op(&mut self, who: u32, act: u8) -> Option<WqOp> {
        while self.works.len() < 3 {
            self.works.push(Work::new(["a", "b", "c"][self.works.len()], |_| {}));
        }
        if who >= 2 {
            if !self.live.contains(&who) {
                return None;
            }
            return Some(if self.busy.contains_key(&who) { WqOp::Done } else { WqOp::Next });
        }
        Some(match act % 8 {
            3..6 => WqOp::Poke(self.works[act as usize % 3].clone()),
            0..3 => WqOp::Queue(self.works[act as usize % 3].clone()),
            6 => WqOp::Flush,
            _ => WqOp::Drain,
        })
    }
    fn granted(&mut self, who: u32, _: u8, grant: WqGrant) {
        match grant {
            WqGrant::Queued { start: Some(start), .. } | WqGrant::Poked { start: Some(start) } => {
                self.live.push(match start {
                    Start::Worker(number) => 2 + number as u32 % 2,
                    Start::Rescuer => 3,
                })
            }
            WqGrant::Work(_) => drop(self.busy.insert(who, 0)),
            WqGrant::Done if who >= 2 => drop(self.busy.remove(&who)),
            _ => {}
        }
    }
}

/// What a mutant of a state machine does differently.
pub(crate) trait Bend: Send + 'static {
    type S: StateMachine;
    const RELEASE: Release = Self::S::RELEASE;
    fn mode(state: &Self::S, op: &<Self::S as StateMachine>::Op) -> Mode {
        state.mode(op)
    }
    fn observed(grant: &<Self::S as StateMachine>::Grant) -> u64 {
        Self::S::observed(grant)
    }
    fn digest(state: &Self::S, into: &mut Digest<'_>) {
        state.digest(into);
    }
}

/// A mutant.
pub(crate) struct Bent<B: Bend>(pub(crate) B::S);

impl<B: Bend> StateMachine for Bent<B> {
    type Op = <B::S as StateMachine>::Op;
    type Grant = <B::S as StateMachine>::Grant;
    const LABEL: &'static str = B::S::LABEL;
    const ANY_RELEASE_SUFFICES: bool = B::S::ANY_RELEASE_SUFFICES;
    const RELEASE: Release = B::RELEASE;
    const IS_LOCK: bool = B::S::IS_LOCK;

    fn announce(op: &Self::Op) -> (OpKind, u64) {
        B::S::announce(op)
    }
    fn may_sleep(op: &Self::Op) -> bool {
        B::S::may_sleep(op)
    }
    fn apply(&mut self, by: Site, op: Self::Op, wakes: &mut Wakes) -> Step<Self::Grant> {
        self.0.apply(by, op, wakes)
    }
    fn mode(&self, op: &Self::Op) -> Mode {
        B::mode(&self.0, op)
    }
    fn observed(grant: &Self::Grant) -> u64 {
        B::observed(grant)
    }
    fn digest(&self, into: &mut Digest<'_>) {
        B::digest(&self.0, into);
    }
    fn collect(&mut self, who: TaskId) -> Self::Grant {
        self.0.collect(who)
    }
    fn time_out(&mut self, who: TaskId) -> Option<Self::Grant> {
        self.0.time_out(who)
    }
    fn holders(&self, waiter: TaskId) -> Vec<Holder> {
        self.0.holders(waiter)
    }
    fn summary(&self) -> String {
        self.0.summary()
    }
}

/// The rig of a mutant.
pub(crate) struct BentRig<R, B>(R, PhantomData<B>);

impl<R: Default, B> Default for BentRig<R, B> {
    fn default() -> Self {
        Self(R::default(), PhantomData)
    }
}

impl<R: Rig, B: Bend<S = R::S>> Rig for BentRig<R, B> {
    type S = Bent<B>;
    fn fresh(variant: u64) -> Bent<B> {
        Bent(R::fresh(variant))
    }
    fn op(&mut self, who: u32, act: u8) -> Option<<R::S as StateMachine>::Op> {
        self.0.op(who, act)
    }
    fn granted(&mut self, who: u32, act: u8, grant: <R::S as StateMachine>::Grant) {
        self.0.granted(who, act, grant);
    }
}
