//! [`Portfolio`]: several strategies taking turns, since no single one finds every kind of bug.
//!
//! Shares: half of the runs PCT of depths 2 to 5 (every second one biased to acquisitions), a quarter partial-order
//! sampling, 15 % a random walk, 10 % the weighted one. Starved-helper deadlocks fall to PCT by orders of magnitude
//! sooner, races of few operations to the others.
//! Each run also draws how often choices take another way than the first, since some bugs need many
//! faults and some need all but none.
//!
//! Invariants: which strategy has run `n` depends on `n` alone, and the shares are those above in every shard of the
//! runs too; a run depends on its sub-seeds and on the horizon that was last learnt.

use dmlab_units::{Rng, Seed};

use super::super::op::TaskId;
use super::horizon::Horizon;
use super::pct::Pct;
use super::pos::Pos;
use super::random::Random;
use super::strategy::{Strategy, View};
use super::urw::Urw;

/// Who has a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Pct { depth: u32, biased: bool },
    Pos,
    Random,
    Urw,
}

impl Member {
    /// Multiples of the golden ratio, of which the fractions are spread evenly, and those of every n-th multiple too: with
    /// a table in turn, one shard of two would get all of PCT and the other nothing of it.
    fn of_run(run: u64) -> Self {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        const PARTS: u128 = 80;
        let part = (u128::from(run.wrapping_mul(GOLDEN)) * PARTS) >> 64;
        match part as u32 {
            part @ 0..40 => Self::Pct { depth: 2 + part / 2 % 4, biased: part % 2 == 1 },
            40..60 => Self::Pos,
            60..72 => Self::Random,
            _ => Self::Urw,
        }
    }
}

/// How often a choice takes another way than the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choosing {
    /// Every way is equally likely.
    Uniform,
    /// One choice in so many takes another way than the first, which one is drawn evenly.
    OneIn(u64),
}

/// Several strategies taking turns.
pub struct Portfolio {
    pct: Pct,
    pos: Pos,
    random: Random,
    urw: Urw,
    turn: Member,
    seed: Seed,
    rng: Rng,
    choosing: Choosing,
}

impl Portfolio {
    /// All strategies derive their seeds from `seed`.
    pub fn new(seed: Seed) -> Self {
        let choices = seed.derive("choices");
        Self {
            pct: Pct::new(seed.derive("pct"), 2),
            pos: Pos::new(seed.derive("pos")),
            random: Random::new(seed.derive("random")),
            urw: Urw::new(seed.derive("urw")),
            turn: Member::Random,
            seed: choices,
            rng: choices.rng(),
            choosing: Choosing::Uniform,
        }
    }
}

impl Strategy for Portfolio {
    fn begin(&mut self, run: u64) {
        self.rng = self.seed.nth(run).rng();
        self.choosing = [Choosing::OneIn(2), Choosing::OneIn(4), Choosing::OneIn(16), Choosing::Uniform]
            [self.rng.below(4) as usize];
        self.turn = Member::of_run(run);
        match self.turn {
            Member::Pct { depth, biased } => {
                self.pct.set(depth, biased);
                self.pct.begin(run);
            }
            Member::Pos => self.pos.begin(run),
            Member::Random => self.random.begin(run),
            Member::Urw => self.urw.begin(run),
        }
    }

    #[inline]
    fn pick(&mut self, view: &View<'_>) -> TaskId {
        match self.turn {
            Member::Pct { .. } => self.pct.pick(view),
            Member::Pos => self.pos.pick(view),
            Member::Random => self.random.pick(view),
            Member::Urw => self.urw.pick(view),
        }
    }

    fn choose(&mut self, _task: TaskId, options: u32) -> u32 {
        let options = u64::from(options);
        let way = match self.choosing {
            Choosing::Uniform => self.rng.below(options),
            Choosing::OneIn(_) if options == 1 => 0,
            Choosing::OneIn(n) if self.rng.below(n) == 0 => 1 + self.rng.below(options - 1),
            Choosing::OneIn(_) => 0,
        };
        way as u32
    }

    fn end(&mut self, steps: u64) {
        match self.turn {
            Member::Pct { .. } => self.pct.end(steps),
            Member::Pos => self.pos.end(steps),
            Member::Random => self.random.end(steps),
            Member::Urw => self.urw.end(steps),
        }
    }

    fn learn(&mut self, horizon: &Horizon) {
        self.pct.learn(horizon);
        self.urw.learn(horizon);
    }

    fn gather(&self, into: &mut Horizon) {
        self.pct.gather(into);
        self.urw.gather(into);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// How many of `runs` each member has, PCT by depth and bias.
    fn shares(runs: impl Iterator<Item = u64>) -> BTreeMap<Member, u64> {
        let mut shares = BTreeMap::new();
        for run in runs {
            *shares.entry(Member::of_run(run)).or_default() += 1;
        }
        shares
    }

    #[test]
    fn every_shard_has_the_same_shares_of_strategies() {
        for of in [1, 2, 3, 8, 20, 64] {
            for index in [0, of / 2, of - 1] {
                let shares = shares((0..8000).map(|run| run * of + index));
                let near = |member, expected: u64| {
                    let share = shares[&member];
                    assert!(share.abs_diff(expected) <= expected / 10, "{member:?} has {share} of shard {index}/{of}");
                };
                for depth in 2..=5 {
                    near(Member::Pct { depth, biased: false }, 500);
                    near(Member::Pct { depth, biased: true }, 500);
                }
                near(Member::Pos, 2000);
                near(Member::Random, 1200);
                near(Member::Urw, 800);
            }
        }
    }

    #[test]
    fn strategies_take_turns_and_have_no_blocks() {
        let is_pct = |run| matches!(Member::of_run(run), Member::Pct { .. });
        assert!((0..1000).all(|run| (run..run + 3).any(is_pct)));
        assert!((0..1000).all(|run| !(run..run + 3).all(is_pct)));
        let first = shares(0..40);
        assert_eq!(first.len(), 11, "{first:?}");
    }

    #[test]
    fn each_run_draws_how_often_choices_take_another_way_than_the_first() {
        let mut portfolio = Portfolio::new(Seed(3));
        let mut seen = [0; 4];
        for run in 0..200 {
            portfolio.begin(run);
            let (slot, expected) = match portfolio.choosing {
                Choosing::OneIn(2) => (0, 2000),
                Choosing::OneIn(4) => (1, 1000),
                Choosing::OneIn(_) => (2, 250),
                Choosing::Uniform => (3, 3200),
            };
            seen[slot] += 1;
            let mut ways = [0_u32; 5];
            (0..4000).for_each(|_| ways[portfolio.choose(TaskId(0), 5) as usize] += 1);
            let others: u32 = ways[1..].iter().sum();
            assert!(others.abs_diff(expected) < 200, "{:?}: {ways:?}", portfolio.choosing);
            assert!(ways[1..].iter().all(|&way| way.abs_diff(others / 4) < 150), "{ways:?}");
            assert_eq!(portfolio.choose(TaskId(0), 1), 0);
        }
        assert!(seen.iter().all(|&runs| runs > 25), "{seen:?}");
    }
}
