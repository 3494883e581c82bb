//! [`Portfolio`]: several strategies taking turns, since no single one finds every kind of bug.
//!
//! Shares: PCT of depths 2 to 5 in every second run, a random walk in the others. Starved-helper deadlocks fall to
//! PCT by orders of magnitude sooner, shallow races to the random walk.
//! Invariant: which strategy has run `n` depends on `n` alone.

use dmlab_units::Seed;

use super::super::op::TaskId;
use super::pct::Pct;
use super::random::Random;
use super::strategy::{Strategy, View};

/// PCT and random in turn.
pub struct Portfolio {
    pct: Vec<Pct>,
    random: Random,
    turn: usize,
}

impl Portfolio {
    /// All strategies derive their seeds from `seed`.
    pub fn new(seed: Seed) -> Self {
        let pct = (2..=5).map(|depth| Pct::new(seed.derive("pct").nth(u64::from(depth)), depth)).collect();
        Self { pct, random: Random::new(seed.derive("random")), turn: 0 }
    }

    fn current(&mut self) -> &mut dyn Strategy {
        match self.turn % 2 {
            0 => {
                let depths = self.pct.len();
                &mut self.pct[self.turn / 2 % depths]
            }
            _ => &mut self.random,
        }
    }
}

impl Strategy for Portfolio {
    fn begin(&mut self, run: u64) {
        self.turn = run as usize;
        self.current().begin(run);
    }

    fn pick(&mut self, view: &View<'_>) -> TaskId {
        self.current().pick(view)
    }

    fn choose(&mut self, task: TaskId, options: u32) -> u32 {
        self.current().choose(task, options)
    }

    fn end(&mut self, steps: u64) {
        // Every depth learns the horizon from every run.
        for pct in &mut self.pct {
            pct.end(steps);
        }
        self.random.end(steps);
    }
}
