//! `dmlab validate`: every mistake of every file, without running anything.
//!
//! Not here: what can only be known by running, such as whether a counter or a pool of that name exists.

use dmlab_results::ExitCode;

use super::args::ValidateArgs;
use super::output::Output;
use super::{Failure, select};
use crate::plan::{Plan, Wishes};

pub(super) fn validate(args: &ValidateArgs, output: &Output) -> Result<ExitCode, Failure> {
    let select::Selected { documents, mut errors } = select::select(&args.files, None, output)?;
    let mut cells = 0;
    for document in &documents {
        match Plan::of(document, &Wishes::default()) {
            Ok(plans) => cells += plans.len(),
            Err(diagnostics) => errors.push_str(&select::in_words(document, &diagnostics, output)),
        }
    }
    if !errors.is_empty() {
        return Err(Failure::Usage(errors));
    }
    output.print(&format!("{} scenario(s), {cells} cells: valid", documents.len()));
    Ok(ExitCode::Ok)
}
