//! Tests of `fault`.
//! Not here: what other files report about the same text.

use super::super::testing::{assert_refused, step};
use super::*;

fn slab(when: &str) -> Result<When, String> {
    match step(&format!("fault: {{ slab: {{ pool: t.bs, fail: {when} }} }}"))? {
        Action::Fault(Fault::Slab { fault, .. }) => Ok(fault.when),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn events_fail_always_or_by_rate_or_by_number() {
    assert_eq!(slab("always"), Ok(When::Always));
    assert_eq!(slab("{ rate: 50% }"), Ok(When::Rate { ppb: 500_000_000 }));
    assert_eq!(slab("{ rate: 12.5% }"), Ok(When::Rate { ppb: 125_000_000 }));
    assert_eq!(slab("{ rate: 0.0000001% }"), Ok(When::Rate { ppb: 1 }));
    assert_eq!(slab("{ rate: 100% }"), Ok(When::Rate { ppb: 1_000_000_000 }));
    assert_eq!(slab("{ nth: [3, 1] }"), Ok(When::Nth(vec![1, 3])));
    assert_eq!(slab("{ nth: 7 }"), Ok(When::Nth(vec![7])));
    assert_eq!(slab("{ every: 2 }"), Ok(When::Every(2)));
}

#[test]
fn a_search_may_choose_which_events_fail_one_unless_more_are_allowed() {
    assert_eq!(slab("any"), Ok(When::Any { at_most: 1 }));
    assert_eq!(slab("any, at_most: 2"), Ok(When::Any { at_most: 2 }));
    let Ok(Action::Fault(Fault::Io { fault, .. })) = step("fault: { io: { on: d, op: read, at_most: 3, fail: any } }")
    else {
        panic!()
    };
    assert_eq!(fault.when, When::Any { at_most: 3 });
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    assert_refused(
        slab,
        &[
            ("sometimes", "x:5:40: \"sometimes\" is not `always` or `any` (or a map: { rate: 12.5% }"),
            ("alway", "x:5:40: \"alway\" is not `always` or `any` (did you mean `always`? or a map"),
            (
                "always, at_most: 2",
                "x:5:57: `at_most` bounds what a search may choose, and this `fail` leaves no choice (",
            ),
            ("{ every: 2 }, at_most: 2", "x:5:63: `at_most` bounds what a search may choose"),
            ("any, at_most: 0", "x:5:54: \"0\" is not a whole number from 1 to 1000"),
            ("any, at_most: 1001", "x:5:54: \"1001\" is not a whole number from 1 to 1000"),
            ("any, atmost: 2", "x:5:45: \"atmost\" is not a key of a `slab` fault (did you mean `at_most`?"),
            ("{ rate: 100.1% }", "x:5:48: \"100.1%\" is not a rate from 0% to 100%"),
            ("{ rate: 0.5 }", "x:5:48: \"0.5\" is not a rate"),
            ("{ rate: -1% }", "x:5:48: \"-1%\" is not a rate"),
            ("{ rate: NaN% }", "x:5:48: \"NaN%\" is not a rate"),
            ("{ rate: .5% }", "x:5:48: \".5%\" is not a rate"),
            ("{ rate: 1.% }", "x:5:48: \"1.%\" is not a rate"),
            ("{ rate: 0.00000001% }", "x:5:48: \"0.00000001%\" is not a rate"),
            ("{ rate: 99999999999999999999% }", "x:5:48: \"99999999999999999999%\" is not a rate"),
            ("{ nth: [0] }", "x:5:48: \"0\" is not a whole number from 1 to"),
            ("{ nth: [2, 2] }", "x:5:47: event 2 is named twice"),
            ("{ nth: [] }", "x:5:47: no event is named"),
            ("{ every: 0 }", "x:5:49: \"0\" is not a whole number of at least 1"),
            ("{ rate: 1%, every: 2 }", "x:5:52: \"every\" is a second key of what fails"),
            ("{}", "x:5:40: an empty map is not what fails"),
        ],
    );
}

#[test]
fn pools_belong_to_declared_devices() {
    let pool = |pool: &str| step(&format!("fault: {{ slab: {{ pool: \"{pool}\", fail: always }} }}"));
    for name in ["t.bs", "*.io_bs", "t.*", "*.*", "top.2.bs", "t.kcopyd.jobs", "*.kcopyd.pages", "top.2.kcopyd.io"] {
        assert!(pool(name).is_ok(), "{name}");
    }
    assert_refused(
        pool,
        &[
            ("bs", "x:5:28: \"bs\" is not a pool, written `<device>.<pool>`"),
            ("t.", "x:5:28: \"t.\" is not a pool"),
            ("tt.bs", "x:5:29: \"tt\" is not a declared device"),
            ("t.a..b", "x:5:28: \"t.a..b\" is not a pool"),
            ("tt.kcopyd.jobs", "x:5:29: \"tt\" is not a declared device"),
            ("top.3.bs", "x:5:29: \"top.3\" is not a declared device"),
        ],
    );
}

#[test]
fn io_faults_have_operation_range_and_errno() {
    let fault = |text: &str| match step(&format!("fault: {{ io: {{ {text} }} }}")) {
        Ok(Action::Fault(Fault::Io { device, fault, errno })) => (device, fault, errno),
        other => panic!("{text}: {other:?}"),
    };
    let (device, plan, errno) = fault("on: d, fail: always");
    assert_eq!((device.as_str(), errno), ("d", Errno::EIO));
    assert_eq!(
        plan,
        IoFault { op: FaultOp::Any, start: Sectors(0), end: None, when: When::Always, effect: Effect::Fail }
    );
    let (_, plan, errno) = fault("on: n, op: write, sectors: '8..16', fail: { every: 3 }, errno: ENOSPC");
    assert_eq!(errno, Errno::ENOSPC);
    assert_eq!(
        plan,
        IoFault {
            op: FaultOp::Write,
            start: Sectors(8),
            end: Some(Sectors(16)),
            when: When::Every(3),
            effect: Effect::Fail
        }
    );
    assert_eq!(fault("on: d, sectors: 8.., fail: always").1.start, Sectors(8));
    assert_eq!(fault("on: d, sectors: all, fail: always").1.end, None);
}

#[test]
fn io_fails_in_leaf_devices_and_within_them() {
    assert_refused(
        step,
        &[
            (
                "fault: { io: { on: t, fail: always } }",
                "x:5:24: \"t\" is a dm device; this is for leaf devices only: ram, null, timed and file",
            ),
            ("fault: { io: { on: m, fail: always } }", "x:5:24: \"m\" is a barrier"),
            ("fault: { io: { on: d, sectors: 8, fail: always } }", "x:5:36: \"8\" is not a range of sectors"),
            ("fault: { io: { on: d, sectors: 8..8, fail: always } }", "x:5:36: the range 8..8 is empty"),
            (
                "fault: { io: { on: d, sectors: 0..129, fail: always } }",
                "x:5:36: 0..129 does not lie within `d`, which has 128",
            ),
            ("fault: { io: { on: d, sectors: 128.., fail: always } }", "x:5:36: 128.. does not lie within `d`"),
            ("fault: { io: { on: d } }", "x:5:18: `fail` is missing in an `io` fault"),
            (
                "fault: { disk: {} }",
                "x:5:14: \"disk\" is not the key of a `fault` step, which has one (allowed here: slab, io)",
            ),
            ("heal: t", "x:5:11: \"t\" is not what can be healed (allowed here: all)"),
        ],
    );
    assert_eq!(step("heal: all"), Ok(Action::Heal));
}

fn effect_of(keys: &str) -> Result<(When, Effect), String> {
    match step(&format!("fault: {{ io: {{ on: d, {keys} }} }}"))? {
        Action::Fault(Fault::Io { fault, .. }) => Ok((fault.when, fault.effect)),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn bios_fail_or_hang_or_are_slow() {
    assert_eq!(effect_of("fail: always"), Ok((When::Always, Effect::Fail)));
    assert_eq!(effect_of("hang: { nth: 2 }"), Ok((When::Nth(vec![2]), Effect::Hang)));
    assert_eq!(effect_of("hang: any, at_most: 3"), Ok((When::Any { at_most: 3 }, Effect::Hang)));
    assert_eq!(effect_of("delay: always, by: 5ms"), Ok((When::Always, Effect::Delay(Nanos::millis(5)))));
    assert_refused(
        effect_of,
        &[
            ("op: read", "x:5:18: `fail` is missing in an `io` fault"),
            (
                "hang: always, fail: always",
                "x:5:18: an `io` fault is one of fail, hang and delay; here is fail and hang",
            ),
            ("delay: always", "x:5:18: `by` is missing in an `io` fault"),
            ("delay: always, by: 0", "x:5:46: \"0\" is not a duration above 0"),
            ("hang: always, by: 5ms", "x:5:45: `by` goes with `delay` only"),
            ("hang: always, errno: EIO", "x:5:48: `errno` goes with `fail` only"),
            ("hang: always, at_most: 2", "x:5:50: `at_most` bounds what a search may choose, and this `hang`"),
            ("hangs: always", "x:5:18: `fail` is missing in an `io` fault"),
        ],
    );
}

#[test]
fn what_a_leaf_holds_is_released_and_a_leaf_can_be_unplugged() {
    assert_eq!(step("release: d"), Ok(Action::Release("d".to_owned())));
    assert_eq!(step("unplug: n"), Ok(Action::Unplug("n".to_owned())));
    assert_refused(
        step,
        &[
            ("unplug: t", "x:5:13: \"t\" is a dm device; this is for leaf devices only"),
            ("release: $d", "x:5:14: \"$d\" is not a declared device (here, devices are named without `$`"),
        ],
    );
}
