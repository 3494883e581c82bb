//! Tests of `table`.
//! Not here: what other files report about the same text.

use super::super::testing::{assert_refused, devices, step};
use crate::{Action, DeviceKind, Printed, Wanted};

fn table(lines: &str) -> Result<Vec<String>, String> {
    let scenario = devices(&format!("\n  d: {{ ram: 1k }}\n  t:\n    dm: {lines}"))?;
    match scenario.devices.into_iter().nth(1).map(|device| device.kind) {
        Some(DeviceKind::Dm { table, .. }) => Ok(table),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn a_list_and_a_text_of_several_lines_are_the_same() {
    let lines = ["0 1 linear $d 0", "1 1 zero"].map(str::to_owned);
    assert_eq!(table("['0 1 linear $d 0', 1 1 zero]"), Ok(lines.to_vec()));
    assert_eq!(table("|\n      0 1 linear $d 0\n      1 1 zero\n"), Ok(lines.to_vec()));
    assert_eq!(table("0 1 linear $d 0"), Ok(lines[..1].to_vec()));
}

#[test]
fn what_the_kernel_refuses_is_left_to_the_kernel() {
    for line in ["5 1 linear $d 0", "0 0 zero", "0 1 nosuchtarget", "0 18446744073709551615 zero"] {
        assert_eq!(table(line), Ok(vec![line.to_owned()]));
    }
}

#[test]
fn a_line_begins_with_two_numbers_and_a_type() {
    assert_refused(
        table,
        &[
            ("0 16", "x:6:9: \"0 16\" is not a line of a table: `<start> <length> <type> …`"),
            ("\"\"", "x:6:10: \"\" is not a line of a table"),
            ("[]", "x:6:9: a table without a line"),
            ("[0 1 zero, '-1 16 zero']", "x:6:21: \"-1\" is not a start in sectors"),
            ("0 16k zero", "x:6:11: \"16k\" is not a length in sectors"),
            ("0  99999999999999999999 zero", "x:6:12: \"99999999999999999999\" is not a length in sectors"),
            ("{ a: b }", "x:6:9: a map is not a list of lines"),
        ],
    );
}

#[test]
fn references_are_whole_words_and_declared() {
    assert_refused(
        table,
        &[
            ("0 1 linear $x 0", "x:6:20: \"x\" is not a declared device (declared devices: d)"),
            ("0 1 linear $d:0", "x:6:20: \"d:0\" is not a declared device"),
            ("0 1 linear a$d 0", "x:6:20: \"a$d\" is not a device, written `$name` with spaces around it"),
            ("0 1 linear $d.1 0", "x:6:20: \"$d.1\" is not a device, written `$name`"),
            ("0 1 linear $ 0", "x:6:20: \"\" is not a declared device"),
        ],
    );
}

#[test]
fn every_wrong_line_of_a_table_is_reported() {
    let found = table("[0 16, 'a b zero', '0 1 linear $x 0']").unwrap_err();
    assert_eq!(found.lines().count(), 4, "{found}");
    let found = table("|\n      0 1 linear $x 0\n      0 1 linear $y 0\n").unwrap_err();
    assert_eq!(found.lines().count(), 2, "{found}");
}

#[test]
fn printed_lines_are_anything_but_their_devices_are_declared() {
    let status = |lines: &str| step(&format!("status: {{ of: t, is: {lines} }}"));
    let Ok(Action::Status(Printed { wanted: Wanted::Lines(lines), .. })) = status("[\"0 16 linear \", '16 16 x $d']")
    else {
        panic!()
    };
    assert_eq!(lines, ["0 16 linear ", "16 16 x $d"]);
    let Ok(Action::Status(Printed { wanted: Wanted::Lines(lines), .. })) = status("[]") else { panic!() };
    assert!(lines.is_empty());
    assert_refused(status, &[("'0 16 linear $x 0'", "x:5:39: \"x\" is not a declared device")]);
}
