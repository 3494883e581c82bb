//! Tests of `values`: what is read, and what is said about the rest.
//! Not here: what other files report about the same text.

use super::*;
use crate::{Diagnostics, yaml};

fn value<T>(text: &str, read: impl Fn(&Node, &mut Sink<'_>) -> Checked<T>) -> Result<T, Diagnostics> {
    let source = format!("v: {text}\n");
    let mut sink = Sink::new("x", &source);
    let value = yaml::read(&source, &mut sink).and_then(|root| read(root.get("v").unwrap(), &mut sink));
    sink.into_result().map(|()| value.unwrap())
}

fn refused<T: std::fmt::Debug>(text: &str, read: impl Fn(&Node, &mut Sink<'_>) -> Checked<T>) -> String {
    value(text, read).unwrap_err().to_string()
}

#[test]
fn numbers_are_digits_in_a_range() {
    for (text, number) in [("0", 0), ("64", 64), ("\"64\"", 64), ("1_000", 1000), ("007", 7)] {
        assert_eq!(value(text, |node, sink| super::number(node, 0..=1000, sink)), Ok(number));
    }
    for text in ["-1", "+1", "1.0", "NaN", ".nan", "1e3", "0x10", "1001", "_1", "1_", "99999999999999999999", "\"\""] {
        let found = refused(text, |node, sink| number(node, 0..=1000, sink));
        assert!(found.ends_with("is not a whole number from 0 to 1000"), "{found}");
    }
    assert_eq!(
        refused("", |node, sink| number(node, 1..=u64::MAX, sink)),
        "x:1:1: nothing is not a whole number of at least 1"
    );
    assert_eq!(refused("[1]", |node, sink| number(node, 0..=u64::MAX, sink)), "x:1:4: a list is not a whole number");
}

#[test]
fn sizes_are_whole_sectors_in_a_range() {
    let size = |node: &Node, sink: &mut Sink<'_>| bytes(node, Bytes(1)..=Bytes::mib(1), sink);
    assert_eq!(value("64KiB", size), Ok(Bytes::kib(64)));
    assert_eq!(refused("513", size), "x:1:4: \"513\" is not a multiple of 512 bytes above 0, at most 1MiB");
    assert_eq!(refused("0", size), "x:1:4: \"0\" is not a multiple of 512 bytes above 0, at most 1MiB");
    assert_eq!(refused("2MiB", size), "x:1:4: \"2MiB\" is not a multiple of 512 bytes above 0, at most 1MiB");
    for text in ["-4k", "NaN", "4.5k", "99999999999999t", "4 k"] {
        assert!(refused(text, size).contains("is not a size such as 4096, 4k, 64KiB or 1MiB"), "{text}");
    }
}

#[test]
fn durations_carry_a_unit_and_may_have_to_be_some() {
    assert_eq!(value("10ms", span_of_time), Ok(Nanos::millis(10)));
    assert_eq!(value("0", nanos), Ok(Nanos::ZERO));
    assert_eq!(refused("0", span_of_time), "x:1:4: \"0\" is not a duration above 0");
    assert_eq!(refused("10", nanos), "x:1:4: \"10\" is not a duration such as 500ns, 20us, 10ms, 5s or 2m");
}

#[test]
fn a_wrong_word_is_answered_with_the_nearest_and_all() {
    assert_eq!(value("ENOMEM", outcome), Ok(Outcome::Errno(Errno::ENOMEM)));
    assert_eq!(value("ok", outcome), Ok(Outcome::Ok));
    let found = refused("EINVALID", outcome);
    assert!(
        found
            .starts_with("x:1:4: \"EINVALID\" is not `ok` or an error (did you mean `EINVAL`? allowed here: ok, EPERM")
    );
    for (text, wanted) in
        [("refused", Outcome::Refused), ("any", Outcome::Any), ("ok or ENXIO", Outcome::OkOr(Errno::ENXIO))]
    {
        assert_eq!(value(text, outcome), Ok(wanted));
    }
    assert!(refused("ok or EO", outcome).contains("did you mean `ok or EIO`?"));
    assert_eq!(refused("yes", truth), "x:1:4: \"yes\" is not true or false (allowed here: true, false)");
}

#[test]
fn lists_are_read_to_the_end() {
    let numbers =
        |node: &Node, sink: &mut Sink<'_>| one_or_more(node, "numbers", sink, |item, sink| number(item, 1..=9, sink));
    assert_eq!(value("[1, 2]", numbers), Ok(vec![1, 2]));
    assert_eq!(value("3", numbers), Ok(vec![3]));
    assert_eq!(value("[0, 1, x]", numbers).unwrap_err().len(), 2);
    assert_eq!(refused("{ a: 1 }", numbers), "x:1:4: a map is not a list of numbers");
    assert_eq!(refused("", numbers), "x:1:1: nothing is not a list of numbers");
}
