//! What the commands take that look at something and print it: `list`, `validate`, `variants`, `schema`, `cow inspect` and
//! `figure`.
//!
//! Not here: what they print.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use dmlab_engine::variants::{Kernel, Variants};

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

/// Arguments of `variants`.
#[derive(Debug, ClapArgs)]
pub struct VariantsArgs {
    /// Only these axes.
    #[arg(value_name = "AXIS", value_parser = PossibleValuesParser::new(Variants::AXES.iter().map(|axis| axis.name)))]
    pub axes: Vec<String>,
    /// What this kernel did, on every axis, e.g. 4.9.
    #[arg(long, value_name = "KERNEL", value_parser = |text: &str| text.parse::<Kernel>())]
    pub as_of: Option<Kernel>,
    /// In place of the axes the targets and their versions, as `dmsetup targets` prints them; of 6.12 without --as-of.
    #[arg(long, conflicts_with = "axes")]
    pub targets: bool,
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

pub(super) const SCHEMA_EXAMPLES: &str = "\
Examples:
  dmlab schema > dmlab.schema.json            then, as the first line of a scenario:
  # yaml-language-server: $schema=dmlab.schema.json

Editors with yaml-language-server (VS Code's YAML extension, Neovim, Helix, Emacs) then complete keys and words, show
what each means, and mark what does not belong. `dmlab validate` finds more: what takes several values to know.";

const COW_EXAMPLES: &str = "\
Examples:
  dmlab cow inspect /dev/mapper/vg-snap-cow       header, areas, the first exceptions, and what is wrong
  dmlab cow inspect --json --limit 1000000 cow.img  all of it, for other programs";

/// Arguments of `cow`.
#[derive(Debug, ClapArgs)]
pub struct CowArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: CowCommand,
}

/// What can be done with an exception store.
#[derive(Debug, Subcommand)]
pub enum CowCommand {
    /// Print header, areas and exceptions of a persistent store, and what is wrong with it; exit code 1 if anything is.
    #[command(after_help = COW_EXAMPLES)]
    Inspect(CowInspectArgs),
}

/// Arguments of `cow inspect`.
#[derive(Debug, ClapArgs)]
pub struct CowInspectArgs {
    /// The COW device, or an image of it; it is only read.
    #[arg(value_name = "FILE")]
    pub store: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Print at most so many exceptions; all are counted and checked.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u64,
}

pub(super) const FIGURE_EXAMPLES: &str = "\
Examples:
  dmlab figure cow-throttle                   in a checkout: results/figures/cow-throttle.md and .svg, as they are there
  dmlab figure cow-throttle --folder .        the same two files here";

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Figure {
    /// Copies of snapshots in flight, their memory and the time to finish, with throttles and without.
    CowThrottle,
}

/// Arguments of `figure`.
#[derive(Debug, ClapArgs)]
pub struct FigureArgs {
    /// Which one.
    #[arg(value_enum)]
    pub figure: Figure,
    /// Where to write it; the folder must be there.
    #[arg(long, value_name = "DIR", default_value = "results/figures")]
    pub folder: PathBuf,
    /// No progress.
    #[arg(long, short)]
    pub quiet: bool,
}
