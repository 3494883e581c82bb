//! [`Batches`]: the run numbers of a campaign, in batches between which strategies learn and somebody may look; and
//! [`Shard`]: the part of them that one machine has.
//!
//! Invariants: every run number below the bound is in one batch and belongs to one shard; what is learnt is learnt
//! from the first [`LEARNING_RUNS`] runs, which every shard performs in whole. So a run is the same in every shard,
//! and in the whole.
//! Not here: performing them (see [`super::Campaign`]).

use std::ops::Range;

/// Size of the first batch; each next one is twice as large.
pub const BATCH_RUNS_MIN: u64 = 16;
/// Size of the largest batches, counted in runs of the shard.
pub const BATCH_RUNS_MAX: u64 = 4096;
/// The first three batches. Later ones would teach little, and every shard has to perform these.
pub const LEARNING_RUNS: u64 = BATCH_RUNS_MIN * 7;

/// One of several parts of the same campaign: those runs whose number leaves `index` when divided by `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    of: u64,
}

impl Shard {
    /// All runs.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Part `index`, from 0, of `of` parts.
    ///
    /// # Panics
    /// When there is no such part.
    pub const fn new(index: u64, of: u64) -> Self {
        assert!(index < of, "shards are numbered from 0 to one below their number");
        Self { index, of }
    }

    /// Whether `run` belongs to this shard.
    pub const fn owns(&self, run: u64) -> bool {
        run % self.of == self.index
    }
}

/// Runs that are performed under one horizon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    numbers: Range<u64>,
    step: u64,
    /// Whether horizons are to be merged when it is over. Such a batch contains runs of other shards.
    pub learns: bool,
}

impl Batch {
    /// How many runs are to be performed.
    pub const fn len(&self) -> u64 {
        (self.numbers.end - self.numbers.start).div_ceil(self.step)
    }

    /// Whether the shard has no run in it.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of the run at `position`, from 0; `None` behind the last one.
    #[inline]
    pub const fn run(&self, position: u64) -> Option<u64> {
        if position < self.len() { Some(self.numbers.start + position * self.step) } else { None }
    }
}

/// The batches of a campaign, in order.
#[derive(Clone, Debug)]
pub struct Batches {
    shard: Shard,
    next: u64,
    size: u64,
    runs_max: u64,
}

impl Batches {
    /// The runs of `shard` among all run numbers below `runs_max`.
    pub const fn new(shard: Shard, runs_max: u64) -> Self {
        Self { shard, next: 0, size: BATCH_RUNS_MIN, runs_max }
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.next >= self.runs_max {
            return None;
        }
        let (start, learns) = (self.next, self.next < LEARNING_RUNS);
        let Shard { index, of } = self.shard;
        let wide = if learns { self.size } else { self.size.saturating_mul(of) };
        let end = start.saturating_add(wide).min(self.runs_max);
        self.next = end;
        self.size = (self.size * 2).min(BATCH_RUNS_MAX);
        if learns {
            return Some(Batch { numbers: start..end, step: 1, learns });
        }
        let first = start.saturating_add((of + index - start % of) % of).min(end);
        Some(Batch { numbers: first..end, step: of, learns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_runs(shard: Shard, runs_max: u64) -> Vec<u64> {
        let runs = Batches::new(shard, runs_max).flat_map(|batch| (0..batch.len()).map_while(move |n| batch.run(n)));
        runs.filter(|&run| shard.owns(run)).collect()
    }

    #[test]
    fn batches_grow_to_their_bound_and_the_first_ones_learn() {
        let batches: Vec<Batch> = Batches::new(Shard::WHOLE, 20_000).collect();
        let sizes: Vec<u64> = batches.iter().map(Batch::len).collect();
        assert_eq!(sizes, [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 4096, 4096, 20_000 - 16_368]);
        let learning: u64 = batches.iter().filter(|batch| batch.learns).map(Batch::len).sum();
        assert_eq!(learning, LEARNING_RUNS);
    }

    #[test]
    fn shards_have_every_run_once_in_order_and_all_learn_from_the_same() {
        for of in [1, 2, 3, 7, 200] {
            let mut all = Vec::new();
            for index in 0..of {
                let shard = Shard::new(index, of);
                let own = own_runs(shard, 3000);
                assert!(own.is_sorted());
                all.extend(own);
                let learns = |shard| Batches::new(shard, 3000).filter(|batch| batch.learns).collect::<Vec<_>>();
                assert_eq!(learns(shard), learns(Shard::WHOLE));
            }
            all.sort_unstable();
            assert_eq!(all, (0..3000).collect::<Vec<_>>(), "{of} shards");
        }
    }

    #[test]
    fn a_campaign_may_be_shorter_than_a_batch_or_all_but_endless() {
        assert_eq!(own_runs(Shard::WHOLE, 5), [0, 1, 2, 3, 4]);
        assert_eq!(own_runs(Shard::new(4, 5), 4), [0; 0]);
        let endless = Batches::new(Shard::new(2, 3), u64::MAX);
        assert!(endless.skip(3).take(100).all(|batch| batch.len() <= BATCH_RUNS_MAX && !batch.is_empty()));
    }
}
