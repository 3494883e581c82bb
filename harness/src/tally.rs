//! [`Tally`]: what is counted over all schedules of an exploration: how many, how long, which deadlocks, and how far the
//! pools went.
//!
//! Invariants: peaks are the highest of all schedules; deadlocks are told apart by their signatures and listed in the
//! order in which they were first met; taking schedules in in another order changes nothing but that order.
//! Not here: what a schedule came to (`judge`).

use std::collections::BTreeMap;

use dmlab_results::{PoolRecord, SignatureCount};

use crate::backend::PoolUse;
use crate::watch::SearchProgress;

/// Counts over all schedules of a cell.
#[derive(Default)]
pub struct Tally {
    /// Schedules.
    pub schedules: u64,
    /// Operations in all of them.
    pub steps: u64,
    /// Operations of the longest.
    pub steps_max_seen: u64,
    /// Schedules that ended in a deadlock.
    pub deadlocks: u64,
    /// The distinct deadlocks.
    pub signatures: Vec<SignatureCount>,
    /// How far the pools went.
    pub peaks: Peaks,
}

impl Tally {
    /// One schedule more, number `number` from 1.
    pub fn take_in(&mut self, number: u64, steps: u64, deadlock: Option<String>, pools: Vec<PoolUse>) {
        self.schedules += 1;
        self.steps += steps;
        self.steps_max_seen = self.steps_max_seen.max(steps);
        self.peaks.take_in(pools);
        let Some(signature) = deadlock else { return };
        self.deadlocks += 1;
        match self.signatures.iter_mut().find(|known| known.signature == signature) {
            Some(known) => {
                known.schedules += 1;
                known.first_schedule = known.first_schedule.min(number);
            }
            None => self.signatures.push(SignatureCount { signature, schedules: 1, first_schedule: number }),
        }
    }

    /// What there is to show; `states` and what is left are the search's to know.
    pub fn progress(&self, states: u64, todo_estimate: Option<f64>) -> SearchProgress {
        let (schedules, depth, signatures) = (self.schedules, self.steps_max_seen, self.signatures.len() as u64);
        SearchProgress { schedules, states, depth, signatures, todo_estimate }
    }
}

/// Pools over all schedules.
#[derive(Default)]
pub struct Peaks {
    order: Vec<String>,
    pools: BTreeMap<String, PoolRecord>,
}

impl Peaks {
    /// The pools of one schedule more.
    pub fn take_in(&mut self, pools: Vec<PoolUse>) {
        for PoolUse { name, stats } in pools {
            let known = match self.pools.get_mut(&name) {
                Some(known) => known,
                None => {
                    self.order.push(name.clone());
                    let fresh = PoolRecord {
                        name: name.clone(),
                        reserve: stats.reserve,
                        peak_in_use: 0,
                        slab_failures: 0,
                        waits: 0,
                        rescued: 0,
                    };
                    self.pools.entry(name).or_insert(fresh)
                }
            };
            known.peak_in_use = known.peak_in_use.max(stats.peak);
            known.slab_failures = known.slab_failures.max(stats.slab_failures);
            known.waits = known.waits.max(stats.waits);
            known.rescued = known.rescued.max(stats.rescued);
        }
    }

    /// For the record, in the order in which pools were first seen.
    pub fn records(&self) -> Vec<PoolRecord> {
        self.order.iter().map(|name| self.pools[name].clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use dmlab_engine::sync::PoolStats;

    use super::*;

    fn pool(name: &str, peak: u64, waits: u64) -> PoolUse {
        PoolUse { name: name.to_owned(), stats: PoolStats { reserve: 2, peak, waits, ..PoolStats::default() } }
    }

    #[test]
    fn deadlocks_are_told_apart_and_peaks_are_the_highest() {
        let mut tally = Tally::default();
        tally.take_in(5, 10, Some("a".to_owned()), vec![pool("t.bs", 1, 4)]);
        tally.take_in(3, 30, Some("b".to_owned()), vec![pool("t.bs", 2, 0), pool("u.bs", 1, 0)]);
        tally.take_in(4, 20, None, Vec::new());
        tally.take_in(2, 20, Some("a".to_owned()), Vec::new());
        assert_eq!((tally.schedules, tally.steps, tally.steps_max_seen, tally.deadlocks), (4, 80, 30, 3));
        let found: Vec<_> = tally.signatures.iter().map(|s| (&*s.signature, s.schedules, s.first_schedule)).collect();
        assert_eq!(found, [("a", 2, 2), ("b", 1, 3)]);
        let peaks: Vec<_> = tally.peaks.records().into_iter().map(|p| (p.name, p.peak_in_use, p.waits)).collect();
        assert_eq!(peaks, [("t.bs".to_owned(), 2, 4), ("u.bs".to_owned(), 1, 0)]);
        let shown = tally.progress(9, None);
        assert_eq!((shown.schedules, shown.states, shown.depth, shown.signatures), (4, 9, 30, 2));
    }
}
