//! [`Object`]: a named primitive, and [`StateMachine`]: what it does, as a pure function of its state.
//!
//! Invariants: `apply` neither blocks nor calls out; whatever an operation grants to a *waiting* task is put aside in
//! the state until that task collects it (direct hand-off: nobody can take it on the way); every wake-up names a task
//! that the state has granted something.
//! Not here: how a task waits (the two drivers), what any primitive's rules are (`sync`).

use std::panic::Location;
use std::sync::Arc;

use dmlab_units::Nanos;
use smallvec::SmallVec;

use super::cell::Tiny;
use super::digest::Digest;
use super::explorer::{self, LockClass, Registered};
use super::op::{ObjectId, Op, OpClass, OpKind, TaskId};
use super::runtime::Runtime;
use super::task::{Seat, Task};
use super::threads;
use super::waits::{Holder, Site, Waitable};

/// Tasks to wake after an operation, in the order of waking.
pub type Wakes = SmallVec<[TaskId; 4]>;

/// What came of an operation.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<G> {
    /// It is done, and this is what it gives.
    Granted(G),
    /// The task must wait until the state has something to collect for it.
    Wait(Wait),
}

/// How a task waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// Give up after this long; `None` is never.
    pub timeout: Option<Nanos>,
    /// The task has nothing to do, as a worker without work: it is not stuck, and a run may end over it.
    pub idle: bool,
}

impl Wait {
    /// Until granted.
    pub const FOREVER: Self = Self { timeout: None, idle: false };
    /// Until there is something to do, if ever.
    pub const IDLE: Self = Self { timeout: None, idle: true };

    /// Until granted, or for so long.
    pub const fn at_most(timeout: Nanos) -> Self {
        Self { timeout: Some(timeout), idle: false }
    }
}

/// How an operation relates to operations of other tasks on the same object: what partial-order reduction starts from.
///
/// The claim behind each mode is that operations which do not conflict commute: in either order they leave the same
/// state and give each task the same (or let it wait for the same). Property tests hold every state machine to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Gives back what others may wait for. Commutes with everything but [`Mode::Peek`], because what is given back is
    /// handed directly to the first in line.
    Free,
    /// Commutes with its own kind.
    Shared,
    /// Its place among acquisitions and accesses matters.
    Exclusive,
    /// Asks without waiting, or gives up: also matters whether something was given back before or after.
    Peek,
}

impl Mode {
    /// The careful answer for an operation of this kind.
    pub const fn of(kind: OpKind) -> Self {
        match kind.class() {
            OpClass::Release => Self::Free,
            OpClass::Acquire | OpClass::Access | OpClass::Local => Self::Exclusive,
        }
    }
}

/// What getting something from an object says about who gave it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Its holder, and nobody else could have: a lock.
    Owned,
    /// Units that all come from releases, first in, first out: a completion.
    Counted,
    /// Nothing: there may have been units all along.
    Stocked,
}

/// What a lock lets a task observe that asked without waiting and did not get it.
pub const NOT_TAKEN: u64 = 0;

/// The rules of one primitive: a state and what each operation does to it.
pub trait StateMachine: Send + 'static {
    /// The operations.
    type Op;
    /// What an operation gives to the task that asked.
    type Grant;
    /// What reports call it, e.g. `mutex`, `mempool`.
    const LABEL: &'static str;

    /// Whether one release by any holder lets the first waiter go on (units of one kind), as opposed to every holder
    /// keeping the waiter for itself.
    const ANY_RELEASE_SUFFICES: bool = false;

    /// Whose releases let others go on.
    const RELEASE: Release = Release::Stocked;

    /// Whether it is a lock: held by a task from one operation to another, so that the order in which tasks take several
    /// of them matters.
    const IS_LOCK: bool = false;

    /// Kind and argument of an operation, as it is announced.
    fn announce(op: &Self::Op) -> (OpKind, u64);

    /// Whether this operation may sleep, so that it must not be asked for under a spinlock. By kind, not by state:
    /// the kernel's `might_sleep`.
    fn may_sleep(op: &Self::Op) -> bool;

    /// Carries out `op`, asked for by `by`.
    fn apply(&mut self, by: Site, op: Self::Op, wakes: &mut Wakes) -> Step<Self::Grant>;

    /// How `op` relates to operations of other tasks, in the present state.
    fn mode(&self, op: &Self::Op) -> Mode {
        Mode::of(Self::announce(op).0)
    }

    /// What a grant tells the task, as a number: all that its further course can depend on, and nothing else.
    fn observed(grant: &Self::Grant) -> u64;

    /// Takes the state in: all that later operations depend on, and nothing else. Names of tasks go in as such, order
    /// only where order matters.
    fn digest(&self, into: &mut Digest<'_>);

    /// Takes what was put aside for `who`, which has waited and was woken.
    fn collect(&mut self, who: TaskId) -> Self::Grant;

    /// Ends the wait of `who` because its time is up; `None` when it has been granted in the meantime.
    fn time_out(&mut self, who: TaskId) -> Option<Self::Grant>;

    /// Who could let `waiter` go on, and what each of them holds.
    fn holders(&self, waiter: TaskId) -> Vec<Holder>;

    /// A few words on the state for reports, e.g. `2 of 2 elements in use`.
    fn summary(&self) -> String;
}

/// A primitive with a name.
pub struct Object<S> {
    id: ObjectId,
    class: LockClass,
    name: Arc<str>,
    state: Tiny<S>,
}

impl<S: StateMachine> Object<S> {
    /// A new primitive of this run, called `name` in reports and traces.
    pub fn new(runtime: &Runtime, name: &str, state: S) -> Arc<Self> {
        let Registered { id, name, class } = runtime.register_object(S::LABEL, name, S::IS_LOCK);
        Arc::new(Self { id, class, name, state: Tiny::new(state) })
    }

    /// Announces `op`, carries it out, waits if it must, and gives what it grants.
    // Inlined, so that the switch to other tasks stands in the caller: a return from a function that was entered before
    // the switch is one that the CPU cannot predict.
    #[inline(always)]
    #[track_caller]
    pub fn perform(self: &Arc<Self>, current: &Task, op: S::Op) -> S::Grant {
        let at = Location::caller();
        if current.in_atomic() && S::may_sleep(&op) {
            self.sleeps_in_atomic(current, S::announce(&op).0, at);
        }
        match current.seat() {
            Seat::Thread(seat) => self.perform_on_thread(current, seat, op, at),
            Seat::Coroutine(seat) => {
                let (kind, arg) = S::announce(&op);
                seat.announce(Op { kind, object: self.id, arg, at });
                self.carry_out(current, seat, op, at)
            }
        }
    }

    fn perform_on_thread(
        self: &Arc<Self>,
        current: &Task,
        seat: &threads::Seat,
        op: S::Op,
        at: &'static Location<'static>,
    ) -> S::Grant {
        let site = current.site(at);
        let mut wakes = Wakes::new();
        seat.checkpoint();
        let kind = S::announce(&op).0;
        let step = self.state.lock().apply(site, op, &mut wakes);
        if !wakes.is_empty() {
            seat.wake_all(&wakes);
        }
        match step {
            Step::Granted(grant) => grant,
            Step::Wait(wait) => self.wait(current, kind, site, wait),
        }
    }

    /// What comes after the announcement, on the explorer.
    #[inline(never)]
    fn carry_out(
        self: &Arc<Self>,
        current: &Task,
        seat: &explorer::Seat,
        op: S::Op,
        at: &'static Location<'static>,
    ) -> S::Grant {
        let site = current.site(at);
        let mut wakes = Wakes::new();
        let (kind, arg) = S::announce(&op);
        if S::IS_LOCK && kind.class() == OpClass::Acquire && S::may_sleep(&op) | (kind == OpKind::SpinLock) {
            seat.lock_wanted(self.class, &site);
        }
        let mut state = self.state.lock_for(current);
        let step = if seat.watched() {
            let is_seen = S::may_sleep(&op) && current.is_called_back();
            self.apply_watched(seat, &mut state, (kind, arg), (site, is_seen), op, &mut wakes)
        } else {
            state.apply(site, op, &mut wakes)
        };
        drop(state);
        if !wakes.is_empty() {
            seat.wake_all(wakes);
        }
        match step {
            Step::Granted(grant) => {
                if S::IS_LOCK && S::observed(&grant) != NOT_TAKEN {
                    if kind.class() == OpClass::Release {
                        seat.lock_released(self.class);
                    } else {
                        seat.lock_taken(self.class);
                    }
                }
                grant
            }
            Step::Wait(wait) => self.wait(current, kind, site, wait),
        }
    }

    /// Applies `op` and tells those who watch the run what it was and what came of it. Where it is seen whether the task
    /// has to wait, that is like asking without waiting.
    #[cold]
    fn apply_watched(
        &self,
        seat: &explorer::Seat,
        state: &mut S,
        (kind, arg): (OpKind, u64),
        (site, is_seen): (Site, bool),
        op: S::Op,
        wakes: &mut Wakes,
    ) -> Step<S::Grant> {
        let mode = if is_seen { Mode::Peek } else { state.mode(&op) };
        let step = state.apply(site, op, wakes);
        let observed = match &step {
            Step::Granted(grant) => Some(S::observed(grant)),
            Step::Wait(_) => None,
        };
        let what = explorer::Applied { kind, arg, mode, release: S::RELEASE, observed };
        seat.applied(self.id, what, wakes, |digest| state.digest(digest));
        step
    }

    /// I9: the kernel's `BUG: sleeping function called from invalid context`.
    #[cold]
    fn sleeps_in_atomic(&self, current: &Task, kind: OpKind, at: &'static Location<'static>) -> ! {
        current.bug_at(format!("{} called under a spinlock ({} {:?})", kind.name(), S::LABEL, self.name), at)
    }

    /// As [`Self::perform`] for operations that give something back from a destructor: nothing is done when the task
    /// is being unwound, since then the run is over and its objects are never looked at again.
    #[inline(always)]
    #[track_caller]
    pub fn release(self: &Arc<Self>, current: &Task, op: S::Op) {
        if !std::thread::panicking() {
            self.perform(current, op);
        }
    }

    /// A look at the state that is no operation: for statistics and for checks when nothing runs any more.
    pub fn peek<T>(&self, look: impl FnOnce(&S) -> T) -> T {
        look(&self.state.lock())
    }

    /// A change to the state that no other task can see the order of: set-up, and bookkeeping for reports.
    pub fn adjust<T>(&self, current: &Task, change: impl FnOnce(&mut S) -> T) -> T {
        change(&mut self.state.lock_for(current))
    }

    /// Number within the run.
    pub const fn id(&self) -> ObjectId {
        self.id
    }

    /// Name in reports and traces.
    pub fn name(&self) -> &str {
        &self.name
    }

    #[cold]
    fn wait(self: &Arc<Self>, current: &Task, kind: OpKind, site: Site, wait: Wait) -> S::Grant {
        let granted = current.block(self, kind, site, wait);
        if !granted {
            let mut state = self.state.lock_for(current);
            if let Some(grant) = state.time_out(current.id()) {
                if let Seat::Coroutine(seat) = current.seat()
                    && seat.watched()
                {
                    seat.collected(self.id, kind, S::observed(&grant), |digest| state.digest(digest));
                }
                return grant;
            }
            drop(state);
            current.forget_wake();
        }
        let mut state = self.state.lock_for(current);
        let grant = state.collect(current.id());
        if let Seat::Coroutine(seat) = current.seat() {
            if S::IS_LOCK {
                seat.lock_taken(self.class);
            }
            if seat.watched() {
                seat.collected(self.id, kind, S::observed(&grant), |digest| state.digest(digest));
            }
        }
        grant
    }
}

impl<S: StateMachine> Waitable for Object<S> {
    fn id(&self) -> ObjectId {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn label(&self) -> &'static str {
        S::LABEL
    }

    fn holders(&self, waiter: TaskId) -> Vec<Holder> {
        self.state.lock().holders(waiter)
    }

    fn any_release_suffices(&self) -> bool {
        S::ANY_RELEASE_SUFFICES
    }

    fn holders_are_certain(&self) -> bool {
        S::RELEASE == Release::Owned
    }

    fn summary(&self) -> String {
        self.state.lock().summary()
    }
}
