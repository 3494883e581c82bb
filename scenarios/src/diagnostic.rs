//! [`Diagnostic`] and [`Diagnostics`]: mistakes in a scenario file, and how they are shown.
//!
//! Invariants: a message alone says what was found and what is allowed, so that one line without the source is
//! enough; a list is sorted by place, and no two entries have the same place and message; at most
//! [`DIAGNOSTICS_MAX`] are kept, and if there were more, the list says so.
//! Not here: finding mistakes (`check`), writing anything to anywhere (the harness).

use std::fmt;
use std::ops::Deref;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};

use crate::Span;

/// More mistakes than this in one file are not kept.
pub(crate) const DIAGNOSTICS_MAX: usize = 500;

/// Longer lines are not shown: nobody would find the carets, and laying them out takes long.
const LINE_BYTES_MAX: usize = 4096;

/// One mistake in a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as it was named to [`crate::Document::parse`].
    pub file: String,
    /// The place; never more than one line.
    pub span: Span,
    /// What was found and what is allowed.
    pub message: String,
    /// What stands under the carets; may be empty.
    pub label: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Diagnostic {
    /// What decides order and sameness.
    fn key(&self) -> (&str, Span, &str) {
        (&self.file, self.span, &self.message)
    }

    /// The mistake with its line of `source` and carets under the place. The line is left out when it is very long, or
    /// when `source` is not the text that the mistake was found in.
    pub fn render(&self, source: &str, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        // Titles are printed as they are; everything else is made harmless by the renderer itself.
        let title = Level::ERROR.primary_title(normalize_untrusted_str(&self.message));
        let Some((first, line)) = line_around(source, self.span) else {
            return format!("{}\n --> {}", renderer.render(&[Group::with_title(title)]), self.place());
        };
        // A mistake at the end of a line has no character to stand under: the renderer then points behind the last.
        let mut mark = AnnotationKind::Primary.span(self.span.start - first..self.span.end - first);
        if !self.label.is_empty() {
            mark = mark.label(normalize_untrusted_str(&self.label));
        }
        let snippet = Snippet::source(line).path(self.file.as_str()).line_start(self.span.line as usize);
        let mut group = title.element(snippet.annotation(mark));
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
        }
        renderer.render(&[group])
    }

    fn place(&self) -> String {
        format!("{}:{}:{}", self.file, self.span.line, self.span.column)
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `file:line:column: message (help)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// The line that `span` starts in, with the offset of its first byte; `None` if `span` is not a place in `source`, or
/// the line is too long.
fn line_around(source: &str, span: Span) -> Option<(usize, &str)> {
    let first = source.get(..span.start)?.rfind('\n').map_or(0, |newline| newline + 1);
    let end = source.get(span.end..)?.find('\n').map_or(source.len(), |newline| span.end + newline);
    let line = source.get(first..end)?;
    (line.len() <= LINE_BYTES_MAX && !line.contains('\n')).then_some((first, line))
}

/// All the mistakes of a file, sorted by place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// Whether more were found than are kept.
    more: bool,
}

impl Diagnostics {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Makes the invariants of the list true again.
    pub(crate) fn settle(&mut self) {
        self.list.sort_by(|a, b| a.key().cmp(&b.key()));
        self.list.dedup_by(|a, b| a.key() == b.key());
        self.more |= self.list.len() > DIAGNOSTICS_MAX;
        self.list.truncate(DIAGNOSTICS_MAX);
    }

    /// These and `further` ones; that there were more than are kept is not forgotten.
    pub(crate) fn with(mut self, further: Vec<Diagnostic>) -> Self {
        self.list.extend(further);
        self.settle();
        self
    }

    /// Whether no more mistakes are kept than those that are there.
    pub(crate) fn is_full(&self) -> bool {
        self.more || self.list.len() > DIAGNOSTICS_MAX
    }

    pub(crate) fn since(&mut self, mark: usize) -> impl Iterator<Item = &mut Diagnostic> {
        self.list.iter_mut().skip(mark)
    }

    /// Every mistake under its line of `source` (the text that was parsed), with `color` as a terminal shows it.
    pub fn render(&self, source: &str, color: bool) -> String {
        let mut parts: Vec<String> = self.list.iter().map(|diagnostic| diagnostic.render(source, color)).collect();
        parts.extend(self.and_more());
        parts.join("\n\n")
    }

    fn and_more(&self) -> Option<String> {
        self.more.then(|| format!("and more than these {DIAGNOSTICS_MAX}"))
    }
}

impl Deref for Diagnostics {
    type Target = [Diagnostic];

    fn deref(&self) -> &[Diagnostic] {
        &self.list
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { list: vec![diagnostic], more: false }
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(diagnostics: I) -> Self {
        let mut all = Self { list: diagnostics.into_iter().collect(), more: false };
        all.settle();
        all
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl fmt::Display for Diagnostics {
    /// One line each, without the source.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = self.list.iter().map(Diagnostic::to_string).collect();
        lines.extend(self.and_more());
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: usize, end: usize, line: u32, column: u32, message: &str) -> Diagnostic {
        Diagnostic {
            file: "x.yaml".to_owned(),
            span: Span { start, end, line, column },
            message: message.to_owned(),
            label: "in `b`".to_owned(),
            help: Some("did you mean `d`?".to_owned()),
        }
    }

    #[test]
    fn a_mistake_is_shown_under_its_line_with_carets_and_help() {
        let shown = at(8, 9, 2, 4, "\"c\" is wrong").render("a: 1\nb: c\n", false);
        let wanted =
            "error: \"c\" is wrong\n --> x.yaml:2:4\n  |\n2 | b: c\n  |    ^ in `b`\n  |\n  = help: did you mean `d`?";
        assert_eq!(shown, wanted);
    }

    #[test]
    fn colour_is_only_there_when_asked_for() {
        let one = Diagnostics::from(at(8, 9, 2, 4, "wrong"));
        assert!(one.render("a: 1\nb: c\n", true).contains('\u{1b}'));
        assert!(!one.render("a: 1\nb: c\n", false).contains('\u{1b}'));
    }

    #[test]
    fn a_list_is_sorted_by_place_and_says_nothing_twice() {
        let all: Diagnostics =
            [at(8, 9, 2, 4, "late"), at(0, 1, 1, 1, "early"), at(8, 9, 2, 4, "late")].into_iter().collect();
        assert_eq!(all.to_string(), "x.yaml:1:1: early (did you mean `d`?)\nx.yaml:2:4: late (did you mean `d`?)");
    }

    #[test]
    fn a_source_that_does_not_fit_leaves_the_line_out() {
        for source in ["", "ééééé", "a\n\n\n\n\n\n\n\n\n\n"] {
            let shown = at(7, 9, 2, 4, "wrong").render(source, false);
            assert!(shown.contains("x.yaml:2:4"), "{shown}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_to_look_at_is_left_out() {
        let source = format!("a: 1\nb: {}\n", "c".repeat(1 << 20));
        assert_eq!(at(8, 9, 2, 4, "wrong").render(&source, false), "error: wrong\n --> x.yaml:2:4");
    }

    #[test]
    fn too_many_mistakes_are_cut_off_and_it_says_so() {
        let all: Diagnostics = (0..DIAGNOSTICS_MAX + 7).map(|n| at(n, n, 1, n as u32 + 1, "wrong")).collect();
        assert_eq!(all.len(), DIAGNOSTICS_MAX);
        assert!(all.to_string().ends_with("and more than these 500"));
    }
}
