//! [`Strength`]: what an exploration is worth: proved, proved up to a bound, found, or not found in so many schedules;
//! and [`Proof`], what a scenario can ask of one.
//!
//! Invariants: only a search that came to its end says `proved`; what is short of a proof always says how far it went;
//! one spelling everywhere.
//! Not here: deciding it (the harness), putting shards together (`merge`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the verdict of an exploration is worth. Prints as `proved (145 schedules, 209 states)`, `proved up to 2
/// preemptions (…)`, `not found in 1000 schedules`, `found in schedule 7` or `not proved: cache full at 1000000 states
/// (…)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Strength {
    /// Every schedule passes.
    Proved {
        /// Schedules that were performed.
        schedules: u64,
        /// States that were told apart.
        states: u64,
    },
    /// Every schedule with at most so many preemptions passes.
    ProvedUpTo {
        /// The bound.
        preemptions: u32,
        /// Schedules that were performed.
        schedules: u64,
        /// States that were told apart.
        states: u64,
    },
    /// Schedules were sampled, and all passed.
    NotFound {
        /// How many.
        schedules: u64,
    },
    /// A schedule told: it failed, or broke an expectation.
    Found {
        /// Its number, from 1.
        schedule: u64,
        /// Its preemptions, where they are counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preemptions: Option<u32>,
    },
    /// A search that would have proved something was given up.
    NotProved {
        /// Why, e.g. `cache full at 1000000 states`, `interrupted`.
        reason: String,
        /// Schedules that were performed; all passed.
        schedules: u64,
        /// States that were told apart.
        states: u64,
    },
}

impl Strength {
    /// What it is worth, without the counts of a proof: `proved`, `not found in 1000 schedules`, `not proved: …`.
    pub fn short(&self) -> String {
        match self {
            Self::Proved { .. } => Proof::Complete.to_string(),
            Self::ProvedUpTo { preemptions, .. } => Proof::UpTo(*preemptions).to_string(),
            Self::NotFound { schedules } => format!("not found in {}", counted(*schedules, "schedule")),
            Self::Found { schedule, preemptions: None } => format!("found in schedule {schedule}"),
            Self::Found { schedule, preemptions: Some(preemptions) } => {
                format!("found in schedule {schedule}, with {}", counted(u64::from(*preemptions), "preemption"))
            }
            Self::NotProved { reason, .. } => format!("not proved: {reason}"),
        }
    }

    /// The proof that it is, if it is one.
    pub const fn proof(&self) -> Option<Proof> {
        match self {
            Self::Proved { .. } => Some(Proof::Complete),
            Self::ProvedUpTo { preemptions, .. } => Some(Proof::UpTo(*preemptions)),
            Self::NotFound { .. } | Self::Found { .. } | Self::NotProved { .. } => None,
        }
    }

    /// Whether it is at least the proof that was asked for: a complete proof holds for every bound, and one for a bound
    /// holds for the smaller ones.
    pub fn meets(&self, wanted: Proof) -> bool {
        match (self.proof(), wanted) {
            (Some(Proof::Complete), _) => true,
            (Some(Proof::UpTo(found)), Proof::UpTo(wanted)) => found >= wanted,
            (Some(Proof::UpTo(_)) | None, _) => false,
        }
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())?;
        match self {
            Self::Proved { schedules, states }
            | Self::ProvedUpTo { schedules, states, .. }
            | Self::NotProved { schedules, states, .. } => {
                write!(f, " ({}, {})", counted(*schedules, "schedule"), counted(*states, "state"))
            }
            Self::NotFound { .. } | Self::Found { .. } => Ok(()),
        }
    }
}

/// Exact, unlike the rounded counts of tables: it is a claim.
fn counted(number: u64, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

/// What a scenario can ask an exploration to be worth. In JSON and text `proved` or `proved up to 2 preemptions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Every schedule passes.
    Complete,
    /// Every schedule with at most so many preemptions passes.
    UpTo(u32),
}

const COMPLETE: &str = "proved";

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str(COMPLETE),
            Self::UpTo(bound) => write!(f, "{COMPLETE} up to {}", counted(u64::from(*bound), "preemption")),
        }
    }
}

/// A text is not a [`Proof`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is neither `proved` nor such as `proved up to 2 preemptions`")]
pub struct ParseProofError {
    /// The text as it was given.
    pub found: String,
}

impl FromStr for Proof {
    type Err = ParseProofError;

    fn from_str(text: &str) -> Result<Self, ParseProofError> {
        if text == COMPLETE {
            return Ok(Self::Complete);
        }
        let number = text.strip_prefix("proved up to ").and_then(|rest| rest.split_once(' ')).map(|(number, _)| number);
        let proof = number.and_then(|number| number.parse().ok()).map(Self::UpTo);
        // One spelling only: what is read must print the same.
        proof.filter(|proof| proof.to_string() == text).ok_or_else(|| ParseProofError { found: text.to_owned() })
    }
}

impl Serialize for Proof {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Proof {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [(Strength, &'static str); 8] {
        let found = |preemptions| Strength::Found { schedule: 7, preemptions };
        let not_proved =
            |reason: &str| Strength::NotProved { reason: reason.to_owned(), schedules: 5, states: 1_000_000 };
        [
            (Strength::Proved { schedules: 145, states: 209 }, "proved (145 schedules, 209 states)"),
            (
                Strength::ProvedUpTo { preemptions: 2, schedules: 1, states: 1 },
                "proved up to 2 preemptions (1 schedule, 1 state)",
            ),
            (
                Strength::ProvedUpTo { preemptions: 1, schedules: 0, states: 0 },
                "proved up to 1 preemption (0 schedules, 0 states)",
            ),
            (Strength::NotFound { schedules: 1000 }, "not found in 1000 schedules"),
            (found(None), "found in schedule 7"),
            (found(Some(2)), "found in schedule 7, with 2 preemptions"),
            (
                not_proved("cache full at 1000000 states"),
                "not proved: cache full at 1000000 states (5 schedules, 1000000 states)",
            ),
            (not_proved("interrupted"), "not proved: interrupted (5 schedules, 1000000 states)"),
        ]
    }

    #[test]
    fn a_strength_reads_as_the_claim_that_it_is() {
        for (strength, text) in all() {
            assert_eq!(strength.to_string(), text);
            assert!(text.starts_with(&strength.short()), "{text}");
        }
    }

    #[test]
    fn a_strength_survives_the_trip_through_json() {
        for (strength, _) in all() {
            let json = serde_json::to_string(&strength).unwrap();
            assert_eq!(serde_json::from_str::<Strength>(&json).unwrap(), strength, "{json}");
        }
        let json = serde_json::to_string(&Strength::Proved { schedules: 145, states: 209 }).unwrap();
        assert_eq!(json, r#"{"kind":"proved","schedules":145,"states":209}"#);
    }

    #[test]
    fn a_proof_implies_the_weaker_ones_and_nothing_else_is_a_proof() {
        let complete = Strength::Proved { schedules: 1, states: 1 };
        let bounded = Strength::ProvedUpTo { preemptions: 2, schedules: 1, states: 1 };
        assert!(complete.meets(Proof::Complete) && complete.meets(Proof::UpTo(9)));
        assert!(bounded.meets(Proof::UpTo(2)) && bounded.meets(Proof::UpTo(0)));
        assert!(!bounded.meets(Proof::UpTo(3)) && !bounded.meets(Proof::Complete));
        for (strength, text) in all() {
            assert_eq!(strength.proof().is_some(), text.starts_with("proved"), "{text}");
            assert_eq!(strength.meets(Proof::UpTo(0)), text.starts_with("proved"), "{text}");
        }
    }

    #[test]
    fn what_is_asked_for_has_one_spelling() {
        for (proof, text) in [
            (Proof::Complete, "proved"),
            (Proof::UpTo(0), "proved up to 0 preemptions"),
            (Proof::UpTo(1), "proved up to 1 preemption"),
            (Proof::UpTo(12), "proved up to 12 preemptions"),
        ] {
            assert_eq!(proof.to_string(), text);
            assert_eq!(text.parse(), Ok(proof));
            assert_eq!(serde_json::to_string(&proof).unwrap(), format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Proof>(&format!("{text:?}")).unwrap(), proof);
        }
        for text in ["", "Proved", "proved up to", "proved up to x preemptions", "proved up to 1 preemptions"] {
            assert_eq!(text.parse::<Proof>(), Err(ParseProofError { found: text.to_owned() }));
        }
    }
}
