//! Puts the values of a matrix cell into a tree: `${axis}` in any scalar, keys included.
//!
//! Invariants: the places of the new tree are those of the old one, so that mistakes in a substituted value are shown
//! where the axis stands; a scalar with an unknown axis becomes broken, so that it is reported once and not again as a
//! wrong value. A substituted text is not looked at again: values cannot contain `$`.
//! Inside an `each` step, `${name}` of that step stays as it is.
//! Not here: which cells there are (`matrix`).

use std::collections::BTreeMap;

use crate::matrix::Cell;
use crate::nearest;
use crate::node::{Kind, Node, Scalar};
use crate::sink::{Sink, shown};

/// `node` with the values of `cell`. The names of `each` steps are left in their steps: they have values of their own.
pub(crate) fn substitute(node: &Node, cell: &Cell, sink: &mut Sink<'_>) -> Node {
    within(node, cell, &mut Vec::new(), sink)
}

/// The same inside `each` steps, whose names are `hidden`.
fn within<'n>(node: &'n Node, cell: &Cell, hidden: &mut Vec<&'n str>, sink: &mut Sink<'_>) -> Node {
    let kind = match &node.kind {
        Kind::Scalar(scalar) if scalar.text.contains("${") => match replaced(node, &scalar.text, cell, hidden, sink) {
            // The text is not what stands in the file any more, and not nothing, even if the value looks like it.
            Some(text) => Kind::Scalar(Scalar { text, plain: false, lead: None }),
            None => Kind::Broken,
        },
        Kind::Seq(items) => Kind::Seq(items.iter().map(|item| within(item, cell, hidden, sink)).collect()),
        Kind::Map(entries) => Kind::Map(substitute_map(entries, cell, hidden, sink)),
        kind @ (Kind::Scalar(_) | Kind::Broken) => kind.clone(),
    };
    Node { span: node.span, kind }
}

fn substitute_map<'n>(
    entries: &'n [(Node, Node)],
    cell: &Cell,
    hidden: &mut Vec<&'n str>,
    sink: &mut Sink<'_>,
) -> Vec<(Node, Node)> {
    let mut new: Vec<(Node, Node)> = Vec::with_capacity(entries.len());
    let mut lines: BTreeMap<String, u32> = BTreeMap::new();
    for (key, value) in entries {
        let own = (key.text() == Some("each")).then(|| value.get("name").and_then(Node::text)).flatten();
        let new_key = within(key, cell, hidden, sink);
        hidden.extend(own);
        let value = within(value, cell, hidden, sink);
        hidden.truncate(hidden.len() - usize::from(own.is_some()));
        let key = new_key;
        // Keys that differ in the file may be the same in this cell.
        let Some(name) = key.text() else { continue };
        if let Some(line) = lines.get(name) {
            sink.error(key.span, format!("{} is given twice in this cell, first in line {line}", shown(name)));
            continue;
        }
        lines.insert(name.to_owned(), key.span.line);
        new.push((key, value));
    }
    new
}

/// `text` with every `${axis}` replaced; `None` if a mistake was reported.
fn replaced(node: &Node, text: &str, cell: &Cell, hidden: &[&str], sink: &mut Sink<'_>) -> Option<String> {
    let mut new = String::with_capacity(text.len());
    let mut clean = true;
    let mut from = 0;
    while let Some(start) = text[from..].find("${").map(|found| from + found) {
        new.push_str(&text[from..start]);
        let Some(end) = text[start..].find('}').map(|found| start + found) else {
            sink.error(node.part(start, text.len()), "`${` without a `}` behind it");
            return None;
        };
        let axis = &text[start + 2..end];
        match cell.get(axis) {
            _ if hidden.contains(&axis) => new.push_str(&text[start..=end]),
            Some(value) => new.push_str(value),
            None if sink.is_full() => return None,
            None => {
                clean = false;
                let names: Vec<&str> = cell.iter().map(|(axis, _)| axis).collect();
                let message = format!("{} is not an axis of this scenario's `variants`", shown(axis));
                sink.error_help(node.part(start, end + 1), message, nearest::help(axis, &names));
            }
        }
        from = end + 1;
    }
    new.push_str(&text[from..]);
    clean.then_some(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Diagnostics, yaml};

    fn cell() -> Cell {
        Cell::new(vec![("depth".to_owned(), "2".to_owned()), ("kind".to_owned(), "ram".to_owned())])
    }

    fn substituted(text: &str) -> Result<Node, Diagnostics> {
        let mut sink = Sink::new("x", text);
        let node = yaml::read(text, &mut sink).map(|root| substitute(&root, &cell(), &mut sink));
        sink.into_result().map(|()| node.unwrap())
    }

    #[test]
    fn axes_are_replaced_in_values_and_keys_wherever_they_stand() {
        let node = substituted("a: 'x ${depth}${kind} y'\n${kind}: [{ b: \"${depth}\" }]").unwrap();
        assert_eq!(node.get("a").and_then(Node::text), Some("x 2ram y"));
        let Some(Kind::Seq(items)) = node.get("ram").map(|node| &node.kind) else { panic!("{node:?}") };
        assert_eq!(items[0].get("b").and_then(Node::text), Some("2"));
    }

    #[test]
    fn device_references_are_left_alone() {
        assert_eq!(substituted("a: $d $below").unwrap().get("a").and_then(Node::text), Some("$d $below"));
    }

    #[test]
    fn an_unknown_axis_is_shown_where_it_stands_in_its_text() {
        let found = substituted("a: '0 16 ${dpeth} ${kind'\n").unwrap_err();
        assert_eq!(
            found.to_string(),
            "x:1:10: \"dpeth\" is not an axis of this scenario's `variants` (did you mean `depth`? allowed here: depth, kind)\n\
             x:1:19: `${` without a `}` behind it"
        );
    }

    #[test]
    fn keys_that_become_the_same_are_refused() {
        let found = substituted("ram: 1\n${kind}: 2\n").unwrap_err();
        assert_eq!(found.to_string(), "x:2:1: \"ram\" is given twice in this cell, first in line 1");
    }
}
