//! The explorer beside shuttle and loom: one model, three engines, one way to run each.
//!
//! Reading order: [`model`] (what is explored, and what an engine must offer), [`emulated`] (kernel primitives out of
//! mutexes and condition variables, for engines that have nothing else), [`on_dmlab`], [`on_shuttle`], [`on_loom`],
//! [`child`]
//! (searches in a process of their own), [`report`] (the tables).
//!
//! Not here: which of them is run how often, and what is printed (the bench itself).

pub(crate) mod child;
pub(crate) mod emulated;
pub(crate) mod model;
pub(crate) mod on_dmlab;
pub(crate) mod on_loom;
pub(crate) mod on_shuttle;
pub(crate) mod report;

use std::time::Duration;

/// When a row of runs ends, if it does not end by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Schedules.
    pub(crate) schedules_max: u64,
    /// Wall-clock time.
    pub(crate) time_max: Duration,
}

impl Bounds {
    /// As many schedules as fit into `time_max`.
    pub(crate) const fn time(time_max: Duration) -> Self {
        Self { schedules_max: u64::MAX, time_max }
    }

    /// At most so many schedules, however long they take.
    pub(crate) const fn schedules(schedules_max: u64) -> Self {
        Self { schedules_max, time_max: Duration::MAX }
    }
}

/// What a row of runs came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    /// Schedules run, the deadlocked one included.
    pub(crate) schedules: u64,
    /// Wall-clock time that they took.
    pub(crate) seconds: f64,
    /// Whether the last one ended in a deadlock.
    pub(crate) deadlock: bool,
}

impl Tally {
    /// Schedules per second.
    pub(crate) fn rate(&self) -> f64 {
        self.schedules as f64 / self.seconds
    }
}

/// How far a search of all schedules came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exhausted {
    /// Schedules run.
    pub(crate) runs: u64,
    /// Distinct states seen, by engines that tell states apart.
    pub(crate) states: Option<u64>,
    /// Wall-clock time.
    pub(crate) seconds: f64,
    /// Whether nothing was left to run.
    pub(crate) proved: bool,
}
