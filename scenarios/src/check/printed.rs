//! What dm prints: the steps `status` and `table`, and the same inside a `wait`.
//!
//! Invariants: exactly one of `is`, `matches`, `fields` and `expect` says what is wanted; a regular expression compiles;
//! words and lines are counted from 1.
//! Not here: the lines themselves (`table`).

use super::bound;
use super::control::is_stacked;
use super::scope::Scope;
use super::table::{self, Lines};
use crate::fields::{Checked, Fields};
use crate::node::{Kind, Node};
use crate::sink::{Sink, shown};
use crate::{Action, Field, Outcome, Pattern, Printed, Wanted, nearest, values};

/// No line of a status has more words, and no table more lines that a scenario would look at.
const PLACE_MAX: u32 = 1_000_000;
/// A text that is longer is no pattern that anybody wrote.
const PATTERN_BYTES_MAX: usize = 4096;
const FORMS: &[&str] = &["is", "matches", "fields", "expect"];

pub(super) fn status(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    printed(node, "a `status` step", scope, sink).map(Action::Status)
}

pub(super) fn table(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    printed(node, "a `table` step", scope, sink).map(Action::Table)
}

/// A device and what it must print.
pub(super) fn printed(node: &Node, what: &'static str, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Printed> {
    let mut keys = Fields::open(node, what, sink)?;
    let device = keys.required("of", |node, sink| scope.dm(node, sink));
    let stacked = device.as_ref().is_none_or(is_stacked);
    let lines = keys.optional("is", |node, sink| table::lines(node, Lines::Printed, stacked, scope, sink));
    let matches = keys.optional("matches", |node, sink| values::one_or_more(node, "patterns", sink, pattern));
    let fields = keys.optional("fields", |node, sink| fields(node, scope, sink));
    let line = keys.optional("line", |node, sink| values::count(node, 1..=PLACE_MAX, sink));
    let inactive = keys.or("inactive", false, values::truth);
    let error = keys.optional("expect", error);
    let span = keys.span();
    keys.finish()?;
    let given: Vec<&str> = FORMS.iter().copied().filter(|form| node.get(form).is_some()).collect();
    if given.len() != 1 {
        let found = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
        let message = format!("what is printed is said by one of is, matches, fields and expect; here is {found}");
        return sink.refuse(span, message);
    }
    let (lines, matches, fields, line, error) = (lines?, matches?, fields?, line?, error?);
    if let (Some(node), None) = (node.get("line"), &fields) {
        return sink.refuse(node.span, "`line` says which line `fields` are words of; there are none here");
    }
    let fields = fields.map(|fields| Wanted::Fields { line: line.unwrap_or(1), fields });
    let wanted = lines.map(Wanted::Lines).or(matches.map(Wanted::Matches)).or(fields).or(error.map(Wanted::Error))?;
    Some(Printed { device: device?.name, inactive: inactive?, wanted })
}

/// A regular expression.
fn pattern(node: &Node, sink: &mut Sink<'_>) -> Checked<Pattern> {
    let text = values::text_as(node, "a regular expression", sink)?;
    if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
        sink.wanted(node, "a regular expression of 1 to 4096 bytes");
        return None;
    }
    match Pattern::new(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let message = format!("{} is not a regular expression: {error}", shown(text));
            sink.error_help(node.span, message, "as in Rust, ASCII classes; write `\\[` for a bracket");
            None
        }
    }
}

/// A map of word numbers and what the words must be.
fn fields(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Vec<(u32, Field)>> {
    let entries = match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => entries,
        Kind::Broken => return None,
        _ => {
            sink.wanted(node, "a map of words of the line, counted from 1, and what they must be");
            return None;
        }
    };
    values::each(entries, sink, |(key, value), sink| {
        let word = values::count(key, 1..=PLACE_MAX, sink);
        let field = field(value, scope, sink);
        Some((word?, field?))
    })
}

fn field(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Field> {
    let text = values::text_as(node, "a word or a bound such as \">= 1\"", sink)?;
    if bound::is_relation(text) {
        return bound::bound(node, sink).map(Field::Number);
    }
    if text.is_empty() || text.contains(char::is_whitespace) {
        sink.wanted(node, "one word of a line, without spaces");
        return None;
    }
    if text.starts_with('$') {
        scope.reference(node, sink)?;
    }
    Some(Field::Text(text.to_owned()))
}

/// What printing must fail with.
fn error(node: &Node, sink: &mut Sink<'_>) -> Checked<Outcome> {
    let outcome = values::outcome(node, sink)?;
    if outcome.admits_success() {
        let help = nearest::list("for example", &["ENXIO", "refused"]);
        sink.error_help(
            node.span,
            format!("{} is not an error; `is` and `matches` say what succeeds", node.shown()),
            help,
        );
        return None;
    }
    Some(outcome)
}

#[cfg(test)]
mod tests;
