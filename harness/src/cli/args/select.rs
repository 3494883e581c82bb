//! What `run`, `explore` and `compare` share: which scenarios, and with which variants.
//!
//! Not here: finding them (`cli::select`).

use std::path::PathBuf;

use clap::Args as ClapArgs;
use dmlab_engine::variants::Kernel;
use dmlab_units::Seed;

/// `AXIS=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment(pub String, pub String);

fn assignment(text: &str) -> Result<Assignment, String> {
    match text.split_once('=') {
        Some((axis, value)) if !axis.is_empty() && !value.is_empty() => {
            Ok(Assignment(axis.to_owned(), value.to_owned()))
        }
        _ => Err("expected AXIS=VALUE, such as split=loop (see `dmlab variants`)".to_owned()),
    }
}

/// What `run`, `explore` and `compare` share.
#[derive(Clone, Debug, ClapArgs)]
pub struct Selection {
    /// Scenario files, folders of them, or names from the catalogue (a prefix such as `bio` stands for all below it).
    /// Without any: the whole catalogue.
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// Only scenarios with this tag.
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// Set a variant axis or a parameter of the scenarios; may be given several times.
    #[arg(long = "variant", value_name = "AXIS=VALUE", value_parser = assignment)]
    pub variants: Vec<Assignment>,
    /// Run with the algorithms of this kernel, e.g. 4.9; --variant goes before it, and it before the axes of the scenarios.
    #[arg(long, value_name = "KERNEL", value_parser = |text: &str| text.parse::<Kernel>())]
    pub as_of: Option<Kernel>,
    /// Decides everything random; the same seed gives the same schedules, faults and offsets.
    #[arg(long, default_value = "1", value_parser = |text: &str| text.parse::<Seed>())]
    pub seed: Seed,
    /// Schedules that the explorer tries per cell where it samples [default: what the scenario says].
    ///
    /// With `explore` an exhaustive search is given up after so many, too. Cells of which a proof is expected are searched
    /// to their end by `run`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub schedules: Option<u64>,
    /// Where failing schedules are saved.
    #[arg(long, value_name = "DIR", default_value = "dmlab-schedules")]
    pub save: PathBuf,
    /// No progress, no table: only what went wrong, and the summary.
    #[arg(long, short)]
    pub quiet: bool,
}

/// `AXIS=VALUE,AXIS=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignments(pub Vec<Assignment>);

pub(super) fn assignments(text: &str) -> Result<Assignments, String> {
    text.split(',').map(assignment).collect::<Result<_, _>>().map(Assignments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_needs_both_sides() {
        assert_eq!(assignment("split=loop"), Ok(Assignment("split".into(), "loop".into())));
        assert!(assignment("split").is_err() && assignment("=loop").is_err() && assignment("split=").is_err());
    }
}
