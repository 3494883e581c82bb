//! [`Clock`]: a vector clock: how far into every other task's work a task is certain to come after.
//!
//! Invariant: a missing entry is 0, so clocks of runs with few tasks stay short.

use smallvec::SmallVec;

use super::super::super::op::TaskId;

/// A vector clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock(SmallVec<[u32; 8]>);

impl Clock {
    /// How far into `task`'s work.
    #[inline]
    pub(super) fn of(&self, task: TaskId) -> u32 {
        self.0.get(task.index()).copied().unwrap_or(0)
    }

    /// One operation of `task` more; its number, from 1.
    #[inline]
    pub(super) fn tick(&mut self, task: TaskId) -> u32 {
        if self.0.len() <= task.index() {
            self.0.resize(task.index() + 1, 0);
        }
        self.0[task.index()] += 1;
        self.0[task.index()]
    }

    /// Comes after so much of `task`'s work, if it did not anyway.
    #[inline]
    pub(super) fn raise(&mut self, task: TaskId, at: u32) {
        if self.0.len() <= task.index() {
            self.0.resize(task.index() + 1, 0);
        }
        let own = &mut self.0[task.index()];
        *own = (*own).max(at);
    }

    /// Comes after everything that `other` comes after.
    #[inline]
    pub(super) fn join(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (own, theirs) in self.0.iter_mut().zip(&other.0) {
            *own = (*own).max(*theirs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_takes_the_later_of_each() {
        let (mut first, mut second) = (Clock::default(), Clock::default());
        first.tick(TaskId(0));
        second.tick(TaskId(2));
        second.tick(TaskId(2));
        first.join(&second);
        assert_eq!([0, 1, 2, 9].map(|task| first.of(TaskId(task))), [1, 0, 2, 0]);
    }
}
