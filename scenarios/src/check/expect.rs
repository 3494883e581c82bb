//! `expect`: what must come of a cell.
//!
//! Invariants: every expectation says something; it names only axes, values, runtimes and devices that there are; a
//! cell is not expected to end in two ways at once, nor to fail and to be proved; a cell of which nothing is said is expected to pass.
//! Not here: comparing with what came (the harness).

use super::head::{Head, RUNTIMES};
use super::loads::{self, Named};
use super::scope::Scope;
use super::{bound, explore, relation};
use crate::fields::{Checked, Fields};
use crate::matrix::{Cell, Selector};
use crate::node::{Kind, Node};
use crate::sink::Sink;
use crate::substitute::substitute;
use crate::{Bound, Expectation, LockOrder, Runtime, Verdict, values};

const WHAT: &str = "an expectation";
const ENTRY: &str = "a bio entering a device, written `<device> <first sector>+<sectors>`, e.g. `t 0+16`";

const VERDICTS: &values::Words<Verdict> = &[
    ("pass", Verdict::Pass),
    ("fail", Verdict::Fail),
    ("deadlock", Verdict::Deadlock),
    ("hang", Verdict::Hang),
    ("livelock", Verdict::Livelock),
    ("crash", Verdict::Crash),
    ("corruption", Verdict::Corruption),
    ("leak", Verdict::Leak),
];

const LOCK_ORDERS: &values::Words<LockOrder> = &[("clean", LockOrder::Clean), ("circular", LockOrder::Circular)];

/// The expectations that hold in `cell`, of the unsubstituted list `node`.
pub(super) fn expectations(
    node: Option<&Node>,
    head: &Head,
    cell: &Cell,
    scope: &Scope,
    named: &Named,
    sink: &mut Sink<'_>,
) -> Checked<Vec<Expectation>> {
    let items = node.map_or(Some(Vec::new()), |node| {
        values::list(node, "expectations", sink, |item, sink| {
            // A selector with a mistake is reported; what else the item says is looked at all the same.
            let holds = match item.get("when") {
                Some(when) => Selector::read(when, &head.axes, sink).map(|selector| selector.matches(cell)),
                None => Some(true),
            };
            let checked =
                (holds != Some(false)).then(|| expectation(&substitute(item, cell, sink), head, scope, named, sink));
            match checked {
                Some(expectation) => Some(Some(expectation?)),
                None => holds.map(|_| None),
            }
        })
    });
    let mut expect: Vec<Expectation> = items?.into_iter().flatten().collect();
    if let Some(node) = node {
        report_contradictions(node, &expect, sink)?;
    }
    if expect.iter().all(|expectation| expectation.verdict.is_none()) {
        expect.push(Expectation {
            line: head.line,
            on: None,
            verdict: Some(Verdict::Pass),
            strength: None,
            lock_order: None,
            cycle: Vec::new(),
            message: None,
            entry_order: Vec::new(),
            peak: Vec::new(),
            counters: Vec::new(),
            relations: Vec::new(),
            loads: Vec::new(),
        });
    }
    Some(expect)
}

/// Reports expectations whose `when` fits none of `cells`: they would never be looked at.
pub(crate) fn report_dead(root: &Node, head: &Head, cells: &[Cell], sink: &mut Sink<'_>) {
    let Some(Kind::Seq(items)) = root.get("expect").map(|node| &node.kind) else { return };
    for when in items.iter().filter_map(|item| item.get("when")) {
        // Mistakes in the selector itself are reported with the cells; here they would be a second report.
        let mut elsewhere = Sink::new("", "");
        let Some(selector) = Selector::read(when, &head.axes, &mut elsewhere) else { continue };
        if !cells.iter().any(|cell| selector.matches(cell)) {
            sink.error(when.span, "no cell of the matrix is like this; the expectation would never be looked at");
        }
    }
}

fn expectation(node: &Node, head: &Head, scope: &Scope, named: &Named, sink: &mut Sink<'_>) -> Checked<Expectation> {
    let mut fields = Fields::open(node, WHAT, sink)?;
    fields.node("when");
    let on = fields.optional("on", |node, sink| {
        let on = values::word(node, "a runtime", RUNTIMES, sink)?;
        if !head.runs.contains(&on) {
            return sink.refuse(node.span, format!("{} is not among this scenario's `runs`", node.shown()));
        }
        Some(on)
    });
    let verdict = fields.optional("verdict", |node, sink| values::word(node, "a verdict", VERDICTS, sink));
    let strength = fields.optional("strength", |node, sink| {
        let strength = explore::strength(node, sink)?;
        fits_strength(node, on.flatten(), verdict.flatten(), head, sink)?;
        Some(strength)
    });
    let lock_order = fields.optional("lock_order", |node, sink| {
        if on.flatten() == Some(Runtime::Threads) || !head.runs.contains(&Runtime::Explorer) {
            let help = "say `on: explorer`, with explorer among the scenario's `runs`, or leave `lock_order` out";
            sink.error_help(node.span, "the order of locks is looked at on the explorer only", help);
            return None;
        }
        values::word(node, "an order of locks", LOCK_ORDERS, sink)
    });
    let cycle = fields.or("cycle", Vec::new(), |node, sink| {
        values::one_or_more(node, "names of locks, pools or tasks", sink, values::filled)
    });
    let message = fields.optional("message", values::filled);
    let entry_order = fields.or("entry_order", Vec::new(), |node, sink| {
        values::list(node, "bios", sink, |item, sink| entry(item, scope, sink))
    });
    let peak =
        fields.or("peak", Vec::new(), |node, sink| bounds(node, "pools", sink, |key, sink| scope.pool(key, sink)));
    let counters = fields.or("counters", Vec::new(), |node, sink| bounds(node, "counters", sink, values::filled));
    let relations = fields.or("relations", Vec::new(), |node, sink| {
        values::one_or_more(node, "relations of counters", sink, relation::relation)
    });
    let loads = fields.or("loads", Vec::new(), |node, sink| {
        if on.flatten() == Some(Runtime::Explorer) || !head.runs.contains(&Runtime::Threads) {
            let help = "say `on: threads`, with threads among the scenario's `runs`, or leave `loads` out";
            let message = "time stands still in explored schedules, and loads have no figures";
            sink.error_help(node.span, message, help);
            return None;
        }
        values::list(node, "bounds on loads", sink, |item, sink| loads::bounds(item, named, sink))
    });
    fields.finish()?;
    let expectation = Expectation {
        line: node.span.line,
        on: on?,
        verdict: verdict?,
        strength: strength?,
        lock_order: lock_order?,
        cycle: cycle?,
        message: message?,
        entry_order: entry_order?,
        peak: peak?,
        counters: counters?,
        relations: relations?,
        loads: loads?,
    };
    if says_nothing(&expectation) {
        sink.error(
            node.span,
            "this expects nothing: it has no verdict, strength, lock_order, cycle, message, \
             entry_order, peak, counters, relations or loads",
        );
        return None;
    }
    Some(expectation)
}

fn says_nothing(expectation: &Expectation) -> bool {
    let Expectation {
        line: _,
        on: _,
        verdict,
        strength,
        lock_order,
        cycle,
        message,
        entry_order,
        peak,
        counters,
        relations,
        loads,
    } = expectation;
    verdict.is_none()
        && strength.is_none()
        && lock_order.is_none()
        && message.is_none()
        && cycle.is_empty()
        && entry_order.is_empty()
        && peak.is_empty()
        && counters.is_empty()
        && relations.is_empty()
        && loads.is_empty()
}

/// Reports a strength of what cannot be proved: a run on threads, or a failure, which a single schedule shows.
fn fits_strength(
    node: &Node,
    on: Option<Runtime>,
    verdict: Option<Verdict>,
    head: &Head,
    sink: &mut Sink<'_>,
) -> Checked<()> {
    if on == Some(Runtime::Threads) || !head.runs.contains(&Runtime::Explorer) {
        let help = "say `on: explorer`, with explorer among the scenario's `runs`, or leave `strength` out";
        sink.error_help(node.span, "a run on threads proves nothing; only an exploration has a strength", help);
        return None;
    }
    if verdict.is_some_and(|verdict| verdict != Verdict::Pass) {
        let help = "say `verdict: pass`, or leave `strength` out";
        sink.error_help(node.span, "only a pass can be proved; a failure is shown by the schedule that fails", help);
        return None;
    }
    Some(())
}

/// Reports two different verdicts for the same runs, and a proof of what is expected to fail.
fn report_contradictions(node: &Node, expect: &[Expectation], sink: &mut Sink<'_>) -> Checked<()> {
    let Kind::Seq(items) = &node.kind else { return None };
    for (index, later) in expect.iter().enumerate() {
        let clash = expect.iter().take(index).find(|earlier| {
            let together = earlier.on.is_none() || later.on.is_none() || earlier.on == later.on;
            together && earlier.verdict.is_some() && later.verdict.is_some() && earlier.verdict != later.verdict
        });
        let Some(earlier) = clash else { continue };
        // Expectations know their lines only; the item that starts in the line is the one.
        let item = items.iter().find(|item| item.span.line == later.line).unwrap_or(node);
        let place = item.get("verdict").unwrap_or(item).span;
        return sink.refuse(
            place,
            format!(
                "the same runs are expected to end otherwise in line {}; say with `when` or `on` which",
                earlier.line
            ),
        );
    }
    report_proved_failures(items, node, expect, sink)
}

fn report_proved_failures(items: &[Node], node: &Node, expect: &[Expectation], sink: &mut Sink<'_>) -> Checked<()> {
    let on_explorer = |expectation: &&Expectation| expectation.on != Some(Runtime::Threads);
    let fails = |expectation: &&Expectation| expectation.verdict.is_some_and(|verdict| verdict != Verdict::Pass);
    let Some(failing) = expect.iter().filter(on_explorer).find(fails) else { return Some(()) };
    let Some(proved) = expect.iter().find(|expectation| expectation.strength.is_some()) else { return Some(()) };
    let item = items.iter().find(|item| item.span.line == proved.line).unwrap_or(node);
    let place = item.get("strength").unwrap_or(item).span;
    let message =
        format!("the same runs are expected to fail in line {}; say with `when` which are proved", failing.line);
    sink.refuse(place, message)
}

fn entry(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<String> {
    let text = values::text_as(node, ENTRY, sink)?;
    let parsed = text.split_once(' ').filter(|(_, extent)| {
        extent
            .split_once('+')
            .is_some_and(|(at, sectors)| values::parse_number(at).is_some() && values::parse_number(sectors).is_some())
    });
    let Some((device, _)) = parsed else {
        sink.wanted(node, ENTRY);
        return None;
    };
    if scope.find(device).is_none() {
        scope.report_unknown(device, node.part(0, device.len()), sink);
        return None;
    }
    Some(text.to_owned())
}

/// A map of names and bounds on numbers.
fn bounds<'n, 't>(
    node: &'n Node,
    what: &str,
    sink: &mut Sink<'t>,
    mut name: impl FnMut(&'n Node, &mut Sink<'t>) -> Checked<String>,
) -> Checked<Vec<(String, Bound)>> {
    match &node.kind {
        Kind::Map(entries) => values::each(entries, sink, |(key, value), sink| {
            let name = name(key, sink);
            let bound = bound::bound(value, sink);
            Some((name?, bound?))
        }),
        Kind::Broken => None,
        Kind::Scalar(_) | Kind::Seq(_) => {
            sink.wanted(node, &format!("a map of {what} and bounds"));
            None
        }
    }
}

#[cfg(test)]
mod tests;
