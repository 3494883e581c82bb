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
use super::op::{ObjectId, Op, OpKind, TaskId};
use super::runtime::Runtime;
use super::task::{Seat, Task};
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

    /// Kind and argument of an operation, as it is announced.
    fn announce(op: &Self::Op) -> (OpKind, u64);

    /// Whether this operation may sleep, so that it must not be asked for under a spinlock. By kind, not by state:
    /// the kernel's `might_sleep`.
    fn may_sleep(op: &Self::Op) -> bool;

    /// Carries out `op`, asked for by `by`.
    fn apply(&mut self, by: Site, op: Self::Op, wakes: &mut Wakes) -> Step<Self::Grant>;

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
    name: Box<str>,
    state: Tiny<S>,
}

impl<S: StateMachine> Object<S> {
    /// A new primitive of this run, called `name` in reports and traces.
    pub fn new(runtime: &Runtime, name: &str, state: S) -> Arc<Self> {
        let id = runtime.register_object(S::LABEL, name);
        Arc::new(Self { id, name: name.into(), state: Tiny::new(state) })
    }

    /// Announces `op`, carries it out, waits if it must, and gives what it grants.
    #[inline]
    #[track_caller]
    pub fn perform(self: &Arc<Self>, current: &Task, op: S::Op) -> S::Grant {
        let at = Location::caller();
        if current.in_atomic() && S::may_sleep(&op) {
            self.sleeps_in_atomic(current, S::announce(&op).0, at);
        }
        let site = current.site(at);
        let mut wakes = Wakes::new();
        match current.seat() {
            Seat::Thread(seat) => {
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
            Seat::Coroutine(seat) => {
                let (kind, arg) = S::announce(&op);
                seat.announce(Op { kind, object: self.id, arg, at });
                let step = self.state.lock_for(current).apply(site, op, &mut wakes);
                seat.wake_all(&wakes);
                match step {
                    Step::Granted(grant) => grant,
                    Step::Wait(wait) => self.wait(current, kind, site, wait),
                }
            }
        }
    }

    /// I9: the kernel's `BUG: sleeping function called from invalid context`.
    #[cold]
    fn sleeps_in_atomic(&self, current: &Task, kind: OpKind, at: &'static Location<'static>) -> ! {
        current.bug_at(format!("{} called under a spinlock ({} {:?})", kind.name(), S::LABEL, self.name), at)
    }

    /// As [`Self::perform`] for operations that give something back from a destructor: nothing is done when the task
    /// is being unwound, since then the run is over and its objects are never looked at again.
    #[inline]
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
        let granted = current.block(Arc::clone(self) as Arc<dyn Waitable>, kind, site, wait);
        if !granted {
            if let Some(grant) = self.adjust(current, |state| state.time_out(current.id())) {
                return grant;
            }
            current.forget_wake();
        }
        self.adjust(current, |state| state.collect(current.id()))
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

    fn summary(&self) -> String {
        self.state.lock().summary()
    }
}
