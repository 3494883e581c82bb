//! What snapshot steps come to, and what is refused where.
//!
//! Not here: what an editor sees (`scenarios/tests`).

use super::super::testing::{assert_refused, scenario, step};
use crate::{Action, Device, DeviceKind, Step};

/// The steps of a scenario with a volume `t` of 128 sectors on a ramdisk `d`, in column 5 of line 5 and on.
fn steps(steps: &[&str]) -> Result<(Vec<Step>, Vec<Device>), String> {
    let devices = "{ d: { ram: 64KiB }, t: { dm: '0 128 linear $d 0' } }";
    let lines: String = steps.iter().map(|step| format!("  - {step}\n")).collect();
    let read = scenario(&format!("scenario: a/b\nabout: x\ndevices: {devices}\nsteps:\n{lines}"))?;
    Ok((read.steps, read.devices))
}

fn disks(list: &[&str]) -> Vec<(String, u64)> {
    let (_, devices) = steps(list).unwrap();
    let size = |device: &Device| match device.kind {
        DeviceKind::Ram(size) if device.name != "d" => Some((device.name.clone(), size.0 / 512)),
        _ => None,
    };
    devices.iter().filter_map(size).collect()
}

#[test]
fn an_automatic_cow_has_room_for_every_chunk() {
    let disk = |size| vec![("a-pv".to_owned(), size)];
    // 16 chunks, header and area; 32 exceptions fill an area of chunks of one sector.
    assert_eq!(disks(&["snapshot: { of: t, as: a }"]), disk(18 * 8));
    assert_eq!(disks(&["snapshot: { of: t, as: a, store: N }"]), disk(16 * 8));
    assert_eq!(disks(&["snapshot: { of: t, as: a, chunk: 1 }"]), disk(128 + 1 + 5));
    assert_eq!(disks(&["snapshot: { of: t, as: a, chunk: 0 }"]), disk(6 * 32));
    assert_eq!(disks(&["snapshot: { of: t, as: a, cow: 64k }"]), disk(128));
    assert_eq!(disks(&["snapshot: { of: t, as: a, cow: d }"]), []);
}

#[test]
fn a_name_that_is_taken_twice_has_one_disk() {
    let twice = ["snapshot: { of: t, as: a, cow: 64k }", "drop: a", "snapshot: { of: t, as: a, cow: 128k }"];
    assert_eq!(disks(&twice), [("a-pv".to_owned(), 256)]);
}

#[test]
fn several_names_are_taken_at_once_and_found_wherever_they_are_made() {
    let list = [
        "repeat: { times: 2, do: { each: { name: i, to: 2, do: { snapshot: { of: t, as: \"s${i}\" } } } } }",
        "snapshot: { of: t, as: [a, 'b{08..9}'] }",
        "status: { of: s2, is: x }",
        "table: { of: t-real, is: x }",
        "fault: { io: { on: a-pv, fail: always } }",
        "layout: { of: t, sectors: 8, is: { on: a-cow } }",
        "drop: [s1, 'b{8..9}']",
    ];
    let (read, _) = steps(&list).unwrap();
    let Action::Snapshot(take) = &read[1].action else { panic!("{read:?}") };
    let names: Vec<&str> = take.takes.iter().map(|cow| cow.snapshot.as_str()).collect();
    assert_eq!(names, ["a", "b8", "b9"]);
}

#[test]
fn what_cannot_be_made_may_be_asked_for_where_it_is_expected_to_fail() {
    step("snapshot: { of: t, as: a, chunk: 57, expect: EINVAL }").unwrap();
    step("snapshot: { of: t, as: a, store: N, chunk: 0, expect: refused }").unwrap();
    step("snapshot: { of: t, as: a, cow: 512, expect: ok or EINVAL }").unwrap();
    assert_refused(step, &[("snapshot: { of: t, as: a, chunk: 57, expect: EIO }", "x:5:38: a chunk of 57")]);
}

#[test]
fn mistakes_are_told_where_they_stand() {
    assert_refused(
        step,
        &[
            ("snapshot: { of: d, as: a }", "x:5:21: \"d\" is a leaf device; only dm devices can do this"),
            ("snapshot: { of: t, as: A }", "x:5:28: \"A\" is not the name of a snapshot"),
            ("snapshot: { of: t, as: [a, a] }", "x:5:28: \"a\" is named twice"),
            ("snapshot: { of: t, as: 'a{1..999}' }", "x:5:28: \"a{1..999}\" is not the name of a snapshot"),
            ("snapshot: { of: t, as: d }", "x:5:28: \"d\" is a device of `devices` already"),
            ("snapshot: { of: t, as: a, cow: x }", "x:5:36: \"x\" is not a declared device"),
            ("drop: a", "x:5:11: no step takes a snapshot \"a\""),
            ("merge: a", "x:5:12: no step takes a snapshot \"a\""),
        ],
    );
    let twice = ["snapshot: { of: t, as: a }", "snapshot: { of: a, as: b }", "merge: 'a{1..2}'", "drop: []"];
    let found = steps(&twice).unwrap_err();
    assert!(found.contains("x:6:21: `a` is a snapshot itself"), "{found}");
    assert!(found.contains("x:7:12: no step takes a snapshot \"a1\""), "{found}");
    assert!(found.contains("x:8:11: no snapshot is named"), "{found}");
}
