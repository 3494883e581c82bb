//! Readers of single values: numbers, units, words out of a list, lists.
//!
//! Invariants: a message is always "what was found, is not, what is allowed"; whether a scalar is quoted makes no
//! difference, since a substituted one must be quoted in `{ }`; nothing that was reported already is reported again.
//! Not here: anything that needs to know the scenario's devices (`check::scope`).

use std::ops::RangeInclusive;
use std::str::FromStr;

use dmlab_units::{Bytes, Nanos, ParseUnitError, SECTOR_BYTES, Sectors, Seed};

use crate::fields::Checked;
use crate::nearest;
use crate::node::{Kind, Node};
use crate::sink::{Sink, shown};
use crate::{Errno, Outcome};

/// No sector number can be larger, or its place in bytes would not fit 64 bits.
pub(crate) const SECTOR_MAX: u64 = u64::MAX / SECTOR_BYTES;

/// A table of words and what they stand for.
pub(crate) type Words<T> = [(&'static str, T)];

const ERRNOS: &Words<Errno> = &[
    ("EPERM", Errno::EPERM),
    ("ENOENT", Errno::ENOENT),
    ("ENXIO", Errno::ENXIO),
    ("EIO", Errno::EIO),
    ("ENOMEM", Errno::ENOMEM),
    ("EBUSY", Errno::EBUSY),
    ("EEXIST", Errno::EEXIST),
    ("ENODEV", Errno::ENODEV),
    ("EINVAL", Errno::EINVAL),
    ("ENOSPC", Errno::ENOSPC),
    ("EOPNOTSUPP", Errno::EOPNOTSUPP),
    ("EAGAIN", Errno::EAGAIN),
];

/// Any text, which may be empty only when quoted.
pub(crate) fn text<'n>(node: &'n Node, sink: &mut Sink<'_>) -> Checked<&'n str> {
    text_as(node, "a text", sink)
}

/// A text that has something in it.
pub(crate) fn filled(node: &Node, sink: &mut Sink<'_>) -> Checked<String> {
    let text = text(node, sink)?;
    if text.trim().is_empty() {
        sink.wanted(node, "a text with something in it");
        return None;
    }
    Some(text.to_owned())
}

/// A text; when it is none, the message says that `wanted` is wanted.
pub(crate) fn text_as<'n>(node: &'n Node, wanted: &str, sink: &mut Sink<'_>) -> Checked<&'n str> {
    let text = node.text();
    if text.is_none() && !node.is_broken() {
        sink.wanted(node, wanted);
    }
    text
}

/// A text made of the characters that `allowed` accepts, described by `wanted`.
pub(crate) fn name(node: &Node, wanted: &str, allowed: impl Fn(&str) -> bool, sink: &mut Sink<'_>) -> Checked<String> {
    let text = text_as(node, wanted, sink)?;
    if !allowed(text) {
        sink.wanted(node, wanted);
        return None;
    }
    Some(text.to_owned())
}

/// A whole number: digits, with `_` between them where it helps reading.
pub(crate) fn number(node: &Node, range: RangeInclusive<u64>, sink: &mut Sink<'_>) -> Checked<u64> {
    let wanted = match (*range.start(), *range.end()) {
        (0, u64::MAX) => "a whole number".to_owned(),
        (least, u64::MAX) => format!("a whole number of at least {least}"),
        (least, most) => format!("a whole number from {least} to {most}"),
    };
    let number = parse_number(text_as(node, &wanted, sink)?).filter(|number| range.contains(number));
    if number.is_none() {
        sink.wanted(node, &wanted);
    }
    number
}

/// [`number`] for counts.
pub(crate) fn count(node: &Node, range: RangeInclusive<u32>, sink: &mut Sink<'_>) -> Checked<u32> {
    let number = number(node, u64::from(*range.start())..=u64::from(*range.end()), sink)?;
    u32::try_from(number).ok()
}

/// The number that `text` is: only digits, and `_` between digits.
pub(crate) fn parse_number(text: &str) -> Option<u64> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !text.split('_').all(digits) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// A position or length in sectors.
pub(crate) fn sectors(node: &Node, least: u64, sink: &mut Sink<'_>) -> Checked<Sectors> {
    number(node, least..=SECTOR_MAX, sink).map(Sectors)
}

/// A size in bytes that is whole sectors and in `range`.
pub(crate) fn bytes(node: &Node, range: RangeInclusive<Bytes>, sink: &mut Sink<'_>) -> Checked<Bytes> {
    let size: Bytes = unit(node, sink)?;
    if !size.0.is_multiple_of(SECTOR_BYTES) || !range.contains(&size) {
        let wanted = match (*range.start(), *range.end()) {
            (Bytes::ZERO, Bytes(u64::MAX)) => "a multiple of 512 bytes".to_owned(),
            (Bytes::ZERO, most) => format!("a multiple of 512 bytes of at most {most}"),
            (_, Bytes(u64::MAX)) => "a multiple of 512 bytes above 0".to_owned(),
            (_, most) => format!("a multiple of 512 bytes above 0, at most {most}"),
        };
        sink.wanted(node, &wanted);
        return None;
    }
    Some(size)
}

/// An amount of memory in `range`.
pub(crate) fn memory(node: &Node, range: RangeInclusive<Bytes>, sink: &mut Sink<'_>) -> Checked<Bytes> {
    let size: Bytes = unit(node, sink)?;
    if !range.contains(&size) {
        sink.wanted(node, &format!("a size from {} to {}", range.start(), range.end()));
        return None;
    }
    Some(size)
}

/// Some time, not none.
pub(crate) fn span_of_time(node: &Node, sink: &mut Sink<'_>) -> Checked<Nanos> {
    let time: Nanos = unit(node, sink)?;
    if time == Nanos::ZERO {
        sink.wanted(node, "a duration above 0");
        return None;
    }
    Some(time)
}

/// A duration, perhaps none.
pub(crate) fn nanos(node: &Node, sink: &mut Sink<'_>) -> Checked<Nanos> {
    unit(node, sink)
}

/// A seed.
pub(crate) fn seed(node: &Node, sink: &mut Sink<'_>) -> Checked<Seed> {
    unit(node, sink)
}

fn unit<T: FromStr<Err = ParseUnitError>>(node: &Node, sink: &mut Sink<'_>) -> Checked<T> {
    match text(node, sink)?.parse() {
        Ok(value) => Some(value),
        // The unit's own message quotes the whole text, however long it is.
        Err(ParseUnitError { wanted, .. }) => {
            sink.wanted(node, wanted);
            None
        }
    }
}

/// One of a list of words, described by `what`, e.g. `a verdict`.
pub(crate) fn word<T: Copy>(node: &Node, what: &str, words: &Words<T>, sink: &mut Sink<'_>) -> Checked<T> {
    let text = text_as(node, what, sink)?;
    let value = words.iter().find(|(word, _)| *word == text).map(|&(_, value)| value);
    if value.is_none() {
        let allowed: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
        sink.error_help(node.span, format!("{} is not {what}", shown(text)), nearest::help(text, &allowed));
    }
    value
}

/// `true` or `false`.
pub(crate) fn truth(node: &Node, sink: &mut Sink<'_>) -> Checked<bool> {
    word(node, "true or false", &[("true", true), ("false", false)], sink)
}

/// The name of an error.
pub(crate) fn errno(node: &Node, sink: &mut Sink<'_>) -> Checked<Errno> {
    word(node, "an error that scenarios may name", ERRNOS, sink)
}

/// `ok`, `refused`, `any`, the name of an error, or `ok or` one of them.
pub(crate) fn outcome(node: &Node, sink: &mut Sink<'_>) -> Checked<Outcome> {
    let either = [
        ("ok or EPERM", Errno::EPERM),
        ("ok or ENOENT", Errno::ENOENT),
        ("ok or ENXIO", Errno::ENXIO),
        ("ok or EIO", Errno::EIO),
        ("ok or ENOMEM", Errno::ENOMEM),
        ("ok or EBUSY", Errno::EBUSY),
        ("ok or EEXIST", Errno::EEXIST),
        ("ok or ENODEV", Errno::ENODEV),
        ("ok or EINVAL", Errno::EINVAL),
        ("ok or ENOSPC", Errno::ENOSPC),
        ("ok or EOPNOTSUPP", Errno::EOPNOTSUPP),
        ("ok or EAGAIN", Errno::EAGAIN),
    ];
    let mut words = vec![("ok", Outcome::Ok)];
    words.extend(ERRNOS.iter().map(|&(word, errno)| (word, Outcome::Errno(errno))));
    words.extend([("refused", Outcome::Refused), ("any", Outcome::Any)]);
    words.extend(either.map(|(word, errno)| (word, Outcome::OkOr(errno))));
    word(node, "`ok` or an error", &words, sink)
}

/// Every item of a list of `what`, e.g. `names`. All items are read, also after a wrong one.
pub(crate) fn list<'n, 't, T>(
    node: &'n Node,
    what: &str,
    sink: &mut Sink<'t>,
    read: impl FnMut(&'n Node, &mut Sink<'t>) -> Checked<T>,
) -> Checked<Vec<T>> {
    match &node.kind {
        Kind::Seq(items) => each(items, sink, read),
        Kind::Broken => None,
        Kind::Scalar(_) | Kind::Map(_) => {
            sink.wanted(node, &format!("a list of {what}"));
            None
        }
    }
}

/// As [`list`]; a single item stands for a list of one.
pub(crate) fn one_or_more<'n, 't, T>(
    node: &'n Node,
    what: &str,
    sink: &mut Sink<'t>,
    mut read: impl FnMut(&'n Node, &mut Sink<'t>) -> Checked<T>,
) -> Checked<Vec<T>> {
    match &node.kind {
        Kind::Scalar(_) if !node.is_nothing() => Some(vec![read(node, sink)?]),
        _ => list(node, what, sink, read),
    }
}

/// Reads every item, also after a wrong one; but not on and on when nearly all are wrong.
pub(crate) fn each<'n, 't, N, T>(
    items: &'n [N],
    sink: &mut Sink<'t>,
    mut read: impl FnMut(&'n N, &mut Sink<'t>) -> Checked<T>,
) -> Checked<Vec<T>> {
    let all: Vec<Checked<T>> = items.iter().map(|item| if sink.is_full() { None } else { read(item, sink) }).collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests;
