//! A task's own end of the explorer: every call of a task into its run comes through here.
//!
//! Invariant: a seat belongs to the task that runs on the coroutine of its switch.

use std::panic::Location;

use dmlab_units::Nanos;

use super::super::cell::Address;
use super::super::digest::{Digest, Lanes};
use super::super::object::{Mode, Release, Wait, Wakes};
use super::super::op::{ObjectId, Op, OpKind, TaskId};
use super::super::runtime::{Driver, Runtime};
use super::super::task::Task;
use super::super::waits::{Site, Waitable};
use super::core::{Body, Core, Manner, WaitInfo};
use super::coroutine::Switch;
use super::lock_order::{Held, LockClass};
use super::tracker;

/// A task's own end of the explorer.
pub(in crate::sched) struct Seat {
    runtime: Runtime,
    id: TaskId,
    switch: Switch,
    held: Held,
    watched: bool,
    costs: bool,
}

/// An operation on a state machine, as it was carried out.
pub(in crate::sched) struct Applied {
    pub(in crate::sched) kind: OpKind,
    pub(in crate::sched) arg: u64,
    pub(in crate::sched) mode: Mode,
    pub(in crate::sched) release: Release,
    /// What the task learnt, unless it has to wait.
    pub(in crate::sched) observed: Option<u64>,
}

impl Seat {
    pub(super) fn new(runtime: Runtime, id: TaskId, switch: Switch, manner: Manner) -> Self {
        let (watched, costs) = (manner.track, manner.cost.is_some());
        Self { runtime, id, switch, held: Held::default(), watched, costs }
    }

    pub(in crate::sched) const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    #[inline]
    fn core(&self) -> &Core {
        match &self.runtime.0 {
            Driver::Explorer(core) => core.get(),
            Driver::Threads => unreachable!("an explorer's seat belongs to an explorer"),
        }
    }

    /// Suspends the task at `op` until the strategy picks it.
    #[inline(always)]
    pub(in crate::sched) fn announce(&self, op: Op) {
        let next = self.step(op.kind, op.object, op.arg, op.at);
        if next != Some(self.id) {
            self.switch.suspend(next);
        }
        if self.costs {
            self.charge_for(op.kind);
        }
    }

    /// Announces an operation and, if nothing else is to be done before the next step, takes that: who goes on? Its parts
    /// come one by one, in registers.
    #[inline(never)]
    fn step(&self, kind: OpKind, object: ObjectId, arg: u64, at: &'static Location<'static>) -> Option<TaskId> {
        let op = Op { kind, object, arg, at };
        self.switch.with_strategy(|strategy| self.core().announce(self.id, op, strategy))
    }

    #[cold]
    fn charge_for(&self, kind: OpKind) {
        let core = self.core();
        core.charge(core.manner.cost.as_ref().map_or(Nanos::ZERO, |cost| cost.of(kind)));
    }

    /// As [`Self::announce`], for something that is no state machine.
    #[inline(always)]
    pub(in crate::sched) fn announce_raw(&self, op: Op) {
        self.announce(op);
        self.track(|tracker, task| tracker.raw(task, op.kind, op.object, op.arg));
    }

    /// Whether anybody wants to know what is done to state machines.
    #[inline]
    pub(in crate::sched) const fn watched(&self) -> bool {
        self.watched
    }

    /// Tells the tracker what was done.
    pub(in crate::sched) fn applied(
        &self,
        object: ObjectId,
        what: Applied,
        wakes: &Wakes,
        state: impl FnOnce(&mut Digest<'_>),
    ) {
        let mut tracker = self.core().tracker.borrow_mut();
        let state = digest_of(&tracker, state);
        tracker.applied(self.id, object, &tracker::Applied { what, state }, wakes);
    }

    /// Tells the tracker what a task has waited for.
    pub(in crate::sched) fn collected(
        &self,
        object: ObjectId,
        kind: OpKind,
        observed: u64,
        state: impl FnOnce(&mut Digest<'_>),
    ) {
        let mut tracker = self.core().tracker.borrow_mut();
        let state = digest_of(&tracker, state);
        tracker.collected(self.id, object, kind, observed, state);
    }

    /// Tells the tracker what state an object is in.
    pub(in crate::sched) fn shows(&self, object: ObjectId, learnt: u64, state: impl FnOnce(&mut Digest<'_>)) {
        let mut tracker = self.core().tracker.borrow_mut();
        let state = digest_of(&tracker, state);
        tracker.shows(object, state);
        tracker.learnt(self.id, learnt);
    }

    /// As [`Self::shows`], with what the task has learnt as a digest of its own.
    pub(in crate::sched) fn shows_answering(
        &self,
        object: ObjectId,
        answer: impl FnOnce(&mut Digest<'_>),
        state: impl FnOnce(&mut Digest<'_>),
    ) {
        let mut tracker = self.core().tracker.borrow_mut();
        let (answer, state) = (digest_of(&tracker, answer), digest_of(&tracker, state));
        tracker.holds(object, state);
        tracker.learnt(self.id, answer.short());
    }

    /// A lock is asked for: in which order is it taken?
    #[inline]
    pub(in crate::sched) fn lock_wanted(&self, class: LockClass, site: &Site) {
        let held = self.held.beside(class);
        if held != 0 {
            self.lock_wanted_holding(held, class, site);
        }
    }

    fn lock_wanted_holding(&self, held: u64, class: LockClass, site: &Site) {
        let core = self.core();
        core.locks.borrow_mut().wanted(held, class, site, || core.name_of_new(self.id).to_string());
    }

    /// A lock was taken.
    #[inline]
    pub(in crate::sched) fn lock_taken(&self, class: LockClass) {
        self.held.taken(class);
    }

    /// A lock was given back.
    #[inline]
    pub(in crate::sched) fn lock_released(&self, class: LockClass) {
        self.held.released(class);
    }

    /// Tells the tracker of shared data; see `Task::touch`.
    #[inline]
    pub(in crate::sched) fn track(&self, tell: impl FnOnce(&mut tracker::Tracker, TaskId)) {
        if self.watched {
            tell(&mut self.core().tracker.borrow_mut(), self.id);
        }
    }

    #[inline(never)]
    pub(in crate::sched) fn wake_all(&self, wakes: Wakes) {
        self.core().wake_all(&wakes);
    }

    pub(in crate::sched) fn block(
        &self,
        current: &Task,
        object: &(dyn Waitable + 'static),
        kind: OpKind,
        site: Site,
        wait: Wait,
    ) -> bool {
        let core = self.core();
        if core.take_token(self.id) {
            self.track(|tracker, task| tracker.finds_grant(task));
            return true;
        }
        self.track(|tracker, task| tracker.sleeps(task, true));
        let (task, since) = (Address::of(current), core.step());
        let info = WaitInfo { object: Address::of(object), kind, site, task, since };
        core.begin_wait(self.id, object.id(), &info, wait.idle, wait.timeout);
        self.switch.suspend(None);
        self.track(|tracker, task| tracker.sleeps(task, false));
        core.end_wait(self.id)
    }

    pub(in crate::sched) fn sleep(&self, duration: Nanos, site: Site) {
        let core = self.core();
        core.begin_sleep(self.id, duration, site.at);
        self.switch.suspend(None);
        core.end_wait(self.id);
    }

    pub(in crate::sched) fn forget_wake(&self) {
        self.core().take_token(self.id);
    }

    pub(in crate::sched) fn choose(&self, what: &'static str, options: u32) -> u32 {
        debug_assert!(!what.is_empty());
        let at = Location::caller();
        self.announce_raw(Op { kind: OpKind::Choose, object: ObjectId::NONE, arg: u64::from(options), at });
        let chosen = self.core().chosen.get();
        self.track(|tracker, task| tracker.learnt(task, u64::from(chosen)));
        chosen
    }

    pub(in crate::sched) fn spawn(&self, name: &str, body: Body) -> TaskId {
        self.core().spawn(Some(self.id), name, body)
    }

    pub(in crate::sched) fn now(&self) -> Nanos {
        let now = self.core().now();
        self.track(|tracker, task| tracker.read_clock(task, now.0));
        now
    }

    #[inline]
    pub(in crate::sched) fn charge(&self, cost: Nanos) {
        self.core().charge(cost);
    }

    #[inline]
    pub(in crate::sched) fn charge_bio(&self) {
        if self.costs {
            let core = self.core();
            core.charge(core.manner.cost.as_ref().map_or(Nanos::ZERO, |cost| cost.bio));
        }
    }
}

fn digest_of(tracker: &tracker::Tracker, state: impl FnOnce(&mut Digest<'_>)) -> Lanes {
    let mut digest = Digest::new(tracker, tracker.statistics());
    state(&mut digest);
    digest.finish()
}
