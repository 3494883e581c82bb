//! [`Verdict`]: what came out of one cell, whether or not it was what the scenario expected.
//!
//! Invariants: one spelling per verdict, the same in JSON, in scenarios, in tables and on the command line; what is
//! printed parses to the same value.
//! Not here: whether the verdict is the expected one (`CellRecord::ok`), exit codes (`exit`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The outcome of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Ran to its end, and every checker was content.
    Pass,
    /// An expectation on a value (a counter, a peak, a latency) was not met.
    Fail,
    /// A cycle in the wait-for graph, with tasks, objects and holders.
    Deadlock,
    /// No progress, and no cycle known.
    Hang,
    /// Steps without progress.
    Livelock,
    /// The explorer's bound on steps was reached before the end.
    StepLimit,
    /// A BUG of the engine, or a use after free that a checker caught.
    Crash,
    /// The data read are not the data written.
    Corruption,
    /// A pool or a reference was not back at rest at the end.
    Leak,
    /// dmlab itself panicked, or the kernel of a guest did.
    Panic,
    /// Not run; the record says why.
    Skip,
    /// The set-up failed, so nothing can be said.
    Error,
}

impl Verdict {
    /// All verdicts, in the order of their definition.
    pub const ALL: [Self; 12] = [
        Self::Pass,
        Self::Fail,
        Self::Deadlock,
        Self::Hang,
        Self::Livelock,
        Self::StepLimit,
        Self::Crash,
        Self::Corruption,
        Self::Leak,
        Self::Panic,
        Self::Skip,
        Self::Error,
    ];

    /// The spelling in JSON, scenarios and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Deadlock => "deadlock",
            Self::Hang => "hang",
            Self::Livelock => "livelock",
            Self::StepLimit => "step-limit",
            Self::Crash => "crash",
            Self::Corruption => "corruption",
            Self::Leak => "leak",
            Self::Panic => "panic",
            Self::Skip => "skip",
            Self::Error => "error",
        }
    }

    /// Whether the cell stopped making progress: deadlock, hang or livelock.
    pub const fn is_stuck(self) -> bool {
        matches!(self, Self::Deadlock | Self::Hang | Self::Livelock)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text is not the name of a verdict. The message lists all of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a verdict; verdicts are {}", Verdict::ALL.map(Verdict::as_str).join(", "))]
pub struct ParseVerdictError {
    /// The text as it was given.
    pub found: String,
}

impl FromStr for Verdict {
    type Err = ParseVerdictError;

    fn from_str(text: &str) -> Result<Self, ParseVerdictError> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.as_str() == text)
            .ok_or_else(|| ParseVerdictError { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_has_one_spelling_everywhere() {
        for verdict in Verdict::ALL {
            assert_eq!(verdict.to_string().parse(), Ok(verdict));
            assert_eq!(serde_json::to_string(&verdict).unwrap(), format!("\"{verdict}\""));
            assert_eq!(serde_json::from_str::<Verdict>(&format!("\"{verdict}\"")).unwrap(), verdict);
        }
        assert_eq!(Verdict::StepLimit.to_string(), "step-limit");
    }

    #[test]
    fn an_unknown_verdict_is_answered_with_the_known_ones() {
        let message = "deadlocked".parse::<Verdict>().unwrap_err().to_string();
        assert!(message.starts_with("\"deadlocked\" is not a verdict"), "{message}");
        assert!(message.contains("deadlock, hang, livelock, step-limit"), "{message}");
    }

    #[test]
    fn stuck_means_deadlock_hang_or_livelock() {
        let stuck: Vec<_> = Verdict::ALL.into_iter().filter(|verdict| verdict.is_stuck()).collect();
        assert_eq!(stuck, [Verdict::Deadlock, Verdict::Hang, Verdict::Livelock]);
    }
}
