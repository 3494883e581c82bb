//! `dmlab compare`: variants beside each other in one table: deadlock verdicts, and throughput compared with a baseline.
//!
//! Not here: measuring (`compare`), the table and its statistics (`dmlab-results`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dmlab_results::{Comparison, ExitCode, Verdict};

use super::args::CompareArgs;
use super::output::Output;
use super::progress::Progress;
use super::run::plans;
use super::{Failure, args};
use crate::compare::Rows;
use crate::environment::environment;
use crate::plan::{Clock, ExploreWishes, RunOn};

/// What is compared when nothing is named: whether dm may give up its rescuers, and what they cost.
const QUESTION: [&str; 3] = ["bio/bioset-question", "bio/bioset-question-locks", "perf/bioset-question"];

pub(super) fn compare(args: &CompareArgs, output: &Output, interrupt: &Arc<AtomicBool>) -> Result<ExitCode, Failure> {
    let mut selection = args.selection.clone();
    if selection.scenarios.is_empty() && selection.tag.is_none() {
        selection.scenarios = QUESTION.map(str::to_owned).to_vec();
    }
    let plans = plans(&selection, Clock::Default, ExploreWishes::default(), output)?;
    let rows = Rows::of(&plans).map_err(Failure::Usage)?;
    let baseline: Vec<(String, String)> = args
        .baseline
        .iter()
        .flat_map(|args| &args.0)
        .map(|args::Assignment(axis, value)| (axis.clone(), value.clone()))
        .collect();
    let baseline = if baseline.is_empty() {
        0
    } else {
        rows.find(&baseline).map_err(|text| Failure::Usage(format!("--baseline: {text}")))?
    };
    let rounds = usize::from(args.rounds);
    let threads = plans.iter().filter(|plan| plan.run_on == RunOn::Threads).count();
    let progress = Progress::new(plans.len() - threads + threads * rounds, selection.quiet);
    let on_cell = |title: &str| {
        progress.end();
        progress.begin(title.to_owned());
    };
    let found = rows.compare(baseline, rounds, interrupt, &on_cell, &|_| {});
    progress.end();
    let comparison = Comparison {
        dmlab: env!("CARGO_PKG_VERSION").to_owned(),
        optimised: !cfg!(debug_assertions),
        environment: environment(),
        command: std::iter::once("dmlab".to_owned()).chain(std::env::args().skip(1)).collect::<Vec<_>>().join(" "),
        explored: rows.explored.iter().map(|id| (*id).to_owned()).collect(),
        measured: rows.measured.iter().map(|id| (*id).to_owned()).collect(),
        baseline: rows.name(baseline),
        rounds,
        rows: found,
        interrupted: interrupt.load(Ordering::Relaxed),
    };
    output.print(&match (args.markdown, args.json) {
        (true, _) => comparison.to_markdown(),
        (_, true) => comparison.to_json(),
        _ => comparison.to_text(),
    });
    Ok(exit_code(&comparison))
}

/// As `run`: 130 when interrupted, 70 for a bug in dmlab, 5 for a deadlock that the scenario does not expect, 1 for
/// another verdict that it does not expect, or a row that could not be measured.
fn exit_code(comparison: &Comparison) -> ExitCode {
    let unexpected = || comparison.rows.iter().flat_map(|row| row.found.iter().flatten()).filter(|found| !found.ok);
    let unmeasured = comparison.rows.iter().flat_map(|row| row.throughput.iter().flatten()).any(|t| t.ratio.is_none());
    if comparison.interrupted {
        ExitCode::Interrupted
    } else if unexpected().any(|found| found.verdict == Verdict::Panic) {
        ExitCode::Bug
    } else if unexpected().any(|found| found.verdict.is_stuck()) {
        ExitCode::UnexpectedHang
    } else if unmeasured || unexpected().next().is_some() {
        ExitCode::ExpectationFailed
    } else {
        ExitCode::Ok
    }
}
