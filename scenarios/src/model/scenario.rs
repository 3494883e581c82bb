//! A scenario as a whole.
//!
//! Invariants: those of [`super`].
//! Not here: its parts.

use std::collections::BTreeMap;

use dmlab_units::Nanos;

use super::{Budget, Device, Expectation, Explore, Requires, Step};

/// A checked scenario, with the values of one matrix cell put in.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Scenario {
    /// Path-like name, e.g. `bio/split-head-or-remainder`; the file is `<id>.yaml`.
    pub id: String,
    /// One or two sentences: what this shows, and which commits it comes from.
    pub about: String,
    /// Commits that brought or mended what is tested.
    pub commits: Vec<String>,
    /// Words to select scenarios by.
    pub tags: Vec<String>,
    /// Where this scenario means something.
    pub runs: Vec<Runtime>,
    /// How the explorer searches.
    pub explore: Explore,
    /// Operations after which one run is given up as `step limit`.
    pub steps_max: u64,
    /// No progress for this long is a hang (threads, kernel).
    pub deadline: Nanos,
    /// The kernel whose algorithms are run where no axis says otherwise, e.g. `4.9`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// What there must be for it to be run at all.
    #[serde(skip_serializing_if = "Requires::is_nothing")]
    pub requires: Requires,
    /// How much time a cell may take.
    #[serde(skip_serializing_if = "Budget::is_unlimited")]
    pub budget: Budget,
    /// Module parameters set before the first device is made, e.g. `reserved_bio_based_ios: 1`.
    pub params: BTreeMap<String, u64>,
    /// Devices in order of declaration; each names only devices before it.
    pub devices: Vec<Device>,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// What must come of it; an expectation without `when` holds for every cell.
    pub expect: Vec<Expectation>,
}

/// Where a scenario can run on the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// One OS thread, all tasks as coroutines, every order of operations a choice of the search.
    Explorer,
    /// OS threads; wall clock.
    Threads,
}
