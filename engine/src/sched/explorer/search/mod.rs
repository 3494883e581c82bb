//! Exhaustive search: every schedule of a model that differs from the others in anything that matters, so that "no
//! deadlock" is a result and not a hope.
//!
//! Depth first over choices, each run from the start. Four reductions, each of which can be switched off:
//! - **releases first** ([`SearchOptions::releases_first`]): what commutes with everything that others could do is done
//!   at once, without a choice; which operations these are is learnt as the search goes on (see `tracker::races`);
//! - **sleep sets**: of two orders of independent steps only one is taken (`frames`, `prints`);
//! - **state cache**: a state that was explored before is not explored again (`cache`);
//! - **preemption bound**: instead of everything, all schedules with at most so many preemptions.
//!
//! A run that the reductions cut off is not unwound but finished under a plain policy (it *coasts*): that is cheaper,
//! and a failure on the way is a failure all the same.
//!
//! Reading order: `frames` (the search as a strategy), `prints`, `cache`, `workers` (several threads, restarts, the end).
//!
//! Invariants: a search that ends without being cut short has covered every schedule of the model within its bound; what
//! it says it has proved is limited by what [`SearchReport::doubt`] names.
//! Not here: what is wrong with a run (the caller), random strategies.

mod cache;
mod frames;
mod prints;
mod workers;

use std::collections::BTreeSet;

use super::super::digest::Statistics;
use super::super::outcome::RunResult;
use super::batches::Shard;
use super::driver::Explorer;
use super::strategy::Strategy;
use super::trace::Choice;

pub use cache::BYTES_PER_STATE_MAX;
pub use workers::search;

/// How to search.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    /// Of two orders of independent steps take one.
    pub sleep_sets: bool,
    /// Do at once what needs no choice.
    pub releases_first: bool,
    /// Do not explore a state twice.
    pub state_cache: bool,
    /// Only schedules with at most this many preemptions. Switches sleep sets off: the schedule that is spared may be the
    /// one within the bound.
    pub preemptions_max: Option<u32>,
    /// Bytes that the cache may take; when it is full, the search ends without a proof.
    pub cache_bytes_max: u64,
    /// Runs that the search may take; if it needs more, it ends without a proof.
    pub runs_max: u64,
    /// OS threads. With more than one, counts of runs and states depend on timing; the verdict does not.
    pub jobs: usize,
    /// The part of the choices to search.
    pub shard: Shard,
    /// A timer may fire as soon as it is set.
    pub timers_any: bool,
    /// Counts that decide nothing in a run and are part of its state all the same, because the caller judges by them.
    pub statistics: Statistics,
    /// Go on after a run that tells.
    pub keep_going: bool,
    /// Collect the state at the end of each run, for comparing searches with each other.
    pub terminals: bool,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            sleep_sets: true,
            releases_first: true,
            state_cache: true,
            preemptions_max: None,
            cache_bytes_max: 256 << 20,
            runs_max: 1_000_000,
            jobs: 1,
            shard: Shard::WHOLE,
            timers_any: false,
            statistics: Statistics::NONE,
            keep_going: false,
            terminals: false,
        }
    }
}

/// One run, as the caller saw it.
pub struct Performed<T> {
    /// How it ended.
    pub result: RunResult,
    /// What there is to tell of it, if it is to be told at all.
    pub told: Option<T>,
}

/// A model: performs one run on the explorer that it is given, under the strategy that it is given.
pub trait Model<T>: Fn(&mut Explorer, &mut dyn Strategy) -> Performed<T> + Sync {}

impl<T, F: Fn(&mut Explorer, &mut dyn Strategy) -> Performed<T> + Sync> Model<T> for F {}

/// A run that told.
#[derive(Clone, Debug)]
pub struct Telling<T> {
    /// Its number, from 1, as counted in [`SearchCounts::runs`].
    pub run: u64,
    /// Its schedule.
    pub choices: Vec<Choice>,
    /// A reduction had cut it off before it told: what it told of was reached without a search.
    pub cut: bool,
    /// What it told.
    pub told: T,
}

/// Why a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchEnd {
    /// Everything within the bound was covered.
    Exhausted,
    /// A run told.
    Told,
    /// The caller wanted it so, or the interrupt flag was set.
    Stopped,
    /// As many runs as were allowed.
    RunsMax,
    /// The cache holds as many states as it may.
    CacheFull {
        /// So many.
        states: u64,
    },
    /// The model has more tasks than the search can tell apart.
    TooManyTasks,
    /// A run reached its bound on steps: what lies behind it is not known.
    StepLimit,
}

/// Numbers of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchCounts {
    /// Runs performed, also those that were cut off.
    pub runs: u64,
    /// Runs that were cut off by a reduction.
    pub pruned: u64,
    /// Operations carried out.
    pub steps: u64,
    /// Different states met.
    pub states: u64,
    /// Choices on the deepest path.
    pub depth_max: u64,
    /// How often the search started over because it had believed too much.
    pub restarts: u64,
}

/// A look at a search under way.
#[derive(Clone, Copy, Debug)]
pub struct SearchProgress {
    /// Numbers so far.
    pub counts: SearchCounts,
    /// How much of the present attempt is done, from 0 to 1, as far as its choices tell.
    pub done: f64,
}

/// What came of a search.
#[derive(Clone, Debug)]
pub struct SearchReport<T> {
    /// Why it ended.
    pub end: SearchEnd,
    /// Whether the bound on preemptions kept any schedule out.
    pub bounded: bool,
    /// Numbers.
    pub counts: SearchCounts,
    /// Runs that told: the first, or all.
    pub told: Vec<Telling<T>>,
    /// Why an exhausted search is no proof all the same.
    pub doubt: Option<String>,
    /// Locks that were taken in circular order on any run.
    pub lock_order: Vec<String>,
    /// States in which runs ended, where wanted.
    pub terminals: BTreeSet<[u64; 2]>,
    /// Classes of objects whose operations needed choices.
    pub contended: Vec<String>,
    /// Stands for all that the search learnt of conflicts. Shards that learnt of different ones went through different
    /// trees of choices: together they may have left something out.
    pub learnt: [u64; 2],
}
