//! The steps that break leaf devices and pools, and those that end it: `fault`, `heal`, `release`, `unplug`.
//!
//! Invariants: a budget goes with `fail: any` only; rates are exact in parts per 10^9; event numbers are sorted, from 1,
//! and without repetition; I/O fails, hangs or is slow in leaf devices only, in a range that lies within the device, and
//! does one of the three.
//! Not here: the fault model (dmlab-faults).

use dmlab_faults::{Effect, FaultOp, IoFault, SlabFault, When};
use dmlab_units::{Nanos, Sectors};

use super::scope::{Declared, Scope};
use super::steps::choice;
use crate::fields::{Checked, Fields};
use crate::node::{Kind, Node};
use crate::sink::Sink;
use crate::{Action, Errno, Fault, nearest, values};

const OPS: &values::Words<FaultOp> = &[
    ("any", FaultOp::Any),
    ("read", FaultOp::Read),
    ("write", FaultOp::Write),
    ("flush", FaultOp::Flush),
    ("discard", FaultOp::Discard),
    ("secure-erase", FaultOp::SecureErase),
    ("write-zeroes", FaultOp::WriteZeroes),
];
const RATE: &str = "a rate from 0% to 100%, with at most 7 digits behind the point, e.g. 12.5%";
const RANGE: &str = "a range of sectors: `8..16`, `8..` or `all`";
const PPB_PER_PERCENT: u64 = 10_000_000;
/// Failures that a search may choose; more is what `rate` is for.
const AT_MOST_MAX: u32 = 1000;
const AT_MOST_DEFAULT: u32 = 1;

type Reader<T> = fn(&Node, &Scope, &mut Sink<'_>) -> Checked<T>;

pub(super) fn fault(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let choices: &values::Words<Reader<Fault>> = &[("slab", slab), ("io", io)];
    let (read, value) = choice(node, "a `fault` step", choices, sink)?;
    read(value, scope, sink).map(Action::Fault)
}

pub(super) fn heal(node: &Node, _: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    values::word(node, "what can be healed", &[("all", ())], sink)?;
    Some(Action::Heal)
}

pub(super) fn release(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    Some(Action::Release(scope.leaf(node, sink)?.name))
}

pub(super) fn unplug(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    Some(Action::Unplug(scope.leaf(node, sink)?.name))
}

fn slab(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Fault> {
    let mut fields = Fields::open(node, "a `slab` fault", sink)?;
    let pool = fields.required("pool", |node, sink| scope.pool(node, sink));
    let when = failing(&mut fields, "fail");
    fields.finish()?;
    Some(Fault::Slab { pool: pool?, fault: SlabFault { when: when? } })
}

fn io(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Fault> {
    let mut fields = Fields::open(node, "an `io` fault", sink)?;
    let on = fields.required("on", |node, sink| scope.leaf(node, sink));
    let op = fields.or("op", FaultOp::Any, |node, sink| values::word(node, "an operation", OPS, sink));
    let sectors = fields.or("sectors", (Sectors::ZERO, None), |node, sink| range(node, on.as_ref(), sink));
    let struck = effect(node, &mut fields);
    fields.finish()?;
    let (start, end) = sectors?;
    let (when, effect, errno) = struck?;
    Some(Fault::Io { device: on?.name, fault: IoFault { op: op?, start, end, when, effect }, errno })
}

/// What becomes of which events: one of `fail`, `hang` and `delay`, with what belongs to it.
fn effect(node: &Node, fields: &mut Fields<'_, '_, '_>) -> Checked<(When, Effect, Errno)> {
    let named: Vec<&str> = ["fail", "hang", "delay"].into_iter().filter(|key| node.get(key).is_some()).collect();
    if named.len() > 1 {
        fields
            .error(node.span, format!("an `io` fault is one of fail, hang and delay; here is {}", named.join(" and ")));
    }
    let (hangs, delays) = (node.get("hang").is_some(), node.get("delay").is_some());
    let key = match (hangs, delays) {
        (true, _) => "hang",
        (_, true) => "delay",
        _ => "fail",
    };
    let when = failing(fields, key);
    // Named for the help of a misspelt key, in the order in which help lists them.
    for other in ["fail", "hang", "delay"].into_iter().filter(|other| *other != key) {
        fields.optional(other, |_, _| Some(()));
    }
    let by = match key {
        "delay" => fields.required("by", values::span_of_time),
        _ => belongs_to(fields, "by", "delay", Nanos::ZERO),
    };
    let errno = match key {
        "fail" => fields.or("errno", Errno::EIO, values::errno),
        _ => belongs_to(fields, "errno", "fail", Errno::EIO),
    };
    let (when, by, errno) = (when?, by?, errno?);
    let effect = match key {
        "hang" => Effect::Hang,
        "delay" => Effect::Delay(by),
        _ => Effect::Fail,
    };
    (named.len() <= 1).then_some((when, effect, errno))
}

/// Reports `key` where it does not belong; `unused` where it is left out, as it should be.
fn belongs_to<T>(fields: &mut Fields<'_, '_, '_>, key: &'static str, to: &str, unused: T) -> Checked<T> {
    match fields.node(key) {
        None => Some(unused),
        Some(node) => {
            fields.error(node.span, format!("`{key}` goes with `{to}` only"));
            None
        }
    }
}

/// Which events are struck: `key`, and `at_most` where it leaves the choice open.
fn failing(fields: &mut Fields<'_, '_, '_>, key: &'static str) -> Checked<When> {
    let when = fields.required(key, when);
    let given =
        fields.optional("at_most", |node, sink| Some((values::count(node, 1..=AT_MOST_MAX, sink)?, node.span)))?;
    match (when?, given) {
        (When::Any { .. }, Some((at_most, _))) => Some(When::Any { at_most }),
        (when, None) => Some(when),
        (_, Some((_, span))) => {
            let help = format!("write `{key}: any`, or leave `at_most` out");
            let message = format!("`at_most` bounds what a search may choose, and this `{key}` leaves no choice");
            fields.error_help(span, message, help);
            None
        }
    }
}

/// `always`, `any`, or a map with one of rate, nth and every.
fn when(node: &Node, sink: &mut Sink<'_>) -> Checked<When> {
    if let Kind::Scalar(_) = &node.kind {
        match node.text() {
            Some("always") => return Some(When::Always),
            Some("any") => return Some(When::Any { at_most: AT_MOST_DEFAULT }),
            _ => {}
        }
        let near = nearest::nearest(node.text().unwrap_or_default(), &["always", "any"]);
        let near = near.map(|word| format!("did you mean `{word}`? ")).unwrap_or_default();
        let help = format!("{near}or a map: {{ rate: 12.5% }}, {{ nth: [1, 3] }} or {{ every: 2 }}");
        sink.error_help(node.span, format!("{} is not `always` or `any`", node.shown()), help);
        return None;
    }
    type WhenReader = fn(&Node, &mut Sink<'_>) -> Checked<When>;
    let choices: &values::Words<WhenReader> = &[("rate", rate), ("nth", nth), ("every", every)];
    let (read, value) = choice(node, "what fails", choices, sink)?;
    read(value, sink)
}

fn every(node: &Node, sink: &mut Sink<'_>) -> Checked<When> {
    values::number(node, 1..=u64::MAX, sink).map(When::Every)
}

fn nth(node: &Node, sink: &mut Sink<'_>) -> Checked<When> {
    // Event numbers are counted up by one from 0 in 64 bits, so the last number cannot come.
    let mut numbers =
        values::one_or_more(node, "event numbers", sink, |item, sink| values::number(item, 1..=u64::MAX - 1, sink))?;
    numbers.sort_unstable();
    if let Some(pair) = numbers.windows(2).find(|pair| pair[0] == pair[1]) {
        return sink.refuse(node.span, format!("event {} is named twice", pair[0]));
    }
    if numbers.is_empty() {
        return sink.refuse(node.span, "no event is named, so nothing would fail");
    }
    Some(When::Nth(numbers))
}

fn rate(node: &Node, sink: &mut Sink<'_>) -> Checked<When> {
    let ppb = parse_rate(values::text_as(node, RATE, sink)?);
    if ppb.is_none() {
        sink.wanted(node, RATE);
    }
    ppb.map(|ppb| When::Rate { ppb })
}

/// Percent, as text, to parts per 10^9; exact or not at all.
fn parse_rate(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?.trim_end();
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && fraction.len() <= 7 => (whole, fraction),
        Some(_) => return None,
        None => (number, "0"),
    };
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<7}").parse().ok()?;
    let ppb = whole.parse::<u64>().ok()?.checked_mul(PPB_PER_PERCENT)?.checked_add(fraction)?;
    u32::try_from(ppb).ok().filter(|&ppb| u64::from(ppb) <= 100 * PPB_PER_PERCENT)
}

fn range(node: &Node, device: Option<&Declared>, sink: &mut Sink<'_>) -> Checked<(Sectors, Option<Sectors>)> {
    let text = values::text_as(node, RANGE, sink)?;
    if text == "all" {
        return Some((Sectors::ZERO, None));
    }
    let sector = |text: &str| values::parse_number(text).filter(|&number| number <= values::SECTOR_MAX).map(Sectors);
    let parsed = text.split_once("..").and_then(|(start, end)| {
        let end = if end.is_empty() { None } else { Some(sector(end)?) };
        Some((sector(start)?, end))
    });
    let Some((start, end)) = parsed else {
        sink.wanted(node, RANGE);
        return None;
    };
    if end.is_some_and(|end| end <= start) {
        return sink
            .refuse(node.span, format!("the range {text} is empty: the sector after it must be behind {start}"));
    }
    let last = end.unwrap_or(start + Sectors(1));
    if let Some(device) = device
        && let Some(size) = device.size
        && last > size
    {
        return sink.refuse(node.span, format!("{text} does not lie within `{}`, which has {size}", device.name));
    }
    Some((start, end))
}

#[cfg(test)]
mod tests;
