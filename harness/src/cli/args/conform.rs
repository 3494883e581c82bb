//! What can be typed behind `dmlab conform`.
//!
//! Not here: what comes of it (`cli/conform.rs`).

use std::path::PathBuf;

use clap::Args as ClapArgs;
use dmlab_units::Seed;

use super::{GuestWishes, Reports};

pub(super) const EXAMPLES: &str = "\
Examples:
  dmlab conform                               the catalogue on the engine and on Debian's 6.1 and 6.12
  dmlab conform snapshot --kernel 6.12-debug  one area on one kernel
  dmlab conform dm/load-shapes --json -       as data
  dmlab conform snapshot --stores             one area, and stores of one side opened by the other

Each cell that both sides have runs once on either, the engine with the algorithms of the kernel's release. Compared are data,
status and table lines, error numbers, the steps that were carried out, verdicts, and persistent exception stores as they are
left (cow): equal to the byte, or equivalent, the same chunks with the same data in another order, or both marked invalid.
Without SCENARIO, or with --stores, stores also go across: rows cow-store/…, `engine -> 6.12` for one that the engine has
written and 6.12 opens, `6.12 -> engine` for the other way, `written` for what both leave.
What the kernels' cells came to is compared with what their scenarios expect, too, as `dmlab run --backend guest` does; --junit and
--markdown write that.
Exit codes: 0 all alike but for what harness/conform/explained.yaml explains, and as expected, 1 something is not or an
explanation explains nothing any more, 2 usage or scenario error, 3 set-up error, 5 an unexpected deadlock or hang,
70 an unexpected panic, 130 interrupted.";

/// Arguments of `conform`.
#[derive(Debug, ClapArgs)]
pub struct ConformArgs {
    /// Scenario files, folders of them, or names from the catalogue. Without any: the whole catalogue.
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// Exchange exception stores too when only some scenarios are asked for: written by one side, opened by the other.
    #[arg(long)]
    pub stores: bool,
    /// Kernels, by names of `dmlab kernel list` or by paths [default: 6.1,6.12].
    #[arg(long, value_name = "NAME|PATH", value_delimiter = ',')]
    pub kernel: Vec<String>,
    /// How guests are run.
    #[command(flatten)]
    pub guests: GuestWishes,
    /// Differences that are known, in place of those that come with dmlab.
    #[arg(long, value_name = "FILE")]
    pub explained: Option<PathBuf>,
    /// Where failures of guests are kept.
    #[arg(long, value_name = "DIR", default_value = "dmlab-artefacts")]
    pub artefacts: PathBuf,
    /// Write all rows as JSON; `-` is standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// What else is written, of what the kernels' cells came to.
    #[command(flatten)]
    pub reports: Reports,
    /// Decides everything random.
    #[arg(long, default_value = "1", value_parser = |text: &str| text.parse::<Seed>())]
    pub seed: Seed,
}
