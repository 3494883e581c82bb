//! The drivers that a performance can be given on: OS threads, one fair virtual schedule, or as many explored
//! schedules as it takes.
//!
//! Invariants: a failing schedule is performed again from its recorded choices, and must fail in the same way (the
//! double-run check): if it does not, dmlab is at fault and says so.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_engine::sched::explorer::{
    Choice, Choices, CostTable, Divergence, Explorer, Fair, Limits, Observed, Replay, Strategy,
};
use dmlab_engine::sched::{Outcome, RunResult, threads};

pub use dmlab_engine::sched::explorer::TraceStep;
use dmlab_units::Nanos;

use super::play::Play;
use crate::backend::Performance;
use crate::plan::Plan;

fn play(plan: &Plan, measures: bool) -> Arc<Play> {
    Play::new(&plan.scenario, plan.variants, plan.seed, measures, plan.errand.clone())
}

/// Performs `plan` on OS threads.
pub fn perform_on_threads(plan: &Plan, interrupt: &Arc<AtomicBool>) -> (RunResult, Performance) {
    let play = play(plan, true);
    let deadline: Nanos = plan.scenario.deadline;
    let config = threads::Config { seed: plan.seed.derive("threads"), deadline, interrupt: Arc::clone(interrupt) };
    let there = Arc::clone(&play);
    let result = threads::run(&config, move |current| there.perform(current));
    (result, play.result())
}

/// Performs `plan` once, fairly, on the virtual clock.
pub fn perform_virtually(plan: &Plan, interrupt: &Arc<AtomicBool>) -> (RunResult, Performance) {
    // A load may be long: the bound is on runaway runs, not on work.
    let limits = Limits { steps_max: plan.scenario.steps_max.max(VIRTUAL_STEPS_MAX), interrupt: Arc::clone(interrupt) };
    let mut explorer = Explorer::with_cost(limits, CostTable::default());
    let play = play(plan, true);
    let there = Arc::clone(&play);
    let result = explorer.run(&mut Fair::new(plan.seed.derive("fair")), move |current| there.perform(current));
    (result, play.result())
}

/// Bound on the operations of a virtual run.
const VIRTUAL_STEPS_MAX: u64 = 500_000_000;

/// A schedule that was performed again in words.
pub struct Found {
    /// How it ended.
    pub result: RunResult,
    /// What it found out.
    pub performance: Performance,
    /// Its steps.
    pub trace: Vec<TraceStep>,
    /// How often it went away from a task that could have gone on.
    pub preemptions: u64,
    /// Where it left the recorded way, if it did.
    pub divergence: Option<Divergence>,
}

/// Explores schedules of one plan.
pub struct ExplorerStage<'a> {
    plan: &'a Plan,
    explorer: Explorer,
    limits: Limits,
}

impl<'a> ExplorerStage<'a> {
    /// A stage for `plan`.
    pub fn new(plan: &'a Plan, interrupt: &Arc<AtomicBool>) -> Self {
        let limits = Limits { steps_max: plan.scenario.steps_max, interrupt: Arc::clone(interrupt) };
        let explorer = Explorer::new(limits.clone()).timers_any(plan.explore.timers_any);
        Self { plan, explorer, limits }
    }

    /// Performs the plan once under any strategy.
    pub fn perform_with(&mut self, strategy: &mut dyn Strategy) -> (RunResult, Performance) {
        let play = play(self.plan, false);
        let there = Arc::clone(&play);
        let result = self.explorer.run(strategy, move |current| there.perform(current));
        (result, play.result())
    }

    /// Takes recorded choices again, in words; `None` when they were not all there to be taken.
    pub fn take(&mut self, choices: Vec<Choice>) -> Option<Found> {
        let mut choices = Choices::new(choices);
        let found = self.retrace(&mut choices);
        (!choices.diverged).then_some(found)
    }

    /// Performs a recorded schedule.
    pub fn replay(&mut self, steps: Vec<TraceStep>) -> Found {
        let mut replay = Replay::new(steps);
        let mut found = self.retrace(&mut replay);
        found.divergence = replay.divergence();
        found
    }

    /// Performs the plan once under any strategy, in words.
    pub fn retrace(&mut self, strategy: &mut dyn Strategy) -> Found {
        let mut tracing = Explorer::tracing(self.limits.clone()).timers_any(self.plan.explore.timers_any);
        let play = play(self.plan, false);
        let there = Arc::clone(&play);
        let mut observed = Observed::new(strategy);
        let result = tracing.run(&mut observed, move |current| there.perform(current));
        let preemptions = observed.preemptions();
        Found { result, performance: play.result(), trace: tracing.trace().to_vec(), preemptions, divergence: None }
    }
}

/// Whether two performances of the same schedule ended in the same way.
pub(crate) fn same_end(first: &Outcome, second: &Outcome) -> bool {
    match (first, second) {
        (Outcome::Deadlock(first), Outcome::Deadlock(second)) => first.signature() == second.signature(),
        (first, second) => first == second,
    }
}
