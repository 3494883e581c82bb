//! [`Span`]: a place in a scenario file, and the table that finds it.
//!
//! Invariants: `start` and `end` are byte offsets on character boundaries of the text the span was made from, with
//! `start <= end`; lines and columns count from 1; a column counts characters, as editors do.
//! Not here: file names (a [`crate::Diagnostic`] has one).

/// A place in a scenario file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Byte offset of the first character.
    pub start: usize,
    /// Byte offset after the last character.
    pub end: usize,
    /// Line of the first character, from 1.
    pub line: u32,
    /// Column of the first character in characters, from 1.
    pub column: u32,
}

impl Span {
    /// The very start of a file, for mistakes that are about the whole of it.
    pub(crate) const FILE: Self = Self { start: 0, end: 0, line: 1, column: 1 };
}

/// Turns the parser's character indices into [`Span`]s, in logarithmic time however long a line is.
#[derive(Debug)]
pub(crate) struct Locator<'t> {
    text: &'t str,
    /// Byte offset of every character; `None` when the text is ASCII and both are the same.
    offsets: Option<Vec<usize>>,
    /// Character index at which each line starts.
    lines: Vec<usize>,
}

impl<'t> Locator<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let offsets = (!text.is_ascii()).then(|| text.char_indices().map(|(offset, _)| offset).collect());
        let starts = text.chars().enumerate().filter(|&(_, c)| c == '\n').map(|(index, _)| index + 1);
        Self { text, offsets, lines: std::iter::once(0).chain(starts).collect() }
    }

    /// The place from character `start` to before character `end`; whatever lies beyond the text is its end.
    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        let (from, to) = (self.byte(start), self.byte(end.max(start)));
        let line = self.lines.partition_point(|&first| first <= start).max(1);
        let column = start - self.lines[line - 1] + 1;
        Span {
            start: from,
            end: to,
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }

    fn byte(&self, index: usize) -> usize {
        match &self.offsets {
            Some(offsets) => offsets.get(index).copied().unwrap_or(self.text.len()),
            None => index.min(self.text.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_offsets_count_bytes() {
        let text = "é: ü\nb: c";
        let locator = Locator::new(text);
        let place = locator.span(3, 4);
        assert_eq!((place.line, place.column, &text[place.start..place.end]), (1, 4, "ü"));
        let place = locator.span(5, 6);
        assert_eq!((place.line, place.column, &text[place.start..place.end]), (2, 1, "b"));
    }

    #[test]
    fn what_lies_beyond_the_text_is_its_end() {
        let place = Locator::new("ab").span(7, 9);
        assert_eq!((place.start, place.end, place.line), (2, 2, 1));
        assert_eq!(Locator::new("").span(0, 0), Span::FILE);
    }
}
