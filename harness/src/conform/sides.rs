//! The sides of a comparison: the engine, and a kernel by the record of its run.
//!
//! Invariants: it runs once, fairly, on the virtual clock, with the algorithms of the kernel that it is compared with, so
//! that what it says is the same every time.
//! Not here: running kernels (`backend`).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_engine::variants::Kernel;
use dmlab_results::{CellRecord, Verdict};
use dmlab_scenarios::{Diagnostics, Document};
use dmlab_units::Seed;

use super::Seen;
use crate::backend::engine::perform_virtually;
use crate::judge::judge;
use crate::plan::{Clock, Plan, RunOn, Wishes};
use crate::script::Errand;

/// The engine's plan for a cell that a kernel has run with `seed` and on the same errand, with the algorithms of the release
/// that the kernel is.
///
/// # Errors
/// What is wrong with the document. `None` if it has no such cell.
pub fn plan(
    document: &Arc<Document>,
    cell: &[(String, String)],
    as_of: Kernel,
    seed: Seed,
    errand: Option<&Errand>,
) -> Result<Option<Plan>, Diagnostics> {
    let wishes = Wishes {
        overrides: cell.to_vec(),
        as_of: Some(as_of),
        clock: Clock::Virtual,
        errand: errand.cloned().map(Arc::new),
        ..Wishes::default()
    };
    let plan = Plan::of(document, &wishes)?.into_iter().next();
    // With the seed that the kernel's cell had, so that what is left to chance is the same on both.
    Ok(plan.map(|plan| Plan { seed, ..plan }))
}

/// What a kernel saw, by its record.
pub fn kernel(record: &CellRecord) -> Seen {
    let trace = record.trace.clone().and_then(|trace| serde_json::from_value(trace).ok()).unwrap_or_default();
    Seen { verdict: record.verdict, report: record.report.clone(), trace }
}

/// What the engine sees of a plan's cell.
pub fn engine(plan: &Plan, interrupt: &Arc<AtomicBool>) -> Seen {
    if let Some(why) = &plan.skip {
        return Seen { verdict: Verdict::Skip, report: Some(why.clone()), trace: crate::script::Trace::default() };
    }
    let plan = Plan { run_on: RunOn::Virtual, ..plan.clone() };
    let (result, performance) = perform_virtually(&plan, interrupt);
    let judgement = judge(&result.outcome, &performance);
    Seen { verdict: judgement.verdict, report: judgement.report, trace: performance.findings.trace }
}
