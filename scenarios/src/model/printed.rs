//! What dm prints of a device, and what is expected of it.
//!
//! Invariants: a [`Pattern`] is a regular expression that was compiled once; a field is one of the words of one line.
//! Not here: comparing with what dm printed (the harness), putting numbers in place of `$name` (each backend).

use std::fmt;

use super::{Bound, Outcome};

/// What `dmsetup status` or `dmsetup table` must print.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Printed {
    /// The device.
    pub device: String,
    /// Of its inactive table.
    pub inactive: bool,
    /// What it must print.
    pub wanted: Wanted,
}

/// What must be printed.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// Exactly these lines, e.g. `0 16 linear `; `$name` as in tables.
    Lines(Vec<String>),
    /// As many lines as patterns, each with a place that its pattern fits.
    Matches(Vec<Pattern>),
    /// Some words of one line.
    Fields {
        /// Which line, from 1.
        line: u32,
        /// Which word of it, from 1, and what it must be.
        fields: Vec<(u32, Field)>,
    },
    /// Nothing: the device must not be there to be asked, or refuse.
    Error(Outcome),
}

/// What a word must be.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// This; `$name` as in tables.
    Text(String),
    /// A number within a bound.
    Number(Bound),
}

/// A regular expression.
#[derive(Clone)]
pub struct Pattern(regex_lite::Regex);

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        regex_lite::Regex::new(text).map(Self).map_err(|error| error.to_string())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it fits some place of `text`.
    pub fn fits(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.as_str())
    }
}

impl serde::Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
