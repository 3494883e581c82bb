//! The steps snapshot, drop and merge make the layers that LVM makes, unmake what they cannot finish, and what is read
//! back of volumes and snapshots is what was written there at that time.
//!
//! Not here: what the language accepts (dmlab-scenarios), the targets themselves (dmlab-engine), the catalogue.

mod support;

use support::checks::{assert_complains, assert_content, outcome};

const TABLE: &str = "table: { of: t, matches: ['^0 8 linear', '^8 8 linear', '^16 8 linear', '^24 8 linear'] }";
const STAMP: &str = "stamp: { on: t, sectors: 32 }";

#[test]
fn layers_are_made_with_the_first_snapshot_and_unmade_with_the_last() {
    let steps = [
        STAMP,
        "snapshot: { of: t, as: one, store: PO, chunk: 16 }",
        "table: { of: t, is: 0 32 snapshot-origin $t-real }",
        "table: { of: t-real, matches: ['^0 8 linear', '^8 8 linear', '^16 8 linear', '^24 8 linear'] }",
        "table: { of: one, is: 0 32 snapshot $t-real $one-cow PO 16 }",
        "table: { of: one-cow, is: 0 64 linear $one-pv 0 }",
        "snapshot: { of: t, as: two, store: N, cow: a }",
        "table: { of: two, is: 0 32 snapshot $t-real $two-cow N 8 }",
        "table: { of: two-cow, is: 0 128 linear $a 0 }",
        "drop: one",
        "status: { of: one, expect: ENXIO }",
        "status: { of: one-cow, expect: ENXIO }",
        "table: { of: t, is: 0 32 snapshot-origin $t-real }",
        "drop: two",
        "status: { of: t-real, expect: ENXIO }",
        TABLE,
        "verify: t",
    ];
    assert_content(&outcome("", &steps, &[]));
}

#[test]
fn what_cannot_be_made_is_unmade_and_the_volume_goes_on() {
    let gone = ["status: { of: t-real, expect: ENXIO }", "status: { of: bad, expect: ENXIO }", TABLE, "verify: t"];
    for (prepare, snapshot) in [
        ("heal: all", "snapshot: { of: t, as: bad, chunk: 57, expect: EINVAL }"),
        ("heal: all", "snapshot: { of: t, as: bad, chunk: 4194304, cow: 1MiB, expect: EINVAL }"),
        ("heal: all", "snapshot: { of: t, as: bad, store: N, chunk: 0, expect: EINVAL }"),
        ("fault: { io: { on: bad-pv, op: write, fail: always } }", "snapshot: { of: t, as: bad, expect: EIO }"),
        // The second write is the header's, in the constructor, when the volume stands still.
        ("fault: { io: { on: bad-pv, op: write, fail: { nth: 2 } } }", "snapshot: { of: t, as: bad, expect: refused }"),
        // All are taken or none: the first of the two can be made.
        ("fault: { io: { on: bad-pv, op: write, fail: always } }", "snapshot: { of: t, as: [ok, bad], expect: EIO }"),
    ] {
        let steps: Vec<&str> = [STAMP, prepare, snapshot].into_iter().chain(gone).collect();
        assert_content(&outcome("", &steps, &[]));
    }
    // With another snapshot there, that one stays.
    let failing = "snapshot: { of: t, as: bad, chunk: 57, expect: EINVAL }";
    let steps =
        [STAMP, "snapshot: { of: t, as: good }", failing, STAMP, "verify: good", "verify: t", "drop: good", TABLE];
    assert_content(&outcome("", &steps, &[]));
}

#[test]
fn what_is_there_cannot_be_taken_and_what_is_gone_can_be_taken_again() {
    let steps = [
        STAMP,
        "drop: { snapshot: one, expect: ENXIO }",
        "snapshot: { of: t, as: one }",
        "snapshot: { of: t, as: one, expect: EBUSY }",
        STAMP,
        "verify: one",
        "drop: one",
        "merge: { snapshot: one, expect: ENXIO }",
        "snapshot: { of: t, as: one }",
        "verify: one",
        "verify: t",
    ];
    assert_content(&outcome("", &steps, &[]));
}

#[test]
fn a_merge_takes_the_snapshot_s_data_to_the_volume_and_leaves_others_alone() {
    let steps = [
        STAMP,
        "snapshot: { of: t, as: [one, other] }",
        "stamp: { on: t, percent: 50 }",
        "stamp: { on: one, percent: 50 }",
        "merge: one",
        "table: { of: t, is: 0 32 snapshot-origin $t-real }",
        "verify: t",
        "verify: other",
        "merge: { snapshot: other, within: 2s }",
        TABLE,
        "verify: t",
        "layout: { of: t, sectors: 8, is: { on: d } }",
    ];
    assert_content(&outcome("", &steps, &[]));
    let refused = [
        STAMP,
        "snapshot: { of: t, as: one, store: N }",
        "merge: { snapshot: one, expect: EINVAL }",
        "stamp: { on: t, percent: 50 }",
        "verify: one",
    ];
    assert_content(&outcome("", &refused, &[]));
}

#[test]
fn snapshots_are_taken_and_dropped_by_several_at_once() {
    let steps = [
        STAMP,
        "each: { name: i, to: 3, at_once: true, do: [ { snapshot: { of: t, as: 's${i}' } }, { stamp: { on: t, percent: 30 } }, \
         { verify: 's${i}' }, { drop: 's${i}' } ] }",
        "verify: t",
        TABLE,
    ];
    assert_content(&outcome("", &steps, &[]));
}

#[test]
fn what_is_read_back_is_held_against_a_point_in_time() {
    let steps =
        [STAMP, "snapshot: { of: t, as: one }", "stamp: { on: t, at: 8, sectors: 8 }", "verify: one", "verify: t"];
    assert_content(&outcome("", &steps, &[]));
    assert_complains(&outcome("planted: [snap-forgets-origin]", &steps, &[]), "sector 8 of one holds generation");
    // Beside the volume: the volume has what it should not have.
    let beside = [STAMP, "snapshot: { of: t, as: one }", "stamp: { on: d, at: 8, sectors: 8 }", "verify: t"];
    assert_complains(&outcome("", &beside, &[]), "sector 8 of t holds what was written to another device");
    let both =
        [STAMP, "snapshot: { of: t, as: one }", "stamp: { on: one-pv, sectors: 40 }", "stamp: { on: t, sectors: 1 }"];
    assert_content(&outcome("", &both, &[]));
}

#[test]
fn a_verify_that_checks_nothing_fails() {
    let nothing = "nothing was stamped on t that could be read back";
    assert_complains(&outcome("", &["verify: t"], &[]), nothing);
    let load = "load: { on: t, rw: write, bs: 4k }";
    assert_complains(&outcome("", &[STAMP, load, "verify: t"], &[]), nothing);
    let part = ["stamp: { on: t, sectors: 8 }", "snapshot: { of: t, as: one }", "verify: { on: one, sectors: 9 }"];
    assert_complains(&outcome("", &part, &[]), "it is not known what sector 8 of one must hold");
}
