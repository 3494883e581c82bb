//! Test support: small scenarios around the part that a test is about.
//!
//! Invariant: the devices are always the same, on the lines before everything else, so places in tests are stable.
//! Not here: tests.

use crate::{Action, Cell, Document, Expectation, Scenario};

/// The devices of [`steps`] and [`expect`]: one of each kind, `d` of 128 sectors, `n` of 2097152.
const DEVICES: &str = "{ d: { ram: 64KiB }, n: { null: 1GiB }, m: { barrier: $d }, \
    t: { dm: '0 128 linear $d 0' }, top: { dm: '0 16 linear $below 0', over: $d, levels: 3 } }";

/// The scenario of the only cell, or all mistakes as lines without the file's name.
pub(super) fn scenario(text: &str) -> Result<Scenario, String> {
    let document = Document::parse("x", text).map_err(|found| found.to_string())?;
    document.check().map_err(|found| found.to_string())?;
    document.scenario(&document.cells().first().cloned().unwrap_or(Cell::default())).map_err(|found| found.to_string())
}

/// A scenario with these `devices`, which begin in column 12 of line 3.
pub(super) fn devices(devices: &str) -> Result<Scenario, String> {
    scenario(&format!("scenario: a/b\nabout: x\ndevices:   {devices}\nsteps: [{{ sleep: 0 }}]\n"))
}

/// The action of a step that is written in column 5 of line 5.
pub(super) fn step(step: &str) -> Result<Action, String> {
    let text = format!("scenario: a/b\nabout: x\ndevices: {DEVICES}\nsteps:\n  - {step}\n");
    Ok(scenario(&text)?.steps.remove(0).action)
}

/// The expectations of a list that begins in line 6, for `variants: { split: [loop, trim], depth: [1, 2] }`, of the
/// first cell.
pub(super) fn expect(list: &str) -> Result<Vec<Expectation>, String> {
    let variants = "{ split: [loop, trim], depth: [1, 2] }";
    let head = format!("scenario: a/b\nabout: x\nvariants: {variants}\ndevices: {DEVICES}");
    Ok(scenario(&format!("{head}\nsteps: [{{ sleep: 0 }}]\nexpect:\n{list}"))?.expect)
}

/// That each text is refused by `read` with a message that starts with what is given.
pub(super) fn assert_refused<T: std::fmt::Debug>(read: impl Fn(&str) -> Result<T, String>, cases: &[(&str, &str)]) {
    for (text, wanted) in cases {
        match read(text) {
            Ok(value) => panic!("{text}: read as {value:?}"),
            Err(found) => assert!(found.starts_with(wanted), "{text}: wanted {wanted}, found {found}"),
        }
    }
}
