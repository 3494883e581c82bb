//! Tests of `io`: single bios and patterns.
//! Not here: what other files report about the same text.

use super::super::testing::{assert_refused, step};
use super::*;
use crate::Errno;

fn extent(device: &str, at: u64, sectors: u64) -> Extent {
    Extent { device: device.to_owned(), at: Sectors(at), sectors: Sectors(sectors) }
}

#[test]
fn bios_are_read() {
    assert_eq!(
        step("submit: { on: t, op: write, at: 8, sectors: 16, expect: EIO }"),
        Ok(Action::Submit(Submit {
            op: IoOp::Write,
            flags: vec![],
            extent: extent("t", 8, 16),
            outcome: Outcome::Errno(Errno::EIO)
        }))
    );
    assert_eq!(
        step("submit: { on: d, op: read, sectors: 128 }"),
        Ok(Action::Submit(Submit { op: IoOp::Read, flags: vec![], extent: extent("d", 0, 128), outcome: Outcome::Ok }))
    );
    assert_eq!(
        step("submit: { on: t, op: flush }"),
        Ok(Action::Submit(Submit { op: IoOp::Flush, flags: vec![], extent: extent("t", 0, 0), outcome: Outcome::Ok }))
    );
}

#[test]
fn flags_are_a_set_of_known_words() {
    let submit = |flags| {
        let extent = extent("d", 0, 8);
        Ok(Action::Submit(Submit { op: IoOp::WriteZeroes, flags, extent, outcome: Outcome::Ok }))
    };
    assert_eq!(
        step("submit: { on: d, op: write-zeroes, sectors: 8, flags: [nowait, fua] }"),
        submit(vec![IoFlag::Fua, IoFlag::Nowait])
    );
    assert_eq!(step("submit: { on: d, op: write-zeroes, sectors: 8, flags: sync }"), submit(vec![IoFlag::Sync]));
    assert_refused(
        step,
        &[
            ("submit: { on: d, op: read, sectors: 8, flags: [rahed] }", "x:5:52: \"rahed\" is not a flag"),
            ("submit: { on: d, op: read, sectors: 8, flags: [sync, sync] }", "x:5:51: the flag `sync` is named twice"),
        ],
    );
}

#[test]
fn patterns_are_read() {
    let pass = |extent, outcome| Pass { extent, outcome };
    let whole = pass(extent("t", 0, 16), Outcome::Ok);
    assert_eq!(step("stamp: { on: t, sectors: 16 }"), Ok(Action::Stamp(whole)));
    let late = pass(extent("t", 8, 8), Outcome::Ok);
    assert_eq!(step("verify: { on: t, at: 8, sectors: 8 }"), Ok(Action::Verify(late)));
    let failing = |outcome| pass(extent("t", 0, 8), outcome);
    assert_eq!(
        step("stamp: { on: t, sectors: 8, expect: ENOSPC }"),
        Ok(Action::Stamp(failing(Outcome::Errno(Errno::ENOSPC))))
    );
    assert_eq!(step("verify: { on: t, sectors: 8, expect: refused }"), Ok(Action::Verify(failing(Outcome::Refused))));
    assert_eq!(
        step("layout: { of: t, at: 8, sectors: 8, is: { on: d, at: 120 } }"),
        Ok(Action::Layout { of: extent("t", 8, 8), on: "d".to_owned(), at: Sectors(120) })
    );
}

#[test]
fn extents_end_within_their_device_where_its_size_is_known() {
    assert_refused(
        step,
        &[
            (
                "submit: { on: d, op: read, at: 120, sectors: 9 }",
                "x:5:50: sectors 120..129 do not lie within `d`, which has 128",
            ),
            ("stamp: { on: m, at: 128, sectors: 1 }", "x:5:39: sectors 128..129 do not lie within `m`, which has 128"),
            ("layout: { of: t, sectors: 9, is: { on: d, at: 120 } }", "x:5:51: sectors 120..129 do not lie within `d`"),
            (
                "verify: { on: t, at: 36028797018963967, sectors: 1 }",
                "x:5:54: 1 sectors from 36028797018963967: no device",
            ),
            (
                "stamp: { on: t, at: 36028797018963968, sectors: 1 }",
                "x:5:25: \"36028797018963968\" is not a whole number from 0 to",
            ),
            (
                "submit: { on: n, op: read, sectors: 8388608 }",
                "x:5:41: \"8388608\" is not a whole number from 1 to 8388607",
            ),
        ],
    );
    // The size of a dm device is its table's affair.
    assert!(step("stamp: { on: t, at: 1000000, sectors: 1 }").is_ok());
}

#[test]
fn a_bio_has_a_place_and_a_flush_has_none() {
    assert_refused(
        step,
        &[
            ("submit: { on: d, op: read }", "x:5:13: `sectors` is missing in a `submit` step"),
            ("submit: { on: d, op: read, sectors: 0 }", "x:5:41: \"0\" is not a whole number from 1 to"),
            (
                "submit: { on: d, op: flush, sectors: 1 }",
                "x:5:42: a flush has no place; `sectors` is for the other operations",
            ),
            ("submit: { on: d, op: flush, at: 1 }", "x:5:37: a flush has no place; `at` is for the other operations"),
            (
                "submit: { on: d, op: trim, sectors: 1 }",
                "x:5:26: \"trim\" is not an operation (allowed here: read, write, flush, discard, secure-erase, write-zeroes)",
            ),
            ("stamp: { on: d }", "x:5:12: a `stamp` step has a range (`sectors`) or a part (`percent`); here is none"),
            ("stamp: d", "x:5:12: \"d\" is not a `stamp` step"),
            ("layout: { of: t, sectors: 1, is: d }", "x:5:38: \"d\" is not the place in a `layout` step"),
        ],
    );
}
