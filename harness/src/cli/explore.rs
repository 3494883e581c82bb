//! `dmlab explore`: the explorer's cells only, every failing schedule saved and reported.
//!
//! Not here: searching (`campaign`), what a scenario expects of a search (`plan`).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_results::{ExitCode, exit_code};
use dmlab_scenarios::Strategy;

use super::Failure;
use super::args::ExploreArgs;
use super::found::{Keep, Save};
use super::output::Output;
use super::run::{Ran, details, perform, plans, report};
use crate::plan::{Clock, ExploreWishes, RunOn};

pub(super) fn explore(args: &ExploreArgs, output: &Output, interrupt: &Arc<AtomicBool>) -> Result<ExitCode, Failure> {
    let mut plans = plans(&args.selection, Clock::Default, wishes(args)?, output)?;
    plans.retain(|plan| plan.run_on == RunOn::Explorer);
    if plans.is_empty() {
        return Err(Failure::Usage("none of these scenarios runs on the explorer (`runs: [explorer]`)".to_owned()));
    }
    let mut keep = Keep { save: Save::All, folder: &args.selection.save, page: args.html.clone() };
    let Ran { record, steps } = perform(&plans, &args.selection, Clock::Default, &mut keep, output, interrupt);
    if keep.page.is_some() && args.html.is_some() {
        output.note("nothing failed, so that there is nothing to draw");
    }
    let to_stdout = [args.json.as_deref(), args.html.as_deref()].contains(&Some("-".as_ref()));
    if !to_stdout {
        // Failures that were expected are what one explores for: told in full as well.
        for (cell, steps) in record.cells.iter().zip(&steps).filter(|(_, steps)| steps.is_some()) {
            if cell.ok {
                output.print(&details(cell));
            }
            if let Some(steps) = steps.as_ref().filter(|_| !args.selection.quiet) {
                output.print(&format!("{} {}\n{steps}", cell.scenario, cell.name_in_scenario()));
            }
        }
        report(&record, args.selection.quiet, output);
    }
    if let Some(path) = &args.json {
        output.write(path, &record.to_json())?;
    }
    Ok(exit_code(&record))
}

/// What the arguments ask for.
fn wishes(args: &ExploreArgs) -> Result<ExploreWishes, Failure> {
    if let (Some(strategy), Some(bound)) = (args.strategy, args.bound)
        && strategy != Strategy::Icb
    {
        let why = match strategy {
            Strategy::Exhaustive => "an exhaustive search goes through every schedule, whatever its preemptions",
            _ => "this strategy samples, and bounds no preemptions",
        };
        let name = strategy.name();
        return Err(Failure::Usage(format!(
            "--bound {bound} with --strategy {name}: {why}; use --strategy icb, which --bound alone implies"
        )));
    }
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    Ok(ExploreWishes {
        strategy: args.strategy,
        bound: args.bound,
        time: args.time,
        runs: args.selection.schedules,
        shard: args.shard,
        jobs: Some(args.jobs.map_or_else(cores, usize::from)),
        keep_going: args.keep_going,
        cache: args.cache,
        no_minimise: args.no_minimise,
    })
}
