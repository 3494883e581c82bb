//! [`Fair`]: round robin over the ready tasks, for runs on the virtual clock.
//!
//! Invariant: no ready task is passed over twice by the same other task. Choices are drawn from the seed.

use dmlab_units::{Rng, Seed};

use super::super::op::TaskId;
use super::strategy::{Strategy, View};

/// Round robin.
pub struct Fair {
    rng: Rng,
}

impl Fair {
    /// A fair policy whose [`Strategy::choose`] is decided by `seed`.
    pub const fn new(seed: Seed) -> Self {
        Self { rng: seed.rng() }
    }
}

impl Strategy for Fair {
    fn pick(&mut self, view: &View<'_>) -> TaskId {
        let after = view.last.map_or(0, |last| last.0 + 1);
        let next = view.ready().first_from(after).or_else(|| view.ready().first_from(0));
        next.expect("a strategy is asked only when a task is ready")
    }

    fn choose(&mut self, _task: TaskId, options: u32) -> u32 {
        self.rng.below(u64::from(options)) as u32
    }
}
