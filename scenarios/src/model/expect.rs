//! What must come of a cell.
//!
//! Invariant: an expectation says something.
//! Not here: comparing it with what came (the harness).

use std::fmt;

use super::{Comparison, LoadBound, Runtime, Strength};

/// What must come of a cell.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Expectation {
    /// Line in the scenario file.
    pub line: u32,
    /// Holds only on this runtime.
    pub on: Option<Runtime>,
    /// The verdict; `None` leaves it to other expectations.
    pub verdict: Option<Verdict>,
    /// What a pass on the explorer must be worth; the search is chosen such that it can be.
    pub strength: Option<Strength>,
    /// In which order locks are taken, over all explored schedules; `None` leaves it to the verdict: where a pass is
    /// expected, the order must be clean.
    pub lock_order: Option<LockOrder>,
    /// Names (of locks, pools or tasks) that must all stand in the reported wait-for cycle.
    pub cycle: Vec<String>,
    /// Text that the report of the failure must contain.
    pub message: Option<String>,
    /// Order in which bios enter drivers, e.g. `t 0+16`, exactly (dm-spec §2.4); empty is no expectation.
    pub entry_order: Vec<String>,
    /// Bounds on the peak of elements in use, by pool name as in [`Fault::Slab`](super::Fault::Slab).
    pub peak: Vec<(String, Bound)>,
    /// Bounds on counters, by name as the harness documents them.
    pub counters: Vec<(String, Bound)>,
    /// Relations between counters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<Comparison>,
    /// Bounds on what loads came to, where the clock measures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<LoadBound>,
}

/// A verdict that a scenario can expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Verdict {
    Pass,
    Fail,
    Deadlock,
    Hang,
    Livelock,
    Crash,
    Corruption,
    Leak,
}

/// In which order a cell takes its locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockOrder {
    /// One order: no two tasks can block each other by it.
    Clean,
    /// In circles: what the kernel's lockdep reports.
    Circular,
}

/// A comparison with a number, written `<= 2`, `>= 1`, `== 0`, `< 5`, `> 5` or `!= 3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Bound {
    /// How to compare.
    pub relation: Relation,
    /// With what.
    pub value: u64,
}

/// How a [`Bound`] compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Relation {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
    Not,
}

impl Relation {
    /// The sign in scenarios.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Equal => "==",
            Self::AtLeast => ">=",
            Self::More => ">",
            Self::Not => "!=",
        }
    }

    /// Whether `left` stands in this relation to `right`.
    pub fn holds<T: Ord + ?Sized>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Equal => left == right,
            Self::AtLeast => left >= right,
            Self::More => left > right,
            Self::Not => left != right,
        }
    }
}

/// As scenarios write it.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.relation.sign(), self.value)
    }
}

impl Bound {
    /// Whether `measured` is within the bound.
    pub fn holds(self, measured: u64) -> bool {
        self.relation.holds(&measured, &self.value)
    }
}
