//! `dmlab cleanup`: removes what killed runs have left in the kernel.
//!
//! Invariants: what is removed is printed, and so is what stays, with the reason; what stays makes the exit code 1.
//! Not here: finding and removing it ([`crate::backend::kernel::cleanup`]).

use dmlab_results::ExitCode;

use super::Failure;
use super::args::CleanupArgs;
use super::output::Output;
use crate::backend::kernel::{self, Cleanup};

pub(super) fn cleanup(args: &CleanupArgs, output: &Output) -> Result<ExitCode, Failure> {
    let found = kernel::cleanup(args.dry_run).map_err(|error| Failure::Setup(error.to_string()))?;
    if args.json {
        let json = serde_json::to_string_pretty(&found).map_err(|error| Failure::Setup(error.to_string()))?;
        output.print(&format!("{json}\n"));
    } else {
        output.print(&in_words(&found, args.dry_run));
    }
    let stays = found.left.iter().any(|left| left.stays.is_some());
    Ok(if stays { ExitCode::ExpectationFailed } else { ExitCode::Ok })
}

fn in_words(found: &Cleanup, dry_run: bool) -> String {
    let done = if dry_run { "would be removed" } else { "removed" };
    let mut text = String::new();
    for left in &found.left {
        let what = match &left.stays {
            None => done.to_owned(),
            Some(why) => format!("stays: {why}"),
        };
        text.push_str(&format!("{} {}: {what}\n", left.kind, left.name));
    }
    for run in &found.alive {
        text.push_str(&format!("run {run} is alive, and keeps what is its own\n"));
    }
    if text.is_empty() { "nothing is left\n".to_owned() } else { text }
}
