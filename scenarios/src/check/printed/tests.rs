//! Tests of `printed`: what a status or a table must be.
//! Not here: table lines.

use super::super::testing::{assert_refused, step};
use super::*;

fn wanted(form: &str) -> Wanted {
    match step(&format!("status: {{ of: t, {form} }}")) {
        Ok(Action::Status(printed)) => printed.wanted,
        other => panic!("{form}: {other:?}"),
    }
}

#[test]
fn what_is_printed_can_be_said_in_four_ways() {
    assert_eq!(wanted("is: '0 128 linear '"), Wanted::Lines(vec!["0 128 linear ".to_owned()]));
    let Wanted::Matches(patterns) = wanted("matches: ['^0 \\d+ linear', b]") else { panic!() };
    assert!(patterns.len() == 2 && patterns[0].fits("0 128 linear ") && !patterns[0].fits("0 x linear "));
    let Wanted::Fields { line, fields } = wanted("line: 2, fields: { 3: linear, 2: '<= 128', 4: $d }") else {
        panic!()
    };
    assert_eq!(line, 2);
    assert_eq!(fields[0], (3, Field::Text("linear".to_owned())));
    assert!(matches!(&fields[1], (2, Field::Number(bound)) if bound.holds(128) && !bound.holds(129)));
    assert_eq!(wanted("expect: ENXIO"), Wanted::Error(Outcome::Errno(crate::Errno::ENXIO)));
    assert_eq!(wanted("expect: refused"), Wanted::Error(Outcome::Refused));
}

#[test]
fn what_is_no_such_way_is_refused() {
    assert_refused(
        step,
        &[
            (
                "status: { of: t }",
                "x:5:13: what is printed is said by one of is, matches, fields and expect; here is none",
            ),
            (
                "table: { of: t, is: a, matches: a }",
                "x:5:12: what is printed is said by one of is, matches, fields and",
            ),
            ("status: { of: t, matches: '[a' }", "x:5:31: \"[a\" is not a regular expression: "),
            ("status: { of: t, matches: '' }", "x:5:31: \"\" is not a regular expression of 1 to 4096 bytes"),
            ("status: { of: t, match: a }", "x:5:22: \"match\" is not a key of a `status` step"),
            (
                "status: { of: t, line: 1, is: a }",
                "x:5:28: `line` says which line `fields` are words of; there are none",
            ),
            ("status: { of: t, fields: {} }", "x:5:30: an empty map is not a map of words of the line"),
            ("status: { of: t, fields: { 0: a } }", "x:5:32: \"0\" is not a whole number from 1"),
            ("status: { of: t, fields: { 1: '<= x' } }", "x:5:35: \"<= x\" is not a bound such as"),
            ("status: { of: t, fields: { 1: 'a b' } }", "x:5:35: \"a b\" is not one word of a line, without spaces"),
            ("status: { of: t, fields: { 4: $q } }", "x:5:35: \"q\" is not a declared device"),
            ("status: { of: t, expect: ok }", "x:5:30: \"ok\" is not an error; `is` and `matches` say what succeeds"),
        ],
    );
}
