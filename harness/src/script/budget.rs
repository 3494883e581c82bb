//! `budget`: how much time steps, and all of them, may take.
//!
//! Invariants: time is that of the run's clock; where it does not measure nothing is held to a budget, and nobody looks at
//! it; of steps that hold steps, those within are held to it.
//! Not here: the time that a search takes (`campaign`).

use std::sync::Arc;

use dmlab_scenarios::{Action, Step};
use dmlab_units::Nanos;

use super::{Flow, Script, Stopped};
use crate::backend::Actor;

impl Script {
    /// From here on time counts.
    pub(super) fn begin_budget(&self, actor: &dyn Actor) {
        if !self.scenario.budget.is_unlimited() && actor.measures() {
            self.began.get_or_init(|| actor.now());
        }
    }

    /// Carries out a step, and fails if it, or everything up to its end, takes longer than it may.
    pub(super) fn within_budget(self: &Arc<Self>, flow: Flow<'_>, step: &Step) -> Result<(), Stopped> {
        let Some(began) = self.began.get().copied() else { return self.step(flow, step) };
        let begin = flow.actor.now();
        self.all_within(step.line, begin.saturating_sub(began))?;
        self.step(flow, step)?;
        let end = flow.actor.now();
        let took = end.saturating_sub(begin);
        match self.scenario.budget.per_step {
            Some(most) if took > most && !holds_steps(&step.action) => {
                Err(self.fail(step.line, format!("the step took {took}, more than the {most} of budget.per_step")))
            }
            _ => self.all_within(step.line, end.saturating_sub(began)),
        }
    }

    fn all_within(&self, line: u32, elapsed: Nanos) -> Result<(), Stopped> {
        match self.scenario.budget.wall {
            Some(most) if elapsed > most => {
                Err(self.fail(line, format!("{elapsed} have gone by, more than the {most} of budget.wall")))
            }
            _ => Ok(()),
        }
    }
}

const fn holds_steps(action: &Action) -> bool {
    matches!(
        action,
        Action::Parallel(_)
            | Action::Background(_)
            | Action::Steps(_)
            | Action::Repeat(_)
            | Action::MustBlock(_)
            | Action::PowerCut(_)
    )
}
