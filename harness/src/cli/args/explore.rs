//! What the commands of schedules take: `explore`, `merge` and `replay`.
//!
//! Not here: strategies (`dmlab_engine::sched::explorer`).

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use dmlab_scenarios::Strategy;
use dmlab_units::{Bytes, Nanos};

use super::select::Selection;
use crate::plan::Shard;

pub(super) const EXPLORE_EXAMPLES: &str = "\
Examples:
  dmlab explore bio --schedules 100000                  the portfolio, longer than scenarios say
  dmlab explore bio --time 30s --keep-going             half a minute per cell, every deadlock of it
  dmlab explore my.yaml --strategy exhaustive           every schedule: found, or proved
  dmlab explore my.yaml --bound 2                       every schedule of at most 2 preemptions
  dmlab explore my.yaml --strategy exhaustive --shard 1/3 --json 1.json
                                                        a third of it; see `dmlab merge --help`
  dmlab explore my.yaml --html found.html               a picture of the schedule that was found

A pass is only worth what the column `strength` says: proved, proved up to N preemptions, or not found in N
schedules. Ctrl-C ends the search with what is known so far.";

fn strategies() -> impl TypedValueParser<Value = Strategy> {
    PossibleValuesParser::new(Strategy::ALL.map(Strategy::name)).map(|name| {
        let found = Strategy::ALL.into_iter().find(|strategy| strategy.name() == name);
        found.expect("clap lets only names of strategies pass")
    })
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match text.parse::<Nanos>() {
        Ok(time) if time > Nanos::ZERO => Ok(time.into()),
        _ => Err("expected a duration above 0 with its unit, such as 500ms, 30s or 10m".to_owned()),
    }
}

const CACHE_MIN: Bytes = Bytes(1 << 20);
const CACHE_MAX: Bytes = Bytes(1 << 40);

fn cache(text: &str) -> Result<Bytes, String> {
    match text.parse::<Bytes>() {
        Ok(size) if (CACHE_MIN..=CACHE_MAX).contains(&size) => Ok(size),
        _ => Err(format!("expected a size from {CACHE_MIN} to {CACHE_MAX}, such as 256MiB or 2GiB")),
    }
}

/// Arguments of `explore`.
#[derive(Debug, ClapArgs)]
pub struct ExploreArgs {
    /// Which scenarios.
    #[command(flatten)]
    pub selection: Selection,
    /// Which schedule comes next [default: what the scenario says]. Cells of which a proof is expected are searched for it
    /// all the same.
    #[arg(long, value_name = "STRATEGY", value_parser = strategies())]
    pub strategy: Option<Strategy>,
    /// Search each cell for so long at most; with --schedules, whichever ends first.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub time: Option<Duration>,
    /// Search every schedule of at most N preemptions; implies --strategy icb.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub bound: Option<u32>,
    /// Search only this part of the schedules, from 1/N to N/N; `dmlab merge` puts the parts together.
    #[arg(long, value_name = "I/N", value_parser = |text: &str| text.parse::<Shard>())]
    pub shard: Option<Shard>,
    /// Threads that search [default: as many as the machine runs at once].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Go on after the first failing schedule, and count the distinct deadlocks.
    #[arg(long)]
    pub keep_going: bool,
    /// Draw the schedule that was found, as a page for a browser.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Save a failing schedule as it was found, without looking for a shorter one.
    #[arg(long)]
    pub no_minimise: bool,
    /// Memory for the states that are known [default: what the scenario says].
    #[arg(long, value_name = "SIZE", value_parser = cache)]
    pub cache: Option<Bytes>,
    /// Write the record as JSON; `-` is standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

pub(super) const MERGE_EXAMPLES: &str = "\
Examples:
  dmlab explore my.yaml --strategy exhaustive --shard 1/3 --json 1.json       on one machine,
  dmlab explore my.yaml --strategy exhaustive --shard 2/3 --json 2.json       on another,
  dmlab explore my.yaml --strategy exhaustive --shard 3/3 --json 3.json       on a third; then, in any order,
  dmlab merge 1.json 2.json 3.json --json whole.json

Counts are summed, the gravest verdict counts, and of the schedules that came to it the one with the lowest number
is shown. Nothing is called proved while a shard is missing. Exit codes are those of `run`.";

/// Arguments of `merge`.
#[derive(Debug, ClapArgs)]
pub struct MergeArgs {
    /// Records that `explore --shard … --json` has written, in any order.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Write the merged record as JSON; `-` is standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// No table: only what went wrong, and the summary.
    #[arg(long, short)]
    pub quiet: bool,
}

const REPLAY_EXAMPLES: &str = "\
Examples:
  dmlab replay dmlab-schedules/FILE.json                    the steps and the report
  dmlab replay --table dmlab-schedules/FILE.json | less -S  one column per task, as wide as it gets
  dmlab replay -q --html why.html dmlab-schedules/FILE.json a page to look at and to pass on";

/// Arguments of `replay`.
#[derive(Debug, ClapArgs)]
#[command(after_help = REPLAY_EXAMPLES)]
pub struct ReplayArgs {
    /// A schedule saved by `run` or `explore`.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print the steps as a table with a column per task [default on a terminal that is wide enough].
    #[arg(long)]
    pub table: bool,
    /// Print the steps as a list, one line each [default elsewhere].
    #[arg(long, conflicts_with = "table")]
    pub steps: bool,
    /// Write a page with a lane per task, held and awaited objects, and the report; `-` is standard output, in place of
    /// the steps and the report.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Let `--html` replace a file.
    #[arg(long, requires = "html")]
    pub force: bool,
    /// Print the report only, not the steps.
    #[arg(long, short, conflicts_with_all = ["table", "steps"])]
    pub quiet: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_checked_before_anything_is_looked_at() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert!(duration("0").is_err() && duration("30").is_err() && duration("soon").is_err());
        assert_eq!(cache("64MiB"), Ok(Bytes(64 << 20)));
        assert!(cache("1k").is_err() && cache("2000GiB").is_err() && cache("all").is_err());
    }
}
