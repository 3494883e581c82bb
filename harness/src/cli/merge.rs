//! `dmlab merge`: the shards of one exploration, put together and reported as one run.
//!
//! Invariant: a missing shard is named, in the strengths and on standard error.
//! Not here: which records belong together (`dmlab-results`).

use std::path::Path;

use dmlab_results::{ExitCode, Record, exit_code, merge as merged, missing_shards};

use super::Failure;
use super::args::MergeArgs;
use super::input;
use super::output::Output;
use super::run::report;

pub(super) fn merge(args: &MergeArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = args.files.iter().map(|path| read(path)).collect::<Result<Vec<Record>, Failure>>()?;
    let in_words = |error: dmlab_results::MergeError| {
        Failure::Usage(error.in_words(|place| args.files[place].display().to_string()))
    };
    let record = merged(&records).map_err(in_words)?;
    let missing: Vec<String> = missing_shards(&records).map_err(in_words)?.iter().map(ToString::to_string).collect();
    if !missing.is_empty() {
        output.note(&format!("not everything was searched; missing: shard {}", missing.join(", shard ")));
    }
    if args.json.as_deref() != Some("-".as_ref()) {
        report(&record, args.quiet, output);
    }
    if let Some(path) = &args.json {
        output.write(path, &record.to_json())?;
    }
    Ok(exit_code(&record))
}

fn read(path: &Path) -> Result<Record, Failure> {
    let wrong = |what: String| Failure::Usage(format!("{}: {what}", path.display()));
    let text = input::read(path, "a record is a JSON file", input::REPORT_BYTES_MAX)?;
    Record::from_json(&text).map_err(|error| wrong(error.to_string()))
}
