//! What can be typed: clap's types, and nothing that acts.
//!
//! Invariant: everything that can be checked without looking at a file is checked here.
//! Not here: what each command takes, which is in the module named after it or its kin.

mod conform;
mod explore;
mod host;
mod kernel;
mod look;
mod run;
mod select;

use clap::{Parser, Subcommand, ValueEnum};

pub use self::conform::ConformArgs;
pub use self::explore::{ExploreArgs, MergeArgs, ReplayArgs};
pub use self::host::{CleanupArgs, DoctorArgs, StressArgs};
pub use self::kernel::{AccelWish, BootArgs, BuildArgs, FetchArgs, GuestWishes, KernelArgs, KernelCommand};
pub use self::look::{CowArgs, CowCommand, CowInspectArgs, Figure, FigureArgs, ListArgs, ValidateArgs, VariantsArgs};
pub use self::run::{Backend, Clock, CompareArgs, Reports, RunArgs};
pub use self::select::{Assignment, Assignments, Selection};

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
    #[command(after_help = explore::EXPLORE_EXAMPLES)]
    Explore(ExploreArgs),
    /// Put variants beside each other: deadlock verdicts, and throughput compared with a baseline.
    #[command(after_help = run::COMPARE_EXAMPLES)]
    Compare(CompareArgs),
    /// Put the records of the shards of one exploration together.
    #[command(after_help = explore::MERGE_EXAMPLES)]
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
    #[command(after_help = host::DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Measure a figure on the virtual clock: a page of Markdown and a picture, the same bytes on every machine.
    #[command(after_help = look::FIGURE_EXAMPLES)]
    Figure(FigureArgs),
    /// Remove what runs on this kernel have left behind whose processes were killed; as root.
    #[command(after_help = host::CLEANUP_EXAMPLES)]
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
    /// Take all memory of a guest.
    #[command(hide = true)]
    Hog,
    /// Print a JSON schema of the scenario language, for editors.
    #[command(after_help = look::SCHEMA_EXAMPLES)]
    Schema,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }
}
