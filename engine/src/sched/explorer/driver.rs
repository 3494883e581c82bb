//! [`Explorer`]: runs a model once per call, each time under a schedule that a strategy decides.
//!
//! Invariants: between two steps no task is in the middle of an operation; after a run every coroutine has been
//! unwound and nothing holds on to the run's objects; a run ends by itself or at its step bound.
//! Not here: how many runs, and what they prove.

#![allow(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dmlab_units::Nanos;

use super::super::op::{OpKind, TaskId};
use super::super::outcome::{Outcome, RunResult};
use super::super::runtime::{Driver, Runtime};
use super::super::task::{self, Task};
use super::super::threads::failure_of;
use super::super::waits::{Stuck, StuckReport, Waitable};
use super::core::{Body, Core, CoreRef, Seat, State};
use super::coroutine::{StackPool, Thread};
use super::cost::CostTable;
use super::strategy::{Strategy, View};
use super::trace::{Choice, TraceStep};

/// Steps between two looks at the interrupt flag.
const STEPS_PER_INTERRUPT_CHECK: u64 = 1024;

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
        Self::build(limits, None, false)
    }

    /// An explorer that also keeps each run's steps in words.
    pub fn tracing(limits: Limits) -> Self {
        Self::build(limits, None, true)
    }

    /// An explorer whose clock moves with the work done.
    pub fn with_cost(limits: Limits, cost: CostTable) -> Self {
        Self::build(limits, Some(cost), false)
    }

    fn build(limits: Limits, cost: Option<CostTable>, named: bool) -> Self {
        let core = CoreRef::new(Core::new(cost, named));
        Self { core, threads: Vec::new(), stacks: StackPool::default(), limits, trace: Vec::new(), runs: 0 }
    }

    /// Runs `model` as the root task until nothing can happen any more.
    pub fn run(&mut self, strategy: &mut dyn Strategy, model: impl FnOnce(&Task) + Send + 'static) -> RunResult {
        self.core.get().reset();
        self.trace.clear();
        strategy.begin(self.runs);
        self.runs += 1;
        self.core.get().spawn("main", Box::new(model));
        let (outcome, steps) = self.drive(strategy);
        strategy.end(steps);
        let now = Nanos(self.core.get().clock.get());
        if outcome == Outcome::Finished {
            self.send_idle_home();
        }
        self.clean_up();
        RunResult { outcome, steps, now }
    }

    /// The choices of the last run.
    pub fn choices(&self) -> Vec<Choice> {
        self.core.get().choices.borrow().clone()
    }

    /// The steps of the last run in words; empty unless made by [`Self::tracing`].
    pub fn trace(&self) -> &[TraceStep] {
        &self.trace
    }

    fn drive(&mut self, strategy: &mut dyn Strategy) -> (Outcome, u64) {
        let core = self.core.clone();
        let core = core.get();
        let mut last = None;
        let mut step = 0;
        // The last step at which anybody did more than wait in a loop.
        let mut last_work = 0;
        loop {
            if let Err(failure) = self.settle(core) {
                return (failure, step);
            }
            let idle = core.ready.borrow().is_empty();
            core.fire_timers(idle);
            if !core.woken.borrow().is_empty() {
                continue;
            }
            if idle {
                return (stuck_outcome(core), step);
            }
            if step >= self.limits.steps_max {
                let idles = step - last_work > step / 2;
                let (livelock, limit) = (Outcome::Livelock { steps: step }, Outcome::StepLimit { steps: step });
                return (if idles { livelock } else { limit }, step);
            }
            if step.is_multiple_of(STEPS_PER_INTERRUPT_CHECK) && self.limits.interrupt.load(Ordering::Relaxed) {
                return (Outcome::Interrupted, step);
            }
            let task = Self::pick(core, strategy, last, step);
            self.note(core, task);
            if !matches!(core.entries.borrow()[task.index()].op.kind, OpKind::Yield | OpKind::Sleep) {
                last_work = step;
            }
            step += 1;
            last = Some(task);
            if let Err(failure) = self.resume(core, task) {
                return (failure, step);
            }
        }
    }

    fn pick(core: &Core, strategy: &mut dyn Strategy, last: Option<TaskId>, step: u64) -> TaskId {
        let mut ready = core.ready.borrow_mut();
        let entries = core.entries.borrow();
        let task = strategy.pick(&View { ready: &ready, entries: &entries, last, step });
        assert!(ready.contains(task), "a strategy picked a task that is not ready");
        ready.remove(task);
        core.choices.borrow_mut().push(Choice::Run(task));
        let op = entries[task.index()].op;
        if op.kind == OpKind::Choose {
            let way = strategy.choose(task, op.arg as u32);
            assert!(u64::from(way) < op.arg, "a strategy took a way that there is not");
            core.chosen.set(way);
            core.choices.borrow_mut().push(Choice::Take(way));
        }
        task
    }

    /// Keeps the step in words, when they are wanted.
    fn note(&mut self, core: &Core, task: TaskId) {
        if let Some(names) = core.object_names.borrow().as_ref() {
            let entry = &core.entries.borrow()[task.index()];
            let object = match entry.op.object.0 {
                0 => String::new(),
                id => names[id as usize - 1].1.clone(),
            };
            let taken = (entry.op.kind == OpKind::Choose).then(|| core.chosen.get());
            let (name, op, arg) = (entry.name.to_string(), entry.op.kind, entry.op.arg);
            self.trace.push(TraceStep { task, name, op, object, arg, taken });
        }
    }

    /// Lets new and woken tasks go on to their next announcement.
    fn settle(&mut self, core: &Core) -> Result<(), Outcome> {
        loop {
            let next = core.spawned.borrow_mut().pop();
            if let Some((task, body)) = next {
                self.start(task, body);
                self.resume(core, task)?;
                continue;
            }
            let next = core.woken.borrow_mut().pop();
            match next {
                Some(task) => self.resume(core, task)?,
                None => return Ok(()),
            }
        }
    }

    fn start(&mut self, task: TaskId, body: Body) {
        let core = self.core.clone();
        let thread = self.stacks.start(move |switch| {
            let name = Arc::clone(&core.get().entries.borrow()[task.index()].name);
            let runtime = Runtime(Driver::Explorer(core.clone()));
            let seat = task::Seat::Coroutine(Seat::new(core, task, switch));
            body(&Task::new(task, name, runtime, seat));
        });
        if self.threads.len() <= task.index() {
            self.threads.resize_with(task.index() + 1, || None);
        }
        self.threads[task.index()] = Some(thread);
    }

    fn resume(&mut self, core: &Core, task: TaskId) -> Result<(), Outcome> {
        let thread = self.threads[task.index()].as_mut().expect("a resumed task was started");
        match catch_unwind(AssertUnwindSafe(|| thread.resume())) {
            Ok(false) => Ok(()),
            Ok(true) => {
                core.entries.borrow_mut()[task.index()].state = State::Done;
                let thread = self.threads[task.index()].take().expect("as above");
                self.stacks.dispose(thread);
                Ok(())
            }
            Err(payload) => {
                core.entries.borrow_mut()[task.index()].state = State::Done;
                Err(failure_of(payload).unwrap_or_else(|| Outcome::Panic("a task was aborted".to_owned())))
            }
        }
    }

    /// Ends the waits of idle tasks, so that they return by themselves: unwinding a worker takes longer than a short run.
    fn send_idle_home(&mut self) {
        let core = self.core.clone();
        let core = core.get();
        for index in 0..self.threads.len() {
            let idle = {
                let entry = &mut core.entries.borrow_mut()[index];
                let idle = entry.state == State::Blocked && entry.wait.as_ref().is_some_and(|wait| wait.wait.idle);
                if idle {
                    entry.state = State::TimedOut;
                }
                idle
            };
            // One that wants more than to return is unwound after all.
            if idle && self.resume(core, TaskId(index as u32)).is_err() {
                return;
            }
        }
    }

    /// Unwinds what is left of the run.
    fn clean_up(&mut self) {
        for thread in self.threads.drain(..).flatten() {
            self.stacks.dispose(thread);
        }
        let core = self.core.get();
        // The waits hold objects of the run, whose destructors may want nothing of the core.
        let entries = std::mem::take(&mut *core.entries.borrow_mut());
        drop(entries);
        core.spawned.borrow_mut().clear();
        core.woken.borrow_mut().clear();
    }
}

fn stuck_outcome(core: &Core) -> Outcome {
    let entries = core.entries.borrow();
    let stuck: Vec<Stuck<'_>> = entries
        .iter()
        .enumerate()
        .filter_map(|(index, entry)| {
            let wait = entry.wait.as_ref().filter(|wait| entry.state == State::Blocked && !wait.wait.idle)?;
            let object: &dyn Waitable = &**wait.object.as_ref()?;
            // SAFETY: the task is suspended inside its own `block`, so the `Task` it passed down still stands on its
            // stack, and nothing runs while this reference is used.
            let keeps = unsafe { wait.task.as_ref()?.look() }.keeps();
            let task = TaskId(index as u32);
            Some(Stuck { task, name: &entry.name, kind: wait.kind, object, site: wait.site, keeps })
        })
        .collect();
    if stuck.is_empty() {
        return Outcome::Finished;
    }
    let name_of = |task: TaskId| entries.get(task.index()).map_or_else(String::new, |entry| entry.name.to_string());
    let report = Box::new(StuckReport::new(&stuck, &name_of));
    if report.cycle.is_empty() { Outcome::Hang(report) } else { Outcome::Deadlock(report) }
}
