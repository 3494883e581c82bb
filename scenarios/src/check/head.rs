//! What a scenario says once for all its cells: its name, what it is about, where it runs, its matrix.
//!
//! Invariants: every top-level key is known here, so that an unknown one is reported once; what could not be read
//! has a harmless value, so that the cells can be checked all the same.
//! Not here: devices, steps, parameters and expectations, which depend on the cell (`cell`).

use dmlab_units::Nanos;

use super::requires;
use crate::fields::{Checked, Fields};
use crate::matrix::{self, Axis, Selector};
use crate::node::{Kind, Node};
use crate::sink::Sink;
use crate::{Budget, Requires, Runtime, values};

const DEADLINE: Nanos = Nanos::secs(2);
const COMMIT: &str = "a commit: 7 to 40 of 0-9 and a-f";
const TAG: &str = "a tag: a-z, 0-9 and `-`";
const ID: &str = "the name of a scenario: words of a-z, 0-9 and `-`, with `/` between them";

pub(super) const RUNTIMES: &values::Words<Runtime> = &[("explorer", Runtime::Explorer), ("threads", Runtime::Threads)];

/// What is the same in every cell.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) id: String,
    /// Line of the name, where the implied expectation is.
    pub(crate) line: u32,
    pub(crate) about: String,
    pub(crate) commits: Vec<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) runs: Vec<Runtime>,
    pub(crate) deadline: Nanos,
    /// The kernel whose algorithms are the default.
    pub(crate) as_of: Option<String>,
    pub(crate) requires: Requires,
    pub(crate) budget: Budget,
    pub(crate) axes: Vec<Axis>,
    pub(crate) excluded: Vec<Selector>,
}

/// Reads the head of a scenario; `None` only if `root` is no map at all.
pub(crate) fn head(root: &Node, sink: &mut Sink<'_>) -> Checked<Head> {
    let mut fields = Fields::open(root, "a scenario", sink)?;
    let line = root.get("scenario").map_or(1, |node| node.span.line);
    let id = fields.required("scenario", |node, sink| values::name(node, ID, is_id, sink));
    let about = fields.required("about", values::filled);
    let commits = fields.or("commits", Vec::new(), |node, sink| {
        values::one_or_more(node, "commits", sink, |item, sink| values::name(item, COMMIT, is_commit, sink))
    });
    let tags = fields.or("tags", Vec::new(), |node, sink| {
        values::one_or_more(node, "tags", sink, |item, sink| values::name(item, TAG, is_tag, sink))
    });
    let runs = fields.or("runs", vec![Runtime::Explorer, Runtime::Threads], runs);
    let deadline = fields.or("deadline", DEADLINE, values::span_of_time);
    let budget = fields.or("budget", Budget::default(), budget);
    let as_of = fields.optional("as_of", values::filled);
    let requires = fields.or("requires", Requires::default(), requires::requires);
    let axes = fields.or("variants", Vec::new(), |node, sink| Some(matrix::read_axes(node, sink)));
    let axes = axes.unwrap_or_default();
    let excluded = fields.or("exclude", Vec::new(), |node, sink| {
        values::list(node, "partial cells", sink, |item, sink| Selector::read(item, &axes, sink))
    });
    let excluded = excluded.unwrap_or_default();
    // Read per cell; named here in the order in which they are best written.
    fields.optional("params", |_, _| Some(()));
    fields.optional("explore", |_, _| Some(()));
    fields.required("devices", |_, _| Some(()));
    fields.required("steps", |_, _| Some(()));
    fields.optional("expect", |_, _| Some(()));
    fields.finish();
    report_empty_matrix(root, &axes, &excluded, sink);
    Some(Head {
        id: id.unwrap_or_default(),
        line,
        about: about.unwrap_or_default(),
        commits: commits.unwrap_or_default(),
        tags: tags.unwrap_or_default(),
        runs: runs.unwrap_or_else(|| vec![Runtime::Explorer, Runtime::Threads]),
        deadline: deadline.unwrap_or(DEADLINE),
        as_of: as_of.flatten(),
        requires: requires.unwrap_or_default(),
        budget: budget.unwrap_or_default(),
        axes,
        excluded,
    })
}

fn runs(node: &Node, sink: &mut Sink<'_>) -> Checked<Vec<Runtime>> {
    let mut runs =
        values::one_or_more(node, "runtimes", sink, |item, sink| values::word(item, "a runtime", RUNTIMES, sink))?;
    if runs.is_empty() {
        return sink.refuse(node.span, "a scenario that runs nowhere tests nothing; name explorer, threads or both");
    }
    runs.sort();
    runs.dedup();
    Some(runs)
}

fn budget(node: &Node, sink: &mut Sink<'_>) -> Checked<Budget> {
    let mut fields = Fields::open(node, "`budget`", sink)?;
    let wall = fields.optional("wall", values::span_of_time);
    let per_step = fields.optional("per_step", values::span_of_time);
    fields.finish()?;
    let budget = Budget { wall: wall?, per_step: per_step? };
    if budget.is_unlimited() {
        return sink.refuse(node.span, "this bounds nothing: give it `wall`, `per_step` or both");
    }
    Some(budget)
}

fn report_empty_matrix(root: &Node, axes: &[Axis], excluded: &[Selector], sink: &mut Sink<'_>) {
    let Some(node) = root.get("exclude") else { return };
    let all: Vec<(&str, Vec<&str>)> =
        axes.iter().map(|axis| (axis.name.as_str(), axis.values.iter().map(String::as_str).collect())).collect();
    if let Kind::Seq(items) = &node.kind
        && !items.is_empty()
        && matrix::cells(&all, excluded).is_empty()
    {
        sink.error(node.span, "`exclude` leaves no cell of the matrix");
    }
}

fn is_id(text: &str) -> bool {
    text.split('/').all(is_tag)
}

fn is_tag(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_commit(text: &str) -> bool {
    (7..=40).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests;
