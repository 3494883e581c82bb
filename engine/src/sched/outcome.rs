//! [`Outcome`]: how a run on either driver ended, as data.
//!
//! Invariants: exactly one outcome per run; `Finished` means that every task that was not idle has ended.
//! Not here: whether that is what was wanted (the harness's expectations).

use std::fmt;

use dmlab_units::Nanos;

use super::waits::StuckReport;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every task has ended, but for idle workers.
    Finished,
    /// Some tasks wait for each other in a cycle.
    Deadlock(Box<StuckReport>),
    /// Nothing moves and no cycle is known.
    Hang(Box<StuckReport>),
    /// The bound on operations was reached.
    StepLimit {
        /// The bound.
        steps: u64,
    },
    /// The bound on operations was reached, and in the second half of the run nobody did anything but yield and sleep.
    Livelock {
        /// The bound.
        steps: u64,
    },
    /// The engine hit a `BUG()`.
    Crash(Bug),
    /// dmlab itself is at fault: a Rust panic.
    Panic(String),
    /// The caller asked to stop.
    Interrupted,
}

/// A `BUG()`, with what the kernel's oops would say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bug {
    /// What is wrong.
    pub message: String,
    /// Which task found it.
    pub task: String,
    /// Its chain of functions, innermost first.
    pub frames: Vec<&'static str>,
    /// Where in the source.
    pub at: String,
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "BUG: {}\ntask {} at {}", self.message, self.task, self.at)?;
        self.frames.iter().try_for_each(|frame| writeln!(f, "      {frame}"))
    }
}

/// A run that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunResult {
    /// How.
    pub outcome: Outcome,
    /// Operations carried out (explorer) or progress counted (threads).
    pub steps: u64,
    /// The clock at the end: virtual on the explorer, wall on threads.
    pub now: Nanos,
}
