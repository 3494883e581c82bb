//! [`Urw`]: a random walk that is uniform over whole interleavings rather than over steps: a task's chance to go on
//! grows with the operations that it still has before it, so that long tasks are not always the last ones.
//!
//! How many operations a task has is learnt from earlier batches of runs (by task number); before anything is known, and
//! for tasks beyond their estimate, it is a plain random walk.
//! Invariants: every ready task has a chance; a task that gives way has the smallest one, so polling loops end; a run
//! depends on its sub-seed and on the horizon that was last learnt, not on the runs before it.

use dmlab_units::{Rng, Seed};

use super::super::op::{OpKind, TaskId};
use super::horizon::{Horizon, Meter};
use super::strategy::{Strategy, View};

/// A random walk weighted by remaining operations.
pub struct Urw {
    seed: Seed,
    rng: Rng,
    estimates: Vec<u32>,
    /// By task: operations before it, as far as is known.
    remaining: Vec<u32>,
    meter: Meter,
}

impl Urw {
    /// Run `n` is decided by the `n`-th sub-seed of `seed` and the horizon.
    pub fn new(seed: Seed) -> Self {
        let (estimates, remaining) = (Vec::new(), Vec::new());
        Self { seed, rng: seed.rng(), estimates, remaining, meter: Meter::default() }
    }

    #[inline]
    fn weight(&self, view: &View<'_>, task: TaskId) -> u64 {
        if view.op(task).kind == OpKind::Yield {
            return 1;
        }
        u64::from(self.remaining.get(task.index()).map_or(1, |&remaining| remaining.max(1)))
    }
}

impl Strategy for Urw {
    fn begin(&mut self, run: u64) {
        self.rng = self.seed.nth(run).rng();
        self.remaining.clear();
        self.remaining.extend_from_slice(&self.estimates);
        self.meter.begin();
    }

    #[inline]
    fn pick(&mut self, view: &View<'_>) -> TaskId {
        let all = view.ready().iter().map(|task| self.weight(view, task)).sum();
        let mut drawn = if view.ready().len() == 1 { 0 } else { self.rng.below(all) };
        let mut heavy_enough = |task: &TaskId| {
            let weight = self.weight(view, *task);
            let here = drawn < weight;
            drawn = drawn.wrapping_sub(weight);
            here
        };
        let task = view.ready().iter().find(|task| heavy_enough(task)).expect("what was drawn is below the sum");
        let op = view.op(task);
        self.meter.note(task, op);
        if op.kind != OpKind::Yield
            && let Some(remaining) = self.remaining.get_mut(task.index())
        {
            *remaining = remaining.saturating_sub(1);
        }
        task
    }

    fn choose(&mut self, _task: TaskId, options: u32) -> u32 {
        self.rng.below(u64::from(options)) as u32
    }

    fn end(&mut self, steps: u64) {
        self.meter.end(steps);
    }

    fn learn(&mut self, horizon: &Horizon) {
        self.estimates.clone_from(&horizon.ops_per_task);
    }

    fn gather(&self, into: &mut Horizon) {
        into.merge(self.meter.seen());
    }
}
