//! Reads YAML text into a [`Node`] tree.
//!
//! Invariants: size, nesting and node count are bounded before anything is built, so no text can exhaust memory or
//! stack (the parser is asked for one event at a time and keeps its own stack on the heap); anchors, aliases, tags,
//! several documents in a file, keys that are not words, and keys given twice are refused, each with its place.
//! Not here: what the keys mean (`check`).

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use crate::Span;
use crate::node::{Kind, Node, Scalar};
use crate::sink::{Sink, shown};
use crate::span::Locator;

/// The largest scenario file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// How deep lists and maps may be nested.
pub(crate) const DEPTH_MAX: usize = 64;
/// How many lists, maps and scalars a file may have.
pub(crate) const NODES_MAX: usize = 100_000;

/// The tree of `text`; `None` when a reported mistake leaves no tree to look at.
pub(crate) fn read(text: &str, sink: &mut Sink<'_>) -> Option<Node> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes, more than the {FILE_BYTES_MAX} allowed", text.len());
        return sink.refuse(Span::FILE, message);
    }
    let locator = Locator::new(text);
    // YAML forbids these, but parsers differ in what they do about them: some end the document at a NUL.
    let control = |c: char| (c.is_control() && !matches!(c, '\t' | '\n' | '\r')) || c == '\u{feff}';
    if let Some((index, c)) = text.chars().enumerate().find(|&(_, c)| control(c)) {
        let span = locator.span(index, index + 1);
        return sink.refuse(span, format!("the character U+{:04X} is not allowed in a scenario file", u32::from(c)));
    }
    let mut builder = Builder { text, locator, sink, open: Vec::new(), root: None, nodes: 0, documents: 0 };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => builder.event(event, span.start, span.end),
            Err(error) => builder.syntax(&error),
        };
        step?;
    }
    if builder.root.is_none() {
        return sink.refuse(Span::FILE, "the file is empty; a scenario starts with `scenario: <name>`");
    }
    builder.root
}

/// A list or map whose end has not come yet.
struct Open {
    start: usize,
    items: Items,
}

enum Items {
    Seq(Vec<Node>),
    Map {
        entries: Vec<(Node, Node)>,
        /// The key whose value comes next.
        key: Option<Node>,
        /// Line of each key so far.
        lines: BTreeMap<String, u32>,
    },
}

struct Builder<'t, 'a, 's> {
    text: &'t str,
    locator: Locator<'t>,
    sink: &'a mut Sink<'s>,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
}

impl Builder<'_, '_, '_> {
    /// Takes one event in; `None` stops the reading.
    fn event(&mut self, event: Event<'_>, start: Marker, end: Marker) -> Option<()> {
        let (start, end) = (start.index(), end.index());
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let span = self.locator.span(start, end);
                    return self.sink.refuse(span, "a second document begins here; a scenario file holds one scenario");
                }
            }
            Event::Alias(_) => {
                // Its value is unknown, so nothing below it could be checked.
                let span = self.locator.span(start, end);
                return self.sink.refuse(span, "anchors and aliases are not part of the language");
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.enter(start, end, anchor > 0, tag.is_some())?;
                let node = self.scalar(text.into_owned(), style, start, end);
                self.place(node);
            }
            Event::SequenceStart(anchor, tag) => {
                self.enter(start, end, anchor > 0, tag.is_some())?;
                self.open(start, end, Items::Seq(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                self.enter(start, end, anchor > 0, tag.is_some())?;
                self.open(start, end, Items::Map { entries: Vec::new(), key: None, lines: BTreeMap::new() })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(start, end),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Some(())
    }

    /// What is refused of any node.
    fn enter(&mut self, start: usize, end: usize, anchor: bool, tag: bool) -> Option<()> {
        let span = self.locator.span(start, end);
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return self.sink.refuse(span, format!("the file has more than the {NODES_MAX} values allowed"));
        }
        if anchor {
            self.sink.error(span, "anchors and aliases are not part of the language");
        }
        if tag {
            self.sink.error(span, "tags (`!…`) are not part of the language");
        }
        Some(())
    }

    fn open(&mut self, start: usize, end: usize, items: Items) -> Option<()> {
        if self.open.len() >= DEPTH_MAX {
            let span = self.locator.span(start, end);
            return self.sink.refuse(span, format!("nested more than the {DEPTH_MAX} levels allowed"));
        }
        self.open.push(Open { start, items });
        Some(())
    }

    /// Ends the innermost list or map.
    fn close(&mut self, start: usize, end: usize) {
        let Some(open) = self.open.pop() else { return };
        let (kind, last) = match open.items {
            Items::Seq(items) => {
                let last = items.last().map(|item| item.span.end);
                (Kind::Seq(items), last)
            }
            Items::Map { entries, .. } => {
                let last = entries.last().map(|(key, value)| key.span.end.max(value.span.end));
                (Kind::Map(entries), last)
            }
        };
        let mut span = self.locator.span(open.start, end);
        if start == end {
            // The end of a block is where the next thing begins, lines below: it is taken to end with its last part.
            span.end = last.unwrap_or(span.start).max(span.start);
        }
        // The parser counts the spaces behind a closing bracket to it.
        let written = self.text.get(span.start..span.end).unwrap_or_default();
        span.end = span.start + written.trim_end().len();
        self.place(Node { span, kind });
    }

    fn scalar(&self, text: String, style: ScalarStyle, start: usize, end: usize) -> Node {
        let mut span = self.locator.span(start, end);
        let plain = style == ScalarStyle::Plain;
        let written = self.text.get(span.start..span.end).unwrap_or_default();
        // The parser counts the spaces behind a quote to the text, and the empty lines behind a block.
        let written = written.trim_end();
        span.end = span.start + written.len();
        let lead = match style {
            ScalarStyle::Plain if written == text => Some(0),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted
                if written.get(1..written.len().saturating_sub(1)) == Some(text.as_str()) =>
            {
                Some(1)
            }
            _ => None,
        };
        Node { span, kind: Kind::Scalar(Scalar { text, plain, lead }) }
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, mut node: Node) {
        match self.open.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::Seq(items)) => items.push(node),
            Some(Items::Map { key: awaited @ None, .. }) => *awaited = Some(node),
            Some(Items::Map { entries, key, lines }) => {
                let Some(key) = key.take() else { return };
                let Some(name) = key.text() else {
                    let message = format!("{} is not a word; the keys of a map are words", key.shown());
                    return self.sink.error(key.span, message);
                };
                if node.is_nothing() && self.text.get(node.span.start..node.span.end) != Some("~") {
                    node.span = key.span;
                }
                match lines.get(name) {
                    Some(line) => {
                        let message = format!("{} is given twice, first in line {line}", shown(name));
                        self.sink.error(key.span, message);
                    }
                    None => {
                        lines.insert(name.to_owned(), key.span.line);
                        entries.push((key, node));
                    }
                }
            }
        }
    }

    fn syntax(&mut self, error: &ScanError) -> Option<()> {
        let mut index = error.marker().index();
        if self.locator.span(index, index).start >= self.text.len() {
            // Something is missing at the end: point at the last thing that is there.
            index = self.text.trim_end().chars().count().saturating_sub(1);
        }
        let span = self.locator.span(index, index + 1);
        let line = self.text.lines().nth(span.line as usize - 1).unwrap_or_default();
        let help = if line.contains("${") {
            "inside `{ }` and `[ ]`, write an axis in quotes: \"${axis}\""
        } else if error.info().contains("tab") {
            "indent with spaces"
        } else {
            "texts with `: `, ` #`, or a first character such as `*`, `&`, `@` or `%` need quotes"
        };
        self.sink.error_help(span, format!("not YAML: {}", error.info()), help);
        None
    }
}

#[cfg(test)]
mod tests;
