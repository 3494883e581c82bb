//! Table lines, and the lines that `dmsetup status` and `dmsetup table` must print.
//!
//! Invariants: every line of a table starts with two numbers and a target type; every token with a `$` is exactly
//! `$name` of a declared device, or `$below` where there is something below. Whether the targets exist and cover the
//! device without gaps is for the kernel to refuse: scenarios test that it does.
//! Not here: putting `major:minor` in (the backends).

use super::scope::Scope;
use crate::fields::Checked;
use crate::node::Node;
use crate::sink::{Sink, shown};
use crate::values;

/// The reference to the next lower level of a stacked device.
pub(super) const BELOW: &str = "$below";

/// What is checked of a line beyond its references.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// Lines of a table: `start length type …`.
    Table,
    /// Lines that are compared with what is printed: anything.
    Printed,
}

/// Reads a list of lines, or one text with a line in each of its lines. `stacked`: `$below` is allowed.
pub(super) fn lines(
    node: &Node,
    kind: Lines,
    stacked: bool,
    scope: &Scope,
    sink: &mut Sink<'_>,
) -> Checked<Vec<String>> {
    let texts = values::one_or_more(node, "lines", sink, |item, sink| {
        let text = values::text(item, sink)?;
        let mut clean = true;
        let mut from = 0;
        for line in text.split('\n') {
            clean &= check_line(item, from, line, kind, stacked, scope, sink).is_some();
            from += line.len() + 1;
        }
        // The line break at the end of a block text ends its last line and begins no other.
        let text = text.strip_suffix('\n').unwrap_or(text);
        clean.then(|| text.split('\n').map(str::to_owned).collect::<Vec<String>>())
    })?;
    let lines = texts.concat();
    if lines.is_empty() && kind == Lines::Table {
        return sink.refuse(node.span, "a table without a line; at least `0 <length> <type> …` is wanted");
    }
    Some(lines)
}

/// Checks the line that starts at byte `from` of `node`'s text.
fn check_line(
    node: &Node,
    from: usize,
    line: &str,
    kind: Lines,
    stacked: bool,
    scope: &Scope,
    sink: &mut Sink<'_>,
) -> Checked<()> {
    let tokens: Vec<(usize, &str)> = tokens(line).map(|(start, token)| (from + start, token)).collect();
    let last_of_block = line.is_empty() && from > 0;
    let mut clean = true;
    if kind == Lines::Table && !last_of_block {
        if tokens.len() < 3 {
            let message = format!("{} is not a line of a table: `<start> <length> <type> …`", shown(line));
            return sink.refuse(node.part(from, from + line.len()), message);
        }
        for (&(start, token), part) in tokens.iter().zip(["start", "length"]) {
            if token.parse::<u64>().is_err() || token.starts_with('+') {
                clean = false;
                let message = format!("{} is not a {part} in sectors: a whole number", shown(token));
                sink.error(node.part(start, start + token.len()), message);
            }
        }
    }
    for (start, token) in tokens {
        if !token.contains('$') {
            continue;
        }
        if sink.is_full() {
            return None;
        }
        clean &= check_reference(node, start, token, stacked, scope, sink).is_some();
    }
    clean.then_some(())
}

fn check_reference(
    node: &Node,
    start: usize,
    token: &str,
    stacked: bool,
    scope: &Scope,
    sink: &mut Sink<'_>,
) -> Checked<()> {
    // Counting columns takes as long as the text is: only for a mistake.
    let span = || node.part(start, start + token.len());
    if token == BELOW {
        if stacked || scope.is_of_anything() {
            return Some(());
        }
        return sink.refuse(span(), "`$below` has a meaning only in a device with `over: $device`");
    }
    match token.strip_prefix('$') {
        // Only whole devices can be named: `top.1` exists for steps, not for tables.
        Some(name) if !name.contains(['$', '.']) => {
            if scope.find(name).is_none() {
                scope.report_unknown(name, span(), sink);
                return None;
            }
            Some(())
        }
        _ => sink.refuse(span(), format!("{} is not a device, written `$name` with spaces around it", shown(token))),
    }
}

/// The words of a line and where each starts.
pub(super) fn tokens(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    line.split(char::is_whitespace).filter_map(move |token| {
        let start = from;
        // The byte length of the separator: line texts may hold any Unicode space.
        from += token.len() + line[start + token.len()..].chars().next().map_or(0, char::len_utf8);
        (!token.is_empty()).then_some((start, token))
    })
}

#[cfg(test)]
mod tests;
