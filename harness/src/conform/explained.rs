//! [`Explained`]: differences that are known, each with its reason, in a file that is checked in.
//!
//! Invariants: a difference is explained if an entry names its scenario, its kernel, its aspect, and, where the entry says
//! them, its line, a part of what was asked and a part of what each side said; an entry without a reason is an error, and so
//! is one that explains nothing although its scenario and kernel were compared, unless it is about a race (`sometimes`).
//! Not here: fixing them, which is better.

use serde::{Deserialize, Serialize};

use super::{Aspect, Difference};

/// The file that comes with dmlab.
pub const SHIPPED: &str = include_str!("../../conform/explained.yaml");

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// The scenario; `*` at the end stands for anything.
    pub scenario: String,
    /// The kernel's name, in the same way.
    #[serde(default = "any")]
    pub kernel: String,
    /// In which respect they differ.
    pub aspect: Aspect,
    /// The line of the step; left out, it is about all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// A part of what was asked; empty is all.
    #[serde(default)]
    pub what: String,
    /// A part of what the engine said; empty is all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub engine_says: String,
    /// A part of what the kernel said; empty is all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kernel_says: String,
    /// Whether a race decides if the difference is there: a run without it is no reason to take the entry out.
    #[serde(default)]
    pub sometimes: bool,
    /// Why they do, and why the engine is not made to do the same.
    pub reason: String,
}

fn any() -> String {
    "*".to_owned()
}

impl Explanation {
    fn is_about(&self, scenario: &str, kernel: &str) -> bool {
        fits(&self.scenario, scenario) && fits(&self.kernel, kernel)
    }

    fn explains(&self, difference: &Difference) -> bool {
        self.aspect == difference.aspect
            && self.line.is_none_or(|line| line == difference.line)
            && difference.what.contains(&self.what)
            && difference.engine.contains(&self.engine_says)
            && difference.kernel.contains(&self.kernel_says)
    }
}

/// All entries, and which of them were of use.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    entries: Vec<Explanation>,
    /// Of each entry: whether what it is about was compared, and whether it explained something.
    seen: Vec<(bool, bool)>,
}

impl Explained {
    /// Reads a list of entries.
    ///
    /// # Errors
    /// What is wrong with it: no YAML of this kind, or an entry without a reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let entries: Vec<Explanation> = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        if let Some(entry) = entries.iter().find(|entry| entry.reason.split_whitespace().count() < REASON_WORDS_MIN) {
            let (scenario, aspect) = (&entry.scenario, entry.aspect.name());
            return Err(format!(
                "the entry of {scenario} about {aspect} has no reason of {REASON_WORDS_MIN} words or more"
            ));
        }
        let seen = vec![(false, false); entries.len()];
        Ok(Self { entries, seen })
    }

    /// Notes that a cell of `scenario` was compared with `kernel`.
    pub fn compared(&mut self, scenario: &str, kernel: &str) {
        for (entry, (was_compared, _)) in self.entries.iter().zip(&mut self.seen) {
            *was_compared |= entry.is_about(scenario, kernel);
        }
    }

    /// The reason of a difference, if it has one.
    pub fn reason(&mut self, scenario: &str, kernel: &str, difference: &Difference) -> Option<String> {
        let explains = |entry: &Explanation| entry.is_about(scenario, kernel) && entry.explains(difference);
        let index = self.entries.iter().position(explains)?;
        self.seen[index].1 = true;
        Some(self.entries[index].reason.trim().to_owned())
    }

    /// Entries that explain nothing any more, but for those that need not every time.
    pub fn idle(&self) -> Vec<&Explanation> {
        let idle = |(entry, (compared, used)): &(&Explanation, &(bool, bool))| *compared && !used && !entry.sometimes;
        self.entries.iter().zip(&self.seen).filter(idle).map(|(entry, _)| entry).collect()
    }
}

/// A reason is a sentence.
const REASON_WORDS_MIN: usize = 4;

fn fits(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |begin| name.starts_with(begin))
}
