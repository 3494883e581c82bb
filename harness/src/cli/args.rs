//! What can be typed: clap's types, and nothing that acts.
//!
//! Invariant: everything that can be checked without looking at a file is checked here.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use dmlab_units::Seed;

use crate::plan;

/// Benchmarking and fault injection around Linux device-mapper.
///
/// A scenario (YAML) describes devices, steps, faults and what must come of them. It runs on a user-space engine in
/// which every algorithm that dm has had is a selectable variant.
#[derive(Debug, Parser)]
#[command(name = "dmlab", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    /// Colours on a terminal.
    #[arg(long, value_enum, default_value_t, global = true)]
    pub color: Color,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  dmlab run                                   the whole shipped catalogue, one table
  dmlab run bio/split-head-or-remainder       one scenario of the catalogue
  dmlab run my.yaml --variant split=loop      a file of your own, one variant
  dmlab run --clock virtual --seed 1 --json - the same bytes on every machine
  dmlab explore bio --schedules 100000        search for deadlocks in many more schedules
  dmlab replay dmlab-schedules/FILE.json      see a failing schedule again, step by step
  dmlab list --tag rescuer                    what is in the catalogue
  dmlab variants                              which algorithms there are, since which kernel

Exit codes: 0 all as expected, 1 an expectation failed, 2 usage or scenario error, 3 set-up error,
5 unexpected deadlock or hang, 70 a bug in dmlab, 130 interrupted.";

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios and compare what comes of them with what they expect.
    Run(RunArgs),
    /// Search the schedules of scenarios for deadlocks and other failures, and save each failing schedule.
    Explore(ExploreArgs),
    /// Perform a saved schedule again and print its steps and its report.
    Replay(ReplayArgs),
    /// List the scenarios of the catalogue.
    List(ListArgs),
    /// Check scenario files without running them.
    Validate(ValidateArgs),
    /// Print the catalogue of algorithm variants.
    Variants,
}

/// Which clock decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Clock {
    /// OS threads and real time only.
    Wall,
    /// The explorer, and one fair schedule on a virtual clock in place of threads: deterministic.
    Virtual,
}

impl From<Option<Clock>> for plan::Clock {
    fn from(clock: Option<Clock>) -> Self {
        match clock {
            None => Self::Default,
            Some(Clock::Wall) => Self::Wall,
            Some(Clock::Virtual) => Self::Virtual,
        }
    }
}

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

/// What `run` and `explore` share.
#[derive(Debug, ClapArgs)]
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
    /// Decides everything random; the same seed gives the same schedules, faults and offsets.
    #[arg(long, default_value = "1", value_parser = |text: &str| text.parse::<Seed>())]
    pub seed: Seed,
    /// Schedules that the explorer tries per cell [default: what the scenario says].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub schedules: Option<u64>,
    /// Where failing schedules are saved.
    #[arg(long, value_name = "DIR", default_value = "dmlab-schedules")]
    pub save: PathBuf,
    /// No progress, no table: only what went wrong, and the summary.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Arguments of `run`.
#[derive(Debug, ClapArgs)]
pub struct RunArgs {
    /// Which scenarios.
    #[command(flatten)]
    pub selection: Selection,
    /// Which clock [default: as each scenario says: the explorer, and OS threads].
    #[arg(long, value_enum)]
    pub clock: Option<Clock>,
    /// Write the record as JSON; `-` is standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a JUnit report.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the table as Markdown.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Save the schedules of expected failures too.
    #[arg(long)]
    pub save_expected: bool,
    /// Print the resolved plan as YAML and run nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `explore`.
#[derive(Debug, ClapArgs)]
pub struct ExploreArgs {
    /// Which scenarios.
    #[command(flatten)]
    pub selection: Selection,
    /// Write the record as JSON; `-` is standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Arguments of `replay`.
#[derive(Debug, ClapArgs)]
pub struct ReplayArgs {
    /// A schedule saved by `run` or `explore`.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print the report only, not the steps.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Arguments of `list`.
#[derive(Debug, ClapArgs)]
pub struct ListArgs {
    /// Names from the catalogue, or prefixes of them.
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// Only scenarios with this tag.
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `validate`.
#[derive(Debug, ClapArgs)]
pub struct ValidateArgs {
    /// Scenario files or folders of them; without any, the shipped catalogue.
    #[arg(value_name = "FILE")]
    pub files: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn an_assignment_needs_both_sides() {
        assert_eq!(assignment("split=loop"), Ok(Assignment("split".into(), "loop".into())));
        assert!(assignment("split").is_err() && assignment("=loop").is_err() && assignment("split=").is_err());
    }
}
