//! Tests of `expect`.
//! Not here: what other files report about the same text.

use super::super::testing::{assert_refused, expect};
use super::*;
use crate::Relation;
use crate::{Runtime, Strength};

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
            strength: None,
            lock_order: None,
            cycle: vec!["t.bs".to_owned(), "worker".to_owned()],
            message: Some("no progress".to_owned()),
            entry_order: vec!["t 0+16".to_owned(), "d 0+8".to_owned()],
            peak: vec![
                ("t.bs".to_owned(), Bound { relation: Relation::AtMost, value: 2 }),
                ("*.io_bs".to_owned(), Bound { relation: Relation::More, value: 1 }),
            ],
            counters: vec![("splits".to_owned(), Bound { relation: Relation::Equal, value: 0 })],
            relations: Vec::new(),
            loads: Vec::new(),
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
    for relation in bound::RELATIONS {
        let sign = relation.sign();
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
fn a_strength_is_proved_or_proved_up_to_a_number_of_preemptions() {
    let strength = |text: &str| expect(&format!("  - {{ strength: {text} }}\n")).map(|found| found[0].strength);
    assert_eq!(strength("proved"), Ok(Some(Strength::Proved)));
    for (text, bound) in [("0 preemptions", 0), ("1 preemption", 1), ("2 preemptions", 2)] {
        let written = format!("proved up to {text}");
        assert_eq!(strength(&format!("\"{written}\"")), Ok(Some(Strength::ProvedUpTo(bound))));
        assert_eq!(Strength::ProvedUpTo(bound).to_string(), written, "as it is written");
    }
    assert_eq!(Strength::ProvedUpTo(3).stronger(Strength::ProvedUpTo(2)), Strength::ProvedUpTo(3));
    assert_eq!(Strength::ProvedUpTo(3).stronger(Strength::Proved), Strength::Proved);
    let beside = expect("  - { verdict: pass, on: explorer, strength: proved }\n").unwrap();
    assert_eq!(beside.len(), 1);
    assert_eq!((beside[0].verdict, beside[0].strength), (Some(Verdict::Pass), Some(Strength::Proved)));
    assert_eq!(expect("  - { strength: proved }\n").unwrap()[1].verdict, Some(Verdict::Pass), "a pass is implied");
}

#[test]
fn what_cannot_be_proved_is_refused_at_its_place() {
    assert_refused(
        expect,
        &[
            (
                "  - { strength: prooved }\n",
                "x:7:17: \"prooved\" is not a strength (did you mean `proved`? allowed here: proved, \"proved up to",
            ),
            ("  - { strength: proved up to two preemptions }\n", "x:7:17: \"proved up to two preemptions\" is not a"),
            ("  - { strength: proved up to 1001 preemptions }\n", "x:7:17: 1001 preemptions are more than the 1000"),
            (
                "  - { verdict: deadlock, strength: proved }\n",
                "x:7:36: only a pass can be proved; a failure is shown by the schedule that fails (say `verdict: pass`",
            ),
            ("  - { on: threads, strength: proved }\n", "x:7:30: a run on threads proves nothing"),
            (
                "  - { verdict: hang }\n  - { when: { split: loop }, strength: proved }\n",
                "x:8:40: the same runs are expected to fail in line 7; say with `when` which are proved",
            ),
        ],
    );
    assert!(expect("  - { on: threads, verdict: hang }\n  - { strength: proved }\n").is_ok());
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
