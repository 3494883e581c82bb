//! Tests of `document`: all mistakes at once, cells, overrides, and places for the engine's own mistakes.
//! Not here: what other files report about the same text.

use super::*;

const VALID: &str = "\
scenario: bio/split-order
about: Splits keep their order.
commits: [18a25da84354]
tags: [split]
variants: { split: [loop, depth-first], gmr: [fifo, sorted], depth: [1, 2] }
exclude: [ { split: loop, gmr: fifo } ]
devices:
  d: { ram: 64KiB }
  top: { dm: ['0 16 linear $below 0'], over: $d, levels: \"${depth}\" }
steps:
  - submit: { on: top, op: write, sectors: 16 }
expect:
  - { when: { split: depth-first }, verdict: deadlock }
";

fn valid() -> Document {
    Document::parse("catalog/x.yaml", VALID).unwrap()
}

#[test]
fn ten_mistakes_of_different_kinds_come_in_one_go() {
    let text = "\
scenario: Bio/ten
about: Ten mistakes.
deadline: 2s
variants: { split: [loop, depth-first] }
devices:
  d: { ram: 64KB, rom: 1 }
  n: { null: 100 }
  t: { dm: ['0 16 linear $x 0'] }
  d: { ram: 1MiB }
steps:
  - creat: t
  - submit: { on: t, op: write }
  - load: { on: t, iodepth: 5000, rw: randwrites }
expect:
  - { when: { splt: loop }, verdict: deadlock }
";
    let found = Document::parse("ten.yaml", text).unwrap_err();
    let found: Vec<(u32, u32, &str)> =
        found.iter().map(|found| (found.span.line, found.span.column, found.message.as_str())).collect();
    assert_eq!(
        found,
        [
            (1, 11, "\"Bio/ten\" is not the name of a scenario: words of a-z, 0-9 and `-`, with `/` between them"),
            (6, 19, "\"rom\" is not a key of a device"),
            (7, 14, "\"100\" is not a multiple of 512 bytes above 0, at most 1TiB"),
            (8, 26, "\"x\" is not a declared device"),
            (9, 3, "\"d\" is given twice, first in line 6"),
            (11, 5, "\"creat\" is not the key of a step, which has one"),
            (12, 13, "`sectors` is missing in a `submit` step"),
            (13, 29, "\"5000\" is not a whole number from 1 to 1024"),
            (13, 39, "\"randwrites\" is not a pattern of fio's"),
            (15, 15, "\"splt\" is not an axis of this scenario's `variants`"),
        ]
    );
}

#[test]
fn mistakes_are_shown_with_source_carets_and_help() {
    let text = VALID.replace("op: write", "op: wriet");
    let found = Document::parse("x.yaml", &text).unwrap().check().unwrap_err();
    let wanted = "\
error: \"wriet\" is not an operation
  --> x.yaml:11:28
   |
11 |   - submit: { on: top, op: wriet, sectors: 16 }
   |                            ^^^^^ in `op` of a `submit` step
   |
   = help: did you mean `write`? allowed here: read, write, flush, discard, secure-erase, write-zeroes";
    assert_eq!(found.render(&text, false), wanted);
}

#[test]
fn the_head_is_there_without_choosing_a_cell() {
    let document = valid();
    assert_eq!((document.id(), document.about()), ("bio/split-order", "Splits keep their order."));
    assert_eq!((document.file(), document.text()), ("catalog/x.yaml", VALID));
    assert_eq!((document.commits().len(), document.tags().len(), document.runs().len()), (1, 1, 2));
    assert_eq!(document.deadline(), Nanos::secs(2));
    let axes: Vec<&str> = document.axes().iter().map(|axis| axis.name.as_str()).collect();
    assert_eq!(axes, ["split", "gmr", "depth"]);
    assert_eq!(document.axes()[0].span.line, 5);
    document.check().unwrap();
}

fn printed(cells: &[Cell]) -> Vec<String> {
    cells.iter().map(Cell::to_string).collect()
}

#[test]
fn cells_are_in_reading_order_without_the_excluded() {
    assert_eq!(
        printed(&valid().cells()),
        [
            "split=loop gmr=sorted depth=1",
            "split=loop gmr=sorted depth=2",
            "split=depth-first gmr=fifo depth=1",
            "split=depth-first gmr=fifo depth=2",
            "split=depth-first gmr=sorted depth=1",
            "split=depth-first gmr=sorted depth=2",
        ]
    );
}

#[test]
fn overrides_restrict_replace_and_append() {
    let document = valid();
    assert_eq!(
        printed(&document.cells_with(&[("split", "depth-first"), ("gmr", "fifo")])),
        ["split=depth-first gmr=fifo depth=1", "split=depth-first gmr=fifo depth=2"]
    );
    assert_eq!(
        printed(&document.cells_with(&[("split", "other"), ("depth", "2"), ("rescue", "off"), ("gmr", "fifo")])),
        ["split=other gmr=fifo depth=2 rescue=off"]
    );
    let owned = [("depth".to_owned(), "1".to_owned()), ("depth".to_owned(), "7".to_owned())];
    assert_eq!(document.cells_with(&owned).len(), 6);
}

#[test]
fn each_cell_has_its_own_scenario() {
    let document = valid();
    let cells = document.cells();
    let verdict = |cell: &Cell| document.scenario(cell).unwrap().expect[0].verdict;
    assert_eq!(verdict(&cells[0]), Some(crate::Verdict::Pass));
    assert_eq!(verdict(&cells[2]), Some(crate::Verdict::Deadlock));
    let crate::DeviceKind::Dm { levels, .. } = document.scenario(&cells[1]).unwrap().devices[1].kind else { panic!() };
    assert_eq!(levels, 2);
}

#[test]
fn a_value_given_by_hand_is_checked_as_well() {
    let document = valid();
    let cell = document.cells_with(&[("depth", "100")]).remove(0);
    let found = document.scenario(&cell).unwrap_err();
    assert!(
        found.to_string().starts_with("catalog/x.yaml:9:58: \"100\" is not a whole number from 1 to 64"),
        "{found}"
    );
    assert_eq!(found[0].label, "in `levels` of a device, found with depth=100");
}

#[test]
fn what_the_engine_does_not_know_is_shown_where_it_stands() {
    let document = valid();
    let place = |axis: &str, value: Option<&str>| {
        let found = document.diagnostic_at_axis(axis, value, "unknown", Some("known: x".to_owned()));
        (found.span.line, found.span.column, found.span.end - found.span.start)
    };
    assert_eq!(place("gmr", None), (5, 41, 3));
    assert_eq!(place("gmr", Some("sorted")), (5, 53, 6));
    assert_eq!(place("gmr", Some("by-hand")), (5, 41, 3));
    assert_eq!(place("by-hand", Some("x")), (1, 11, 15));
}

#[test]
fn an_expectation_that_no_cell_can_meet_is_refused() {
    let text = format!("{VALID}  - {{ when: {{ split: loop, gmr: fifo }}, verdict: pass }}\n");
    let found = Document::parse("x", &text).unwrap().check().unwrap_err();
    assert_eq!(
        found.to_string(),
        "x:14:13: no cell of the matrix is like this; the expectation would never be looked at"
    );
}

#[test]
fn a_file_at_all_limits_is_refused_instead_of_being_checked_for_minutes() {
    let values: Vec<String> = (0..64).map(|value| value.to_string()).collect();
    let variants = format!("{{ a: [{0}], b: [{0}] }}", values.join(", "));
    let steps = "  - { sleep: 1ms }\n".repeat(10_000);
    let text = format!("scenario: a\nabout: x\nvariants: {variants}\ndevices: {{ d: {{ ram: 1k }} }}\nsteps:\n{steps}");
    let found = Document::parse("x", &text).unwrap().check().unwrap_err();
    assert!(found.to_string().contains("more than can be checked"), "{found}");
}
