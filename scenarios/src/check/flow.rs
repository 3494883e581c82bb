//! Steps that hold steps, and the passing of time: parallel, background, join, repeat, wait, must_block, phase, sleep.
//!
//! Invariants: a list of steps has at least one; a task is joined in the list that started it, after it was started, and
//! once; every repetition ends: by a number of passes, or by a time that its own pace uses up.
//! Not here: which actions there are (`steps`).

use dmlab_units::Nanos;

use super::power::report_nested;
use super::printed::printed;
use super::scope::Scope;
use super::steps::step;
use crate::fields::{Checked, Fields};
use crate::node::{Kind, Node};
use crate::sink::{Sink, shown};
use crate::{Action, Condition, MustBlock, Repeat, Step, Wait, nearest, values};

const TIMES_MAX: u32 = 1_000_000;
const TASK: &str = "the name of a task: a-z, 0-9, `_` and `-`, a letter first";
const PHASE: &str = "the name of a phase: a-z, 0-9, `_` and `-`, a letter first";
const POLL_EVERY: Nanos = Nanos::millis(1);
/// Looks of one `wait`; an hour every 4 ms.
const LOOKS_MAX: u64 = 1_000_000;

/// A list of steps, or a single one.
pub(super) fn steps(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Vec<Step>> {
    if let Kind::Map(_) = &node.kind {
        let step = step(node, scope, sink)?;
        let steps = [Some(step)];
        check_joins(std::slice::from_ref(node), &steps, sink)?;
        return Some(steps.into_iter().flatten().collect());
    }
    let steps = list(node, scope, sink)?;
    if steps.is_empty() {
        return sink.refuse(node.span, "an empty list of steps does nothing");
    }
    Some(steps)
}

/// A list of steps, perhaps empty.
pub(super) fn list(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Vec<Step>> {
    // A step with a mistake is no reason to pass over what is wrong between the others.
    let steps = values::list(node, "steps", sink, |item, sink| Some(step(item, scope, sink)))?;
    if let Kind::Seq(items) = &node.kind {
        check_joins(items, &steps, sink)?;
    }
    steps.into_iter().collect()
}

/// Reports joins of what is not under way in the same list, and tasks of one name under way at once.
fn check_joins(items: &[Node], steps: &[Checked<Step>], sink: &mut Sink<'_>) -> Checked<()> {
    let mut under_way: Vec<&str> = Vec::new();
    let mut clean = true;
    for (item, step) in items.iter().zip(steps) {
        let Some(step) = step else {
            if let Some(Kind::Map(tasks)) = item.get("background").map(|node| &node.kind) {
                under_way.extend(tasks.iter().filter_map(|(name, _)| name.text()));
            }
            continue;
        };
        match &step.action {
            Action::Background(tasks) => {
                for (name, _) in tasks {
                    if under_way.contains(&name.as_str()) {
                        clean = false;
                        let message = format!("a background task {} is under way already in this list", shown(name));
                        sink.error_help(item.span, message, "join the first, or give this one another name");
                    }
                    under_way.push(name);
                }
            }
            Action::Join(names) => {
                for name in names {
                    match under_way.iter().position(|task| task == name) {
                        Some(index) => drop(under_way.remove(index)),
                        None => {
                            clean = false;
                            let message = format!("no background task {} is under way here", shown(name));
                            let help = format!(
                                "{}; a task is joined in the list that started it",
                                nearest::list("under way", &under_way)
                            );
                            sink.error_help(item.get("join").unwrap_or(item).span, message, help);
                        }
                    }
                }
                if names.is_empty() {
                    if under_way.is_empty() {
                        clean = false;
                        let place = item.get("join").unwrap_or(item).span;
                        sink.error(place, "no background task is under way here, so there is none to join");
                    }
                    under_way.clear();
                }
            }
            _ => {}
        }
    }
    clean.then_some(())
}

pub(super) fn parallel(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    tasks(node, scope, sink).map(Action::Parallel)
}

pub(super) fn background(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    tasks(node, scope, sink).map(Action::Background)
}

fn tasks(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Vec<(String, Vec<Step>)>> {
    let entries = match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => entries,
        Kind::Broken => return None,
        _ => {
            sink.wanted(node, "a map of tasks, each with a step or a list of steps");
            return None;
        }
    };
    values::each(entries, sink, |(key, value), sink| {
        let name = values::name(key, TASK, is_name, sink);
        let steps = steps(value, scope, sink)?;
        report_nested(value, &steps, sink)?;
        Some((name?, steps))
    })
}

pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
}

/// Names of tasks, or `all`, which the model writes as no name.
pub(super) fn join(node: &Node, _: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    if node.text() == Some("all") {
        return Some(Action::Join(Vec::new()));
    }
    let names = values::one_or_more(node, "names of background tasks", sink, |item, sink| {
        values::name(item, TASK, is_name, sink)
    })?;
    if names.is_empty() {
        return sink.refuse(node.span, "no task is named; write `all` for all that are under way");
    }
    Some(Action::Join(names))
}

pub(super) fn phase(node: &Node, _: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    values::name(node, PHASE, is_name, sink).map(Action::Phase)
}

pub(super) fn repeat(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let mut fields = Fields::open(node, "a `repeat` step", sink)?;
    let times = fields.optional("times", |node, sink| values::count(node, 1..=TIMES_MAX, sink));
    let during = fields.optional("for", values::span_of_time);
    let every = fields.optional("every", values::span_of_time);
    let jitter = fields.or("jitter", Nanos::ZERO, values::nanos);
    let steps = fields.required("do", |node, sink| steps(node, scope, sink));
    let span = fields.span();
    fields.finish()?;
    let (times, during, every, jitter) = (times?, during?, every?, jitter?);
    let place = |key: &str| node.get(key).map_or(span, |node| node.span);
    if times.is_none() && during.is_none() {
        sink.error_help(span, "a `repeat` step without an end", "say how often with `times`, or how long with `for`");
        return None;
    }
    match (during, every) {
        (Some(during), Some(every)) if during.0 / every.0 >= u64::from(TIMES_MAX) => {
            let message = format!("{during} every {every} is more than the {TIMES_MAX} passes allowed");
            return sink.refuse(place("every"), message);
        }
        (Some(_), None) if times.is_none() => {
            let help = "say with `every` how far apart passes begin, or with `times` how many there are";
            let message = "`for` alone would not end where nothing in a pass takes time, as in explored schedules";
            sink.error_help(place("for"), message, help);
            return None;
        }
        _ => {}
    }
    if jitter > every.unwrap_or_default() {
        let message = match every {
            Some(every) => format!("a jitter of {jitter} is longer than the {every} between passes"),
            None => "`jitter` is a part of `every`, which is not here".to_owned(),
        };
        return sink.refuse(place("jitter"), message);
    }
    let steps = steps?;
    report_nested(node, &steps, sink)?;
    Some(Action::Repeat(Repeat { times, during, every, jitter, steps }))
}

pub(super) fn must_block(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let mut fields = Fields::open(node, "a `must_block` step", sink)?;
    let min = fields.optional("min", values::span_of_time);
    let max = fields.optional("max", values::span_of_time);
    let steps = fields.required("do", |node, sink| steps(node, scope, sink));
    let span = fields.span();
    fields.finish()?;
    match (min?, max?) {
        (None, None) => sink.refuse(span, "a `must_block` step without `min` and `max` demands nothing"),
        (Some(min), Some(max)) if min > max => {
            let place = node.get("max").map_or(span, |node| node.span);
            sink.refuse(place, format!("at least {min} and at most {max}: nothing can take that long"))
        }
        (min, max) => {
            let steps = steps?;
            report_nested(node, &steps, sink)?;
            Some(Action::MustBlock(MustBlock { min, max, steps }))
        }
    }
}

pub(super) fn wait(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let mut fields = Fields::open(node, "a `wait` step", sink)?;
    let status = fields.optional("status", |node, sink| printed(node, "the `status` waited for", scope, sink));
    let table = fields.optional("table", |node, sink| printed(node, "the `table` waited for", scope, sink));
    let within = fields.required("within", values::span_of_time);
    let every = fields.or("every", POLL_EVERY, values::span_of_time);
    let span = fields.span();
    fields.finish()?;
    let given: Vec<&str> = ["status", "table"].into_iter().filter(|key| node.get(key).is_some()).collect();
    if given.len() != 1 {
        let found = if given.is_empty() { "none" } else { "both" };
        return sink.refuse(span, format!("a `wait` step waits for one of status and table; here is {found}"));
    }
    let (within, every) = (within?, every?);
    if within.0 / every.0 >= LOOKS_MAX {
        let place = node.get("every").map_or(span, |node| node.span);
        return sink.refuse(place, format!("{within} every {every} is more than the {LOOKS_MAX} looks allowed"));
    }
    let condition = status?.map(Condition::Status).or(table?.map(Condition::Table))?;
    Some(Action::Wait(Wait { condition, within, every }))
}

pub(super) fn sleep(node: &Node, _: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    values::nanos(node, sink).map(Action::Sleep)
}

#[cfg(test)]
mod tests;
