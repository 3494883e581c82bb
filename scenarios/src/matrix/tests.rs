//! Tests of `matrix`: axes, cells and selectors.
//! Not here: what other files report about the same text.

use super::*;
use crate::{Diagnostics, yaml};

fn axes(text: &str) -> Result<Vec<Axis>, Diagnostics> {
    let mut sink = Sink::new("x", text);
    let axes = yaml::read(text, &mut sink).map(|root| read_axes(&root, &mut sink));
    sink.into_result().map(|()| axes.unwrap())
}

fn all(axes: &[Axis]) -> Vec<(&str, Vec<&str>)> {
    axes.iter().map(|axis| (axis.name.as_str(), axis.values.iter().map(String::as_str).collect())).collect()
}

#[test]
fn the_first_axis_is_the_outermost() {
    let axes = axes("{ split: [loop, depth-first], depth: [1, 2], kernel: 6.12 }").unwrap();
    let cells: Vec<String> = cells(&all(&axes), &[]).iter().map(Cell::to_string).collect();
    assert_eq!(
        cells,
        [
            "split=loop depth=1 kernel=6.12",
            "split=loop depth=2 kernel=6.12",
            "split=depth-first depth=1 kernel=6.12",
            "split=depth-first depth=2 kernel=6.12",
        ]
    );
}

#[test]
fn without_axes_there_is_one_cell() {
    assert_eq!(cells(&[], &[]), [Cell::default()]);
    assert!(Cell::default().is_empty());
}

#[test]
fn names_and_values_know_their_places() {
    let axes = axes("split: [loop, trim]\ngmr: fifo\n").unwrap();
    assert_eq!((axes[0].span.line, axes[0].span.column), (1, 1));
    assert_eq!((axes[0].value_spans[1].line, axes[0].value_spans[1].column), (1, 15));
    assert_eq!((axes[1].value_spans[0].line, axes[1].value_spans[0].column), (2, 6));
}

#[test]
fn axes_that_make_no_sense_are_refused() {
    for (text, wanted) in [
        ("{ a: [] }", "x:1:6: an axis without values"),
        ("{ a: [x, y, x] }", "x:1:13: \"x\" is given twice"),
        ("{ A: x }", "x:1:3: \"A\" is not the name of an axis"),
        ("{ a: [\"x y\"] }", "x:1:7: \"x y\" is not a value of an axis"),
        ("{ a: [$d] }", "x:1:7: \"$d\" is not a value of an axis"),
        ("{ a: }", "x:1:3: nothing is not a list of values of an axis"),
        ("[a]", "x:1:1: a list is not a map of axes"),
    ] {
        let found = axes(text).unwrap_err().to_string();
        assert!(found.starts_with(wanted), "{text}: {found}");
    }
}

#[test]
fn a_matrix_with_too_many_cells_is_refused() {
    let values: Vec<String> = (0..65).map(|value| value.to_string()).collect();
    let values = values.join(", ");
    let found = axes(&format!("a: [{values}]\nb: [{values}]\n")).unwrap_err().to_string();
    assert_eq!(found, "x:1:1: `variants` has 4225 cells, more than the 4096 allowed");
    let many: String = (0..40).map(|axis| format!("a{axis}: [{values}]\n")).collect();
    assert!(axes(&many).unwrap_err().to_string().contains("too many cells"));
}

#[test]
fn selectors_pick_cells_by_some_of_their_axes() {
    let axes = axes("{ split: [loop, trim, old], gmr: [fifo, sorted] }").unwrap();
    let text = "{ split: [loop, old], gmr: fifo }";
    let mut sink = Sink::new("x", text);
    let selector = Selector::read(&yaml::read(text, &mut sink).unwrap(), &axes, &mut sink).unwrap();
    let kept: Vec<String> = cells(&all(&axes), &[selector]).iter().map(Cell::to_string).collect();
    assert_eq!(kept, ["split=loop gmr=sorted", "split=trim gmr=fifo", "split=trim gmr=sorted", "split=old gmr=sorted"]);
}

#[test]
fn selectors_name_only_what_there_is() {
    let axes = axes("{ split: [loop, trim] }").unwrap();
    for (text, wanted) in [
        ("{ splt: loop }", "x:1:3: \"splt\" is not an axis of this scenario's `variants` (did you mean `split`?"),
        ("{ split: lopo }", "x:1:10: \"lopo\" is not among the values of `split` in `variants` (did you mean `loop`?"),
        ("{}", "x:1:1: an empty map is not a map of axes of `variants` and their values"),
    ] {
        let mut sink = Sink::new("x", text);
        let root = yaml::read(text, &mut sink).unwrap();
        assert_eq!(Selector::read(&root, &axes, &mut sink), None);
        let found = sink.into_result().unwrap_err().to_string();
        assert!(found.starts_with(wanted), "{text}: {found}");
    }
}
