//! `explore`: how the explorer searches the schedules of a cell, and `strength`, what such a search is to be worth.
//!
//! Invariants: a bound on preemptions stands beside the one strategy that has one; whatever is left out has the default
//! of the language reference.
//! Not here: which strategy a cell is searched with in the end, since expectations and the command line have a say (the
//! harness).

use dmlab_units::Bytes;

use crate::fields::{Checked, Fields};
use crate::nearest;
use crate::node::Node;
use crate::sink::{Sink, shown};
use crate::{Explore, Strategy, Strength, Timers, values};

const SCHEDULES: u64 = 1000;
const STEPS: u64 = 20_000;
const RUNS: u64 = 1_000_000;
const NUMBER_MAX: u64 = 1_000_000_000;
/// No schedule that anybody will search by preemptions has more of them than this.
const BOUND_MAX: u32 = 1000;
const CACHE: Bytes = Bytes(256 << 20);
const CACHE_MIN: Bytes = Bytes(1 << 20);
const CACHE_MAX: Bytes = Bytes(1 << 40);

const TIMERS: &values::Words<Timers> = &[("when-idle", Timers::WhenIdle), ("any", Timers::Any)];
const STRENGTHS: &[&str] = &["proved", "proved up to 2 preemptions"];

/// What is searched when nothing is said.
pub(super) const DEFAULT: (Explore, u64) = (
    Explore {
        schedules: SCHEDULES,
        strategy: Strategy::Portfolio,
        bound: None,
        timers: Timers::WhenIdle,
        cache: CACHE,
        runs: RUNS,
    },
    STEPS,
);

/// The search, and the operations after which one run is given up.
pub(super) fn explore(node: &Node, sink: &mut Sink<'_>) -> Checked<(Explore, u64)> {
    let mut fields = Fields::open(node, "`explore`", sink)?;
    let schedules = fields.or("schedules", SCHEDULES, |node, sink| values::number(node, 1..=NUMBER_MAX, sink));
    let steps = fields.or("steps", STEPS, |node, sink| values::number(node, 1..=NUMBER_MAX, sink));
    let strategy = fields.or("strategy", Strategy::default(), strategy);
    let bound = fields.optional("bound", |node, sink| Some((values::count(node, 0..=BOUND_MAX, sink)?, node.span)));
    let timers = fields.or("timers", Timers::default(), |node, sink| {
        values::word(node, "a time at which timers may fire", TIMERS, sink)
    });
    let cache = fields.or("cache", CACHE, |node, sink| values::memory(node, CACHE_MIN..=CACHE_MAX, sink));
    let runs = fields.or("runs", RUNS, |node, sink| values::number(node, 1..=NUMBER_MAX, sink));
    let mut fits = true;
    if let (Some(strategy), Some(Some((_, span)))) = (strategy, bound)
        && strategy != Strategy::Icb
    {
        fits = false;
        let message = format!("`bound` counts preemptions, which the strategy `{}` does not bound", strategy.name());
        fields.error_help(span, message, "write `strategy: icb`, or leave `bound` out");
    }
    fields.finish()?;
    let explore = Explore {
        schedules: schedules?,
        strategy: strategy?,
        bound: bound?.map(|(bound, _)| bound),
        timers: timers?,
        cache: cache?,
        runs: runs?,
    };
    fits.then_some((explore, steps?))
}

fn strategy(node: &Node, sink: &mut Sink<'_>) -> Checked<Strategy> {
    let words = Strategy::ALL.map(|strategy| (strategy.name(), strategy));
    values::word(node, "a strategy", &words, sink)
}

/// `proved` or `proved up to N preemptions`.
pub(super) fn strength(node: &Node, sink: &mut Sink<'_>) -> Checked<Strength> {
    let text = values::text_as(node, "a strength", sink)?;
    if text == "proved" {
        return Some(Strength::Proved);
    }
    let bound = text.strip_prefix("proved up to ").and_then(|rest| {
        let number = rest.strip_suffix(" preemptions").or_else(|| rest.strip_suffix(" preemption"))?;
        values::parse_number(number).and_then(|bound| u32::try_from(bound).ok())
    });
    match bound {
        Some(bound) if bound <= BOUND_MAX => Some(Strength::ProvedUpTo(bound)),
        Some(bound) => sink.refuse(node.span, format!("{bound} preemptions are more than the {BOUND_MAX} allowed")),
        None => {
            sink.error_help(node.span, format!("{} is not a strength", shown(text)), nearest::help(text, STRENGTHS));
            None
        }
    }
}

#[cfg(test)]
mod tests;
