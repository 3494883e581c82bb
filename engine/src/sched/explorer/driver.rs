//! [`Explorer`]: runs a model once per call, each time under a schedule that a strategy decides.
//!
//! Invariants: between two steps no task is in the middle of an operation; after a run every coroutine has ended or been
//! unwound and nothing holds on to the run's objects; a run ends by itself or at its step bound.
//! Not here: how many runs, and what they prove.

#![allow(unsafe_code)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::digest::Statistics;
use super::super::op::{OpKind, TaskId};
use super::super::outcome::{Outcome, RunResult};
use super::super::runtime::{Driver, Runtime};
use super::super::task::{self, Task};
use super::super::threads::failure_of;
use super::super::waits::{Stuck, StuckReport};
use super::core::{Body, Core, CoreRef, Hot, Manner, State, WaitInfo};
use super::coroutine::{Left, Lent, StackPool, Thread};
use super::cost::CostTable;
use super::seat::Seat;
use super::strategy::Strategy;
use super::trace::{Choice, TraceStep};
use super::tracker::Tracker;

/// Steps between two looks at the interrupt flag.
const STEPS_PER_INTERRUPT_CHECK: u64 = 1024;
/// The first step at which tasks that are stuck for ever beside running ones are looked for; then at each doubling.
const FIRST_LOOK: u64 = 64;

/// Bounds of a run.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Operations after which a run is given up.
    pub steps_max: u64,
    /// Set from outside to end the run early.
    pub interrupt: Arc<AtomicBool>,
}

/// Runs models under schedules. One per OS thread; stacks and capacities are kept from run to run.
pub struct Explorer {
    core: CoreRef,
    threads: Vec<Option<Thread>>,
    stacks: StackPool,
    limits: Limits,
    trace: Vec<TraceStep>,
    runs: u64,
}

impl Explorer {
    /// An explorer for search: time moves only with timers.
    pub fn new(limits: Limits) -> Self {
        Self::build(limits, Manner::default())
    }

    /// An explorer that also keeps each run's steps in words.
    pub fn tracing(limits: Limits) -> Self {
        Self::build(limits, Manner { words: true, ..Manner::default() })
    }

    /// The same explorer, where with `any` a timer may fire as soon as it is set: when it does is the strategy's choice.
    pub fn timers_any(self, any: bool) -> Self {
        let manner = Manner { timers_any: any, ..self.core.get().manner };
        Self::build(self.limits, manner)
    }

    /// An explorer whose clock moves with the work done.
    pub fn with_cost(limits: Limits, cost: CostTable) -> Self {
        Self::build(limits, Manner { cost: Some(cost), ..Manner::default() })
    }

    /// An explorer that knows states and races, for exhaustive search. With `statistics`, counts that decide nothing in a
    /// run (a pool's peak) are part of its state.
    pub(super) fn tracking(limits: Limits, timers_any: bool, statistics: Statistics) -> Self {
        Self::build(limits, Manner { track: true, timers_any, statistics, ..Manner::default() })
    }

    fn build(limits: Limits, manner: Manner) -> Self {
        let core = CoreRef::new(Core::new(manner));
        Self { core, threads: Vec::new(), stacks: StackPool::default(), limits, trace: Vec::new(), runs: 0 }
    }

    /// Runs `model` as the root task until nothing can happen any more.
    pub fn run(&mut self, strategy: &mut dyn Strategy, model: impl FnOnce(&Task) + Send + 'static) -> RunResult {
        self.runs += 1;
        self.run_nth(self.runs - 1, strategy, model)
    }

    /// As [`Self::run`], as run number `run` of a campaign.
    pub fn run_nth(
        &mut self,
        run: u64,
        strategy: &mut dyn Strategy,
        model: impl FnOnce(&Task) + Send + 'static,
    ) -> RunResult {
        self.core.get().reset();
        self.trace.clear();
        strategy.begin(run);
        self.core.get().spawn(None, "main", Box::new(model));
        let core = self.core.clone();
        let core = core.get();
        let outcome = self.drive(core, strategy);
        core.hot.borrow_mut().end();
        let steps = core.step();
        strategy.end(steps);
        let now = core.now();
        if outcome == Outcome::Finished {
            self.send_idle_home(core);
        }
        self.clean_up(core);
        RunResult { outcome, steps, now }
    }

    /// The choices of the last run.
    pub fn choices(&self) -> Vec<Choice> {
        self.core.get().hot.borrow().choices.clone()
    }

    /// The steps of the last run in words; empty unless made by [`Self::tracing`].
    pub fn trace(&self) -> &[TraceStep] {
        &self.trace
    }

    /// Locks that were taken in circular order in any of the runs so far, as lockdep would report them.
    pub fn lock_order_findings(&self) -> Vec<String> {
        self.core.get().locks.borrow().findings()
    }

    /// What is known of the last run.
    pub(super) fn with_tracker<R>(&self, look: impl FnOnce(&mut Tracker) -> R) -> R {
        look(&mut self.core.get().tracker.borrow_mut())
    }

    fn drive(&mut self, core: &Core, strategy: &mut dyn Strategy) -> Outcome {
        loop {
            let gone_on =
                self.upcoming(core, strategy).and_then(|task| self.go_on(core, task, Some(&mut Lent { strategy })));
            if let Err(end) = gone_on {
                return end;
            }
        }
    }

    /// Who goes on: new tasks and woken ones, to their next announcement; then whoever the strategy picks.
    fn upcoming(&mut self, core: &Core, strategy: &mut dyn Strategy) -> Result<TaskId, Outcome> {
        loop {
            let mut hot = core.hot.borrow_mut();
            let hot = &mut *hot;
            if let Some((task, body)) = hot.spawned.pop() {
                core.calm_down(hot);
                self.start(core, task, body);
                return Ok(task);
            }
            if let Some(task) = hot.woken.pop() {
                core.calm_down(hot);
                return Ok(task);
            }
            let (idle, timed) = (hot.ready.is_empty(), !hot.timers.is_empty());
            if idle && !timed {
                return Err(stuck_outcome(core, hot));
            }
            if timed && !core.manner.timers_any {
                core.fire_timers(hot, idle);
                if !hot.woken.is_empty() {
                    continue;
                }
            }
            if hot.step == hot.next_look {
                self.look_around(core, hot)?;
            }
            let (task, kind) = core.pick(hot, strategy);
            if core.manner.words {
                self.trace.push(in_words(core, hot, task));
            }
            if core.manner.track {
                core.tracker.borrow_mut().begin_step();
            }
            if kind == OpKind::Timer {
                if core.manner.track {
                    core.tracker.borrow_mut().timer_fired(task, hot.entries[task.index()].op.object);
                }
                hot.fire(task);
            } else {
                core.calm_down(hot);
                return Ok(task);
            }
        }
    }

    /// What has to be looked at now and then: the end of patience, an interrupt, tasks that are stuck while others run.
    #[cold]
    fn look_around(&self, core: &Core, hot: &mut Hot) -> Result<(), Outcome> {
        let step = hot.step;
        if self.limits.interrupt.load(Ordering::Relaxed) {
            return Err(Outcome::Interrupted);
        }
        let at_limit = step >= self.limits.steps_max;
        if step > 0
            && let Some(report) = partial_deadlock(core, hot, at_limit)
        {
            return Err(Outcome::Deadlock(Box::new(report)));
        }
        if at_limit {
            let idles = step - hot.last_work > step / 2;
            return Err(if idles { Outcome::Livelock { steps: step } } else { Outcome::StepLimit { steps: step } });
        }
        hot.next_look = (step * 2).max(FIRST_LOOK).min(self.limits.steps_max).min(step + STEPS_PER_INTERRUPT_CHECK);
        Ok(())
    }

    fn start(&mut self, core: &Core, task: TaskId, body: Body) {
        let runtime = Runtime(Driver::Explorer(self.core.clone()));
        let (name, manner) = (core.name_of_new(task), core.manner);
        let thread = self.stacks.start(move |switch| {
            let seat = Seat::new(runtime, task, switch, manner);
            body(&Task::new(task, name, task::Seat::Coroutine(seat)));
        });
        if self.threads.len() <= task.index() {
            self.threads.resize_with(task.index() + 1, || None);
        }
        self.threads[task.index()] = Some(thread);
    }

    /// Lets `task` go on to where it suspends, and then whoever is picked on the spot, one after the other.
    fn go_on(&mut self, core: &Core, mut task: TaskId, mut lent: Option<&mut Lent<'_>>) -> Result<(), Outcome> {
        let gone_on = catch_unwind(AssertUnwindSafe(|| {
            loop {
                core.running.set(task);
                let thread = self.threads[task.index()].as_mut().expect("a resumed task was started");
                match thread.resume(lent.as_deref_mut()) {
                    Left::Suspended(Some(next)) => task = next,
                    Left::Suspended(None) => return,
                    Left::Ended => return self.ended(core, task),
                }
            }
        }));
        gone_on.map_err(|payload| failed(core, payload))
    }

    fn ended(&mut self, core: &Core, task: TaskId) {
        core.hot.borrow_mut().entries[task.index()].state = State::Done;
        let thread = self.threads[task.index()].take().expect("what has ended was started");
        self.stacks.dispose(thread);
    }

    /// Ends the waits of idle tasks, so that they return by themselves: unwinding a worker takes longer than a short run.
    fn send_idle_home(&mut self, core: &Core) {
        for index in 0..self.threads.len() {
            let idle = self.threads[index].is_some() && {
                let entry = &mut core.hot.borrow_mut().entries[index];
                let idle = entry.state == State::Blocked && entry.idle;
                if idle {
                    entry.state = State::TimedOut;
                }
                idle
            };
            let task = TaskId(index as u32);
            // One that wants more than to return is unwound after all.
            if idle && self.go_on(core, task, None).is_err() {
                return;
            }
        }
    }

    /// Unwinds what is left of the run: tasks that are stuck own memory that only their own frames know of.
    fn clean_up(&mut self, core: &Core) {
        // What a wait says of itself stands on the stacks that are unwound now.
        core.hot.borrow_mut().entries.iter_mut().for_each(|entry| entry.wait = None);
        for thread in self.threads.drain(..).flatten() {
            self.stacks.dispose(thread);
        }
        let hot = &mut *core.hot.borrow_mut();
        hot.entries.clear();
        hot.spawned.clear();
        hot.woken.clear();
    }
}

/// The running task ended by a panic.
#[cold]
fn failed(core: &Core, payload: Box<dyn Any + Send>) -> Outcome {
    core.hot.borrow_mut().entries[core.running.get().index()].state = State::Done;
    failure_of(payload).unwrap_or_else(|| Outcome::Panic("a task was aborted".to_owned()))
}

/// The step that was picked last.
#[cold]
fn in_words(core: &Core, hot: &Hot, task: TaskId) -> TraceStep {
    let op = hot.entries[task.index()].op;
    let object = match op.object.0 {
        0 => String::new(),
        id => core.object_names.borrow()[id as usize - 1].clone(),
    };
    let taken = (op.kind == OpKind::Choose).then(|| core.chosen.get());
    TraceStep { task, name: core.task_name(hot, task).to_string(), op: op.kind, object, arg: op.arg, taken }
}

/// The report on the tasks that wait since before `since`.
fn report(core: &Core, hot: &Hot, since: u64) -> Option<StuckReport> {
    struct Waiting<'a>(TaskId, Arc<str>, &'a WaitInfo);
    let waiting = hot.entries.iter().enumerate().filter_map(|(index, entry)| {
        if entry.state != State::Blocked || entry.idle || entry.timer.is_some() {
            return None;
        }
        // SAFETY: the task is blocked, that is, suspended inside its own `block`, where the information stands; and
        // nothing runs while this reference is used.
        let wait = unsafe { entry.wait.as_ref()?.look() };
        let task = TaskId(index as u32);
        (wait.since <= since).then(|| Waiting(task, core.task_name(hot, task), wait))
    });
    let waiting: Vec<Waiting<'_>> = waiting.collect();
    let stuck = waiting.iter().map(|Waiting(task, name, wait)| {
        // SAFETY: as above: both stand further up on the same suspended stack, from where they were lent to `block`.
        let (object, current) = unsafe { (wait.object.look(), wait.task.look()) };
        Stuck { task: *task, name, kind: wait.kind, object, site: wait.site, keeps: current.keeps() }
    });
    let stuck: Vec<Stuck<'_>> = stuck.collect();
    (!stuck.is_empty()).then(|| StuckReport::new(&stuck, &|task| core.task_name(hot, task).to_string()))
}

#[cold]
fn stuck_outcome(core: &Core, hot: &Hot) -> Outcome {
    match report(core, hot, u64::MAX) {
        None => Outcome::Finished,
        Some(report) if report.cycle.is_empty() => Outcome::Hang(Box::new(report)),
        Some(report) => Outcome::Deadlock(Box::new(report)),
    }
}

/// Tasks that wait for each other while others go on. What an object says of its holders is certain for locks; for
/// units of a pool or a semaphore it is a guess, which counts only when nobody has moved for half a run that has no end.
fn partial_deadlock(core: &Core, hot: &Hot, at_limit: bool) -> Option<StuckReport> {
    let since = if at_limit { hot.step / 2 } else { hot.step };
    let report = report(core, hot, since)?;
    let certain = at_limit || report.cycle.iter().all(|link| link.holders_are_certain);
    (!report.cycle.is_empty() && certain).then_some(report)
}
