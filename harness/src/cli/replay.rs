//! `dmlab replay`: a saved schedule once more, step by step, and what came of it.
//!
//! Exit code 0 when it came to the recorded end by the recorded steps, 1 when it did not.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_results::ExitCode;

use super::Failure;
use super::args::ReplayArgs;
use super::output::Output;
use crate::schedule_file::ScheduleFile;

pub(super) fn replay(args: &ReplayArgs, output: &Output, interrupt: &Arc<AtomicBool>) -> Result<ExitCode, Failure> {
    let path = args.file.display();
    let text = std::fs::read_to_string(&args.file).map_err(|error| Failure::Usage(format!("{path}: {error}")))?;
    let file = ScheduleFile::from_json(&text).map_err(|error| Failure::Usage(format!("{path}: {error}")))?;
    let replayed = file.replay(interrupt).map_err(|error| Failure::Usage(format!("{path}: {error}")))?;
    if !args.quiet {
        let width = replayed.trace.len().to_string().len();
        for (number, step) in replayed.trace.iter().enumerate() {
            output.print(&format!("{number:>width$}  {step}"));
        }
    }
    if let Some(report) = &replayed.judgement.report {
        output.print(&format!("\n{report}"));
    }
    match &replayed.divergence {
        Some(divergence) => output.print(&format!("the run is not the recorded one from {divergence}")),
        None => output.print(&format!("{} steps, all as recorded", replayed.trace.len())),
    }
    let (found, recorded) = (replayed.judgement.verdict, &replayed.recorded_verdict);
    if replayed.reproduced {
        output.print(&format!("reproduced: {found}"));
        return Ok(ExitCode::Ok);
    }
    output.print(&format!("not reproduced: {found}; recorded: {recorded}"));
    Ok(ExitCode::ExpectationFailed)
}
