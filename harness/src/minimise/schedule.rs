//! [`minimise()`]: a failing schedule of a plan, made smaller: first the schedule, then the workload, then the schedule
//! again.
//!
//! Invariants: as [`super`] says; no more than the budget's runs, but for the check of the last edit and the last run in
//! words.
//! Not here: which edits a workload allows ([`super::edits`]) and which are kept (`super::shrink`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::edits::Edit;
use super::shrink::shrink;
use super::signature::signature;
use crate::backend::engine::{Searcher, Seen, TraceStep, Way};
use crate::judge::{Judgement, judge};
use crate::plan::Plan;

/// Bounds of a minimisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Performances of the plan in all.
    pub tries_max: u64,
    /// Explored schedules in which an edited workload must fail, if it does not with the schedule at hand.
    pub schedules_per_edit: u64,
}

impl Default for Budget {
    /// Some seconds for a scenario of the catalogue.
    fn default() -> Self {
        Self { tries_max: 6_000, schedules_per_edit: 50 }
    }
}

/// The smallest failure that was found.
pub struct MinimalSchedule {
    /// The plan that fails, with the smaller scenario in it; its document is the one that was put in.
    pub plan: Plan,
    /// What makes the smaller scenario of the document's.
    pub edits: Vec<Edit>,
    /// What the schedule comes to.
    pub judgement: Judgement,
    /// The schedule, in words.
    pub trace: Vec<TraceStep>,
    /// How often it goes away from a task that could have gone on.
    pub preemptions: u64,
    /// Its steps.
    pub steps: u64,
    /// Performances that it took.
    pub tries: u64,
    /// Steps of the schedule that was put in.
    pub from_steps: u64,
    /// Preemptions of the schedule that was put in.
    pub from_preemptions: u64,
}

/// The smallest failure like the one that `judgement` speaks of, from the schedule `trace` of `plan`.
///
/// `None` when there is nothing to look for: `judgement` is no failure of the engine under test, or the schedule does
/// not come to it again.
pub fn minimise(
    plan: &Plan,
    trace: &[TraceStep],
    judgement: &Judgement,
    budget: Budget,
    interrupt: &Arc<AtomicBool>,
) -> Option<MinimalSchedule> {
    let wanted = signature(judgement)?;
    let mut tries = Tries { left: budget.tries_max, done: 0, wanted: &wanted, interrupt };
    let from = Searcher::new(plan, interrupt).repeat(trace);
    let from = tries.count(from)?;
    let first = tries.minimal(plan, from.clone(), tries.left / 3);
    let shrink_until = tries.left / 3;
    let shrunk = shrink(plan, first, budget.schedules_per_edit, shrink_until, &mut tries);
    let left = tries.left;
    let last = tries.minimal(&shrunk.plan, shrunk.way, left);
    // What was found is told whole, even when the search for it was interrupted.
    let found = Searcher::new(&shrunk.plan, &Arc::default()).in_words(&last);
    let judgement = judge(&found.result.outcome, &found.performance);
    assert_eq!(signature(&judgement).as_deref(), Some(&*wanted), "a schedule, performed again, is another one");
    Some(MinimalSchedule {
        plan: shrunk.plan,
        edits: shrunk.edits,
        judgement,
        trace: found.trace,
        preemptions: found.preemptions,
        steps: found.result.steps,
        tries: tries.done + 1,
        from_steps: from.steps,
        from_preemptions: from.preemptions,
    })
}

/// The runs that may still be made, and what they are to find.
pub(super) struct Tries<'a> {
    pub(super) left: u64,
    done: u64,
    wanted: &'a str,
    pub(super) interrupt: &'a Arc<AtomicBool>,
}

impl Tries<'_> {
    /// Whether there is neither time nor patience for more.
    pub(super) fn over(&self) -> bool {
        self.left == 0 || self.interrupt.load(Ordering::Relaxed)
    }

    /// Counts a performance; its schedule, if it failed in the way that is wanted.
    pub(super) fn count(&mut self, seen: Seen) -> Option<Way> {
        self.left = self.left.saturating_sub(1);
        self.done += 1;
        let found = signature(&judge(&seen.result.outcome, &seen.performance));
        (found.as_deref() == Some(self.wanted)).then_some(seen.way)
    }

    /// The smallest schedule like `way` that at most so many performances find.
    pub(super) fn minimal(&mut self, plan: &Plan, way: Way, tries_max: u64) -> Way {
        let tries_max = tries_max.min(self.left);
        if tries_max == 0 || self.over() {
            return way;
        }
        let interrupt = self.interrupt;
        let minimal =
            Searcher::new(plan, interrupt).minimise(&way, self.wanted, tries_max, &mut |result, performance| {
                signature(&judge(&result.outcome, performance))
            });
        let Some((minimal, tries)) = minimal else { return way };
        self.left -= tries;
        self.done += tries;
        minimal
    }

    /// A failure of `plan`: with the deviations of `way` from the plain schedule, in the plain schedule, or in one of so
    /// many explored ones.
    pub(super) fn search(&mut self, plan: &Plan, way: &Way, schedules: u64) -> Option<Way> {
        let mut searcher = Searcher::new(plan, self.interrupt);
        for number in 0..schedules + 2 {
            let seen = match number {
                0 => searcher.like(way),
                1 => searcher.plain(),
                _ => searcher.another(),
            };
            let found = self.count(seen);
            if found.is_some() || self.over() {
                return found;
            }
        }
        None
    }
}
