//! `dmlab explore`: the explorer's cells only, every failing schedule saved and reported.
//!
//! Not here: exhaustive search and its strategies (so far only the portfolio of PCT and random walks).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_results::{ExitCode, exit_code};

use super::Failure;
use super::args::ExploreArgs;
use super::output::Output;
use super::run::{Save, details, perform, plans, report};
use crate::plan::{Clock, RunOn};

pub(super) fn explore(args: &ExploreArgs, output: &Output, interrupt: &Arc<AtomicBool>) -> Result<ExitCode, Failure> {
    let mut plans = plans(&args.selection, Clock::Default, output)?;
    plans.retain(|plan| plan.run_on == RunOn::Explorer);
    if plans.is_empty() {
        return Err(Failure::Usage("none of these scenarios runs on the explorer (`runs: [explorer]`)".to_owned()));
    }
    let record = perform(&plans, &args.selection, Clock::Default, Save::All, output, interrupt);
    if args.json.as_deref() != Some("-".as_ref()) {
        // Failures that were expected are what one explores for: told in full as well.
        for cell in record.cells.iter().filter(|cell| cell.ok && cell.trace_file.is_some()) {
            output.print(&details(cell));
        }
        report(&record, args.selection.quiet, output);
    }
    if let Some(path) = &args.json {
        output.write(path, &record.to_json())?;
    }
    Ok(exit_code(&record))
}
