//! [`Fields`]: reads a map key by key, and reports what is missing and what does not belong.
//!
//! Invariants: every key of the map is either asked for or reported by [`Fields::finish`] with the nearest allowed
//! key; a missing key is not reported when a misspelt one was obviously meant to be it; whatever a reader reports
//! gets the key and the map as its label.
//! Not here: what a value may be (`values`, `check`).

use crate::Span;
use crate::nearest;
use crate::node::{Kind, Node};
use crate::sink::{Sink, shown};

/// The result of reading something: `None` when a mistake has been reported.
pub(crate) type Checked<T> = Option<T>;

/// A map that is being read.
pub(crate) struct Fields<'n, 's, 't> {
    what: &'static str,
    span: Span,
    entries: &'n [(Node, Node)],
    asked: Vec<&'static str>,
    missing: Vec<&'static str>,
    sink: &'s mut Sink<'t>,
}

impl<'n, 's, 't> Fields<'n, 's, 't> {
    /// Begins to read `node`, which messages call `what`, e.g. ``a `load` step``.
    pub(crate) fn open(node: &'n Node, what: &'static str, sink: &'s mut Sink<'t>) -> Checked<Self> {
        match &node.kind {
            Kind::Map(entries) => {
                Some(Self { what, span: node.span, entries, asked: Vec::new(), missing: Vec::new(), sink })
            }
            Kind::Broken => None,
            Kind::Scalar(_) | Kind::Seq(_) => {
                sink.wanted(node, &format!("{what}: a map of `key: value` is wanted"));
                None
            }
        }
    }

    /// The value of `key`, unread.
    pub(crate) fn node(&mut self, key: &'static str) -> Option<&'n Node> {
        self.asked.push(key);
        self.entries.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// The value of `key`, which must be there.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'n Node, &mut Sink<'t>) -> Checked<T>,
    ) -> Checked<T> {
        match self.node(key) {
            Some(node) => self.read(key, node, read),
            None => {
                self.missing.push(key);
                None
            }
        }
    }

    /// The value of `key`, or `Some(None)` when it is not there.
    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'n Node, &mut Sink<'t>) -> Checked<T>,
    ) -> Checked<Option<T>> {
        match self.node(key) {
            Some(node) => self.read(key, node, read).map(Some),
            None => Some(None),
        }
    }

    /// The value of `key`, or `default` when it is not there.
    pub(crate) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&'n Node, &mut Sink<'t>) -> Checked<T>,
    ) -> Checked<T> {
        self.optional(key, read).map(|value| value.unwrap_or(default))
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        node: &'n Node,
        read: impl FnOnce(&'n Node, &mut Sink<'t>) -> Checked<T>,
    ) -> Checked<T> {
        let mark = self.sink.mark();
        let value = read(node, self.sink);
        self.sink.label_since(mark, || format!("in `{key}` of {}", self.what));
        value
    }

    /// Where the map stands.
    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// Reports a mistake that is about several keys.
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.sink.error(span, message);
    }

    /// The same, with what would be right.
    pub(crate) fn error_help(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.sink.error_help(span, message, help);
    }

    /// Reports keys that were not asked for and required keys that are not there. `None` if there were any.
    pub(crate) fn finish(self) -> Checked<()> {
        let Self { what, span, entries, asked, mut missing, sink } = self;
        let mut clean = missing.is_empty();
        // A key that is there already cannot be what was meant by another.
        let absent: Vec<&str> =
            asked.iter().copied().filter(|asked| !entries.iter().any(|(key, _)| key.text() == Some(asked))).collect();
        for (key, _) in entries {
            let Some(name) = key.text() else { continue };
            if asked.contains(&name) || sink.is_full() {
                continue;
            }
            clean = false;
            let help = match nearest::nearest(name, &absent) {
                Some(meant) => {
                    missing.retain(|missing| *missing != meant);
                    format!("did you mean `{meant}`? {}", nearest::list("allowed here", &asked))
                }
                None => nearest::list("allowed here", &asked),
            };
            sink.error_help(key.span, format!("{} is not a key of {what}", shown(name)), help);
        }
        for key in missing {
            sink.error(span, format!("`{key}` is missing in {what}"));
        }
        clean.then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Diagnostics, values, yaml};

    fn read(text: &str) -> Result<(u64, u64), Diagnostics> {
        let mut sink = Sink::new("x", text);
        let read = yaml::read(text, &mut sink).and_then(|root| {
            let mut fields = Fields::open(&root, "a test", &mut sink)?;
            let sectors = fields.required("sectors", |node, sink| values::number(node, 1..=9, sink));
            let at = fields.or("at", 3, |node, sink| values::number(node, 0..=9, sink));
            fields.finish()?;
            Some((sectors?, at?))
        });
        sink.into_result().map(|()| read.unwrap())
    }

    #[test]
    fn a_key_that_is_left_out_has_its_default() {
        assert_eq!(read("{ sectors: 5 }"), Ok((5, 3)));
        assert_eq!(read("{ at: 0, sectors: 5 }"), Ok((5, 0)));
    }

    #[test]
    fn a_missing_key_is_reported_at_the_map() {
        let found = read("{ at: 1 }").unwrap_err();
        assert_eq!(found.to_string(), "x:1:1: `sectors` is missing in a test");
    }

    #[test]
    fn a_misspelt_key_is_reported_once_with_the_right_one() {
        let found = read("{ sector: 1 }").unwrap_err();
        assert_eq!(
            found.to_string(),
            "x:1:3: \"sector\" is not a key of a test (did you mean `sectors`? allowed here: sectors, at)"
        );
    }

    #[test]
    fn a_wrong_value_is_labelled_with_its_key() {
        let found = read("{ sectors: 10 }").unwrap_err();
        assert_eq!(found[0].label, "in `sectors` of a test");
        assert_eq!(found[0].message, "\"10\" is not a whole number from 1 to 9");
    }

    #[test]
    fn something_else_than_a_map_is_refused() {
        assert_eq!(
            read("[1]").unwrap_err().to_string(),
            "x:1:1: a list is not a test: a map of `key: value` is wanted"
        );
    }
}
