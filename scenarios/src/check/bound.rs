//! Comparisons: `"<= 2"`.
//!
//! Invariant: the longer signs are tried first, since `<= 2` is not `<` and `= 2`.
//! Not here: what is compared.

use crate::fields::Checked;
use crate::node::Node;
use crate::sink::{Sink, shown};
use crate::{Bound, Relation, values};

const BOUND: &str = "a bound such as \"<= 2\", \">= 1\", \"== 0\", \"< 5\", \"> 5\" or \"!= 3\"";

/// All of them.
pub(super) const RELATIONS: &[Relation] =
    &[Relation::AtMost, Relation::AtLeast, Relation::Equal, Relation::Not, Relation::Less, Relation::More];

/// A relation and what stands behind it.
pub(super) fn split(text: &str) -> Option<(Relation, &str)> {
    RELATIONS.iter().find_map(|relation| Some((*relation, text.strip_prefix(relation.sign())?.trim_start())))
}

/// Whether `text` begins as a bound does.
pub(super) fn is_relation(text: &str) -> bool {
    split(text).is_some()
}

/// A relation and a number.
pub(super) fn bound(node: &Node, sink: &mut Sink<'_>) -> Checked<Bound> {
    let text = values::text_as(node, BOUND, sink)?;
    let bound = split(text).and_then(|(relation, rest)| Some(Bound { relation, value: values::parse_number(rest)? }));
    if bound.is_none() {
        sink.error(node.span, format!("{} is not {BOUND}", shown(text)));
    }
    bound
}
