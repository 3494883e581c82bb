//! [`Regions`]: what state each region is in (dm-region-hash.c): clean, dirty, out of sync, or being recovered.
//!
//! Only regions that something happens to are in the table; of the others the log knows. A region is on one list at most:
//! * *clean*: nobody writes to it any more; it will leave the table;
//! * *quiesced*: it is to be recovered, and nobody writes to it any more;
//! * *recovered* and *failed*: its recovery has ended.
//!
//! Invariants: a region with writes in flight is on no list; writes that come to a region in recovery wait with it.
//! Not here: the kernel's two locks and its pool of regions: all of this is one section.

use std::collections::{BTreeMap, VecDeque};

use super::log::CoreLog;

/// `DM_RH_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Clean,
    Dirty,
    NoSync,
    Recovering,
}

impl State {
    /// `region_in_sync`: reads may go to any leg, writes go to all.
    pub(super) const fn is_in_sync(self) -> bool {
        matches!(self, Self::Clean | Self::Dirty)
    }
}

/// `struct dm_region`, with what waits for it.
struct Region<W> {
    state: State,
    /// Writes in flight.
    pending: u32,
    delayed: Vec<W>,
}

/// `struct dm_region_hash`. `W` is a write that waits.
pub(super) struct Regions<W> {
    table: BTreeMap<u64, Region<W>>,
    clean: VecDeque<u64>,
    quiesced: VecDeque<u64>,
    recovered: VecDeque<u64>,
    failed: VecDeque<u64>,
    /// After a flush that failed nothing is known to be on any leg.
    flush_failure: bool,
}

/// Regions whose recovery has ended, with the writes that waited for them.
pub(super) struct Ended<W> {
    pub recovered: Vec<(u64, Vec<W>)>,
    pub failed: Vec<(u64, Vec<W>)>,
}

impl<W> Default for Regions<W> {
    fn default() -> Self {
        Self {
            table: BTreeMap::new(),
            clean: VecDeque::new(),
            quiesced: VecDeque::new(),
            recovered: VecDeque::new(),
            failed: VecDeque::new(),
            flush_failure: false,
        }
    }
}

impl<W> Regions<W> {
    /// `dm_rh_get_state`.
    pub(super) fn state(&self, log: &CoreLog, region: u64) -> State {
        let otherwise = || if log.in_sync(region) { State::Clean } else { State::NoSync };
        self.table.get(&region).map_or_else(otherwise, |known| known.state)
    }

    /// `__rh_find`: looks it up, or enters it.
    fn find(&mut self, log: &CoreLog, region: u64) -> &mut Region<W> {
        let state = self.state(log, region);
        if !self.table.contains_key(&region) && state == State::Clean {
            self.clean.push_front(region);
        }
        self.table.entry(region).or_insert_with(|| Region { state, pending: 0, delayed: Vec::new() })
    }

    /// `rh_inc`: a write to it is about to be sent.
    pub(super) fn inc(&mut self, log: &mut CoreLog, region: u64) {
        let known = self.find(log, region);
        known.pending += 1;
        if known.state == State::Clean {
            known.state = State::Dirty;
            self.clean.retain(|&clean| clean != region);
            log.mark_region(region);
        }
    }

    /// `dm_rh_dec`: a write to it has ended. Whether the daemon has something to do because of that.
    ///
    /// # Panics
    /// When there is none in flight.
    pub(super) fn dec(&mut self, region: u64) -> bool {
        let known = self.table.get_mut(&region).expect("a region with writes in flight is in the table");
        known.pending = known.pending.checked_sub(1).expect("no more writes end than were sent");
        if known.pending > 0 {
            return false;
        }
        match known.state {
            _ if self.flush_failure => known.state = State::NoSync,
            State::Recovering => self.quiesced.push_back(region),
            State::Dirty => {
                known.state = State::Clean;
                self.clean.push_front(region);
            }
            // Stays in the table until it is recovered.
            State::Clean | State::NoSync => {}
        }
        true
    }

    /// `__rh_recovery_prepare`: asks the log for a region to recover and keeps new writes from it. `false` if there is none.
    pub(super) fn prepare_recovery(&mut self, log: &mut CoreLog) -> bool {
        let Some(region) = log.resync_work() else { return false };
        let known = self.find(log, region);
        known.state = State::Recovering;
        let is_quiet = known.pending == 0;
        self.clean.retain(|&clean| clean != region);
        if is_quiet {
            self.quiesced.push_front(region);
        }
        true
    }

    /// `dm_rh_recovery_start`: a region that is ready to be copied.
    pub(super) fn start_recovery(&mut self) -> Option<u64> {
        self.quiesced.pop_front()
    }

    /// `dm_rh_recovery_end`.
    pub(super) fn end_recovery(&mut self, region: u64, success: bool) {
        if success { self.recovered.push_front(region) } else { self.failed.push_front(region) }
    }

    /// `dm_rh_update_states`: takes out what is clean or has been recovered.
    pub(super) fn update(&mut self, log: &mut CoreLog) -> Ended<W> {
        for region in std::mem::take(&mut self.clean) {
            self.table.remove(&region);
            log.clear_region(region);
        }
        let table = &mut self.table;
        let mut take = |list: &mut VecDeque<u64>| -> Vec<(u64, Vec<W>)> {
            let ended = std::mem::take(list).into_iter();
            ended.map(|region| (region, table.remove(&region).map_or_else(Vec::new, |known| known.delayed))).collect()
        };
        let (recovered, failed) = (take(&mut self.recovered), take(&mut self.failed));
        recovered.iter().for_each(|(region, _)| log.clear_region(*region));
        Ended { recovered, failed }
    }

    /// `dm_rh_delay`: `write` waits until the region is recovered.
    pub(super) fn delay(&mut self, log: &CoreLog, region: u64, write: W) {
        self.find(log, region).delayed.push(write);
    }

    /// `dm_rh_mark_nosync`: a write to it has failed on some leg. What waited for its recovery, if one was to come, which
    /// ends here.
    pub(super) fn mark_nosync(&mut self, log: &mut CoreLog, region: u64) -> Option<Vec<W>> {
        log.set_region_sync(region, false);
        let known = self.find(log, region);
        let was_recovering = known.state == State::Recovering;
        known.state = State::NoSync;
        was_recovering.then(|| std::mem::take(&mut known.delayed))
    }

    /// A flush has failed.
    pub(super) const fn note_flush_failure(&mut self) {
        self.flush_failure = true;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dmlab_units::Sectors;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const REGIONS: u64 = 4;

    fn log(sync: &[&str]) -> CoreLog {
        CoreLog::new(&[&["8"], sync].concat(), Sectors(8 * REGIONS)).unwrap()
    }

    #[test]
    fn a_region_is_dirty_while_it_is_written_to_and_leaves_when_it_is_clean() {
        let (mut log, mut regions) = (log(&["nosync"]), Regions::<()>::default());
        assert_eq!(regions.state(&log, 1), State::Clean);
        regions.inc(&mut log, 1);
        regions.inc(&mut log, 1);
        assert_eq!(regions.state(&log, 1), State::Dirty);
        assert!(!regions.dec(1));
        assert!(regions.dec(1));
        assert_eq!(regions.state(&log, 1), State::Clean);
        regions.update(&mut log);
        assert!(regions.table.is_empty());
    }

    #[test]
    fn recovery_waits_for_writes_in_flight_and_later_writes_for_recovery() {
        let (mut log, mut regions) = (log(&[]), Regions::default());
        regions.inc(&mut log, 0);
        assert!(regions.prepare_recovery(&mut log));
        assert_eq!((regions.state(&log, 0), regions.start_recovery()), (State::Recovering, None));
        regions.delay(&log, 0, "late");
        assert!(regions.dec(0));
        assert_eq!(regions.start_recovery(), Some(0));
        regions.end_recovery(0, true);
        let ended = regions.update(&mut log);
        assert_eq!((ended.recovered, ended.failed), (vec![(0, vec!["late"])], vec![]));
    }

    #[test]
    fn a_write_that_fails_while_recovery_waits_for_it_ends_the_recovery() {
        let (mut log, mut regions) = (log(&[]), Regions::default());
        regions.inc(&mut log, 0);
        regions.prepare_recovery(&mut log);
        regions.delay(&log, 0, "late");
        assert_eq!(regions.mark_nosync(&mut log, 0), Some(vec!["late"]));
        assert!(regions.dec(0));
        assert_eq!((regions.state(&log, 0), regions.start_recovery()), (State::NoSync, None));
    }

    #[test]
    fn after_a_failed_flush_nothing_becomes_clean() {
        let (mut log, mut regions) = (log(&["nosync"]), Regions::<()>::default());
        regions.inc(&mut log, 0);
        regions.note_flush_failure();
        assert!(regions.dec(0));
        assert_eq!(regions.state(&log, 0), State::NoSync);
    }

    proptest! {
        /// Whatever happens in whatever order: a region is on one list at most, on none while it is written to, and every
        /// write that was made to wait comes out once.
        #[test]
        fn a_region_is_on_one_list_at_most(steps in vec((0..REGIONS, 0..7_u8), 0..120)) {
            let (mut log, mut regions) = (log(&[]), Regions::default());
            let (mut waits, mut next) = (BTreeSet::new(), 0);
            for (region, step) in steps {
                let state = regions.state(&log, region);
                match step {
                    0 | 1 if state == State::Recovering => {
                        regions.delay(&log, region, next);
                        waits.insert(next);
                        next += 1;
                    }
                    0 | 1 => regions.inc(&mut log, region),
                    2 if regions.table.get(&region).is_some_and(|known| known.pending > 0) => {
                        regions.dec(region);
                    }
                    3 => drop(regions.prepare_recovery(&mut log)),
                    4 => {
                        if let Some(region) = regions.start_recovery() {
                            regions.end_recovery(region, next % 2 == 0);
                        }
                    }
                    5 => {
                        let ended = regions.update(&mut log);
                        for (region, writes) in &ended.recovered {
                            log.set_region_sync(*region, true);
                            prop_assert!(writes.iter().all(|write| waits.remove(write)));
                        }
                        for (region, writes) in &ended.failed {
                            log.set_region_sync(*region, false);
                            prop_assert!(writes.iter().all(|write| waits.remove(write)));
                        }
                    }
                    6 if regions.table.get(&region).is_some_and(|known| known.pending > 0) => {
                        for write in regions.mark_nosync(&mut log, region).into_iter().flatten() {
                            prop_assert!(waits.remove(&write));
                        }
                    }
                    _ => {}
                }
                let lists = [&regions.clean, &regions.quiesced, &regions.recovered, &regions.failed];
                let listed: Vec<u64> = lists.into_iter().flatten().copied().collect();
                prop_assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len());
                prop_assert!(listed.iter().all(|region| regions.table[region].pending == 0));
                let delayed: usize = regions.table.values().map(|known| known.delayed.len()).sum();
                prop_assert_eq!(delayed, waits.len());
            }
        }
    }
}
