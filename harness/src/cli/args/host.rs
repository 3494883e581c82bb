//! What the commands about this machine take: `doctor`, `cleanup` and `stress`.
//!
//! Not here: kernels for guests (`super::kernel`).

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use dmlab_units::Seed;

use crate::doctor::Need;

pub(super) const DOCTOR_EXAMPLES: &str = "\
Examples:
  dmlab doctor                                what can be run here
  dmlab doctor --need files --results /data   in a script: can files in /data be devices?
  dmlab doctor --json | jq .can               for programs

Exit codes: 0 what is needed (without --need: the engine) can be used, 3 it cannot.";

fn needs() -> impl TypedValueParser<Value = Need> {
    PossibleValuesParser::new(Need::ALL.map(Need::name)).map(|name| {
        let found = Need::ALL.into_iter().find(|need| need.name() == name);
        found.expect("clap lets only names of needs pass")
    })
}

/// Arguments of `doctor`.
#[derive(Debug, ClapArgs)]
pub struct DoctorArgs {
    /// Fail unless this can be used; may be given several times [default: engine].
    #[arg(long, value_name = "NEED", value_parser = needs())]
    pub need: Vec<Need>,
    /// Where results are going to be written.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub results: PathBuf,
    /// Read the machine's files below this folder.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

pub(super) const CLEANUP_EXAMPLES: &str = "\
Examples:
  sudo dmlab cleanup --dry-run                what a run that was killed has left
  sudo dmlab cleanup                          remove it: dm devices, loop and null_blk devices, ramdisks, settings

Only what bears dmlab's names or stands in a journal of a dead run is touched.
Exit codes: 0 nothing is left, 1 something stays, 3 it could not be looked at.";

/// Arguments of `cleanup`.
#[derive(Debug, ClapArgs)]
pub struct CleanupArgs {
    /// Only say what would be removed.
    #[arg(long)]
    pub dry_run: bool,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `stress`.
#[derive(Debug, ClapArgs)]
pub struct StressArgs {
    /// Scenarios in which runs are killed, in turns.
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// How often a device is made and removed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub cycles: u32,
    /// How many runs are killed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub kills: u32,
    /// Decides when.
    #[arg(long, default_value = "1", value_parser = |text: &str| text.parse::<Seed>())]
    pub seed: Seed,
}
