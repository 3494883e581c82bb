//! [`Strategy`]: what decides which announced operation is carried out next.
//!
//! A strategy sees every announced operation, not only task numbers: partial-order methods, priorities by kind of
//! operation and readable traces all start from there. (An interface of task numbers alone is simpler, and makes
//! them impossible to write from outside; this is why it was not chosen.)
//!
//! Invariants: a strategy decides from what it is shown and from its own seed; it is asked only when at least one
//! task is ready, and must answer with a ready one.

use smallvec::SmallVec;

use super::super::op::{Op, TaskId};
use super::core::Entry;

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
}

/// What a strategy decides from.
pub struct View<'a> {
    pub(super) ready: &'a TaskSet,
    pub(super) entries: &'a [Entry],
    /// Who took the last step.
    pub last: Option<TaskId>,
    /// Steps taken so far.
    pub step: u64,
}

impl View<'_> {
    /// The tasks that have announced an operation.
    pub const fn ready(&self) -> &TaskSet {
        self.ready
    }

    /// What a ready task has announced.
    pub fn op(&self, task: TaskId) -> &Op {
        &self.entries[task.index()].op
    }
}

/// A set of tasks, in order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskSet {
    words: SmallVec<[u64; 2]>,
    len: usize,
}

impl TaskSet {
    /// How many.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `task` is in it.
    pub fn contains(&self, task: TaskId) -> bool {
        self.words.get(task.index() / 64).is_some_and(|word| word >> (task.0 % 64) & 1 == 1)
    }

    /// The first one at or after `from`.
    pub fn first_from(&self, from: u32) -> Option<TaskId> {
        let start = from as usize / 64;
        for index in start..self.words.len() {
            let mut word = self.words[index];
            if index == start {
                word &= u64::MAX << (from % 64);
            }
            if word != 0 {
                return Some(TaskId(index as u32 * 64 + word.trailing_zeros()));
            }
        }
        None
    }

    /// The `n`-th one, from 0.
    ///
    /// # Panics
    /// When there are not that many.
    pub fn nth(&self, n: usize) -> TaskId {
        assert!(n < self.len);
        self.iter().nth(n).expect("the length counts the members")
    }

    /// In order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = TaskId> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let task = self.first_from(next)?;
            next = task.0 + 1;
            Some(task)
        })
    }

    pub(super) fn insert(&mut self, task: TaskId) {
        let word = task.index() / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let bit = 1 << (task.0 % 64);
        self.len += usize::from(self.words[word] & bit == 0);
        self.words[word] |= bit;
    }

    pub(super) fn remove(&mut self, task: TaskId) {
        let bit = 1 << (task.0 % 64);
        if let Some(word) = self.words.get_mut(task.index() / 64) {
            self.len -= usize::from(*word & bit != 0);
            *word &= !bit;
        }
    }

    pub(super) fn clear(&mut self) {
        self.words.clear();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        set.remove(TaskId(64));
        set.remove(TaskId(64));
        set.remove(TaskId(999));
        assert_eq!(set.len(), 3);
        assert!(!set.contains(TaskId(64)) && set.contains(TaskId(200)));
    }
}
