//! The state of one explored run, and what tasks ask of it: announce, wait, wake, sleep, spawn, choose.
//!
//! Invariants: a task is in exactly one `State`; `ready` holds exactly the tasks in `Ready` (and, where timers may fire
//! at any time, those that wait with a timer); a grant to a task that is not waiting yet is kept as a token and ends its
//! next wait at once; only the OS thread of the explorer touches any of it; where a step is nothing but the strategy's
//! next pick, the announcing task takes it on the spot, and the schedule is the one that the driver would have taken.
//! Not here: who goes next (the driver and its strategy).

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::Arc;

use dmlab_units::Nanos;

use super::super::cell::{Address, Confined};
use super::super::digest::Statistics;
use super::super::object::Wakes;
use super::super::op::{ObjectId, Op, OpKind, TaskId};
use super::super::task::Task;
use super::super::waits::{Site, Waitable};
use super::cost::CostTable;
use super::lock_order::{LockClass, LockOrder};
use super::strategy::{Strategy, TaskSet, View};
use super::trace::Choice;
use super::tracker::Tracker;

/// What a new task is to do.
pub(super) type Body = Box<dyn FnOnce(&Task) + Send>;

/// What a run is like, beside its schedule.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    /// The clock moves with the work done.
    pub cost: Option<CostTable>,
    /// Keep each step in words.
    pub words: bool,
    /// Keep track of states and races.
    pub track: bool,
    /// Counts that decide nothing and are part of the state all the same.
    pub statistics: Statistics,
    /// A timer may fire as soon as it is set.
    pub timers_any: bool,
}

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

    /// Tells the tracker, if there is one, what the running task does.
    #[inline]
    pub(in crate::sched) fn track(&self, tell: impl FnOnce(&mut Tracker, TaskId)) {
        let core = self.get();
        if core.manner.track {
            tell(&mut core.tracker.borrow_mut(), core.running.get());
        }
    }

    pub(crate) fn register_plain(&self, label: &'static str, name: &str) -> ObjectId {
        let core = self.get();
        core.note_object(label, name);
        core.number()
    }

    pub(in crate::sched) fn register_object(&self, label: &'static str, name: &str, is_lock: bool) -> Registered {
        let core = self.get();
        core.note_object(label, name);
        let id = core.number();
        let known = &mut *core.objects.borrow_mut();
        let (name, class) = known.at(id.0 as usize - 1, label, name, |name| {
            if is_lock { core.locks.borrow_mut().class(label, name) } else { LockClass::NONE }
        });
        Registered { id, name, class }
    }
}

/// What a new object gets from its run.
pub(in crate::sched) struct Registered {
    pub(in crate::sched) id: ObjectId,
    pub(in crate::sched) name: Arc<str>,
    pub(in crate::sched) class: LockClass,
}

/// Names that come in the same places run after run, with what is worked out from them.
struct Known<T>(Vec<(&'static str, Arc<str>, T)>);

impl<T: Copy + Default> Known<T> {
    /// The name in `place`; `of` gives what belongs to it when it is another one than in the run before.
    #[inline]
    fn at(&mut self, place: usize, label: &'static str, name: &str, of: impl FnOnce(&str) -> T) -> (Arc<str>, T) {
        match self.0.get(place) {
            Some((as_what, known, value)) if **known == *name && *as_what == label => (Arc::clone(known), *value),
            _ => self.learn(place, label, name, of(name)),
        }
    }

    #[cold]
    fn learn(&mut self, place: usize, label: &'static str, name: &str, value: T) -> (Arc<str>, T) {
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || ("", Arc::from(""), T::default()));
        }
        let text = Arc::from(name);
        self.0[place] = (label, Arc::clone(&text), value);
        (text, value)
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

/// A wait on an object that has not ended. It stands on the waiting task's own stack for as long as the task is
/// [`State::Blocked`].
pub(super) struct WaitInfo {
    /// What for.
    pub object: Address<dyn Waitable>,
    pub kind: OpKind,
    pub site: Site,
    /// The waiting task.
    pub task: Address<Task>,
    /// Step at which it began.
    pub since: u64,
}

/// A task, as the explorer knows it.
pub struct Entry {
    pub(super) op: Op,
    pub(super) state: State,
    pub(super) token: bool,
    /// What it waits for may never come, and it is not stuck then.
    pub(super) idle: bool,
    pub(super) timer: Option<(u64, u64)>,
    /// While it is blocked; `None` for plain sleep.
    pub(super) wait: Option<Address<WaitInfo>>,
}

/// What changes with every step.
#[derive(Default)]
pub(super) struct Hot {
    pub(super) entries: Vec<Entry>,
    pub(super) ready: TaskSet,
    pub(super) woken: Vec<TaskId>,
    pub(super) spawned: Vec<(TaskId, Body)>,
    pub(super) choices: Vec<Choice>,
    /// (due, order of setting, task)
    pub(super) timers: BTreeSet<(u64, u64, TaskId)>,
    timers_set: u64,
    /// Steps taken so far.
    pub(super) step: u64,
    /// Who took the last one.
    pub(super) last: Option<TaskId>,
    /// The last step at which anybody did more than wait in a loop.
    pub(super) last_work: u64,
    /// The step at which the driver looks around next.
    pub(super) next_look: u64,
    /// Before this step there is nothing to be done between two steps. 0 as soon as something comes up.
    calm_until: u64,
}

/// The state of one run.
pub struct Core {
    pub(super) hot: RefCell<Hot>,
    pub(super) clock: Cell<u64>,
    /// Who runs at this moment.
    pub(super) running: Cell<TaskId>,
    pub(super) chosen: Cell<u32>,
    next_object: Cell<u32>,
    tasks: RefCell<Known<()>>,
    objects: RefCell<Known<LockClass>>,
    /// Name of each object, when a readable trace is wanted.
    pub(super) object_names: RefCell<Vec<String>>,
    pub(super) manner: Manner,
    pub(super) tracker: RefCell<Tracker>,
    pub(super) locks: RefCell<LockOrder>,
}

impl Core {
    pub(super) fn new(manner: Manner) -> Self {
        Self {
            hot: RefCell::default(),
            clock: Cell::new(0),
            running: Cell::new(TaskId(0)),
            chosen: Cell::new(0),
            next_object: Cell::new(1),
            tasks: RefCell::new(Known(Vec::new())),
            objects: RefCell::new(Known(Vec::new())),
            object_names: RefCell::default(),
            manner,
            tracker: RefCell::new(Tracker::new(manner.statistics)),
            locks: RefCell::default(),
        }
    }

    /// Back to the state before any run, keeping capacities.
    pub(super) fn reset(&self) {
        let hot = &mut *self.hot.borrow_mut();
        hot.entries.clear();
        hot.ready.clear();
        hot.woken.clear();
        hot.spawned.clear();
        hot.choices.clear();
        hot.timers.clear();
        hot.timers_set = 0;
        (hot.step, hot.last, hot.last_work) = (0, None, 0);
        (hot.next_look, hot.calm_until) = (0, 0);
        self.clock.set(0);
        self.running.set(TaskId(0));
        self.next_object.set(1);
        if self.manner.words {
            self.object_names.borrow_mut().clear();
        }
        if self.manner.track {
            self.tracker.borrow_mut().reset();
        }
    }

    fn number(&self) -> ObjectId {
        let id = self.next_object.get();
        self.next_object.set(id + 1);
        ObjectId(id)
    }

    fn note_object(&self, label: &'static str, name: &str) {
        if self.manner.words {
            self.object_names.borrow_mut().push(name.to_owned());
        }
        if self.manner.track {
            self.tracker.borrow_mut().made(self.running.get(), label, name);
        }
    }

    pub(super) fn spawn(&self, parent: Option<TaskId>, name: &str, body: Body) -> TaskId {
        let hot = &mut *self.hot.borrow_mut();
        let id = TaskId(u32::try_from(hot.entries.len()).expect("fewer than 2^32 tasks"));
        let at = Location::caller();
        let op = Op { kind: OpKind::Start, object: ObjectId::NONE, arg: 0, at };
        self.tasks.borrow_mut().at(id.index(), "", name, |_| ());
        hot.entries.push(Entry { op, state: State::Running, token: false, idle: false, timer: None, wait: None });
        hot.spawned.push((id, body));
        hot.calm_until = 0;
        if self.manner.track {
            self.tracker.borrow_mut().spawned(parent);
        }
        id
    }

    /// The name of a task of this run; empty when there is no such task.
    pub(super) fn task_name(&self, hot: &Hot, task: TaskId) -> Arc<str> {
        if task.index() < hot.entries.len() { self.name_of_new(task) } else { "".into() }
    }

    /// The name of a task that was spawned in this run.
    pub(super) fn name_of_new(&self, task: TaskId) -> Arc<str> {
        Arc::clone(&self.tasks.borrow().0[task.index()].1)
    }

    /// Fires every timer that is due; when nothing else can happen, the clock first moves to the next one.
    pub(super) fn fire_timers(&self, hot: &mut Hot, may_advance: bool) {
        let Some(&(first, _, _)) = hot.timers.first() else { return };
        if first > self.clock.get() {
            if !may_advance {
                return;
            }
            self.clock.set(first);
        }
        while let Some(&(due, _, task)) = hot.timers.first()
            && due <= self.clock.get()
        {
            if self.manner.track && may_advance {
                self.tracker.borrow_mut().came_to_rest(task);
            }
            hot.fire(task);
        }
    }

    /// To be called when the driver has done all that there was to be done before the next step: from now on tasks
    /// need not come back for it until something comes up. A run that is watched comes back at every step, and so does
    /// one whose clock may reach a timer by itself.
    #[inline]
    pub(super) fn calm_down(&self, hot: &mut Hot) {
        let settled = hot.spawned.is_empty() && hot.woken.is_empty();
        let watched = self.manner.words || self.manner.track;
        let ticking = self.manner.cost.is_some() && !hot.timers.is_empty();
        hot.calm_until = if settled && !watched && !ticking { hot.next_look } else { 0 };
    }

    /// One step: lets `strategy` pick, and records what it picked.
    #[inline(always)]
    pub(super) fn pick(&self, hot: &mut Hot, strategy: &mut dyn Strategy) -> (TaskId, OpKind) {
        let view = View { hot, core: self, last: hot.last, step: hot.step };
        let task = strategy.pick(&view);
        assert!(hot.ready.remove(task), "a strategy picked a task that is not ready");
        hot.choices.push(Choice::Run(task));
        let kind = hot.entries[task.index()].op.kind;
        match kind {
            OpKind::Yield | OpKind::Sleep | OpKind::Timer => {}
            OpKind::Choose => {
                hot.last_work = hot.step;
                self.take_way(hot, task, strategy);
            }
            _ => hot.last_work = hot.step,
        }
        hot.step += 1;
        hot.last = Some(task);
        (task, kind)
    }

    #[inline(never)]
    fn take_way(&self, hot: &mut Hot, task: TaskId, strategy: &mut dyn Strategy) {
        let options = hot.entries[task.index()].op.arg;
        let way = strategy.choose(task, options as u32);
        assert!(u64::from(way) < options, "a strategy took a way that there is not");
        self.chosen.set(way);
        hot.choices.push(Choice::Take(way));
    }
}

impl Hot {
    /// The run is over: whoever still announces something is not asked to go on.
    pub(super) const fn end(&mut self) {
        self.calm_until = 0;
    }

    /// Ends the wait of `task` because its time is up.
    #[inline(never)]
    pub(super) fn fire(&mut self, task: TaskId) {
        let entry = &mut self.entries[task.index()];
        assert!(entry.state == State::Blocked, "a timer outlived its wait");
        let (due, order) = entry.timer.take().expect("a timer that fires was set");
        self.timers.remove(&(due, order, task));
        entry.state = State::TimedOut;
        self.woken.push(task);
        self.calm_until = 0;
    }

    #[inline(never)]
    fn forget_timer(&mut self, due: u64, order: u64, task: TaskId) {
        self.timers.remove(&(due, order, task));
        self.ready.remove(task);
    }

    #[inline]
    fn wake(&mut self, task: TaskId) {
        let entry = &mut self.entries[task.index()];
        if entry.state == State::Blocked {
            entry.state = State::Granted;
            if let Some((due, order)) = entry.timer.take() {
                self.forget_timer(due, order, task);
            }
            self.woken.push(task);
            self.calm_until = 0;
        } else {
            entry.token = true;
        }
    }
}

impl Core {
    /// Suspends nothing: makes `op` what `task` will do when it is picked. If nothing is to be done before the next step,
    /// takes it with the `strategy` and gives whom it picked.
    #[inline(always)]
    pub(super) fn announce(&self, task: TaskId, op: Op, strategy: Option<&mut dyn Strategy>) -> Option<TaskId> {
        let hot = &mut *self.hot.borrow_mut();
        let entry = &mut hot.entries[task.index()];
        entry.op = op;
        entry.state = State::Ready;
        hot.ready.insert(task);
        if hot.step >= hot.calm_until {
            return None;
        }
        let (next, kind) = self.pick(hot, strategy?);
        if kind == OpKind::Timer {
            hot.fire(next);
            return None;
        }
        Some(next)
    }

    #[inline]
    pub(super) fn wake_all(&self, wakes: &Wakes) {
        let hot = &mut *self.hot.borrow_mut();
        for &task in wakes {
            hot.wake(task);
        }
    }

    /// Uses up a grant that came before its wait.
    pub(super) fn take_token(&self, task: TaskId) -> bool {
        std::mem::take(&mut self.hot.borrow_mut().entries[task.index()].token)
    }

    /// Puts `task` to sleep on an object until woken or until `timeout` is over; the caller then switches away, and `info`
    /// stays where it is until then.
    pub(super) fn begin_wait(
        &self,
        task: TaskId,
        object: ObjectId,
        info: &WaitInfo,
        idle: bool,
        timeout: Option<Nanos>,
    ) {
        let hot = &mut *self.hot.borrow_mut();
        let entry = &mut hot.entries[task.index()];
        (entry.state, entry.idle, entry.wait) = (State::Blocked, idle, Some(Address::of(info)));
        if let Some(timeout) = timeout {
            self.set_timer(hot, task, timeout, object, info.site.at);
        }
    }

    /// Puts `task` to sleep for so long; the caller then switches away.
    pub(super) fn begin_sleep(&self, task: TaskId, duration: Nanos, at: &'static Location<'static>) {
        let hot = &mut *self.hot.borrow_mut();
        let entry = &mut hot.entries[task.index()];
        (entry.state, entry.idle, entry.wait) = (State::Blocked, false, None);
        self.set_timer(hot, task, duration, ObjectId::NONE, at);
    }

    fn set_timer(&self, hot: &mut Hot, task: TaskId, after: Nanos, object: ObjectId, at: &'static Location<'static>) {
        let (due, order) = (self.clock.get().saturating_add(after.0), hot.timers_set);
        hot.timers_set += 1;
        hot.timers.insert((due, order, task));
        hot.calm_until = 0;
        let entry = &mut hot.entries[task.index()];
        entry.timer = Some((due, order));
        if self.manner.timers_any {
            entry.op = Op { kind: OpKind::Timer, object, arg: after.0, at };
            hot.ready.insert(task);
        }
    }

    /// Ends a wait; `true` when it was granted something.
    pub(super) fn end_wait(&self, task: TaskId) -> bool {
        let entry = &mut self.hot.borrow_mut().entries[task.index()];
        let granted = entry.state == State::Granted;
        (entry.state, entry.wait) = (State::Running, None);
        granted
    }

    /// Steps taken so far.
    pub(super) fn step(&self) -> u64 {
        self.hot.borrow().step
    }

    pub(super) fn now(&self) -> Nanos {
        Nanos(self.clock.get())
    }

    #[inline]
    pub(super) fn charge(&self, cost: Nanos) {
        if self.manner.cost.is_some() {
            self.clock.set(self.clock.get() + cost.0);
        }
    }
}
