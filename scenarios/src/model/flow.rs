//! The flow of steps that is more than one after the other: repetition, waiting, and steps that must take their time.
//!
//! Invariants: every repetition has an end that does not depend on what its steps do; a wait has a deadline.
//! Not here: carrying it out (the harness).

use dmlab_units::Nanos;

use super::{Printed, Step};

/// The same steps several times.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Repeat {
    /// How often at most; `None` is as often as `during` allows.
    pub times: Option<u32>,
    /// No pass begins later than this after the first.
    pub during: Option<Nanos>,
    /// Pass n begins this long after pass n-1 was due; `None` is at once.
    pub every: Option<Nanos>,
    /// Each pass begins up to this much later than it is due.
    pub jitter: Nanos,
    /// What.
    pub steps: Vec<Step>,
}

/// Wait until something has come true, looking again and again.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Wait {
    /// What is waited for.
    pub condition: Condition,
    /// The step fails when it has not come true after this long.
    pub within: Nanos,
    /// Time between looks.
    pub every: Nanos,
}

/// What a [`Wait`] waits for.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// `dmsetup status` prints this.
    Status(Printed),
    /// `dmsetup table` prints this.
    Table(Printed),
}

/// Steps that must take their time.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MustBlock {
    /// At least this long.
    pub min: Option<Nanos>,
    /// At most this long.
    pub max: Option<Nanos>,
    /// What.
    pub steps: Vec<Step>,
}
