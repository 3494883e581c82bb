//! Conformance: the same scenario on two device-mappers, and whether they answered alike, step by step.
//!
//! This is what the engine's licence to be believed rests on: with the algorithms of a kernel it must give the same data,
//! the same status and table lines, the same error numbers and the same verdict as that kernel, and it must leave the same
//! exception stores behind.
//!
//! Reading order: this file (what a side saw, and how two of them differ), [`stores`] (exception stores beside each other),
//! [`explained`] (differences that have a reason), [`report`] (rows and totals), [`sides`] (the engine as a side), [`across`]
//! (stores of one side on the other).
//!
//! Invariants: what one side answered and the other did not is a difference; of a flow of control that took another way,
//! only the first difference of ways is told, since all after it follows from it; nothing is left out without being counted.
//! Not here: running guests.

pub mod across;
pub mod explained;
pub mod report;
pub mod sides;
pub mod stores;

use std::fmt;

use dmlab_results::Verdict;
use serde::{Deserialize, Serialize};

use crate::script::{Event, Trace};

/// What one side saw of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it came to; with [`Verdict::Skip`], nothing else was seen.
    pub verdict: Verdict,
    /// The report of its verdict, or why it was left out.
    pub report: Option<String>,
    /// What its steps were answered.
    pub trace: Trace,
}

/// In which respect two sides can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// What was read is what was written.
    Data,
    /// Status and table lines, replies, numbers of events.
    Lines,
    /// Error numbers.
    Errnos,
    /// Which steps were carried out.
    Steps,
    /// The verdict.
    Verdict,
    /// The persistent exception stores that were left.
    Cow,
}

impl Aspect {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Data, Self::Lines, Self::Errnos, Self::Steps, Self::Verdict, Self::Cow];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Lines => "lines",
            Self::Errnos => "errnos",
            Self::Steps => "steps",
            Self::Verdict => "verdict",
            Self::Cow => "cow",
        }
    }
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// In which respect.
    pub aspect: Aspect,
    /// Line of the step; 0 where it is about none.
    pub line: u32,
    /// What was asked, e.g. `status of snap`; empty where it is about no step.
    pub what: String,
    /// What the engine said.
    pub engine: String,
    /// What the kernel said.
    pub kernel: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.aspect.name())?;
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        if !self.what.is_empty() {
            write!(f, "{}: ", self.what)?;
        }
        write!(f, "engine {}, kernel {}", self.engine, self.kernel)
    }
}

/// Everything in which two sides differ.
pub fn differences(engine: &Seen, kernel: &Seen) -> Vec<Difference> {
    let mut found = Vec::new();
    if engine.verdict != kernel.verdict {
        found.push(Difference {
            aspect: Aspect::Verdict,
            line: 0,
            what: String::new(),
            engine: with_report(engine),
            kernel: with_report(kernel),
        });
    }
    let flows = engine.trace.flows.keys().chain(kernel.trace.flows.keys());
    let flows: std::collections::BTreeSet<&String> = flows.collect();
    for flow in flows {
        let events = |seen: &'_ Seen| seen.trace.flows.get(flow).cloned().unwrap_or_default();
        in_flow(flow, &events(engine), &events(kernel), &mut found);
    }
    if engine.trace.left_out != kernel.trace.left_out {
        found.push(Difference {
            aspect: Aspect::Steps,
            line: 0,
            what: "events beyond those that are kept".to_owned(),
            engine: engine.trace.left_out.to_string(),
            kernel: kernel.trace.left_out.to_string(),
        });
    }
    found.extend(stores::compare(&engine.trace.stores, &kernel.trace.stores).1);
    found
}

/// A verdict, with the first line of its report.
fn with_report(seen: &Seen) -> String {
    let first = seen.report.as_deref().and_then(|report| report.lines().next());
    first.map_or_else(|| seen.verdict.to_string(), |first| format!("{} ({first})", seen.verdict))
}

fn in_flow(flow: &str, engine: &[Event], kernel: &[Event], found: &mut Vec<Difference>) {
    for (index, (ours, theirs)) in engine.iter().zip(kernel).enumerate() {
        if (ours.line, &ours.what) != (theirs.line, &theirs.what) {
            let place = |event: &Event| format!("line {}: {}", event.line, event.what);
            let what = format!("step {} of {flow}", index + 1);
            found.push(Difference { aspect: Aspect::Steps, line: 0, what, engine: place(ours), kernel: place(theirs) });
            return;
        }
        let differs = |aspect, engine: String, kernel: String| Difference {
            aspect,
            line: ours.line,
            what: ours.what.clone(),
            engine,
            kernel,
        };
        if ours.errno != theirs.errno {
            let said = |event: &Event| event.errno.clone().unwrap_or_else(|| "success".to_owned());
            found.push(differs(Aspect::Errnos, said(ours), said(theirs)));
        } else if ours.lines != theirs.lines {
            let aspect = aspect_of_lines(&ours.what);
            found.push(differs(aspect, format!("{:?}", ours.lines), format!("{:?}", theirs.lines)));
        }
    }
    if engine.len() != kernel.len() {
        let ended = |events: &[Event]| match events.last() {
            Some(last) => format!("ended after line {}: {}", last.line, last.what),
            None => "did nothing".to_owned(),
        };
        let (engine, kernel) = (ended(engine), ended(kernel));
        found.push(Difference { aspect: Aspect::Steps, line: 0, what: flow.to_owned(), engine, kernel });
    }
}

/// What the lines of an event are about: those of a control operation are dm's, those of a load are its kinds of errors,
/// those of a read what was wrong with the data.
fn aspect_of_lines(what: &str) -> Aspect {
    let begins = |words: &[&str]| words.iter().any(|word| what.starts_with(word));
    if begins(&["read of ", "write of ", "discard of ", "flush of ", "data of "]) {
        Aspect::Data
    } else if begins(&["load on "]) {
        Aspect::Errnos
    } else {
        Aspect::Lines
    }
}

#[cfg(test)]
mod tests;
