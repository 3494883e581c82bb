//! [`Sink`]: where every check reports to, so that one mistake never hides another.
//!
//! Invariants: a reported place is cut to its first line; the order of reporting does not matter (the list is sorted
//! when it is taken out).
//! Not here: how mistakes are shown (`diagnostic`).

use crate::matrix::Cell;
use crate::node::Node;
use crate::{Diagnostic, Diagnostics, Span};

/// No more of a found text than this is quoted in a message.
const SHOWN_CHARS_MAX: usize = 60;

/// Collects the mistakes of one file.
#[derive(Debug)]
pub(crate) struct Sink<'t> {
    file: &'t str,
    text: &'t str,
    found: Diagnostics,
}

impl<'t> Sink<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, found: Diagnostics::default() }
    }

    /// Whether nothing has been reported.
    pub(crate) fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether so much is wrong that looking for more is of no use.
    pub(crate) fn is_full(&self) -> bool {
        self.found.is_full()
    }

    /// Sorts what was reported and forgets what was reported twice, which keeps a matrix of many cells with the same
    /// mistakes from piling them up. Makes marks invalid.
    pub(crate) fn settle(&mut self) {
        self.found.settle();
    }

    /// What was reported, in order.
    pub(crate) fn into_result(mut self) -> Result<(), Diagnostics> {
        self.found.settle();
        if self.found.is_empty() { Ok(()) } else { Err(self.found) }
    }

    /// Reports a mistake.
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.push(span, message.into(), None);
    }

    /// Reports a mistake together with what would be right.
    pub(crate) fn error_help(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.push(span, message.into(), Some(help.into()));
    }

    /// Reports that `node` is not what is wanted here, e.g. `a list of names`.
    pub(crate) fn wanted(&mut self, node: &Node, wanted: &str) {
        self.error(node.span, format!("{} is not {wanted}", node.shown()));
    }

    /// Reports a mistake and returns `None`, for readers that end with it.
    pub(crate) fn refuse<T>(&mut self, span: Span, message: impl Into<String>) -> Option<T> {
        self.error(span, message);
        None
    }

    fn push(&mut self, span: Span, message: String, help: Option<String>) {
        let diagnostic = self.diagnostic(span, message, help);
        self.found.push(diagnostic);
    }

    /// A mistake at `span` that is not reported here.
    pub(crate) fn diagnostic(&self, span: Span, message: String, help: Option<String>) -> Diagnostic {
        let span = self.first_line(span);
        Diagnostic { file: self.file.to_owned(), span, message, label: String::new(), help }
    }

    fn first_line(&self, span: Span) -> Span {
        match self.text.get(span.start..span.end).and_then(|text| text.split('\n').next()) {
            Some(line) => Span { end: span.start + line.trim_end().len(), ..span },
            None => span,
        }
    }

    /// How much has been reported; for the two methods below.
    pub(crate) fn mark(&self) -> usize {
        self.found.len()
    }

    /// Says under the carets of everything reported since `mark` what it is about, where that is not said yet.
    pub(crate) fn label_since(&mut self, mark: usize, label: impl FnOnce() -> String) {
        let mut unlabelled = self.found.since(mark).filter(|diagnostic| diagnostic.label.is_empty()).peekable();
        if unlabelled.peek().is_some() {
            let label = label();
            unlabelled.for_each(|diagnostic| diagnostic.label.clone_from(&label));
        }
    }

    /// Says of everything reported since `mark` which values of `cell` it was found with, where axes stand at the
    /// place.
    pub(crate) fn cell_since(&mut self, mark: usize, cell: &Cell) {
        for diagnostic in self.found.since(mark) {
            let place = self.text.get(diagnostic.span.start..diagnostic.span.end).unwrap_or_default();
            let values: Vec<String> = cell
                .iter()
                .filter(|(axis, _)| place.contains(&format!("${{{axis}}}")))
                .map(|(axis, value)| format!("{axis}={value}"))
                .collect();
            if values.is_empty() {
                continue;
            }
            let found = format!("found with {}", values.join(" "));
            diagnostic.label =
                if diagnostic.label.is_empty() { found } else { format!("{}, {found}", diagnostic.label) };
        }
    }
}

/// A text as messages quote it: in quotes, with control characters escaped, and not too long.
pub(crate) fn shown(text: &str) -> String {
    if text.chars().nth(SHOWN_CHARS_MAX).is_none() {
        return format!("{text:?}");
    }
    let head: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    format!("{:?}", format!("{head}…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_several_lines_is_cut_to_the_first() {
        let mut sink = Sink::new("x", "a: |\r\n  b\n");
        sink.error(Span { start: 0, end: 9, line: 1, column: 1 }, "wrong");
        let found = sink.into_result().unwrap_err();
        assert_eq!((found[0].span.start, found[0].span.end), (0, 4));
    }

    #[test]
    fn long_and_dirty_texts_are_quoted_short_and_clean() {
        assert_eq!(shown("a\u{1b}b"), "\"a\\u{1b}b\"");
        assert_eq!(shown(&"é".repeat(1000)).chars().count(), SHOWN_CHARS_MAX + 3);
    }
}
