//! Tests of `control`: dmsetup's verbs.
//! Not here: what other files report about the same text.

use super::super::testing::{assert_refused, step};
use super::*;
use crate::Errno;
use crate::{Printed, Wanted};

#[test]
fn verbs_take_a_device_or_a_device_and_what_must_come_of_it() {
    let device = || "t".to_owned();
    let einval = Outcome::Errno(Errno::EINVAL);
    for (text, wanted) in [
        ("create: t", Action::Create { device: device(), outcome: Outcome::Ok }),
        ("create: { device: t, expect: EINVAL }", Action::Create { device: device(), outcome: einval }),
        (
            "resume: { device: t, nolockfs: true }",
            Action::Resume {
                device: device(),
                how: SuspendHow { noflush: false, nolockfs: true },
                outcome: Outcome::Ok,
            },
        ),
        ("unmount: t", Action::Unmount { device: device(), outcome: Outcome::Ok }),
        ("resume: t", Action::Resume { device: device(), how: SuspendHow::default(), outcome: Outcome::Ok }),
        (
            "resume: { device: t, expect: ok }",
            Action::Resume { device: device(), how: SuspendHow::default(), outcome: Outcome::Ok },
        ),
        ("remove: { device: t, expect: EINVAL }", Action::Remove { device: device(), outcome: einval }),
        ("suspend: t", Action::Suspend { device: device(), how: SuspendHow::default(), outcome: Outcome::Ok }),
        (
            "suspend: { device: t, noflush: true, expect: EINVAL }",
            Action::Suspend { device: device(), how: SuspendHow { noflush: true, nolockfs: false }, outcome: einval },
        ),
        (
            "suspend: top.2",
            Action::Suspend { device: "top.2".to_owned(), how: SuspendHow::default(), outcome: Outcome::Ok },
        ),
        (
            "reload: { device: t, table: ['0 16 linear $n 0'], expect: EINVAL }",
            Action::Load { device: device(), table: vec!["0 16 linear $n 0".to_owned()], outcome: einval },
        ),
        (
            "table: { of: t, is: '0 16 linear $d 0' }",
            Action::Table(Printed {
                device: device(),
                inactive: false,
                wanted: Wanted::Lines(vec!["0 16 linear $d 0".to_owned()]),
            }),
        ),
    ] {
        assert_eq!(step(text), Ok(wanted), "{text}");
    }
}

#[test]
fn only_dm_devices_have_tables() {
    for verb in ["create", "suspend", "resume", "remove"] {
        let column = 5 + verb.len() + 2;
        assert_eq!(
            step(&format!("{verb}: d")).unwrap_err(),
            format!("x:5:{column}: \"d\" is a leaf device; only dm devices can do this")
        );
    }
    assert_refused(
        step,
        &[
            ("reload: { device: m, table: 0 16 zero }", "x:5:23: \"m\" is a barrier; only dm devices"),
            ("status: { of: n, is: x }", "x:5:19: \"n\" is a leaf device"),
            ("table: { of: n, is: x }", "x:5:18: \"n\" is a leaf device"),
        ],
    );
}

#[test]
fn devices_are_named_as_they_were_declared() {
    assert_refused(
        step,
        &[
            ("create: $t", "x:5:13: \"$t\" is not a declared device (here, devices are named without `$`: t)"),
            (
                "create: tpo",
                "x:5:13: \"tpo\" is not a declared device (did you mean `top`? declared devices: d, n, m, t, top)",
            ),
            ("create: top.3", "x:5:13: \"top.3\" is not a declared device"),
            ("create: top.0", "x:5:13: \"top.0\" is not a declared device"),
            ("create: top.01", "x:5:13: \"top.01\" is not a declared device"),
            ("create: d.1", "x:5:13: \"d.1\" is not a declared device"),
            ("create:", "x:5:5: nothing is not the name of a device"),
        ],
    );
}

#[test]
fn a_new_table_may_say_below_only_where_there_is_one() {
    assert!(step("reload: { device: top, table: 0 16 linear $below 0 }").is_ok());
    assert_refused(
        step,
        &[
            ("reload: { device: t, table: 0 16 linear $below 0 }", "x:5:45: `$below` has a meaning only"),
            ("reload: { device: t }", "x:5:13: `table` is missing in a `reload` step"),
            ("reload: t", "x:5:13: \"t\" is not a `reload` step: a map"),
            ("create: { device: t, noflush: true }", "x:5:26: \"noflush\" is not a key of a `create` step"),
            ("suspend: { device: t, expect: ENOTHING }", "x:5:35: \"ENOTHING\" is not `ok` or an error"),
        ],
    );
}
