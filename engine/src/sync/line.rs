//! `Line`: who waits, first come first served.
//!
//! Invariant: the order is that of arrival. A line of one or two stands in its owner: a run of the explorer makes all
//! its objects anew, and most of them see no more waiters than that.
//! Not here: long queues of work, from which taking the first one must not cost as much as there are others.

use std::ops::Deref;

use smallvec::SmallVec;

/// Waiters in the order of their arrival.
pub(super) struct Line<T>(SmallVec<[T; 2]>);

impl<T> Line<T> {
    pub(super) fn new() -> Self {
        Self(SmallVec::new())
    }

    #[inline]
    pub(super) fn push_back(&mut self, last: T) {
        self.0.push(last);
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<T> {
        if self.0.is_empty() { None } else { Some(self.0.remove(0)) }
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        self.0.drain(..)
    }
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for Line<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a Line<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_first_goes_first_however_long_the_line() {
        let mut line = Line::new();
        (0..5).for_each(|n| line.push_back(n));
        assert_eq!((line.pop_front(), line.pop_front()), (Some(0), Some(1)));
        line.push_back(5);
        assert_eq!(line.iter().copied().collect::<Vec<_>>(), [2, 3, 4, 5]);
        assert_eq!(line.drain().collect::<Vec<_>>(), [2, 3, 4, 5]);
        assert_eq!(line.pop_front(), None);
    }
}
