//! What `run` and `compare` take: on what scenarios run, and what is written of it.
//!
//! Not here: what the wishes come to (`crate::plan`).

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::kernel::GuestWishes;
use super::select::{Assignments, Selection, assignments};
use crate::plan;

/// Whose device-mapper a scenario runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// The user-space engine.
    #[default]
    Engine,
    /// The running kernel, as root.
    Kernel,
    /// Other kernels, in virtual machines; see `dmlab kernel`.
    Guest,
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

/// What can be written of cells that were run, beside a command's own output.
#[derive(Debug, ClapArgs)]
pub struct Reports {
    /// Write a JUnit report.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the table as Markdown.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
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
    /// Which device-mapper; several are put beside each other, e.g. engine,guest.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "engine")]
    pub backend: Vec<Backend>,
    /// With `--backend guest`: kernels, by names of `dmlab kernel list` or by paths [default: 6.1,6.12].
    #[arg(long, value_name = "NAME|PATH", value_delimiter = ',')]
    pub kernel: Vec<String>,
    /// With `--backend guest`: where consoles, stacks and tables of failures are kept.
    #[arg(long, value_name = "DIR", default_value = "dmlab-artefacts")]
    pub artefacts: PathBuf,
    /// How guests are run.
    #[command(flatten)]
    pub guests: GuestWishes,
    /// With `--backend kernel`: run also what is expected to hang or crash the kernel, which is this machine's.
    #[arg(long)]
    pub i_know_this_can_wedge_the_host: bool,
    /// Write the record as JSON; `-` is standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// What else is written.
    #[command(flatten)]
    pub reports: Reports,
    /// Save the schedules of expected failures too.
    #[arg(long)]
    pub save_expected: bool,
    /// Print the resolved plan as YAML and run nothing.
    #[arg(long)]
    pub dry_run: bool,
}

pub(super) const COMPARE_EXAMPLES: &str = "\
Examples:
  dmlab compare                                         may dm give up its rescuers, and what do they cost?
  dmlab compare bio/bioset-question perf/bioset-question --baseline split=depth-first,rescue=none --rounds 30
  dmlab compare perf/ramdisk-overhead-ladder --baseline stack=raw --markdown

A row is one variant. Cells that run on the explorer give the verdict and what it is worth; cells that run on threads
give I/Os per second of their last load. Every round measures every row once, every second round in the opposite
order; the ratio is the median over the rounds of row / baseline, with an interval that holds the true median with at
least 95 % confidence. Exit codes are those of `run`; 1 also when a row could not be measured.";

/// Arguments of `compare`.
#[derive(Debug, ClapArgs)]
pub struct CompareArgs {
    /// Which scenarios [default: bio/bioset-question bio/bioset-question-locks perf/bioset-question].
    #[command(flatten)]
    pub selection: Selection,
    /// The row that the others are compared with [default: the first].
    #[arg(long, value_name = "AXIS=VALUE,…", value_parser = assignments)]
    pub baseline: Option<Assignments>,
    /// How often each row is measured; an interval needs 6 at least.
    #[arg(long, value_name = "N", default_value = "12", value_parser = clap::value_parser!(u16).range(6..=1000))]
    pub rounds: u16,
    /// Print Markdown.
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    /// Print JSON, with the figures of every round.
    #[arg(long)]
    pub json: bool,
}
