//! [`Searcher`]: performances of one plan under schedules that are like another one: the same, the plain one with its
//! deviations, smaller ones.
//!
//! Invariant: a [`Way`] was performed, and performing it again on the same plan gives the same run.
//! Not here: what is looked for, and how long (`crate::minimise`).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_engine::sched::RunResult;
use dmlab_engine::sched::explorer::guided::Deviation;
use dmlab_engine::sched::explorer::{
    Budget, Choice, Choices, Guided, Minimal, Observed, Portfolio, Strategy, TraceStep, minimise,
};

use super::stage::{ExplorerStage, Found};
use crate::backend::Performance;
use crate::plan::Plan;

/// A schedule that was performed.
#[derive(Clone)]
pub struct Way {
    choices: Vec<Choice>,
    deviations: Vec<Deviation>,
    /// How often it goes away from a task that could have gone on.
    pub preemptions: u64,
    /// Its steps.
    pub steps: u64,
}

/// A performance.
pub struct Seen {
    /// Its schedule.
    pub way: Way,
    /// How it ended.
    pub result: RunResult,
    /// What it found out.
    pub performance: Performance,
}

/// Performs one plan under one schedule after the other.
pub struct Searcher<'a> {
    stage: ExplorerStage<'a>,
    portfolio: Portfolio,
}

impl<'a> Searcher<'a> {
    /// A searcher for `plan`.
    pub fn new(plan: &'a Plan, interrupt: &Arc<AtomicBool>) -> Self {
        let portfolio = Portfolio::new(plan.seed.derive("search"));
        Self { stage: ExplorerStage::new(plan, interrupt), portfolio }
    }

    fn perform(&mut self, strategy: &mut dyn Strategy) -> Seen {
        perform(&mut self.stage, strategy)
    }

    /// The schedule of these steps.
    pub fn repeat(&mut self, trace: &[TraceStep]) -> Seen {
        let each = |step: &TraceStep| [Some(Choice::Run(step.task)), step.taken.map(Choice::Take)];
        self.perform(&mut Choices::new(trace.iter().flat_map(each).flatten().collect()))
    }

    /// The plain schedule: no preemption, the lowest task first, the first of all choices.
    pub fn plain(&mut self) -> Seen {
        self.perform(&mut Guided::new(&[]))
    }

    /// The plain schedule with those deviations of `way`, which may be one of another plan, that are possible.
    pub fn like(&mut self, way: &Way) -> Seen {
        self.perform(&mut Guided::new(&way.deviations))
    }

    /// One more explored schedule.
    pub fn another(&mut self) -> Seen {
        perform(&mut self.stage, &mut self.portfolio)
    }

    /// The smallest schedule like `way` for which `signature` gives `wanted`, and how many performances it took; `None`
    /// when it does not give that for `way` itself.
    pub fn minimise(
        &mut self,
        way: &Way,
        wanted: &str,
        tries_max: u64,
        signature: &mut dyn FnMut(&RunResult, &Performance) -> Option<String>,
    ) -> Option<(Way, u64)> {
        let stage = &mut self.stage;
        let minimal = minimise(&way.choices, wanted, Budget { tries_max }, &mut |strategy| {
            let (result, performance) = stage.perform_with(strategy);
            signature(&result, &performance)
        });
        let Minimal { choices, deviations, preemptions, steps, tries } = minimal?;
        Some((Way { choices, deviations, preemptions, steps }, tries))
    }

    /// `way` once more, in words.
    pub fn in_words(&mut self, way: &Way) -> Found {
        self.stage.retrace(&mut Choices::new(way.choices.clone()))
    }
}

fn perform(stage: &mut ExplorerStage<'_>, strategy: &mut dyn Strategy) -> Seen {
    let mut observed = Observed::new(strategy);
    let (result, performance) = stage.perform_with(&mut observed);
    let way = Way {
        choices: observed.choices().to_vec(),
        deviations: observed.deviations().to_vec(),
        preemptions: observed.preemptions(),
        steps: observed.steps(),
    };
    Seen { way, result, performance }
}
