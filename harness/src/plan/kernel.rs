//! The plan of a cell on a running kernel: once, on OS threads, whatever the scenario says of the engine's runtimes.
//!
//! Invariants: a cell that cannot say on a kernel what its scenario is about is skipped with the reason.
//! Not here: what a kernel can ([`crate::backend::kernel::unmet`]).

use std::sync::Arc;

use dmlab_engine::variants::Variants;
use dmlab_scenarios::{Action, Cell, Document, Runtime, Scenario, Step, Verdict};

use super::{ExplorePlan, Plan, RunOn, Wishes};
use crate::backend::kernel::{RunningKernel, unmet};

pub(super) fn plan(
    document: &Arc<Document>,
    cell: Cell,
    scenario: &Arc<Scenario>,
    variants: Variants,
    wishes: &Wishes,
    kernel: &Arc<RunningKernel>,
) -> Plan {
    let run_on = RunOn::Kernel;
    let skip = unmet(kernel, document, &cell, scenario);
    let name = format!("{} {cell} {}", scenario.id, run_on.name());
    let mut plan = Plan {
        document: Arc::clone(document),
        cell,
        scenario: Arc::clone(scenario),
        variants,
        run_on,
        seed: wishes.seed.derive(&name),
        explore: ExplorePlan::of(scenario, run_on, wishes),
        kernel: Some(Arc::clone(kernel)),
        errand: wishes.errand.clone(),
        skip,
    };
    let expected = plan.expected_verdict();
    let is_search = scenario.runs.iter().all(|runtime| *runtime == Runtime::Explorer);
    if plan.skip.is_none() && is_search && is_exact(&scenario.steps) {
        plan.skip = Some("it sleeps to the microsecond, which only the explorer does".to_owned());
    }
    if plan.skip.is_none() && is_search && expected != Verdict::Pass {
        let why = "in some schedule, which one run on a kernel need not meet";
        plan.skip = Some(format!("expects {} {why}", crate::judge::verdict_of(expected)));
    }
    plan
}

const MILLISECOND: u64 = 1_000_000;

/// Whether some long sleep is no whole number of milliseconds: such a scenario is about an instant.
fn is_exact(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.action {
        Action::Sleep(time) => time.0 > MILLISECOND && time.0 % MILLISECOND != 0,
        Action::Parallel(branches) | Action::Background(branches) => branches.iter().any(|(_, steps)| is_exact(steps)),
        Action::Repeat(repeat) => is_exact(&repeat.steps),
        Action::MustBlock(must_block) => is_exact(&must_block.steps),
        _ => false,
    })
}
