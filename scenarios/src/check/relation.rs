//! Relations between counters: `punted_bios <= 2 * pool_waits + 1`.
//!
//! Invariant: at least one counter is named, or it would say nothing about the run.
//! Not here: which counters there are (the harness).

use super::bound::RELATIONS;
use crate::fields::Checked;
use crate::node::Node;
use crate::sink::Sink;
use crate::{Comparison, Term, values};

const WANTED: &str = "a relation of counters such as \"punted_bios <= pool_waits\" or \"ios >= 2 * io_errors + 1\"";

pub(super) fn relation(node: &Node, sink: &mut Sink<'_>) -> Checked<Comparison> {
    let text = values::text_as(node, WANTED, sink)?;
    let Some(comparison) = parse(text) else {
        sink.wanted(node, WANTED);
        return None;
    };
    if comparison.counters().next().is_none() {
        return sink.refuse(node.span, "this compares two numbers; name a counter");
    }
    Some(comparison)
}

fn parse(text: &str) -> Option<Comparison> {
    let begin = text.find(['<', '>', '=', '!'])?;
    let (left, rest) = text.split_at(begin);
    // The longer signs stand first.
    let (relation, right) =
        RELATIONS.iter().find_map(|relation| Some((*relation, rest.strip_prefix(relation.sign())?)))?;
    Some(Comparison { left: sum(left)?, relation, right: sum(right)? })
}

fn sum(text: &str) -> Option<Vec<Term>> {
    text.split('+').map(|part| term(part.trim())).collect()
}

fn term(text: &str) -> Option<Term> {
    let named = |factor, name: &str| is_counter(name).then(|| Term { factor, counter: Some(name.to_owned()) });
    match text.split_once('*') {
        Some((factor, name)) => named(values::parse_number(factor.trim())?, name.trim()),
        None => match values::parse_number(text) {
            Some(factor) => Some(Term { factor, counter: None }),
            None => named(1, text),
        },
    }
}

fn is_counter(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_refused, expect};
    use super::*;

    fn read(text: &str) -> Result<Comparison, String> {
        Ok(expect(&format!("  - {{ relations: ['{text}'] }}\n"))?.remove(0).relations.remove(0))
    }

    #[test]
    fn sums_of_counters_and_numbers_are_read_and_printed_as_they_are_written() {
        for text in ["a <= b", "a != 2 * b + c + 1", "0 < 3 * io_errors", "a + b >= 7", "a == b", "a > b"] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        let found = read("2*a+1<=b").unwrap();
        assert_eq!(found.sums(|name| Some(if name == "a" { 3 } else { 6 })), Some((7, 6)));
        assert_eq!(found.sums(|name| (name == "a").then_some(3)), None, "there is no b");
    }

    #[test]
    fn what_is_no_relation_is_refused() {
        let wanted = "is not a relation of counters such as";
        for text in ["a", "a <=", "<= b", "a <= b - 1", "a * 2 <= b", "a =< b", "a <= b <= c", "a ++ b < c", "A < b"] {
            let found = read(text).unwrap_err();
            assert!(found.starts_with("x:7:19: ") && found.contains(wanted), "{text}: {found}");
        }
        assert_refused(read, &[("1 < 2 + 3", "x:7:19: this compares two numbers; name a counter")]);
    }
}
