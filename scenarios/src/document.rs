//! [`Document`]: a scenario file, its cells, and the checked scenario of each.
//!
//! Invariants: a document exists only when its head (name, purpose, matrix) is in order; when it is not, the cells
//! are checked all the same, so that all mistakes of a file come in one list; the same text gives the same cells in
//! the same order.
//! Not here: reading files (the harness), what an axis means (the engine).

use dmlab_units::Nanos;

use crate::check::{self, Head};
use crate::matrix::{self, Axis, Cell};
use crate::node::{Kind, Node};
use crate::sink::Sink;
use crate::{Diagnostic, Diagnostics, Requires, Runtime, Scenario, Span, yaml};

/// The most values that are looked at when all cells are checked: a file at the limits of both size and matrix would
/// take minutes.
const CHECKED_NODES_MAX: usize = 8_000_000;

/// A scenario file whose head is in order.
#[derive(Clone, Debug)]
pub struct Document {
    file: String,
    text: String,
    root: Node,
    head: Head,
}

impl Document {
    /// Reads a scenario file. `file` is its name in messages.
    ///
    /// # Errors
    /// When the text is not YAML or its head has mistakes: then with all the mistakes of the file, also those that
    /// [`Self::check`] would find.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        Self::parse_with(file, text, |_| Vec::new())
    }

    /// As [`Self::parse`]; of a document with mistakes, those that `further` finds are reported too. (Of one without,
    /// it is not asked: whoever knows more can still look.)
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_with(
        file: &str,
        text: &str,
        further: impl FnOnce(&Self) -> Vec<Diagnostic>,
    ) -> Result<Self, Diagnostics> {
        let mut sink = Sink::new(file, text);
        let root = yaml::read(text, &mut sink);
        let Some((root, head)) = root.and_then(|root| check::head(&root, &mut sink).map(|head| (root, head))) else {
            // Nothing to look at is a mistake that was reported.
            return Err(sink.into_result().err().unwrap_or_default());
        };
        let document = Self { file: file.to_owned(), text: text.to_owned(), root, head };
        if !sink.is_clean() {
            document.check_into(&mut sink);
        }
        match sink.into_result() {
            Ok(()) => Ok(document),
            Err(found) => Err(found.with(further(&document))),
        }
    }

    /// The scenario's name.
    pub fn id(&self) -> &str {
        &self.head.id
    }

    /// What it shows.
    pub fn about(&self) -> &str {
        &self.head.about
    }

    /// Commits that brought or mended what is tested.
    pub fn commits(&self) -> &[String] {
        &self.head.commits
    }

    /// Words to select scenarios by.
    pub fn tags(&self) -> &[String] {
        &self.head.tags
    }

    /// Where it means something.
    pub fn runs(&self) -> &[Runtime] {
        &self.head.runs
    }

    /// No progress for this long is a hang.
    pub fn deadline(&self) -> Nanos {
        self.head.deadline
    }

    /// The kernel whose algorithms it asks for.
    pub fn as_of(&self) -> Option<&str> {
        self.head.as_of.as_deref()
    }

    /// What there must be for it to be run at all.
    pub fn requires(&self) -> &Requires {
        &self.head.requires
    }

    /// The axes of `variants`, in order.
    pub fn axes(&self) -> &[Axis] {
        &self.head.axes
    }

    /// The text it was read from, as [`Diagnostics::render`] wants it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name it was read under.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Every cell of the matrix that is not excluded, the first axis outermost; one empty cell when there are no
    /// axes.
    pub fn cells(&self) -> Vec<Cell> {
        self.cells_with::<&str>(&[])
    }

    /// As [`Self::cells`], with other values: an axis of the document has only the given values (also such as are not
    /// listed in the file), another axis is appended. An axis given several times has several values. The product of
    /// many given values is not bounded here.
    pub fn cells_with<S: AsRef<str>>(&self, overrides: &[(S, S)]) -> Vec<Cell> {
        let given = |axis: &str| {
            let mut values: Vec<&str> = Vec::new();
            for (name, value) in overrides {
                if name.as_ref() == axis && !values.contains(&value.as_ref()) {
                    values.push(value.as_ref());
                }
            }
            values
        };
        let mut axes: Vec<(&str, Vec<&str>)> = Vec::new();
        for axis in self.axes() {
            let values = given(&axis.name);
            let listed = || axis.values.iter().map(String::as_str).collect();
            axes.push((&axis.name, if values.is_empty() { listed() } else { values }));
        }
        for (name, _) in overrides {
            if !axes.iter().any(|(axis, _)| *axis == name.as_ref()) {
                axes.push((name.as_ref(), given(name.as_ref())));
            }
        }
        matrix::cells(&axes, &self.head.excluded)
    }

    /// The checked scenario of a cell.
    ///
    /// # Errors
    /// All mistakes that show in this cell.
    pub fn scenario(&self, cell: &Cell) -> Result<Scenario, Diagnostics> {
        let mut sink = Sink::new(&self.file, &self.text);
        let scenario = check::cell(&self.root, &self.head, cell, &mut sink);
        sink.into_result()?;
        scenario.ok_or_else(|| {
            // A check that returns nothing has reported why; should one fail to, that is no reason to stop everything.
            Diagnostics::from(self.diagnostic(Span::FILE, "not a scenario, for a reason that was not reported", None))
        })
    }

    /// Checks every cell.
    ///
    /// # Errors
    /// All mistakes of the file, each once even if it shows in several cells.
    pub fn check(&self) -> Result<(), Diagnostics> {
        let mut sink = Sink::new(&self.file, &self.text);
        self.check_into(&mut sink);
        sink.into_result()
    }

    fn check_into(&self, sink: &mut Sink<'_>) {
        let cells = self.cells();
        let nodes = self.root.count();
        if nodes.saturating_mul(cells.len()) > CHECKED_NODES_MAX {
            let message = format!("{} cells of {nodes} values each are more than can be checked", cells.len());
            return sink.error(Span::FILE, message);
        }
        for cell in &cells {
            // Whether there is a scenario shows in what was reported.
            let _ = check::cell(&self.root, &self.head, cell, sink);
            sink.settle();
            if sink.is_full() {
                return;
            }
        }
        check::report_dead(&self.root, &self.head, &cells, sink);
    }

    /// Types of targets, in tables that must load, that are not among `known`, nor among those that the document requires.
    pub fn check_targets(&self, known: &[&str]) -> Vec<Diagnostic> {
        let required = self.requires().targets.iter().map(String::as_str);
        let known: Vec<&str> = known.iter().copied().chain(required).collect();
        let mut sink = Sink::new(&self.file, &self.text);
        check::report_unknown_targets(&self.root, &known, &mut sink);
        sink.into_result().err().into_iter().flatten().collect()
    }

    /// A mistake about an axis, or about one of its values, that only the engine could find. It is placed at the
    /// value, else at the axis, else (the axis was not in the file) at the scenario's name.
    pub fn diagnostic_at_axis(
        &self,
        axis: &str,
        value: Option<&str>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Diagnostic {
        let named = self.axes().iter().find(|known| known.name == axis);
        let at_value = named.zip(value).and_then(|(axis, value)| {
            let (_, span) = axis.values.iter().zip(&axis.value_spans).find(|(listed, _)| *listed == value)?;
            Some(*span)
        });
        let span = at_value.or(named.map(|axis| axis.span));
        let span = span.or_else(|| self.root.get("scenario").map(|node| node.span)).unwrap_or(Span::FILE);
        self.diagnostic(span, message, help)
    }

    /// A mistake in the value of a top-level key, that only the engine could find.
    pub fn diagnostic_at_key(&self, key: &str, message: impl Into<String>, help: Option<String>) -> Diagnostic {
        let span = self.root.get(key).map_or(Span::FILE, |node| node.span);
        self.diagnostic(span, message, help)
    }

    /// A mistake in the `index`-th kernel of `requires`, that only the engine could find.
    pub fn diagnostic_at_kernel(&self, index: usize, message: impl Into<String>, help: Option<String>) -> Diagnostic {
        let node = self.root.get("requires").and_then(|requires| requires.get("kernel"));
        let node = node.map(|node| match &node.kind {
            Kind::Seq(items) => items.get(index).unwrap_or(node),
            _ => node,
        });
        self.diagnostic(node.map_or(Span::FILE, |node| node.span), message, help)
    }

    fn diagnostic(&self, span: Span, message: impl Into<String>, help: Option<String>) -> Diagnostic {
        Sink::new(&self.file, &self.text).diagnostic(span, message.into(), help)
    }
}

#[cfg(test)]
mod tests;
