//! Tests of `cell`: parameters, the search's bounds, and values of the matrix in all parts.
//! Not here: what other files report about the same text.

use super::super::testing::{assert_refused, scenario};
use super::*;
use crate::{Action, Document};

fn with(lines: &str) -> Result<Scenario, String> {
    scenario(&format!("scenario: a\nabout: x\ndevices: {{ d: {{ ram: 1k }} }}\nsteps: [{{ sleep: 0 }}]\n{lines}\n"))
}

#[test]
fn the_search_and_the_module_have_defaults() {
    let found = with("").unwrap();
    assert_eq!((found.explore.schedules, found.steps_max, found.params.len()), (1000, 20_000, 0));
    let found = with("explore: { schedules: 2000 }\nparams: { reserved_bio_based_ios: 1 }").unwrap();
    assert_eq!((found.explore.schedules, found.steps_max), (2000, 20_000));
    assert_eq!(found.params["reserved_bio_based_ios"], 1);
}

#[test]
fn values_out_of_range_and_unknown_parameters_are_refused() {
    assert_refused(
        with,
        &[
            ("explore: { schedules: 0 }", "x:5:23: \"0\" is not a whole number from 1 to 1000000000"),
            ("explore: 5", "x:5:10: \"5\" is not `explore`"),
            ("params: { reserved_bio_based_ios: 1025 }", "x:5:35: \"1025\" is not a whole number from 0 to 1024"),
            (
                "params: { reserved_bio_base_ios: 1 }",
                "x:5:11: \"reserved_bio_base_ios\" is not a module parameter that scenarios may set (did you mean",
            ),
            ("params: [a]", "x:5:9: a list is not a map of module parameters"),
        ],
    );
}

#[test]
fn values_of_the_matrix_stand_in_every_part() {
    let text = "scenario: a\nabout: x\nvariants: { depth: [1, 2], fast: [5ms], dev: d }\n\
        explore: { schedules: \"${depth}0\" }\nparams: { reserved_bio_based_ios: \"${depth}\" }\n\
        devices:\n  d: { ram: \"${depth}MiB\" }\n  t: { dm: \"0 ${depth} linear $${dev} 0\" }\n\
        steps:\n  - sleep: ${fast}\n  - create: { device: t }\n  - stamp: { on: \"${dev}\", sectors: \"${depth}048\" }\n\
        expect:\n  - peak: { \"*.bs\": \"<= ${depth}\" }\n";
    let document = Document::parse("x", text).unwrap();
    document.check().unwrap();
    let found = document.scenario(&document.cells()[1]).unwrap();
    assert_eq!(found.explore.schedules, 20);
    assert_eq!(found.params["reserved_bio_based_ios"], 2);
    assert_eq!(found.expect[0].peak[0].1.value, 2);
    let Action::Stamp(crate::Pass { extent, .. }) = &found.steps[2].action else { panic!() };
    assert_eq!((extent.device.as_str(), extent.sectors.0), ("d", 2048));
}

#[test]
fn a_mistake_in_some_cells_is_reported_with_their_values() {
    let text = "scenario: a\nabout: x\nvariants: { size: [1k, 100, 7], other: [x, y] }\n\
        devices: { d: { ram: \"${size}\" } }\nsteps: [{ sleep: 0 }]\n";
    let found = Document::parse("x", text).unwrap().check().unwrap_err();
    let found: Vec<(String, &str)> = found.iter().map(|found| (found.message.clone(), found.label.as_str())).collect();
    let wanted = |size: &str| format!("\"{size}\" is not a multiple of 512 bytes above 0, at most 1TiB");
    assert_eq!(
        found,
        [
            (wanted("100"), "in `ram` of a device, found with size=100"),
            (wanted("7"), "in `ram` of a device, found with size=7"),
        ]
    );
}

#[test]
fn an_unknown_axis_is_reported_once_for_all_cells() {
    let text = "scenario: a\nabout: x\nvariants: { depth: [1, 2, 3] }\ndevices: { d: { ram: \"${dpth}k\" } }\n\
        steps: [{ sleep: 0 }]\n";
    let found = Document::parse("x", text).unwrap().check().unwrap_err();
    assert_eq!(
        found.to_string(),
        "x:4:23: \"dpth\" is not an axis of this scenario's `variants` (did you mean `depth`? allowed here: depth)"
    );
}
