//! [`Pos`]: partial-order sampling. Every announced operation has a random priority of its own and the highest goes
//! on; whatever depends on what was carried out draws a new one. Orders of dependent operations come out far more
//! evenly than under a random walk, whose weight lies on orders that make no difference.
//!
//! Invariants: a task that gives way is behind all that do not, and behind those that gave way before it, so polling
//! loops end; a run depends on its sub-seed alone.

use dmlab_units::{Rng, Seed};

use super::super::op::{OpKind, TaskId};
use super::independence::{dependent, orders};
use super::strategy::{Strategy, View};

/// Partial-order sampling.
pub struct Pos {
    seed: Seed,
    rng: Rng,
    /// By task; [`UNDRAWN`], high bit set, or small numbers for tasks that give way.
    priorities: Vec<u64>,
    next_low: u64,
}

const UNDRAWN: u64 = 0;
const DRAWN: u64 = 1 << 63;

impl Pos {
    /// Run `n` is decided by the `n`-th sub-seed of `seed`.
    pub const fn new(seed: Seed) -> Self {
        Self { seed, rng: seed.rng(), priorities: Vec::new(), next_low: DRAWN - 1 }
    }

    fn draw(&mut self, kind: OpKind) -> u64 {
        if kind == OpKind::Yield {
            self.next_low -= 1;
            self.next_low
        } else {
            self.rng.next() | DRAWN
        }
    }
}

impl Strategy for Pos {
    fn begin(&mut self, run: u64) {
        self.rng = self.seed.nth(run).rng();
        self.priorities.clear();
        self.next_low = DRAWN - 1;
    }

    #[inline]
    fn pick(&mut self, view: &View<'_>) -> TaskId {
        let mut best = None;
        for task in view.ready().iter() {
            if self.priorities.len() <= task.index() {
                self.priorities.resize(task.index() + 1, UNDRAWN);
            }
            let mut priority = self.priorities[task.index()];
            if priority == UNDRAWN {
                priority = self.draw(view.op(task).kind);
                self.priorities[task.index()] = priority;
            }
            if best.is_none_or(|(highest, _)| priority > highest) {
                best = Some((priority, task));
            }
        }
        let (_, picked) = best.expect("a strategy is asked only when a task is ready");
        // Its next operation is another one; nobody else's is, but what depends on this one draws anew.
        self.priorities[picked.index()] = UNDRAWN;
        let op = view.op(picked);
        if orders(op.kind) {
            for task in view.ready().iter() {
                if dependent(op, view.op(task)) {
                    self.priorities[task.index()] = UNDRAWN;
                }
            }
        }
        picked
    }

    fn choose(&mut self, _task: TaskId, options: u32) -> u32 {
        self.rng.below(u64::from(options)) as u32
    }
}
