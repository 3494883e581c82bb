//! [`Choice`] and [`TraceStep`]: a schedule, as numbers to repeat it and as words to read it.
//!
//! Invariants: choices alone determine a run of the same model; a step's words come from the run itself, so a replay
//! can check each of them.
//! Not here: file formats (the harness).

use std::fmt;

use super::super::op::{OpKind, TaskId};

/// One decision of a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This task went on.
    Run(TaskId),
    /// The task that had just gone on took this way.
    Take(u32),
}

/// One step of a run, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceStep {
    /// Who: number and name.
    pub task: TaskId,
    /// Name of the task.
    pub name: String,
    /// What.
    pub op: OpKind,
    /// On what: the object's name; empty for operations without one.
    pub object: String,
    /// With what.
    pub arg: u64,
    /// Which way was taken, where the operation is a choice.
    pub taken: Option<u32>,
}

impl fmt::Display for TraceStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.op.name())?;
        if !self.object.is_empty() {
            write!(f, " {}", self.object)?;
        }
        if self.arg != 0 {
            write!(f, " {}", self.arg)?;
        }
        match self.taken {
            Some(way) => write!(f, " -> {way}"),
            None => Ok(()),
        }
    }
}
