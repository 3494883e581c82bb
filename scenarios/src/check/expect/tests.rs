//! Tests of `expect`.
//! Not here: what other files report about the same text.

use super::super::testing::{assert_refused, expect};
use super::*;
use crate::Runtime;

#[test]
fn everything_that_can_be_expected_is_read() {
    let found = expect(
        "  - { on: explorer, verdict: deadlock, cycle: [t.bs, worker], message: 'no progress',\n      \
         entry_order: [t 0+16, d 0+8], peak: { t.bs: \"<= 2\", \"*.io_bs\": '>1' }, counters: { splits: '== 0' } }\n",
    );
    assert_eq!(
        found,
        Ok(vec![Expectation {
            line: 7,
            on: Some(Runtime::Explorer),
            verdict: Some(Verdict::Deadlock),
            cycle: vec!["t.bs".to_owned(), "worker".to_owned()],
            message: Some("no progress".to_owned()),
            entry_order: vec!["t 0+16".to_owned(), "d 0+8".to_owned()],
            peak: vec![
                ("t.bs".to_owned(), Bound { relation: Relation::AtMost, value: 2 }),
                ("*.io_bs".to_owned(), Bound { relation: Relation::More, value: 1 }),
            ],
            counters: vec![("splits".to_owned(), Bound { relation: Relation::Equal, value: 0 })],
        }])
    );
}

#[test]
fn only_what_fits_the_cell_remains() {
    let found = expect(
        "  - { when: { split: trim }, verdict: deadlock }\n  - { when: { split: loop, depth: [1, 2] }, verdict: hang }\n",
    )
    .unwrap();
    assert_eq!(found.iter().map(|expectation| expectation.line).collect::<Vec<_>>(), [8]);
}

#[test]
fn a_cell_of_which_no_verdict_is_said_must_pass() {
    let found =
        expect("  - { when: { split: trim }, verdict: deadlock }\n  - { counters: { splits: '> 0' } }\n").unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found[1].line, found[1].verdict), (1, Some(Verdict::Pass)));
    assert_eq!(expect("  []\n").unwrap()[0].verdict, Some(Verdict::Pass));
}

#[test]
fn every_relation_is_read() {
    for (sign, relation) in RELATIONS {
        let found = expect(&format!("  - {{ counters: {{ x: '{sign} 5' }} }}\n")).unwrap();
        assert_eq!(found[0].counters, [("x".to_owned(), Bound { relation: *relation, value: 5 })]);
    }
}

#[test]
fn expectations_that_say_nothing_or_something_unknown_are_refused() {
    assert_refused(
        expect,
        &[
            ("  - { when: { split: loop } }\n", "x:7:5: this expects nothing"),
            ("  - { cycle: [] }\n", "x:7:5: this expects nothing"),
            ("  - { verdict: deadlok }\n", "x:7:16: \"deadlok\" is not a verdict (did you mean `deadlock`?"),
            ("  - { on: kernel, verdict: pass }\n", "x:7:11: \"kernel\" is not a runtime"),
            (
                "  - { when: { spilt: loop }, verdict: pass }\n",
                "x:7:15: \"spilt\" is not an axis of this scenario's `variants`",
            ),
            ("  - { when: { split: lop }, verdict: pass }\n", "x:7:22: \"lop\" is not among the values of `split`"),
            ("  - { peak: { t.bs: 2 } }\n", "x:7:21: \"2\" is not a bound such as"),
            ("  - { peak: { x.bs: '< 2' } }\n", "x:7:15: \"x\" is not a declared device"),
            ("  - { counters: { x: '< -2' } }\n", "x:7:22: \"< -2\" is not a bound such as"),
            ("  - { entry_order: [t 0] }\n", "x:7:21: \"t 0\" is not a bio entering a device"),
            ("  - { entry_order: [x 0+1] }\n", "x:7:21: \"x\" is not a declared device"),
            ("  - pass\n", "x:7:5: \"pass\" is not an expectation"),
        ],
    );
}

#[test]
fn the_same_runs_cannot_end_in_two_ways() {
    let found = expect("  - { verdict: pass }\n  - { when: { split: loop }, verdict: hang }\n").unwrap_err();
    assert_eq!(found, "x:8:39: the same runs are expected to end otherwise in line 7; say with `when` or `on` which");
    assert!(expect("  - { on: threads, verdict: pass }\n  - { on: explorer, verdict: hang }\n").is_ok());
}

#[test]
fn a_mistake_beside_a_wrong_selector_is_reported_too() {
    let found = expect("  - { when: { spilt: loop }, verdict: deadlok }\n").unwrap_err();
    assert_eq!(found.lines().count(), 2, "{found}");
}
