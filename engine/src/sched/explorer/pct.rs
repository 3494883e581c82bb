//! [`Pct`]: random priorities with a few random points at which the running task falls to the bottom
//! (probabilistic concurrency testing). Finds bugs that need a task to be starved, which uniform walks do not.
//!
//! Invariants: the highest ready priority goes on; a task that yields falls below all others, so polling loops end;
//! a run's priorities come from its own sub-seed. The horizon, over which change points are spread, is learnt from
//! the longest run so far, so run `n` of two campaigns is the same only if the runs before it were the same.

use dmlab_units::{Rng, Seed};

use super::super::op::{OpKind, TaskId};
use super::strategy::{Strategy, View};

/// PCT of a given depth: a bug of depth d needs d - 1 ordered changes of priority.
pub struct Pct {
    seed: Seed,
    depth: u32,
    rng: Rng,
    horizon: u64,
    /// High bits set for initial priorities; tasks that fell get small numbers, each below the one before.
    priorities: Vec<u64>,
    change_points: Vec<u64>,
    next_low: u64,
}

const INITIAL: u64 = 1 << 63;

impl Pct {
    /// Depth 1 has no change points: a fixed random order of tasks.
    ///
    /// # Panics
    /// When `depth` is 0.
    pub fn new(seed: Seed, depth: u32) -> Self {
        assert!(depth > 0);
        let (priorities, change_points) = (Vec::new(), Vec::new());
        Self { seed, depth, rng: seed.rng(), horizon: 2, priorities, change_points, next_low: INITIAL - 1 }
    }

    fn fall(&mut self, task: TaskId) {
        self.priorities[task.index()] = self.next_low;
        self.next_low -= 1;
    }
}

impl Strategy for Pct {
    fn begin(&mut self, run: u64) {
        self.rng = self.seed.nth(run).rng();
        self.priorities.clear();
        self.next_low = INITIAL - 1;
        self.change_points.clear();
        for _ in 1..self.depth {
            self.change_points.push(1 + self.rng.below(self.horizon));
        }
    }

    fn pick(&mut self, view: &View<'_>) -> TaskId {
        if let Some(last) = view.last
            && self.change_points.contains(&view.step)
        {
            self.fall(last);
        }
        let mut best = None;
        for task in view.ready().iter() {
            while self.priorities.len() <= task.index() {
                self.priorities.push(self.rng.next() | INITIAL);
            }
            if view.op(task).kind == OpKind::Yield && self.priorities[task.index()] >= INITIAL {
                self.fall(task);
            }
            let priority = self.priorities[task.index()];
            if best.is_none_or(|(highest, _)| priority > highest) {
                best = Some((priority, task));
            }
        }
        let (_, task) = best.expect("a strategy is asked only when a task is ready");
        if view.op(task).kind == OpKind::Yield {
            self.fall(task);
        }
        task
    }

    fn choose(&mut self, _task: TaskId, options: u32) -> u32 {
        self.rng.below(u64::from(options)) as u32
    }

    fn end(&mut self, steps: u64) {
        self.horizon = self.horizon.max(steps);
    }
}
