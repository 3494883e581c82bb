//! The state of one explored run, and what tasks ask of it: announce, wait, wake, sleep, spawn, choose.
//!
//! Invariants: a task is in exactly one `State`; `ready` holds exactly the tasks in `Ready`; a grant to a task that
//! is not waiting yet is kept as a token and ends its next wait at once; only the OS thread of the explorer touches
//! any of it.
//! Not here: who goes next (the driver and its strategy).

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

use dmlab_units::Nanos;

use super::super::cell::{Address, Confined};
use super::super::object::{Wait, Wakes};
use super::super::op::{ObjectId, Op, OpKind, TaskId};
use super::super::task::Task;
use super::super::waits::{Site, Waitable};
use super::coroutine::Switch;
use super::cost::CostTable;
use super::strategy::TaskSet;
use super::trace::Choice;

/// What a new task is to do.
pub(super) type Body = Box<dyn FnOnce(&Task) + Send>;

/// The shared handle of a run's state.
#[derive(Clone)]
pub struct CoreRef(Arc<Confined<Core>>);

impl CoreRef {
    pub(super) fn new(core: Core) -> Self {
        Self(Arc::new(Confined::new(core)))
    }

    #[inline]
    pub(super) fn get(&self) -> &Core {
        self.0.get()
    }

    pub(crate) fn register_object(&self, label: &'static str, name: &str) -> ObjectId {
        let core = self.get();
        if let Some(names) = core.object_names.borrow_mut().as_mut() {
            names.push((label, name.to_owned()));
        }
        let id = core.next_object.get();
        core.next_object.set(id + 1);
        ObjectId(id)
    }
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is running towards an announcement, or has just been made.
    Running,
    /// It has announced an operation.
    Ready,
    /// It waits for a grant, a timer or both.
    Blocked,
    /// It has been granted what it waits for and will be resumed.
    Granted,
    /// Its timer has fired and it will be resumed.
    TimedOut,
    /// It has ended.
    Done,
}

/// A wait that has not ended.
pub(super) struct WaitInfo {
    /// What for; `None` for plain sleep.
    pub object: Option<Arc<dyn Waitable>>,
    pub kind: OpKind,
    pub site: Site,
    pub wait: Wait,
    /// The waiting task, on its own suspended stack.
    pub task: Option<Address<Task>>,
}

/// A task, as the explorer knows it.
pub struct Entry {
    pub(super) name: Arc<str>,
    pub(super) op: Op,
    pub(super) state: State,
    pub(super) token: bool,
    pub(super) timer: Option<(u64, u64)>,
    pub(super) wait: Option<WaitInfo>,
}

/// The state of one run.
pub struct Core {
    pub(super) entries: RefCell<Vec<Entry>>,
    pub(super) ready: RefCell<TaskSet>,
    pub(super) clock: Cell<u64>,
    /// (due, order of setting, task)
    pub(super) timers: RefCell<BTreeSet<(u64, u64, TaskId)>>,
    timers_set: Cell<u64>,
    pub(super) woken: RefCell<Vec<TaskId>>,
    pub(super) spawned: RefCell<Vec<(TaskId, Body)>>,
    pub(super) chosen: Cell<u32>,
    pub(super) choices: RefCell<Vec<Choice>>,
    next_object: Cell<u32>,
    /// Label and name of each object, when a readable trace is wanted.
    pub(super) object_names: RefCell<Option<Vec<(&'static str, String)>>>,
    pub(super) cost: Option<CostTable>,
}

impl Core {
    pub(super) fn new(cost: Option<CostTable>, named: bool) -> Self {
        Self {
            entries: RefCell::default(),
            ready: RefCell::default(),
            clock: Cell::new(0),
            timers: RefCell::default(),
            timers_set: Cell::new(0),
            woken: RefCell::default(),
            spawned: RefCell::default(),
            chosen: Cell::new(0),
            choices: RefCell::default(),
            next_object: Cell::new(1),
            object_names: RefCell::new(named.then(Vec::new)),
            cost,
        }
    }

    /// Back to the state before any run, keeping capacities.
    pub(super) fn reset(&self) {
        self.entries.borrow_mut().clear();
        self.ready.borrow_mut().clear();
        self.clock.set(0);
        self.timers.borrow_mut().clear();
        self.timers_set.set(0);
        self.woken.borrow_mut().clear();
        self.spawned.borrow_mut().clear();
        self.choices.borrow_mut().clear();
        self.next_object.set(1);
        if let Some(names) = self.object_names.borrow_mut().as_mut() {
            names.clear();
        }
    }

    pub(super) fn spawn(&self, name: &str, body: Body) -> TaskId {
        let mut entries = self.entries.borrow_mut();
        let id = TaskId(u32::try_from(entries.len()).expect("fewer than 2^32 tasks"));
        let at = std::panic::Location::caller();
        let op = Op { kind: OpKind::Start, object: ObjectId::NONE, arg: 0, at };
        entries.push(Entry { name: name.into(), op, state: State::Running, token: false, timer: None, wait: None });
        self.spawned.borrow_mut().push((id, body));
        id
    }

    fn wake(&self, task: TaskId) {
        let mut entries = self.entries.borrow_mut();
        let entry = &mut entries[task.index()];
        if entry.state == State::Blocked {
            entry.state = State::Granted;
            if let Some((due, order)) = entry.timer.take() {
                self.timers.borrow_mut().remove(&(due, order, task));
            }
            self.woken.borrow_mut().push(task);
        } else {
            entry.token = true;
        }
    }

    /// Puts `task` to sleep until woken or until `wait` is over; the caller then switches away.
    fn lie_down(&self, task: TaskId, info: WaitInfo) {
        let timeout = info.wait.timeout;
        let mut entries = self.entries.borrow_mut();
        let entry = &mut entries[task.index()];
        entry.state = State::Blocked;
        entry.wait = Some(info);
        if let Some(timeout) = timeout {
            let (due, order) = (self.clock.get().saturating_add(timeout.0), self.timers_set.get());
            self.timers_set.set(order + 1);
            self.timers.borrow_mut().insert((due, order, task));
            entry.timer = Some((due, order));
        }
    }

    /// Fires every timer that is due; when nothing else can happen, the clock first moves to the next one.
    pub(super) fn fire_timers(&self, may_advance: bool) {
        let mut timers = self.timers.borrow_mut();
        let Some(&(first, _, _)) = timers.first() else { return };
        if first > self.clock.get() {
            if !may_advance {
                return;
            }
            self.clock.set(first);
        }
        while let Some(&(due, order, task)) = timers.first()
            && due <= self.clock.get()
        {
            timers.remove(&(due, order, task));
            let entry = &mut self.entries.borrow_mut()[task.index()];
            assert!(entry.state == State::Blocked && entry.timer == Some((due, order)), "a timer outlived its wait");
            entry.timer = None;
            entry.state = State::TimedOut;
            self.woken.borrow_mut().push(task);
        }
    }
}

/// A task's own end of the explorer.
pub(in crate::sched) struct Seat {
    core: CoreRef,
    id: TaskId,
    switch: Switch,
}

impl Seat {
    pub(super) const fn new(core: CoreRef, id: TaskId, switch: Switch) -> Self {
        Self { core, id, switch }
    }

    /// Suspends the task at `op` until the strategy picks it.
    #[inline]
    pub(in crate::sched) fn announce(&self, op: Op) {
        let core = self.core.get();
        {
            let entry = &mut core.entries.borrow_mut()[self.id.index()];
            entry.op = op;
            entry.state = State::Ready;
        }
        core.ready.borrow_mut().insert(self.id);
        self.switch.suspend();
        if let Some(cost) = &core.cost {
            core.clock.set(core.clock.get() + cost.of(op.kind).0);
        }
    }

    #[inline]
    pub(in crate::sched) fn wake_all(&self, wakes: &Wakes) {
        for &task in wakes {
            self.core.get().wake(task);
        }
    }

    pub(in crate::sched) fn block(
        &self,
        current: &Task,
        object: Arc<dyn Waitable>,
        kind: OpKind,
        site: Site,
        wait: Wait,
    ) -> bool {
        let core = self.core.get();
        if std::mem::take(&mut core.entries.borrow_mut()[self.id.index()].token) {
            return true;
        }
        core.lie_down(self.id, WaitInfo { object: Some(object), kind, site, wait, task: Some(Address::of(current)) });
        self.stand_up()
    }

    pub(in crate::sched) fn sleep(&self, duration: Nanos, site: Site) {
        let wait = Wait::at_most(duration);
        let info = WaitInfo { object: None, kind: OpKind::Sleep, site, wait, task: None };
        self.core.get().lie_down(self.id, info);
        self.stand_up();
    }

    /// Switches away from a task that has lain down; `true` when it was granted something.
    fn stand_up(&self) -> bool {
        self.switch.suspend();
        let entry = &mut self.core.get().entries.borrow_mut()[self.id.index()];
        let granted = entry.state == State::Granted;
        entry.state = State::Running;
        entry.wait = None;
        granted
    }

    pub(in crate::sched) fn forget_wake(&self) {
        self.core.get().entries.borrow_mut()[self.id.index()].token = false;
    }

    pub(in crate::sched) fn choose(&self, what: &'static str, options: u32) -> u32 {
        debug_assert!(!what.is_empty());
        let at = std::panic::Location::caller();
        self.announce(Op { kind: OpKind::Choose, object: ObjectId::NONE, arg: u64::from(options), at });
        self.core.get().chosen.get()
    }

    pub(in crate::sched) fn spawn(&self, name: &str, body: Body) -> TaskId {
        self.core.get().spawn(name, body)
    }

    pub(in crate::sched) fn now(&self) -> Nanos {
        Nanos(self.core.get().clock.get())
    }

    #[inline]
    pub(in crate::sched) fn charge(&self, cost: Nanos) {
        let core = self.core.get();
        if core.cost.is_some() {
            core.clock.set(core.clock.get() + cost.0);
        }
    }
}
