//! Which algorithms a cell runs with: the default, or what a kernel did, and then what the cell says on single axes.
//!
//! Invariants: `as_of` as an axis of the cell goes before `as_of` of the scenario; an axis that the cell names goes before
//! both; asked for on the command line, a kernel decides every axis of history that the command line does not name.
//! Not here: which kernel did what (the engine's catalogue).

use dmlab_engine::variants::{Kernel, UnknownKernel, Variants};
use dmlab_scenarios::{Cell, Diagnostic, Diagnostics, Document};

use super::Wishes;

/// The axis, and the key of scenarios, that names a kernel instead of an algorithm.
pub const AS_OF: &str = "as_of";
/// Deliberate bugs are no history.
const PLANTED: &str = "planted";

/// The axes that the wishes set, for `document`: a kernel sets all that the document varies.
pub(super) fn overrides(document: &Document, wishes: &Wishes) -> Vec<(String, String)> {
    let mut overrides = wishes.overrides.clone();
    let Some(kernel) = wishes.as_of else { return overrides };
    let is_given = |axis: &str| wishes.overrides.iter().any(|(given, _)| given == axis);
    let own = |axis: &str| document.axes().iter().any(|own| own.name == axis);
    for (axis, value) in Variants::as_of(kernel).names() {
        if axis != PLANTED && own(axis) && !is_given(axis) {
            overrides.push((axis.to_owned(), value.to_owned()));
        }
    }
    if !is_given(AS_OF) {
        overrides.push((AS_OF.to_owned(), kernel.to_string()));
    }
    overrides
}

/// What is wrong with the kernels that `document` names.
pub(super) fn check(document: &Document) -> Vec<Diagnostic> {
    let help = |error: &UnknownKernel| (format!("there is no kernel {:?}", error.text), Some(error.to_string()));
    let mut diagnostics = Vec::new();
    if let Some(Err(error)) = document.as_of().map(str::parse::<Kernel>) {
        let (message, help) = help(&error);
        diagnostics.push(document.diagnostic_at_key(AS_OF, message, help));
    }
    let values = document.axes().iter().filter(|axis| axis.name == AS_OF).flat_map(|axis| &axis.values);
    for value in values {
        if let Err(error) = value.parse::<Kernel>() {
            let (message, help) = help(&error);
            diagnostics.push(document.diagnostic_at_axis(AS_OF, Some(value), message, help));
        }
    }
    diagnostics
}

/// The kernel that a cell names, by its axis or with its scenario; without one the newest, whose algorithms are the default.
pub(super) fn kernel(document: &Document, cell: &Cell) -> Kernel {
    let named = cell.get(AS_OF).or(document.as_of()).and_then(|name| name.parse().ok());
    named.unwrap_or_else(|| Kernel::all().pop().expect("there is a newest kernel"))
}

/// The algorithms of a cell.
pub(super) fn variants(document: &Document, cell: &Cell) -> Result<Variants, Diagnostics> {
    let named = cell.iter().find(|(axis, _)| *axis == AS_OF).map(|(_, value)| value);
    let mut variants = match named.or(document.as_of()).map(str::parse::<Kernel>) {
        None => Variants::default(),
        Some(Ok(kernel)) => Variants::as_of(kernel),
        Some(Err(error)) => {
            return Err(document.diagnostic_at_axis(AS_OF, named, error.to_string(), None).into());
        }
    };
    for (axis, value) in cell.iter() {
        if Variants::axis(axis).is_some()
            && let Err(error) = variants.set(axis, value)
        {
            return Err(document.diagnostic_at_axis(axis, Some(value), error.to_string(), None).into());
        }
    }
    Ok(variants)
}
