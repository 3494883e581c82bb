//! [`Pct`]: random priorities with a few random points at which the running task falls to the bottom
//! (probabilistic concurrency testing). Finds bugs that need a task to be starved, which uniform walks do not.
//!
//! Change points are spread over all steps, or (biased) over acquisitions only: a task that falls right after it has
//! taken something is what most deadlocks are made of.
//!
//! Invariants: the highest ready priority goes on; a task that yields falls below all others, so polling loops end;
//! a run depends on its sub-seed and on the horizon that was last learnt, not on the runs before it.

use dmlab_units::{Rng, Seed};

use super::super::op::{OpKind, TaskId};
use super::horizon::{Horizon, Meter};
use super::strategy::{Strategy, View};

/// PCT of a given depth: a bug of depth d needs d - 1 ordered changes of priority.
pub struct Pct {
    seed: Seed,
    depth: u32,
    biased: bool,
    rng: Rng,
    /// Steps and acquisitions to spread change points over; 0 while unknown.
    steps_max: u64,
    acquires_max: u64,
    /// High bits set for initial priorities; tasks that fell get small numbers, each below the one before.
    priorities: Vec<u64>,
    /// Still to come in this run, the next one last.
    change_points: Vec<u64>,
    next_low: u64,
    meter: Meter,
}

const INITIAL: u64 = 1 << 63;

/// While nothing is known, each run draws the scale of its change points from 2^3 to 2^9.
const SCALE_BITS_MIN: u64 = 3;
const SCALES: u64 = 7;

impl Pct {
    /// Change points at any step. Depth 1 has none: a fixed random order of tasks.
    ///
    /// # Panics
    /// When `depth` is 0.
    pub fn new(seed: Seed, depth: u32) -> Self {
        Self::build(seed, depth, false)
    }

    /// Change points only right after acquisitions.
    ///
    /// # Panics
    /// When `depth` is 0.
    pub fn biased(seed: Seed, depth: u32) -> Self {
        Self::build(seed, depth, true)
    }

    fn build(seed: Seed, depth: u32, biased: bool) -> Self {
        assert!(depth > 0);
        Self {
            seed,
            depth,
            biased,
            rng: seed.rng(),
            steps_max: 0,
            acquires_max: 0,
            priorities: Vec::new(),
            change_points: Vec::new(),
            next_low: INITIAL - 1,
            meter: Meter::default(),
        }
    }

    /// Another kind of PCT from the next run on.
    pub(super) const fn set(&mut self, depth: u32, biased: bool) {
        (self.depth, self.biased) = (depth, biased);
    }

    fn fall(&mut self, task: TaskId) {
        self.priorities[task.index()] = self.next_low;
        self.next_low -= 1;
    }

    /// Lets the task that went last fall for every change point that has been reached.
    #[inline]
    fn change(&mut self, view: &View<'_>) {
        let passed = if self.biased { self.meter.acquires } else { view.step };
        while self.change_points.last().is_some_and(|&next| next <= passed) {
            self.change_points.pop();
            if let Some(last) = view.last {
                self.fall(last);
            }
        }
    }
}

impl Strategy for Pct {
    fn begin(&mut self, run: u64) {
        self.rng = self.seed.nth(run).rng();
        self.priorities.clear();
        self.next_low = INITIAL - 1;
        self.meter.begin();
        self.change_points.clear();
        let known = if self.biased { self.acquires_max } else { self.steps_max };
        let horizon = if known > 0 { known } else { 1 << (SCALE_BITS_MIN + self.rng.below(SCALES)) };
        for _ in 1..self.depth {
            self.change_points.push(1 + self.rng.below(horizon));
        }
        self.change_points.sort_unstable_by(|one, other| other.cmp(one));
    }

    #[inline]
    fn pick(&mut self, view: &View<'_>) -> TaskId {
        self.change(view);
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
        let op = view.op(task);
        self.meter.note(task, op);
        if op.kind == OpKind::Yield {
            self.fall(task);
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
        (self.steps_max, self.acquires_max) = (horizon.steps_max, horizon.acquires_max);
    }

    fn gather(&self, into: &mut Horizon) {
        into.merge(self.meter.seen());
    }
}
