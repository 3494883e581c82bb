//! How the explorer searches, and what a search is to be worth.
//!
//! Invariant: only [`Strategy::Icb`] has a bound.
//! Not here: carrying a search out (the harness), defaults (`check::explore`).

use std::fmt;

use dmlab_units::Bytes;

/// How the explorer searches the schedules of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explore {
    /// Schedules that a sampling strategy tries before it says `not found`.
    pub schedules: u64,
    /// Which schedules come next.
    pub strategy: Strategy,
    /// With [`Strategy::Icb`]: preemptions up to which is searched; `None` goes on until no bound cuts anything off.
    pub bound: Option<u32>,
    /// When timers may fire.
    pub timers: Timers,
    /// Memory that the cache of known states may take.
    pub cache: Bytes,
    /// Schedules after which an exhaustive search is given up.
    pub runs: u64,
}

/// What decides which schedule is tried next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Several sampling strategies in turn.
    #[default]
    Portfolio,
    /// Every choice at random.
    Random,
    /// Probabilistic concurrency testing: random priorities, which change at a few points.
    Pct,
    /// Partial order sampling.
    Pos,
    /// Uniform random walk.
    Urw,
    /// Every schedule that differs.
    Exhaustive,
    /// Iterative context bounding: every schedule with few preemptions, then with more.
    Icb,
}

impl Strategy {
    /// All of them, in the order in which help lists them.
    pub const ALL: [Self; 7] =
        [Self::Portfolio, Self::Random, Self::Pct, Self::Pos, Self::Urw, Self::Exhaustive, Self::Icb];

    /// The spelling in scenarios, on the command line and in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portfolio => "portfolio",
            Self::Random => "random",
            Self::Pct => "pct",
            Self::Pos => "pos",
            Self::Urw => "urw",
            Self::Exhaustive => "exhaustive",
            Self::Icb => "icb",
        }
    }

    /// Whether it can come to an end, and so prove something; all others sample.
    pub const fn can_prove(self) -> bool {
        matches!(self, Self::Exhaustive | Self::Icb)
    }
}

/// When the timers of an explored run may fire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timers {
    /// In order, when no task can run.
    #[default]
    WhenIdle,
    /// At any time at or after they were set: one more choice of the search.
    Any,
}

/// What an exploration that finds nothing is to be worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strength {
    /// Every schedule passes.
    Proved,
    /// Every schedule with at most so many preemptions passes.
    ProvedUpTo(u32),
}

impl Strength {
    /// The one of the two that implies the other.
    #[must_use]
    pub fn stronger(self, other: Self) -> Self {
        match (self, other) {
            (Self::ProvedUpTo(one), Self::ProvedUpTo(two)) => Self::ProvedUpTo(one.max(two)),
            (Self::Proved, _) | (_, Self::Proved) => Self::Proved,
        }
    }
}

/// As scenarios write it.
impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proved => f.write_str("proved"),
            Self::ProvedUpTo(1) => f.write_str("proved up to 1 preemption"),
            Self::ProvedUpTo(preemptions) => write!(f, "proved up to {preemptions} preemptions"),
        }
    }
}
