//! Compares what dm prints of a device with what a scenario wants.
//!
//! Invariants: lines are compared to the byte; a pattern has its line to itself; what differs is told with what was found.
//! Not here: printing (the backend), waiting until it comes true (`flow`).

use dmlab_scenarios::{Errno, Field, Outcome, Wanted};

use crate::backend::Actor;

/// Compares what `actor` was answered. The error says what was found and what was expected.
pub(super) fn compare(actor: &dyn Actor, found: Result<Vec<String>, Errno>, wanted: &Wanted) -> Result<(), String> {
    let resolve = |text: &str| actor.resolve(text);
    match wanted {
        Wanted::Error(outcome) => error(found, *outcome),
        Wanted::Lines(lines) => {
            let (found, lines) = (answered(found)?, lines.iter().map(|line| resolve(line)).collect::<Vec<_>>());
            if found == lines { Ok(()) } else { Err(format!("found {found:?}, expected {lines:?}")) }
        }
        Wanted::Matches(patterns) => {
            let found = answered(found)?;
            let fits =
                found.len() == patterns.len() && found.iter().zip(patterns).all(|(line, pattern)| pattern.fits(line));
            if fits { Ok(()) } else { Err(format!("found {found:?}, expected lines like {patterns:?}")) }
        }
        Wanted::Fields { line, fields } => {
            let found = answered(found)?;
            let Some(words) = found.get(*line as usize - 1).map(|line| line.split_whitespace().collect::<Vec<_>>())
            else {
                return Err(format!("found {found:?}, expected a line {line}"));
            };
            fields.iter().try_for_each(|(number, field)| {
                let word = words.get(*number as usize - 1).copied();
                let fits = match field {
                    Field::Text(text) => word == Some(&*resolve(text)),
                    Field::Number(bound) => {
                        word.and_then(|word| word.parse().ok()).is_some_and(|number| bound.holds(number))
                    }
                };
                let wanted = match field {
                    Field::Text(text) => format!("{:?}", resolve(text)),
                    Field::Number(bound) => bound.to_string(),
                };
                if fits { Ok(()) } else { Err(format!("word {number} of {words:?} is not {wanted}")) }
            })
        }
    }
}

fn answered(found: Result<Vec<String>, Errno>) -> Result<Vec<String>, String> {
    found.map_err(|errno| format!("{errno:?}"))
}

fn error(found: Result<Vec<String>, Errno>, wanted: Outcome) -> Result<(), String> {
    match found {
        Ok(lines) => Err(format!("found {lines:?}, expected {wanted}")),
        Err(errno) if wanted.admits_error(errno) => Ok(()),
        Err(errno) => Err(format!("{errno:?}, expected {wanted}")),
    }
}
