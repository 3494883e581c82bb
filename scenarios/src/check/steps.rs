//! `steps`: what happens, one action a step.
//!
//! Invariants: a step is a map with exactly one key, the action; every step has the line it stands in; recursion is
//! bounded by the nesting that `yaml` allows.
//! Not here: the actions themselves (`control`, `snapshot`, `admin`, `printed`, `io`, `load`, `fault`, `power`, `flow`, `each`).

use super::scope::Scope;
use super::{admin, control, each, fault, flow, io, load, power, printed, snapshot};
use crate::fields::Checked;
use crate::nearest;
use crate::node::{Kind, Node};
use crate::sink::{Sink, shown};
use crate::{Action, Step, values};

/// Every action by name, in the order in which help lists them.
const ACTIONS: &[(&str, Reader)] = &[
    ("create", control::create),
    ("reload", control::reload),
    ("suspend", control::suspend),
    ("resume", control::resume),
    ("remove", control::remove),
    ("snapshot", snapshot::snapshot),
    ("drop", snapshot::drop),
    ("merge", snapshot::merge),
    ("clear", admin::clear),
    ("rename", admin::rename),
    ("set_uuid", admin::set_uuid),
    ("message", admin::message),
    ("wait_event", admin::wait_event),
    ("events", admin::events),
    ("deps", admin::deps),
    ("status", printed::status),
    ("table", printed::table),
    ("submit", io::submit),
    ("stamp", io::stamp),
    ("verify", io::verify),
    ("layout", io::layout),
    ("load", load::load),
    ("mount", io::mount),
    ("unmount", control::unmount),
    ("fault", fault::fault),
    ("heal", fault::heal),
    ("release", fault::release),
    ("unplug", fault::unplug),
    ("power_cut", power::power_cut),
    ("survives", power::survives),
    ("parallel", flow::parallel),
    ("background", flow::background),
    ("join", flow::join),
    ("each", each::each),
    ("repeat", flow::repeat),
    ("wait", flow::wait),
    ("must_block", flow::must_block),
    ("phase", flow::phase),
    ("sleep", flow::sleep),
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
                let help = match known {
                    Some(_) => "leave it out, or begin an item of its own in the list with `- `".to_owned(),
                    None => nearest::help(name, &words),
                };
                sink.error_help(key.span, message, help);
            }
        }
    }
    if clean && chosen.is_none() {
        sink.error_help(node.span, format!("an empty map is not {what}"), nearest::list("allowed here", &words));
    }
    chosen.filter(|_| clean)
}

#[cfg(test)]
mod tests;
