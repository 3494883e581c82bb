//! The calibration of the cost table: what each kind of operation costs on this machine, if a bio's time is the sum of
//! its operations.
//!
//! A row's virtual time is linear in the costs, so one run per cost, with that cost 1 and the others 0, gives how
//! often the row pays it. The fit is the one set of costs that makes the sum of the squares of ln(virtual / measured)
//! least over all rows that take part, each group weighing the same; found one cost at a time, from the table as it is.
//!
//! Invariant: the same measurements give the same costs.
//! Not here: measuring, and the table that is shown (the bench itself).

use dmlab_engine::sched::explorer::CostTable;
use dmlab_units::Nanos;

/// Kinds of costs.
pub(crate) const KINDS: usize = 5;
/// Their names, as the table has them.
pub(crate) const NAMES: [&str; KINDS] = ["lock", "mempool", "work", "other", "bio"];
/// Rounds through the costs; the last ones change nothing any more.
const ROUNDS: usize = 500;
/// Halvings of the step.
const STEPS: usize = 40;
/// No operation costs less.
const LEAST: f64 = 0.5;

/// A row that takes part.
pub(crate) struct Point {
    /// How often it pays each cost.
    pub(crate) paid: [f64; KINDS],
    /// Nanoseconds.
    pub(crate) measured: f64,
    pub(crate) weight: f64,
}

impl Point {
    /// Virtual time under `costs`.
    pub(crate) fn under(&self, costs: &[f64; KINDS]) -> f64 {
        self.paid.iter().zip(costs).map(|(paid, cost)| paid * cost).sum()
    }
}

/// The table in which only cost number `kind` is anything.
pub(crate) fn only(kind: usize) -> CostTable {
    let mut costs = [0.0; KINDS];
    costs[kind] = 1.0;
    table(&costs)
}

/// The costs of a table.
pub(crate) fn costs(table: &CostTable) -> [f64; KINDS] {
    [table.lock, table.mempool, table.work, table.other, table.bio].map(|cost| cost.0 as f64)
}

/// The table with these costs, in whole nanoseconds.
pub(crate) fn table(costs: &[f64; KINDS]) -> CostTable {
    let [lock, mempool, work, other, bio] = costs.map(|cost| Nanos(cost.round() as u64));
    CostTable { lock, mempool, work, other, bio }
}

fn error(points: &[Point], costs: &[f64; KINDS]) -> f64 {
    points.iter().map(|point| point.weight * (point.under(costs) / point.measured).ln().powi(2)).sum()
}

/// The costs under which the points are least wrong.
pub(crate) fn fit(points: &[Point], begin: [f64; KINDS]) -> [f64; KINDS] {
    let mut best = begin;
    for _ in 0..ROUNDS {
        for kind in 0..KINDS {
            let mut step = 2.0;
            for _ in 0..STEPS {
                for factor in [step, 1.0 / step] {
                    let mut tried = best;
                    tried[kind] = (tried[kind] * factor).max(LEAST);
                    if error(points, &tried) < error(points, &best) {
                        best = tried;
                    }
                }
                step = step.sqrt();
            }
        }
    }
    best
}
