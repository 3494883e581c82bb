//! [`Node`]: a YAML tree in which everything knows its place. Scalars are text; what a text means is decided by the
//! reader that wants it.
//!
//! Invariants: keys are scalars, and no map holds a key twice; the tree is at most [`crate::yaml::DEPTH_MAX`] deep,
//! so recursion over it is bounded; a key or value that was left out has the place of its neighbour.
//! Not here: reading text (`yaml`), matrix values (`substitute`).

use crate::Span;
use crate::sink::shown;

/// A part of a YAML document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Where it stands.
    pub(crate) span: Span,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a [`Node`] is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A text, quoted or not.
    Scalar(Scalar),
    /// A list.
    Seq(Vec<Node>),
    /// A map, in the order of writing.
    Map(Vec<(Node, Node)>),
    /// Something about which a mistake has been reported already: readers say nothing more about it.
    Broken,
}

/// A text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scalar {
    /// The text, without quotes and with escapes and folding resolved.
    pub(crate) text: String,
    /// Whether it was written without quotes and not as a block.
    pub(crate) plain: bool,
    /// When the text stands in the file exactly as it is here: how many bytes after the start of the span (the
    /// quote). With it, a part of the text has a place of its own.
    pub(crate) lead: Option<usize>,
}

impl Node {
    /// The text of a scalar that is there.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) if !self.is_nothing() => Some(&scalar.text),
            _ => None,
        }
    }

    /// Whether a value was left out, or written as `~`. The word `null` is a word: it is also the name of a kind of
    /// device.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar.plain && matches!(scalar.text.as_str(), "" | "~"))
    }

    /// Whether a mistake in it has been reported already.
    pub(crate) fn is_broken(&self) -> bool {
        self.kind == Kind::Broken
    }

    /// The value of a key of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value),
            _ => None,
        }
    }

    /// How messages name it.
    pub(crate) fn shown(&self) -> String {
        match &self.kind {
            Kind::Scalar(_) if self.is_nothing() => "nothing".to_owned(),
            Kind::Scalar(scalar) => shown(&scalar.text),
            Kind::Seq(items) if items.is_empty() => "an empty list".to_owned(),
            Kind::Map(entries) if entries.is_empty() => "an empty map".to_owned(),
            Kind::Seq(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
            Kind::Broken => "this".to_owned(),
        }
    }

    /// The place of the bytes `start..end` of this scalar's text; the whole scalar if the text is not in the file
    /// as it is here.
    pub(crate) fn part(&self, start: usize, end: usize) -> Span {
        let Kind::Scalar(Scalar { text, lead: Some(lead), .. }) = &self.kind else {
            return self.span;
        };
        let (Some(before), Some(_)) = (text.get(..start), text.get(start..end)) else {
            return self.span;
        };
        let columns = lead + before.chars().count();
        Span {
            start: self.span.start + lead + start,
            end: self.span.start + lead + end,
            line: self.span.line,
            column: self.span.column.saturating_add(u32::try_from(columns).unwrap_or(u32::MAX)),
        }
    }

    /// How many nodes the tree has.
    pub(crate) fn count(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar(_) | Kind::Broken => 0,
            Kind::Seq(items) => items.iter().map(Self::count).sum(),
            Kind::Map(entries) => entries.iter().map(|(key, value)| key.count() + value.count()).sum::<usize>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str, lead: Option<usize>) -> Node {
        let span = Span { start: 10, end: 12 + text.len(), line: 3, column: 5 };
        Node { span, kind: Kind::Scalar(Scalar { text: text.to_owned(), plain: false, lead }) }
    }

    #[test]
    fn a_part_of_a_text_has_its_own_place_when_it_stands_in_the_file() {
        let place = quoted("é $d", Some(1)).part(3, 5);
        assert_eq!((place.start, place.end, place.line, place.column), (14, 16, 3, 8));
        assert_eq!(quoted("é $d", None).part(3, 5), quoted("é $d", None).span);
        assert_eq!(quoted("é $d", Some(1)).part(1, 99), quoted("é $d", None).span);
    }

    #[test]
    fn only_what_is_left_out_is_nothing() {
        let plain = |text: &str| Node {
            span: Span::FILE,
            kind: Kind::Scalar(Scalar { text: text.to_owned(), plain: true, lead: None }),
        };
        assert!(plain("").is_nothing() && plain("~").is_nothing());
        assert!(!plain("null").is_nothing() && !quoted("", None).is_nothing());
    }
}
