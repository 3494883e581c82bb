//! Running a model under either engine, through all schedules or through some.
//!
//! Invariants: a search of all schedules that does not end is a panic; every random schedule follows from a fixed seed;
//! a panic that is no deadlock is passed on.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::{Arc, Once};

use dmlab_engine::sched::explorer::{Explorer, Limits, Random, Strategy, View};
use dmlab_engine::sched::{Outcome, TaskId};
use dmlab_units::Seed;
use shuttle::scheduler::{self, DfsScheduler, RandomScheduler, RoundRobinScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use super::engines::{Dmlab, Order, Shuttle};
use super::ledger::{End, Ledger};
use super::models::Model;

/// More than any run here takes.
const STEPS_MAX: usize = 10_000;
/// Schedules after which a search of all is given up: the model was meant to be small enough.
const SCHEDULES_MAX: usize = 200_000;
/// Random schedules of models that are too large for all.
pub(crate) const SCHEDULES_RANDOM: usize = 1_500;

/// Takes every way through the tree of choices, one per run.
#[derive(Default)]
struct EveryWay {
    /// Per step: the way taken and how many there are.
    ways: Vec<(usize, usize)>,
    step: usize,
}

impl EveryWay {
    fn take(&mut self, options: usize) -> usize {
        if self.step == self.ways.len() {
            self.ways.push((0, options));
        }
        let (way, before) = self.ways[self.step];
        assert_eq!(before, options, "the same choices lead to the same place");
        self.step += 1;
        way
    }

    /// Whether there is a next way.
    fn advance(&mut self) -> bool {
        while let Some((way, options)) = self.ways.pop() {
            if way + 1 < options {
                self.ways.push((way + 1, options));
                return true;
            }
        }
        false
    }
}

impl Strategy for EveryWay {
    fn begin(&mut self, _run: u64) {
        self.step = 0;
    }

    fn pick(&mut self, view: &View<'_>) -> TaskId {
        view.ready().nth(self.take(view.ready().len()))
    }

    fn choose(&mut self, _task: TaskId, options: u32) -> u32 {
        self.take(options as usize) as u32
    }
}

fn on_dmlab(explorer: &mut Explorer, strategy: &mut dyn Strategy, model: Model, ledger: &Ledger) {
    ledger.open(model.tasks());
    let theirs = ledger.clone();
    match explorer.run(strategy, move |current| model.play::<Dmlab>(current, &theirs)).outcome {
        Outcome::Finished => ledger.close_finished(),
        Outcome::Deadlock(_) | Outcome::Hang(_) => ledger.close_stuck(),
        other => panic!("{model:?}: {other:?}"),
    }
}

fn explorer() -> Explorer {
    Explorer::new(Limits { steps_max: STEPS_MAX as u64, interrupt: Arc::default() })
}

/// The ends of all schedules under dmlab.
pub(crate) fn all_on_dmlab(model: Model) -> BTreeSet<End> {
    let (mut explorer, mut every, ledger) = (explorer(), EveryWay::default(), Ledger::default());
    loop {
        on_dmlab(&mut explorer, &mut every, model, &ledger);
        assert!(ledger.runs() <= SCHEDULES_MAX, "{model:?} is too large for dmlab");
        if !every.advance() {
            return ledger.into_ends();
        }
    }
}

/// The ends of some schedules under dmlab.
pub(crate) fn some_on_dmlab(model: Model) -> BTreeSet<End> {
    let (mut explorer, mut random, ledger) = (explorer(), Random::new(Seed(1)), Ledger::default());
    (0..SCHEDULES_RANDOM).for_each(|_| on_dmlab(&mut explorer, &mut random, model, &ledger));
    ledger.into_ends()
}

/// A scheduler that goes on where it was when a deadlock, which shuttle reports as a panic, ended a row of runs.
struct Resumed<S>(Rc<RefCell<S>>);

impl<S: Scheduler> Scheduler for Resumed<S> {
    fn new_execution(&mut self) -> Option<scheduler::Schedule> {
        self.0.borrow_mut().new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&scheduler::Task],
        current: Option<scheduler::TaskId>,
        is_yielding: bool,
    ) -> Option<scheduler::TaskId> {
        self.0.borrow_mut().next_task(runnable, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.0.borrow_mut().next_u64()
    }
}

fn on_shuttle<O: Order>(scheduler: impl Scheduler + 'static, model: Model) -> Ledger {
    hush_deadlocks();
    let (scheduler, ledger) = (Rc::new(RefCell::new(scheduler)), Ledger::default());
    loop {
        let runner = runner(Resumed(Rc::clone(&scheduler)));
        let theirs = ledger.clone();
        let body = move || {
            theirs.open(model.tasks());
            model.play::<Shuttle<O>>(&(), &theirs);
        };
        match panic::catch_unwind(AssertUnwindSafe(|| runner.run(body))) {
            Ok(_) => {
                ledger.close_finished();
                return ledger;
            }
            Err(payload) if payload.downcast_ref::<String>().is_some_and(|text| is_deadlock(text)) => {
                ledger.close_stuck();
            }
            Err(payload) => panic::resume_unwind(payload),
        }
    }
}

/// The ends of all schedules under shuttle.
pub(crate) fn all_on_shuttle<O: Order>(model: Model) -> BTreeSet<End> {
    let ledger = on_shuttle::<O>(DfsScheduler::new(Some(SCHEDULES_MAX), false), model);
    assert!(ledger.runs() < SCHEDULES_MAX, "{model:?} is too large for shuttle");
    ledger.into_ends()
}

/// The ends of some schedules under shuttle.
pub(crate) fn some_on_shuttle<O: Order>(model: Model) -> BTreeSet<End> {
    on_shuttle::<O>(RandomScheduler::new_from_seed(1, SCHEDULES_RANDOM), model).into_ends()
}

/// A short-lived runner; it may go on with the schedules of an earlier one.
fn runner<S: Scheduler + 'static>(scheduler: S) -> Runner<S> {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    Runner::new(scheduler, config)
}

/// Keeps the panics by which shuttle reports deadlocks off stderr; all others are printed as ever.
fn hush_deadlocks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // At its first run shuttle puts a hook of its own, which prints, before whichever there is: let that be over.
        runner(RoundRobinScheduler::new(1)).run(|| {});
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !info.payload_as_str().is_some_and(is_deadlock) {
                loud(info);
            }
        }));
    });
}

fn is_deadlock(message: &str) -> bool {
    message.starts_with("deadlock!")
}
