//! Tests of `admin`: messages, events, names.
//! Not here: what other files report about the same text.

use super::super::testing::{assert_refused, step};
use super::*;
use crate::Errno;

#[test]
fn each_step_says_which_device_and_what_must_come_of_it() {
    let admin = |verb, outcome| Ok(Action::Admin(Admin { device: "t".to_owned(), verb, outcome }));
    let message = |sector, text: &str, reply: Option<&str>| Verb::Message {
        sector: Sectors(sector),
        text: text.to_owned(),
        reply: reply.map(str::to_owned),
    };
    let (ok, einval) = (Outcome::Ok, Outcome::Errno(Errno::EINVAL));
    for (text, verb, outcome) in [
        ("message: { to: t, text: enable }", message(0, "enable", None), ok),
        ("message: { to: t, sector: 8, text: a b, reply: c, expect: EINVAL }", message(8, "a b", Some("c")), einval),
        ("wait_event: { on: t }", Verb::WaitEvent { after: None }, ok),
        ("wait_event: { on: t, after: current }", Verb::WaitEvent { after: None }, ok),
        ("wait_event: { on: t, after: 3 }", Verb::WaitEvent { after: Some(3) }, ok),
        ("events: { of: t, is: 0 }", Verb::Events { is: 0 }, ok),
        ("clear: t", Verb::Clear, ok),
        ("clear: { device: t, expect: EINVAL }", Verb::Clear, einval),
        ("rename: { device: t, to: top }", Verb::Rename { to: "top".to_owned() }, ok),
        ("set_uuid: { device: t, uuid: LVM-1 }", Verb::SetUuid { uuid: "LVM-1".to_owned() }, ok),
        ("deps: { of: t, is: $d }", Verb::Deps { inactive: false, is: vec!["$d".to_owned()] }, ok),
        ("remove: { device: t, deferred: true }", Verb::RemoveDeferred, ok),
    ] {
        assert_eq!(step(text), admin(verb, outcome), "{text}");
    }
}

#[test]
fn only_dm_devices_are_talked_to() {
    assert_refused(
        step,
        &[
            ("message: { to: d, text: x }", "x:5:20: \"d\" is a leaf device; only dm devices can do this"),
            ("wait_event: { on: t, after: soon }", "x:5:33: \"soon\" is not a whole number"),
            ("events: { of: t, is: -1 }", "x:5:26: \"-1\" is not a whole number"),
            ("deps: { of: t, is: d }", "x:5:24: \"d\" is not a device, written `$name`"),
            ("rename: { device: t, to: d }", "x:5:30: \"d\" is a leaf device"),
        ],
    );
}
