//! [`Strategy`]: what decides which announced operation is carried out next.
//!
//! A strategy sees every announced operation, not only task numbers: partial-order methods, priorities by kind of
//! operation and readable traces all start from there. (An interface of task numbers alone is simpler, and makes
//! them impossible to write from outside; this is why it was not chosen.)
//!
//! Invariants: a strategy decides from what it is shown and from its own seed; it is asked only when at least one
//! task is ready, and must answer with a ready one.

use super::super::digest::{Lanes, Names};
use super::super::op::{Op, TaskId};
use super::core::{Core, Hot, State};
use super::horizon::Horizon;
use super::tracker::{Access, Level};

/// Decides the schedule of each run.
pub trait Strategy {
    /// A new run begins; runs are numbered from 0.
    fn begin(&mut self, _run: u64) {}

    /// Which ready task goes on.
    fn pick(&mut self, view: &View<'_>) -> TaskId;

    /// Which of `options` ways `task` takes, in `0..options`.
    fn choose(&mut self, task: TaskId, options: u32) -> u32;

    /// The run is over after so many steps.
    fn end(&mut self, _steps: u64) {}

    /// From the next run on, runs are taken to be that long.
    fn learn(&mut self, _horizon: &Horizon) {}

    /// Adds how long the runs were that this strategy has had so far. Not what it has learnt: that it was given.
    fn gather(&self, _into: &mut Horizon) {}
}

/// What a strategy decides from.
pub struct View<'a> {
    pub(super) hot: &'a Hot,
    pub(super) core: &'a Core,
    /// Who took the last step.
    pub last: Option<TaskId>,
    /// Steps taken so far.
    pub step: u64,
}

impl View<'_> {
    /// The tasks that have announced an operation.
    #[inline]
    pub const fn ready(&self) -> &TaskSet {
        &self.hot.ready
    }

    /// What a ready task has announced.
    #[inline]
    pub fn op(&self, task: TaskId) -> &Op {
        &self.hot.entries[task.index()].op
    }

    /// How many tasks there have been.
    pub(super) const fn tasks(&self) -> usize {
        self.hot.entries.len()
    }

    /// How careful one must be with what `task` has announced.
    pub(super) fn level(&self, task: TaskId) -> Level {
        self.core.tracker.borrow().level(self.op(task).object)
    }

    /// A task's name that is the same however the run came here.
    pub(super) fn canonical(&self, task: TaskId) -> u64 {
        self.core.tracker.borrow().canonical(task)
    }

    /// What the last step touched.
    pub(super) fn with_print<R>(&self, look: impl FnOnce(&[Access]) -> R) -> R {
        look(self.core.tracker.borrow().print())
    }

    /// The state of the run: what tasks have learnt, objects, and how long each timer still has.
    pub(super) fn key(&self) -> Lanes {
        let tracker = self.core.tracker.borrow();
        let mut key = tracker.key();
        key.add(tracker.certainty(|task| self.hot.entries[task.index()].state != State::Done));
        let now = self.core.clock.get();
        if tracker.clock_matters() {
            let mut time = Lanes::of(u64::MAX);
            time.word(now);
            key.add(time);
        }
        for (order, (due, _, task)) in self.hot.timers.iter().enumerate() {
            let mut timer = Lanes::of(due - now.min(*due));
            timer.word(tracker.canonical(*task));
            // Where any timer may fire, the order in which they were set means nothing.
            timer.word(if self.core.manner.timers_any { 0 } else { order as u64 });
            key.add(timer);
        }
        key
    }
}

/// A set of tasks, in order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskSet {
    /// The first 64 as bits: all there are, as a rule.
    low: u64,
    /// The others.
    high: Vec<u64>,
    len: usize,
}

impl TaskSet {
    /// How many.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn words(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        std::iter::once(&self.low).chain(&self.high).enumerate().map(|(index, &word)| (index as u32 * 64, word))
    }

    /// Whether `task` is in it.
    #[inline]
    pub fn contains(&self, task: TaskId) -> bool {
        let word = match task.index() / 64 {
            0 => Some(&self.low),
            index => self.high.get(index - 1),
        };
        word.is_some_and(|word| word >> (task.0 % 64) & 1 == 1)
    }

    /// The first one at or after `from`.
    pub fn first_from(&self, from: u32) -> Option<TaskId> {
        self.words().skip(from as usize / 64).find_map(|(first, word)| {
            let word = if first < from { word & u64::MAX << (from % 64) } else { word };
            (word != 0).then(|| TaskId(first + word.trailing_zeros()))
        })
    }

    /// The `n`-th one, from 0.
    ///
    /// # Panics
    /// When there are not that many.
    #[inline]
    pub fn nth(&self, n: usize) -> TaskId {
        assert!(n < self.len);
        if self.high.is_empty() && self.low >> 8 == 0 {
            return TaskId(u32::from(BITS_OF_BYTE[self.low as usize][n]));
        }
        self.nth_of_many(n)
    }

    #[inline(never)]
    fn nth_of_many(&self, mut n: usize) -> TaskId {
        for (first, word) in self.words() {
            let here = word.count_ones() as usize;
            if n < here {
                return TaskId(first + nth_bit(word, n));
            }
            n -= here;
        }
        unreachable!("the length counts the members")
    }

    /// In order of their numbers.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = TaskId> + '_ {
        let (mut word, mut first, mut rest) = (self.low, 0, self.high.iter());
        std::iter::from_fn(move || {
            while word == 0 {
                word = *rest.next()?;
                first += 64;
            }
            let task = TaskId(first + word.trailing_zeros());
            word &= word - 1;
            Some(task)
        })
    }

    /// The first 64 as bits.
    pub(super) const fn low_word(&self) -> u64 {
        self.low
    }

    #[inline]
    fn word(&mut self, task: TaskId) -> &mut u64 {
        if task.0 < 64 { &mut self.low } else { self.high_word(task) }
    }

    #[cold]
    fn high_word(&mut self, task: TaskId) -> &mut u64 {
        let index = task.index() / 64;
        if index > self.high.len() {
            self.high.resize(index, 0);
        }
        &mut self.high[index - 1]
    }

    #[inline]
    pub(super) fn insert(&mut self, task: TaskId) {
        let (word, place) = (self.word(task), task.0 % 64);
        let new = !*word >> place & 1;
        *word |= 1 << place;
        self.len += new as usize;
    }

    /// Whether it was there to be taken out.
    #[inline]
    pub(super) fn remove(&mut self, task: TaskId) -> bool {
        let (word, place) = (self.word(task), task.0 % 64);
        // Bits, not `let there = *word & bit != 0`: rustc 1.95 optimises a comparison away that its caller branches on,
        // and forgets that the length is counted by it (MIR pass SimplifyComparisonIntegral, with opt-level 2 and more).
        let there = *word >> place & 1;
        *word ^= there << place;
        self.len -= there as usize;
        there == 1
    }

    pub(super) fn clear(&mut self) {
        self.low = 0;
        self.high.clear();
        self.len = 0;
    }
}

/// The places of the bits of each byte, in order.
static BITS_OF_BYTE: [[u8; 8]; 256] = {
    let mut places = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut n) = (0, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                places[byte][n] = bit;
                n += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    places
};

/// The place of the `n`-th bit, from 0. By table: a loop over bits ends where no branch predictor expects it.
fn nth_bit(mut word: u64, mut n: usize) -> u32 {
    let mut first = 0;
    loop {
        let here = (word & 0xFF).count_ones() as usize;
        if n < here {
            return first + u32::from(BITS_OF_BYTE[(word & 0xFF) as usize][n]);
        }
        n -= here;
        word >>= 8;
        first += 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_word_is_found_by_its_rank() {
        for word in [1, 0x80, 0xFF, 0x1_00, 0xF0F0_0000_0001_0081, u64::MAX, 1 << 63, 0x5555 << 20] {
            let places: Vec<u32> = (0..64).filter(|place| word >> place & 1 == 1).collect();
            let by_rank: Vec<u32> = (0..places.len()).map(|n| nth_bit(word, n)).collect();
            assert_eq!(by_rank, places, "{word:#x}");
        }
    }

    #[test]
    fn a_set_of_more_than_one_word_keeps_order_and_length() {
        let mut set = TaskSet::default();
        for task in [3, 200, 64, 63, 3] {
            set.insert(TaskId(task));
        }
        assert_eq!(set.iter().map(|task| task.0).collect::<Vec<_>>(), [3, 63, 64, 200]);
        assert_eq!((set.len(), set.nth(2)), (4, TaskId(64)));
        assert_eq!(set.first_from(65), Some(TaskId(200)));
        assert_eq!(set.first_from(201), None);
        assert!(set.remove(TaskId(64)));
        assert!(!set.remove(TaskId(64)));
        assert!(!set.remove(TaskId(999)));
        assert_eq!(set.len(), 3);
        assert!(!set.contains(TaskId(64)) && set.contains(TaskId(200)));
    }
}
