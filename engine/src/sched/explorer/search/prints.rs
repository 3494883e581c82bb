//! [`Prints`]: what steps touched, for as long as the search may ask.
//!
//! A print is the list of contended objects that a step touched. Two steps are independent if their prints do not
//! conflict. Prints are kept like a stack: those of a frame's children go when the search comes back to it.
//!
//! Invariant: a print is looked up only while the frame that recorded it is on the stack.

use super::super::tracker::Access;

/// A recorded print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print(u32);

impl Print {
    /// Not known yet.
    pub(super) const UNKNOWN: Self = Self(u32::MAX);
    /// Conflicts with everything.
    pub(super) const ALL: Self = Self(u32::MAX - 1);
    /// Touched nothing contended.
    pub(super) const EMPTY: Self = Self(u32::MAX - 2);

    pub(super) const fn is_empty(self) -> bool {
        self.0 == Self::EMPTY.0
    }

    pub(super) const fn is_known(self) -> bool {
        self.0 != u32::MAX
    }
}

/// All recorded prints.
#[derive(Clone, Default)]
pub(super) struct Prints {
    accesses: Vec<Access>,
    /// Where each print begins.
    starts: Vec<u32>,
}

impl Prints {
    /// How many there are: a mark to come back to.
    pub(super) const fn mark(&self) -> usize {
        self.starts.len()
    }

    /// Forgets what was recorded after `mark`.
    pub(super) fn forget(&mut self, mark: usize) {
        if let Some(&start) = self.starts.get(mark) {
            self.accesses.truncate(start as usize);
            self.starts.truncate(mark);
        }
    }

    pub(super) fn record(&mut self, accesses: &[Access]) -> Print {
        if accesses.is_empty() {
            return Print::EMPTY;
        }
        self.starts.push(self.accesses.len() as u32);
        self.accesses.extend_from_slice(accesses);
        Print(self.starts.len() as u32 - 1)
    }

    fn of(&self, print: Print) -> &[Access] {
        if print == Print::EMPTY {
            return &[];
        }
        let start = self.starts[print.0 as usize] as usize;
        let end = self.starts.get(print.0 as usize + 1).map_or(self.accesses.len(), |end| *end as usize);
        &self.accesses[start..end]
    }

    /// Whether the order of the two steps matters.
    pub(super) fn conflict(&self, first: Print, second: Print) -> bool {
        if first == Print::EMPTY || second == Print::EMPTY {
            return false;
        }
        if first == Print::ALL || second == Print::ALL {
            return true;
        }
        self.of(first).iter().any(|access| self.of(second).iter().any(|other| access.conflicts(*other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::TaskId;

    #[test]
    fn prints_conflict_over_a_common_object_unless_both_only_look() {
        let access = |object, exclusive| Access::new(object, exclusive, TaskId(0));
        let mut prints = Prints::default();
        let read = prints.record(&[access(1, false), access(2, false)]);
        let write = prints.record(&[access(2, true)]);
        let other = prints.record(&[access(3, true)]);
        let nothing = prints.record(&[]);
        assert!(prints.conflict(read, write) && prints.conflict(write, read) && prints.conflict(write, write));
        assert!(!prints.conflict(read, read) && !prints.conflict(write, other) && !prints.conflict(write, nothing));
        assert!(prints.conflict(Print::ALL, other) && !prints.conflict(Print::ALL, nothing));
        let mark = prints.mark();
        prints.record(&[access(9, true)]);
        prints.forget(mark);
        assert_eq!((prints.mark(), prints.accesses.len()), (3, 4));
        prints.forget(mark);
        assert_eq!(prints.mark(), 3);
    }
}
