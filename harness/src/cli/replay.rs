//! `dmlab replay`: a saved schedule once more, step by step, and what came of it.
//!
//! Exit code 0 when it came to the recorded end by the recorded steps, 1 when it did not.
//! Invariants: a file that is there is not replaced unless that was asked for, and is looked for before anything is
//! run; the page is written also for a run that left the recorded way, since it shows what was found.
//! Not here: what tables and pages look like (`picture`).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_results::{ExitCode, TableOptions, create_new};
use dmlab_scenarios::Cell;

use super::Failure;
use super::args::ReplayArgs;
use super::input;
use super::output::Output;
use crate::picture::{self, Picture};
use crate::schedule_file::{Replayed, ScheduleFile};

pub(super) fn replay(args: &ReplayArgs, output: &Output, interrupt: &Arc<AtomicBool>) -> Result<ExitCode, Failure> {
    let path = args.file.display();
    let text = input::read(&args.file, "a schedule is a JSON file", input::REPORT_BYTES_MAX)?;
    let file = ScheduleFile::from_json(&text).map_err(|error| Failure::Usage(format!("{path}: {error}")))?;
    if let Some(page) = args.html.as_deref().filter(|page| !args.force && is_in_the_way(page)) {
        let text = format!("{}: there is such a file already; --force replaces it", page.display());
        return Err(Failure::Setup(text));
    }
    let replayed = file.replay(interrupt).map_err(|error| Failure::Usage(format!("{path}: {error}")))?;
    let mut title = title(&text);
    if let Some(divergence) = &replayed.divergence {
        title.push_str(&format!("; not the recorded run from {divergence}"));
    }
    let picture = picture::of(&title, &replayed.judgement, &replayed.trace);
    if args.html.as_deref() == Some(Path::new("-")) {
        output.print(&picture.html());
        // Nothing else may be in the page.
        verdict(&replayed).iter().for_each(|line| output.note(line));
        return Ok(code(&replayed));
    }
    if !args.quiet {
        steps(args, &replayed, &picture, output);
    }
    if let Some(report) = &replayed.judgement.report {
        output.print(&format!("\n{report}"));
    }
    verdict(&replayed).iter().for_each(|line| output.print(line));
    if let Some(page) = &args.html {
        write_page(page, &picture.html(), args.force, output)?;
    }
    Ok(code(&replayed))
}

/// Scenario, cell and seed, which stand in any file that could be replayed.
fn title(schedule: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(schedule).unwrap_or_default();
    let cell: Vec<(String, String)> = serde_json::from_value(value["cell"].clone()).unwrap_or_default();
    let cell = Cell::new(cell).to_string();
    let space = if cell.is_empty() { "" } else { " " };
    format!("{}{space}{cell}, seed {}", value["id"].as_str().unwrap_or_default(), value["seed"])
}

/// The steps: in a table where that was asked for or can be read, else a line each.
fn steps(args: &ReplayArgs, replayed: &Replayed, picture: &Picture, output: &Output) {
    let terminal = Output::width();
    let is_wide_enough = terminal.is_some_and(|width| picture.readable_width() <= width);
    if args.table || (is_wide_enough && !args.steps) {
        output.print(&picture.table(TableOptions { color: output.out_color(), width: terminal }));
        return;
    }
    let width = replayed.trace.len().to_string().len();
    for (number, step) in replayed.trace.iter().enumerate() {
        output.print(&format!("{number:>width$}  {step}"));
    }
}

/// Whether the run was the recorded one, and what it came to.
fn verdict(replayed: &Replayed) -> [String; 2] {
    let same = match &replayed.divergence {
        Some(divergence) => format!("the run is not the recorded one from {divergence}"),
        None => format!("{} steps, all as recorded", replayed.trace.len()),
    };
    let (found, recorded) = (replayed.judgement.verdict, &replayed.recorded_verdict);
    let end = match replayed.reproduced {
        true => format!("reproduced: {found}"),
        false => format!("not reproduced: {found}; recorded: {recorded}"),
    };
    [same, end]
}

const fn code(replayed: &Replayed) -> ExitCode {
    if replayed.reproduced { ExitCode::Ok } else { ExitCode::ExpectationFailed }
}

/// Whether writing to `path` would replace something: not standard output, a pipe or a device.
fn is_in_the_way(path: &Path) -> bool {
    let replaces = |found: std::fs::Metadata| found.is_file() || found.is_dir() || found.is_symlink();
    path != Path::new("-") && std::fs::symlink_metadata(path).is_ok_and(replaces)
}

fn write_page(path: &Path, page: &str, force: bool, output: &Output) -> Result<(), Failure> {
    let is_special = std::fs::metadata(path).is_ok_and(|found| !found.is_file());
    if force || is_special {
        return output.write(path, page);
    }
    // Should the name have been taken meanwhile, the page gets another one.
    let written = create_new(path, page.as_bytes()).map_err(|error| Failure::Setup(error.to_string()))?;
    output.print(&format!("page: {}", written.display()));
    Ok(())
}
