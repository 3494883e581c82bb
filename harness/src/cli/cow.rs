//! `dmlab cow inspect`: what is in a snapshot's persistent exception store, as text or JSON.
//!
//! Invariant: the exit code is 1 when anything is wrong with the store.
//! Not here: reading it ([`crate::cow`]).

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use dmlab_results::ExitCode;

use super::Failure;
use super::args::{CowArgs, CowCommand, CowInspectArgs};
use super::output::Output;
use crate::cow::{CowReport, inspect};

pub(super) fn cow(args: &CowArgs, output: &Output) -> Result<ExitCode, Failure> {
    match &args.command {
        CowCommand::Inspect(args) => inspect_store(args, output),
    }
}

fn inspect_store(args: &CowInspectArgs, output: &Output) -> Result<ExitCode, Failure> {
    let path = &args.store;
    let failed = |error: std::io::Error| Failure::Setup(format!("{}: {error}", path.display()));
    let mut store = File::open(path).map_err(failed)?;
    let report = inspect(&mut store, args.limit).map_err(failed)?;
    if args.json {
        let json = serde_json::to_string_pretty(&report).map_err(|error| Failure::Setup(error.to_string()))?;
        output.print(&format!("{json}\n"));
    } else {
        output.print(&text(path, &report));
    }
    Ok(if report.problems.is_empty() { ExitCode::Ok } else { ExitCode::ExpectationFailed })
}

fn text(path: &Path, report: &CowReport) -> String {
    let mut text = format!("{}: {} sectors\n", path.display(), report.sectors);
    // Writing to a string cannot fail.
    if let Some(header) = &report.header {
        let valid = if header.valid { "valid" } else { "invalid" };
        let _ = writeln!(text, "header: {valid}, version {}, chunks of {} sectors", header.version, header.chunk_size);
        for area in &report.areas {
            let _ =
                writeln!(text, "area {} in chunk {}: {} of {} exceptions", area.number, area.chunk, area.used, area.of);
        }
        let (exceptions, next_free, unreferenced) = (report.exceptions, report.next_free, report.unreferenced);
        let _ =
            writeln!(text, "{exceptions} exceptions, next free chunk {next_free}, {unreferenced} chunks unreferenced");
        for exception in &report.list {
            let _ = writeln!(text, "  {} -> {}", exception.old_chunk, exception.new_chunk);
        }
        let more = report.exceptions - report.list.len() as u64;
        if more > 0 {
            let _ = writeln!(text, "  … {more} more (--limit)");
        }
    }
    for problem in &report.problems {
        let _ = writeln!(text, "wrong: {problem}");
    }
    text
}
