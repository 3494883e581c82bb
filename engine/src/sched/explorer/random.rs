//! [`Random`]: every ready task is equally likely at every step.
//!
//! Good at shallow races; hopeless where a helper must be starved for long (see [`super::Pct`]).
//! Invariant: run `n` under a seed takes the same way whatever ran before it.

use dmlab_units::{Rng, Seed};

use super::super::op::TaskId;
use super::strategy::{Strategy, View};

/// A seeded random walk.
pub struct Random {
    seed: Seed,
    rng: Rng,
}

impl Random {
    /// Run `n` is decided by the `n`-th sub-seed of `seed`.
    pub const fn new(seed: Seed) -> Self {
        Self { seed, rng: seed.rng() }
    }
}

impl Strategy for Random {
    fn begin(&mut self, run: u64) {
        self.rng = self.seed.nth(run).rng();
    }

    #[inline]
    fn pick(&mut self, view: &View<'_>) -> TaskId {
        match view.ready().len() {
            1 => view.ready().nth(0),
            ready => view.ready().nth(self.rng.below(ready as u64) as usize),
        }
    }

    fn choose(&mut self, _task: TaskId, options: u32) -> u32 {
        self.rng.below(u64::from(options)) as u32
    }
}
