//! `WriteCache`: the volatile write cache of a device, as the older contents that may still stand on its medium.
//!
//! The device itself keeps the newest contents, which is what reads see. For each unit (a sector, or what the device
//! writes as a whole) that was written since it was last made durable, the cache knows what stood on the medium then and
//! what was written over it since. A device writes its cache back in any order and at any time, also in parts of a bio;
//! so after a power cut each unit by itself has any one of these contents, or the newest.
//!
//! Invariants: contents of a unit are told apart by their bytes, so that there is one way for each outcome; a unit of which
//! only the newest contents are possible is not in the cache.
//! Not here: when the power goes ([`super::power`]), what of a device survives other damage.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::Location;

use crate::sched::cell::Tiny;
use crate::sched::digest::{Lanes, word_of_bytes};
use crate::sched::{Mode, ObjectId, OpKind, Runtime, Task};

/// Bytes of the smallest unit: a sector.
pub const UNIT_MIN: usize = 512;
/// Bytes of the largest unit: a page.
pub const UNIT_MAX: usize = 4096;

type Contents = Box<[u8]>;

/// What a device has acknowledged and may lose.
pub(super) struct WriteCache {
    id: ObjectId,
    runtime: Runtime,
    /// Bytes; a power of two from [`UNIT_MIN`] to [`UNIT_MAX`].
    unit: usize,
    older: Tiny<Older>,
}

#[derive(Default)]
struct Older {
    units: BTreeMap<u64, Vec<Contents>>,
    /// All of it as one number; kept for exhaustive searches only.
    sum: Lanes,
}

impl WriteCache {
    pub(super) fn new(runtime: &Runtime, device: &str, unit: usize) -> Self {
        assert!(unit.is_power_of_two() && (UNIT_MIN..=UNIT_MAX).contains(&unit), "{unit} bytes are no unit");
        let id = runtime.register("write cache", device);
        Self { id, runtime: runtime.clone(), unit, older: Tiny::new(Older::default()) }
    }

    /// Bytes of a unit.
    pub(super) const fn unit(&self) -> usize {
        self.unit
    }

    /// Announces that units are made durable: an operation, in front of [`Self::destage`].
    pub(super) fn announce(&self, current: &Task, at: &'static Location<'static>) {
        current.announce(OpKind::IoFlush, self.id, 0, at);
    }

    /// Unit `unit`, which held `old`, is overwritten with `new`. Order matters within a unit only, and that is the
    /// order of writes on the device.
    pub(super) fn overwrites(&self, current: &Task, unit: u64, old: &[u8], new: &[u8]) {
        let mut older = self.older.lock_for(current);
        let before = self.lanes(current, &older, unit);
        let contents = older.units.entry(unit).or_default();
        if !contents.iter().any(|known| **known == *old) {
            contents.push(old.into());
        }
        contents.retain(|known| **known != *new);
        if contents.is_empty() {
            older.units.remove(&unit);
        }
        self.show(current, &mut older, (unit, before), Mode::Shared);
    }

    /// The newest contents of `units` stand on the medium.
    pub(super) fn destage(&self, current: &Task, units: Range<u64>) {
        let mut older = self.older.lock_for(current);
        let gone: Vec<u64> = older.units.range(units).map(|(unit, _)| *unit).collect();
        self.runtime.touches(self.id, Mode::Exclusive);
        for unit in gone {
            let before = self.lanes(current, &older, unit);
            older.units.remove(&unit);
            self.show(current, &mut older, (unit, before), Mode::Exclusive);
        }
    }

    /// What of the cache did not reach the medium: units whose newest contents are lost, and what they hold instead.
    /// `pick` chooses for each unit from so many ways; 0 is that nothing is lost. The cache is empty afterwards.
    pub(super) fn lose(&self, current: &Task, pick: &mut dyn FnMut(u32) -> u32) -> Vec<(u64, Contents)> {
        self.runtime.touches(self.id, Mode::Exclusive);
        let units = std::mem::take(&mut *self.older.lock_for(current)).units;
        current.shows(self.id, 0, |digest| digest.word(Lanes::default().short()));
        // The newest of the older contents first: what was written last is lost first.
        let lost = |(unit, mut contents): (u64, Vec<Contents>)| match pick(contents.len() as u32 + 1) as usize {
            0 => None,
            way => Some((unit, contents.swap_remove(contents.len() - way))),
        };
        units.into_iter().filter_map(lost).collect()
    }

    fn lanes(&self, current: &Task, older: &Older, unit: u64) -> Lanes {
        let mut sum = Lanes::default();
        if current.is_tracked()
            && let Some(contents) = older.units.get(&unit)
        {
            // In their order: it decides which way of a later choice stands for which contents.
            sum = Lanes::of(unit);
            contents.iter().for_each(|contents| sum.word(word_of_bytes(contents)));
        }
        sum
    }

    fn show(&self, current: &Task, older: &mut Older, (unit, before): (u64, Lanes), mode: Mode) {
        self.runtime.touches(self.id, mode);
        if current.is_tracked() {
            let after = self.lanes(current, older, unit);
            older.sum.subtract(before);
            older.sum.add(after);
            let sum = older.sum;
            current.shows(self.id, 0, |digest| digest.word(sum.short()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::Outcome;
    use crate::sched::explorer::{Explorer, Limits, Random};
    use dmlab_units::Seed;
    use std::sync::Arc;

    fn in_a_run(test: impl Fn(&Task, &WriteCache) + Send + Sync + 'static) {
        let mut explorer = Explorer::new(Limits { steps_max: 1000, interrupt: Arc::default() });
        let result = explorer.run(&mut Random::new(Seed(1)), move |current| {
            test(current, &WriteCache::new(current.runtime(), "d", 512));
        });
        assert_eq!(result.outcome, Outcome::Finished);
    }

    fn contents(byte: u8) -> [u8; 512] {
        [byte; 512]
    }

    /// Writes `bytes` over one another, the first of them being on the medium.
    fn write(current: &Task, cache: &WriteCache, unit: u64, bytes: &[u8]) {
        for pair in bytes.windows(2) {
            cache.overwrites(current, unit, &contents(pair[0]), &contents(pair[1]));
        }
    }

    /// What each way leaves of `unit`, as first bytes; the newest is not told.
    fn ways(current: &Task, cache: &WriteCache, bytes: &[u8]) -> Vec<u8> {
        let mut found = Vec::new();
        for way in 1.. {
            write(current, cache, 7, bytes);
            let mut options = 0;
            let lost = cache.lose(current, &mut |of| {
                options = of;
                way.min(of - 1)
            });
            if way >= options {
                return found;
            }
            assert_eq!(lost[0].0, 7);
            found.push(lost[0].1[0]);
        }
        unreachable!("ways are finite")
    }

    #[test]
    fn any_contents_since_the_flush_may_survive_and_each_is_one_way() {
        in_a_run(|current, cache| {
            assert_eq!(ways(current, cache, &[0, 1, 2]), [1, 0]);
            assert_eq!(ways(current, cache, &[0, 1, 1, 2, 1]), [2, 0], "what is written twice is one way");
            assert_eq!(ways(current, cache, &[0, 0]), [], "nothing new: nothing to lose");
            assert_eq!(ways(current, cache, &[0, 1, 0]), [1], "what was written in between may have stayed");
        });
    }

    #[test]
    fn what_was_made_durable_is_not_lost_and_the_rest_is() {
        in_a_run(|current, cache| {
            write(current, cache, 3, &[0, 1]);
            write(current, cache, 4, &[0, 1]);
            cache.destage(current, 3..4);
            write(current, cache, 3, &[1, 2]);
            let lost = cache.lose(current, &mut |options| options - 1);
            assert_eq!(lost.iter().map(|(unit, contents)| (*unit, contents[0])).collect::<Vec<_>>(), [(3, 1), (4, 0)]);
            assert!(cache.lose(current, &mut |_| 1).is_empty(), "it is empty afterwards");
        });
    }
}
