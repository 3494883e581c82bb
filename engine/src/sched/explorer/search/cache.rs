//! [`Cache`]: the states that were explored, each with what was left out when it was.
//!
//! A state is kept as its 128-bit key and 64 bits more: the tasks that slept when it was explored (by rank among the
//! tasks of the state), or the preemptions spent to reach it. Open addressing, a power of two of slots in each of
//! [`PARTS`] parts behind locks of their own, so that several workers seldom meet.
//!
//! Invariants: a key is never forgotten; at most three quarters of the slots are used, so that a state takes between 32
//! and [`BYTES_PER_STATE_MAX`] bytes (half as much again for the moment in which a part grows).
//! Not here: what a state is (the tracker).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Parts with a lock each.
const PARTS: usize = 16;
/// Slots of a part at first.
const SLOTS_MIN: usize = 64;
const BYTES_PER_SLOT: u64 = 24;

/// The most that one state takes, in bytes: a part that has just grown is three eighths full.
pub const BYTES_PER_STATE_MAX: u64 = BYTES_PER_SLOT * 8 / 3;

#[derive(Clone, Copy)]
struct Slot {
    key: [u64; 2],
    with: u64,
}

const FREE: Slot = Slot { key: [0; 2], with: 0 };

struct Part {
    slots: Vec<Slot>,
    used: usize,
}

/// What the cache knows of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It has not been here.
    New,
    /// It has, and this was kept with it.
    With(u64),
    /// It has not, and there is no room for it.
    Full,
}

/// See the module.
pub(super) struct Cache {
    parts: Vec<Mutex<Part>>,
    slots_max: usize,
    states: AtomicU64,
}

impl Cache {
    /// A cache that takes at most `bytes_max`.
    pub(super) fn new(bytes_max: u64) -> Self {
        let slots = (bytes_max / BYTES_PER_SLOT / PARTS as u64).max(1);
        // A power of two, not more.
        let slots_max = 1_usize << slots.ilog2();
        let slots_min = SLOTS_MIN.min(slots_max);
        let part = || Mutex::new(Part { slots: vec![FREE; slots_min], used: 0 });
        Self { parts: (0..PARTS).map(|_| part()).collect(), slots_max, states: AtomicU64::new(0) }
    }

    /// How many states it holds.
    pub(super) fn states(&self) -> u64 {
        self.states.load(Ordering::Relaxed)
    }

    /// Looks `key` up and keeps `update(what was kept)` with it; what was kept before.
    pub(super) fn visit(&self, key: [u64; 2], update: impl FnOnce(Option<u64>) -> u64) -> Known {
        // A free slot has the key 0.
        let key = if key == [0; 2] { [1, 0] } else { key };
        let part = &self.parts[(key[1] >> 32) as usize % PARTS];
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        let place = part.find(key);
        let slot = &mut part.slots[place];
        if slot.key == key {
            let before = slot.with;
            slot.with = update(Some(before));
            return Known::With(before);
        }
        if (part.used + 1) * 4 > part.slots.len() * 3 {
            if part.slots.len() >= self.slots_max {
                return Known::Full;
            }
            part.grow();
        }
        let place = part.find(key);
        part.slots[place] = Slot { key, with: update(None) };
        part.used += 1;
        self.states.fetch_add(1, Ordering::Relaxed);
        Known::New
    }
}

impl Part {
    /// Where `key` stands, or the free slot where it would.
    fn find(&self, key: [u64; 2]) -> usize {
        let mask = self.slots.len() - 1;
        let mut place = key[0] as usize & mask;
        while self.slots[place].key != [0; 2] && self.slots[place].key != key {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) {
        let bigger = vec![FREE; self.slots.len() * 2];
        let old = std::mem::replace(&mut self.slots, bigger);
        for slot in old.into_iter().filter(|slot| slot.key != [0; 2]) {
            let place = self.find(slot.key);
            self.slots[place] = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> [u64; 2] {
        let mut lanes = crate::sched::digest::Lanes::of(3);
        lanes.word(n);
        lanes.key()
    }

    #[test]
    fn what_was_kept_is_found_again_however_much_came_between() {
        let cache = Cache::new(64 << 20);
        for n in 0..100_000 {
            assert_eq!(cache.visit(key(n), |_| n), Known::New);
        }
        for n in 0..100_000 {
            assert_eq!(cache.visit(key(n), |with| with.unwrap() + 1), Known::With(n));
            assert_eq!(cache.visit(key(n), |with| with.unwrap()), Known::With(n + 1));
        }
        assert_eq!(cache.states(), 100_000);
        assert_eq!(cache.visit([0; 2], |_| 5), Known::New);
        assert_eq!(cache.visit([0; 2], |_| 5), Known::With(5));
    }

    #[test]
    fn a_full_cache_says_so_and_stays_within_its_bytes() {
        let bytes_max = 96 << 10;
        let cache = Cache::new(bytes_max);
        let mut full = 0;
        for n in 0..10_000 {
            full += u64::from(cache.visit(key(n), |_| 0) == Known::Full);
        }
        let slots: usize = cache.parts.iter().map(|part| part.lock().unwrap().slots.len()).sum();
        assert!(slots as u64 * BYTES_PER_SLOT <= bytes_max);
        assert_eq!(full + cache.states(), 10_000);
        assert!(cache.states() * BYTES_PER_STATE_MAX >= bytes_max / 2, "{}", cache.states());
        assert_eq!(cache.visit(key(0), |with| with.unwrap()), Known::With(0));
    }
}
