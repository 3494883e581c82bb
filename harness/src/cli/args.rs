//! What can be typed: clap's types, and nothing that acts.
//!
//! Invariant: everything that can be checked without looking at a file is checked here.
//! Not here: what `kernel` takes (`kernel`).

mod conform;
mod kernel;

use std::path::PathBuf;

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use dmlab_engine::variants::{Kernel, Variants};
use dmlab_scenarios::Strategy;
use dmlab_units::{Bytes, Nanos, Seed};

use crate::doctor::Need;
use crate::plan;
use crate::plan::Shard;

pub use self::conform::ConformArgs;
pub use self::kernel::{AccelWish, BootArgs, BuildArgs, FetchArgs, GuestWishes, KernelArgs, KernelCommand};

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
  dmlab explore my.yaml --strategy exhaustive search all of them
  dmlab compare                               verdicts and throughput of variants, in one table
  dmlab merge 1.json 2.json 3.json            put the shards of one exploration together
  dmlab replay dmlab-schedules/FILE.json      see a failing schedule again, step by step
  dmlab list --tag rescuer                    what is in the catalogue
  dmlab run bio --as-of 4.9                   with the algorithms of that kernel
  dmlab variants                              which algorithms there are, since which kernel
  dmlab variants --as-of 4.9                  which of them that kernel had
  dmlab doctor                                what this machine can run, and why not
  dmlab kernel fetch 6.12                     a kernel for guests
  dmlab run --backend engine,guest --kernel 6.1,6.12
                                              the catalogue on the engine and on two kernels, in one table
  dmlab schema > dmlab.schema.json            for editors: completion and explanations

Exit codes: 0 all as expected, 1 an expectation failed, 2 usage or scenario error, 3 set-up error,
5 unexpected deadlock or hang, 70 a bug in dmlab, 130 interrupted.";

const EXPLORE_EXAMPLES: &str = "\
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

const COMPARE_EXAMPLES: &str = "\
Examples:
  dmlab compare                                         may dm give up its rescuers, and what do they cost?
  dmlab compare bio/bioset-question perf/bioset-question --baseline split=depth-first,rescue=none --rounds 30
  dmlab compare perf/ramdisk-overhead-ladder --baseline stack=raw --markdown

A row is one variant. Cells that run on the explorer give the verdict and what it is worth; cells that run on threads
give I/Os per second of their last load. Every round measures every row once, every second round in the opposite
order; the ratio is the median over the rounds of row / baseline, with an interval that holds the true median with at
least 95 % confidence. Exit codes are those of `run`; 1 also when a row could not be measured.";

const MERGE_EXAMPLES: &str = "\
Examples:
  dmlab explore my.yaml --strategy exhaustive --shard 1/3 --json 1.json       on one machine,
  dmlab explore my.yaml --strategy exhaustive --shard 2/3 --json 2.json       on another,
  dmlab explore my.yaml --strategy exhaustive --shard 3/3 --json 3.json       on a third; then, in any order,
  dmlab merge 1.json 2.json 3.json --json whole.json

Counts are summed, the gravest verdict counts, and of the schedules that came to it the one with the lowest number
is shown. Nothing is called proved while a shard is missing. Exit codes are those of `run`.";

const COW_EXAMPLES: &str = "\
Examples:
  dmlab cow inspect /dev/mapper/vg-snap-cow       header, areas, the first exceptions, and what is wrong
  dmlab cow inspect --json --limit 1000000 cow.img  all of it, for other programs";

const FIGURE_EXAMPLES: &str = "\
Examples:
  dmlab figure cow-throttle                   in a checkout: results/figures/cow-throttle.md and .svg, as they are there
  dmlab figure cow-throttle --folder .        the same two files here";

const CLEANUP_EXAMPLES: &str = "\
Examples:
  sudo dmlab cleanup --dry-run                what a run that was killed has left
  sudo dmlab cleanup                          remove it: dm devices, loop and null_blk devices, ramdisks, settings

Only what bears dmlab's names or stands in a journal of a dead run is touched.
Exit codes: 0 nothing is left, 1 something stays, 3 it could not be looked at.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  dmlab doctor                                what can be run here
  dmlab doctor --need files --results /data   in a script: can files in /data be devices?
  dmlab doctor --json | jq .can               for programs

Exit codes: 0 what is needed (without --need: the engine) can be used, 3 it cannot.";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  dmlab schema > dmlab.schema.json            then, as the first line of a scenario:
  # yaml-language-server: $schema=dmlab.schema.json

Editors with yaml-language-server (VS Code's YAML extension, Neovim, Helix, Emacs) then complete keys and words, show
what each means, and mark what does not belong. `dmlab validate` finds more: what takes several values to know.";

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
    #[command(after_help = EXPLORE_EXAMPLES)]
    Explore(ExploreArgs),
    /// Put variants beside each other: deadlock verdicts, and throughput compared with a baseline.
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(CompareArgs),
    /// Put the records of the shards of one exploration together.
    #[command(after_help = MERGE_EXAMPLES)]
    Merge(MergeArgs),
    /// Perform a saved schedule again and print its steps and its report.
    Replay(ReplayArgs),
    /// List the scenarios of the catalogue.
    List(ListArgs),
    /// Check scenario files without running them.
    Validate(ValidateArgs),
    /// Print the catalogue of algorithm variants.
    Variants(VariantsArgs),
    /// Say what this machine can run, and for what it cannot, why not and what would change that.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Measure a figure on the virtual clock: a page of Markdown and a picture, the same bytes on every machine.
    #[command(after_help = FIGURE_EXAMPLES)]
    Figure(FigureArgs),
    /// Remove what runs on this kernel have left behind whose processes were killed; as root.
    #[command(after_help = CLEANUP_EXAMPLES)]
    Cleanup(CleanupArgs),
    /// Whether engine and kernels answer alike: the same scenarios on both, compared step by step.
    #[command(after_help = conform::EXAMPLES)]
    Conform(ConformArgs),
    /// Make and remove devices many times, kill runs, and see that nothing is left behind; as root.
    #[command(hide = true)]
    Stress(StressArgs),
    /// Look into the exception store of a snapshot.
    Cow(CowArgs),
    /// Kernels for guests: fetch them, list them, see whether one boots here.
    Kernel(KernelArgs),
    /// What the first process of a guest does.
    #[command(hide = true)]
    GuestInit,
    /// Print a JSON schema of the scenario language, for editors.
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
}

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

fn strategies() -> impl TypedValueParser<Value = Strategy> {
    PossibleValuesParser::new(Strategy::ALL.map(Strategy::name)).map(|name| {
        let found = Strategy::ALL.into_iter().find(|strategy| strategy.name() == name);
        found.expect("clap lets only names of strategies pass")
    })
}

fn duration(text: &str) -> Result<Duration, String> {
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

/// `AXIS=VALUE,AXIS=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignments(pub Vec<Assignment>);

fn assignments(text: &str) -> Result<Assignments, String> {
    text.split(',').map(assignment).collect::<Result<_, _>>().map(Assignments)
}

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

const REPLAY_EXAMPLES: &str = "\
Examples:
  dmlab replay dmlab-schedules/FILE.json                    the steps and the report
  dmlab replay --table dmlab-schedules/FILE.json | less -S  one column per task, as wide as it gets
  dmlab replay -q --html why.html dmlab-schedules/FILE.json a page to look at and to pass on";

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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn durations_and_sizes_are_checked_before_anything_is_looked_at() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert!(duration("0").is_err() && duration("30").is_err() && duration("soon").is_err());
        assert_eq!(cache("64MiB"), Ok(Bytes(64 << 20)));
        assert!(cache("1k").is_err() && cache("2000GiB").is_err() && cache("all").is_err());
    }

    #[test]
    fn an_assignment_needs_both_sides() {
        assert_eq!(assignment("split=loop"), Ok(Assignment("split".into(), "loop".into())));
        assert!(assignment("split").is_err() && assignment("=loop").is_err() && assignment("split=").is_err());
    }
}
