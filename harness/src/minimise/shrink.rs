//! `shrink`: the smallest workload that still fails in the same way.
//!
//! Edits are tried one after the other and kept where the same failure is found again, with no more preemptions; this
//! goes on until none is kept.
//!
//! Invariant: an edit is not kept if it breaks the scenario instead of making it smaller: with the engine's default
//! algorithms, under which the scenario does not fail so, the edited one must not fail so either. (A step that reads
//! back what was never written would otherwise be taken for the lost write.)
//! Not here: what an edit is ([`super::edits`]).

use std::sync::Arc;

use dmlab_engine::variants::Variants;

use super::edits::{Change, Edit, apply, proposals};
use super::schedule::Tries;
use crate::backend::engine::{Searcher, Way};
use crate::plan::Plan;

/// A smaller workload that fails.
pub(super) struct Shrunk {
    pub(super) plan: Plan,
    pub(super) edits: Vec<Edit>,
    pub(super) way: Way,
}

/// Leaves out of `plan` what `way`'s failure does not need, until `left_min` tries are left.
pub(super) fn shrink(plan: &Plan, way: Way, schedules: u64, left_min: u64, tries: &mut Tries<'_>) -> Shrunk {
    let mut shrunk = Shrunk { plan: plan.clone(), edits: Vec::new(), way };
    // A scenario that fails so with the default algorithms as well cannot be told from a broken one by them.
    let controlled = !tries.over() && !fails_by_itself(plan, tries);
    loop {
        let mut kept_any = false;
        let mut next = 0;
        while let Some(edit) = proposals(&shrunk.plan.scenario).get(next) {
            if tries.over() || tries.left <= left_min {
                return shrunk;
            }
            // What was kept takes its proposal away; the next one is then in its place.
            let kept = keep(edit.clone(), &mut shrunk, schedules, controlled, tries);
            next += usize::from(!kept);
            kept_any |= kept;
        }
        if !kept_any {
            return shrunk;
        }
    }
}

fn keep(edit: Edit, shrunk: &mut Shrunk, schedules: u64, controlled: bool, tries: &mut Tries<'_>) -> bool {
    let Ok(scenario) = apply(&shrunk.plan.scenario, std::slice::from_ref(&edit)) else { return false };
    let plan = Plan { scenario: Arc::new(scenario), ..shrunk.plan.clone() };
    let Some(mut way) = tries.search(&plan, &shrunk.way, schedules) else { return false };
    if way.preemptions > shrunk.way.preemptions {
        way = tries.minimal(&plan, way, schedules);
    }
    if way.preemptions > shrunk.way.preemptions || controlled && fails_by_itself(&plan, tries) {
        return false;
    }
    shrunk.plan = plan;
    note(&mut shrunk.edits, edit);
    shrunk.way = way;
    true
}

/// Adds `edit`; one that goes on where the last one ended becomes part of it.
fn note(edits: &mut Vec<Edit>, edit: Edit) {
    if let Some(last) = edits.last_mut()
        && (&last.at, last.line) == (&edit.at, edit.line)
        && let (Change::Set { to, .. }, Change::Set { to: further, .. }) = (&mut last.change, &edit.change)
    {
        *to = *further;
        return;
    }
    edits.push(edit);
}

/// Whether the scenario of `plan` fails in the way that is wanted with the engine's default algorithms, too.
fn fails_by_itself(plan: &Plan, tries: &mut Tries<'_>) -> bool {
    let control = Plan { variants: Variants::default(), ..plan.clone() };
    let seen = Searcher::new(&control, tries.interrupt).plain();
    tries.count(seen).is_some()
}
