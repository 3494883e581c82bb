//! The matrix of a scenario: [`Axis`], [`Cell`], and the selectors that `exclude` and `when` are.
//!
//! Invariants: axes and values keep the order of writing, and the first axis is the outermost, so the order of cells
//! is the order in which a person reads the file; no axis has a value twice; a document has at most [`CELLS_MAX`]
//! cells.
//! Not here: which axes and values an engine knows (the harness asks the engine and reports through
//! [`crate::Document::diagnostic_at_axis`]), putting values into the tree (`substitute`).

use std::fmt;

use crate::fields::Checked;
use crate::nearest;
use crate::node::{Kind, Node};
use crate::sink::{Sink, shown};
use crate::{Span, values};

/// The most cells that the `variants` of one scenario may have, before `exclude`.
pub const CELLS_MAX: usize = 4096;

/// The longest name of an axis, and the longest value.
const WORD_BYTES_MAX: usize = 64;
const AXIS: &str = "the name of an axis: a-z, 0-9, `_` and `-`, a letter first";
const VALUE: &str = "a value of an axis: up to 64 of A-Z, a-z, 0-9, `.`, `_`, `+`, `%` and `-`";

/// One axis of `variants`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// Its values, in order; never empty.
    pub values: Vec<String>,
    /// Where each value stands.
    pub value_spans: Vec<Span>,
}

/// One cell of the matrix: a value for every axis. Prints as `split=loop gmr=fifo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    values: Vec<(String, String)>,
}

impl Cell {
    /// A cell of these axes and values.
    pub fn new(values: Vec<(String, String)>) -> Self {
        Self { values }
    }

    /// The value of an axis.
    pub fn get(&self, axis: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| name == axis).map(|(_, value)| value.as_str())
    }

    /// Axes and values, the first axis of the document first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(axis, value)| (axis.as_str(), value.as_str()))
    }

    /// Whether there is no axis at all.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<String> = self.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
        f.pad(&values.join(" "))
    }
}

/// A partial cell, as in `{ split: loop, gmr: [fifo, sorted] }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    wanted: Vec<(String, Vec<String>)>,
}

impl Selector {
    /// Reads a partial cell of `axes`.
    pub(crate) fn read(node: &Node, axes: &[Axis], sink: &mut Sink<'_>) -> Checked<Self> {
        let entries = match &node.kind {
            Kind::Map(entries) if !entries.is_empty() => entries,
            Kind::Broken => return None,
            _ => {
                sink.wanted(node, "a map of axes of `variants` and their values");
                return None;
            }
        };
        let wanted = values::each(entries, sink, |(key, value), sink| {
            let name = key.text()?;
            let Some(axis) = axes.iter().find(|axis| axis.name == name) else {
                let names: Vec<&str> = axes.iter().map(|axis| axis.name.as_str()).collect();
                let message = format!("{} is not an axis of this scenario's `variants`", shown(name));
                sink.error_help(key.span, message, nearest::help(name, &names));
                return None;
            };
            let wanted = values::one_or_more(value, "values of the axis", sink, |item, sink| {
                let text = values::text(item, sink)?;
                if !axis.values.iter().any(|value| value == text) {
                    let allowed: Vec<&str> = axis.values.iter().map(String::as_str).collect();
                    let message = format!("{} is not among the values of `{name}` in `variants`", shown(text));
                    sink.error_help(item.span, message, nearest::help(text, &allowed));
                    return None;
                }
                Some(text.to_owned())
            })?;
            Some((name.to_owned(), wanted))
        })?;
        Some(Self { wanted })
    }

    /// Whether the cell has one of the wanted values on every axis that is named.
    pub(crate) fn matches(&self, cell: &Cell) -> bool {
        self.wanted.iter().all(|(axis, values)| cell.get(axis).is_some_and(|found| values.iter().any(|v| v == found)))
    }
}

/// Reads `variants`. Axes with mistakes are left out.
pub(crate) fn read_axes(node: &Node, sink: &mut Sink<'_>) -> Vec<Axis> {
    let Kind::Map(entries) = &node.kind else {
        sink.wanted(node, "a map of axes, each with a list of values");
        return Vec::new();
    };
    let axes: Vec<Axis> = entries.iter().filter_map(|(key, value)| read_axis(key, value, sink)).collect();
    let cells = axes.iter().try_fold(1_usize, |cells, axis| cells.checked_mul(axis.values.len()));
    if cells.is_none_or(|cells| cells > CELLS_MAX) {
        let found = cells.map_or_else(|| "too many".to_owned(), |cells| cells.to_string());
        let message = format!("`variants` has {found} cells, more than the {CELLS_MAX} allowed");
        sink.error(node.span, message);
        return Vec::new();
    }
    axes
}

fn read_axis(key: &Node, value: &Node, sink: &mut Sink<'_>) -> Checked<Axis> {
    let name = values::name(key, AXIS, is_axis, sink);
    let found = values::one_or_more(value, "values of an axis", sink, |item, sink| {
        Some((values::name(item, VALUE, is_value, sink)?, item.span))
    })?;
    if found.is_empty() {
        sink.error(value.span, "an axis without values leaves no cell; give it at least one");
        return None;
    }
    if found.len() > CELLS_MAX {
        sink.error(value.span, format!("an axis with more values than the {CELLS_MAX} cells allowed"));
        return None;
    }
    for (index, (value, span)) in found.iter().enumerate() {
        if found.iter().take(index).any(|(earlier, _)| earlier == value) {
            sink.error(*span, format!("{} is given twice on this axis", shown(value)));
            return None;
        }
    }
    let (values, value_spans) = found.into_iter().unzip();
    Some(Axis { name: name?, span: key.span, values, value_spans })
}

fn is_axis(text: &str) -> bool {
    text.len() <= WORD_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
}

fn is_value(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '%' | '-');
    (1..=WORD_BYTES_MAX).contains(&text.len()) && text.chars().all(allowed)
}

/// Every combination of the axes' values but the excluded ones, the first axis outermost.
pub(crate) fn cells(axes: &[(&str, Vec<&str>)], excluded: &[Selector]) -> Vec<Cell> {
    let mut cells = vec![Cell::default()];
    for (axis, values) in axes {
        cells = cells
            .iter()
            .flat_map(|cell| {
                values.iter().map(|value| {
                    let mut next = cell.clone();
                    next.values.push(((*axis).to_owned(), (*value).to_owned()));
                    next
                })
            })
            .collect();
    }
    cells.retain(|cell| !excluded.iter().any(|selector| selector.matches(cell)));
    cells
}

#[cfg(test)]
mod tests;
