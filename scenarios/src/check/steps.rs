//! `steps`: what happens, one action a step.
//!
//! Invariants: a step is a map with exactly one key, the action; every step has the line it stands in; recursion is
//! bounded by the nesting that `yaml` allows.
//! Not here: the actions themselves (`control`, `io`, `load`, `fault`).

use super::scope::Scope;
use super::{control, fault, io, load};
use crate::fields::{Checked, Fields};
use crate::nearest;
use crate::node::{Kind, Node};
use crate::sink::{Sink, shown};
use crate::{Action, Step, values};

const TIMES_MAX: u32 = 1_000_000;
const TASK: &str = "the name of a task: a-z, 0-9, `_` and `-`, a letter first";

/// Every action by name, in the order in which help lists them.
const ACTIONS: &[(&str, Reader)] = &[
    ("create", control::create),
    ("reload", control::reload),
    ("suspend", control::suspend),
    ("resume", control::resume),
    ("remove", control::remove),
    ("status", control::status),
    ("table", control::table),
    ("submit", io::submit),
    ("stamp", io::stamp),
    ("verify", io::verify),
    ("layout", io::layout),
    ("load", load::load),
    ("fault", fault::fault),
    ("heal", fault::heal),
    ("parallel", parallel),
    ("repeat", repeat),
    ("sleep", sleep),
];

type Reader = fn(&Node, &Scope, &mut Sink<'_>) -> Checked<Action>;

/// Reads one step.
pub(super) fn step(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Step> {
    let (read, value) = choice(node, "a step", ACTIONS, sink)?;
    Some(Step { line: node.span.line, action: read(value, scope, sink)? })
}

/// Reads a map with exactly one key, which is one of `choices`.
pub(super) fn choice<'n, T: Copy>(
    node: &'n Node,
    what: &str,
    choices: &values::Words<T>,
    sink: &mut Sink<'_>,
) -> Checked<(T, &'n Node)> {
    let words: Vec<&str> = choices.iter().map(|&(word, _)| word).collect();
    let entries = match &node.kind {
        Kind::Map(entries) => entries,
        Kind::Broken => return None,
        Kind::Scalar(_) | Kind::Seq(_) => {
            let message = format!("{} is not {what}: a map with one key is wanted", node.shown());
            sink.error_help(node.span, message, nearest::help(node.text().unwrap_or_default(), &words));
            return None;
        }
    };
    let mut chosen = None;
    let mut clean = true;
    for (key, value) in entries {
        let Some(name) = key.text() else { continue };
        match choices.iter().find(|(word, _)| *word == name) {
            Some(&(_, choice)) if chosen.is_none() => chosen = Some((choice, value)),
            known => {
                clean = false;
                let place = if known.is_some() || chosen.is_some() { "a second key" } else { "not the key" };
                let message = format!("{} is {place} of {what}, which has one", shown(name));
                sink.error_help(key.span, message, nearest::help(name, &words));
            }
        }
    }
    if clean && chosen.is_none() {
        sink.error_help(node.span, format!("an empty map is not {what}"), nearest::list("allowed here", &words));
    }
    chosen.filter(|_| clean)
}

/// A list of steps, or a single one.
fn steps(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Vec<Step>> {
    if let Kind::Map(_) = &node.kind {
        return Some(vec![step(node, scope, sink)?]);
    }
    let steps = values::list(node, "steps", sink, |item, sink| step(item, scope, sink))?;
    if steps.is_empty() {
        return sink.refuse(node.span, "an empty list of steps does nothing");
    }
    Some(steps)
}

fn parallel(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let entries = match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => entries,
        Kind::Broken => return None,
        _ => {
            sink.wanted(node, "a map of tasks, each with a step or a list of steps");
            return None;
        }
    };
    let tasks = values::each(entries, sink, |(key, value), sink| {
        let name = values::name(key, TASK, is_task, sink);
        let steps = steps(value, scope, sink);
        Some((name?, steps?))
    })?;
    Some(Action::Parallel(tasks))
}

fn is_task(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
}

fn repeat(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let mut fields = Fields::open(node, "a `repeat` step", sink)?;
    let times = fields.required("times", |node, sink| values::count(node, 1..=TIMES_MAX, sink));
    let steps = fields.required("do", |node, sink| steps(node, scope, sink));
    fields.finish()?;
    Some(Action::Repeat { times: times?, steps: steps? })
}

fn sleep(node: &Node, _: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    values::nanos(node, sink).map(Action::Sleep)
}

#[cfg(test)]
mod tests;
