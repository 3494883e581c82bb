//! [`Horizon`]: how long the runs of a model are, as far as is known; what strategies spread their chances over.
//!
//! Invariants: merging takes maxima, so the order of merging does not matter; nothing is learnt but between two
//! batches of runs (see [`super::Campaign`]), so a run depends on its seed, its number and the horizon alone.

use super::super::op::{Op, OpClass, OpKind, TaskId};

/// Sizes of the longest runs seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Horizon {
    /// Operations of the longest run; 0 while nothing is known.
    pub steps_max: u64,
    /// Acquisitions in the run that had most of them.
    pub acquires_max: u64,
    /// By task number: operations, but for giving way, of the task in the run in which it had most.
    pub ops_per_task: Vec<u32>,
}

impl Horizon {
    /// Takes the larger one of each size.
    pub fn merge(&mut self, other: &Self) {
        self.steps_max = self.steps_max.max(other.steps_max);
        self.acquires_max = self.acquires_max.max(other.acquires_max);
        self.merge_ops(&other.ops_per_task);
    }

    fn merge_ops(&mut self, ops: &[u32]) {
        if self.ops_per_task.len() < ops.len() {
            self.ops_per_task.resize(ops.len(), 0);
        }
        for (mine, theirs) in self.ops_per_task.iter_mut().zip(ops) {
            *mine = (*mine).max(*theirs);
        }
    }
}

/// Measures runs for a strategy.
#[derive(Default)]
pub(super) struct Meter {
    seen: Horizon,
    /// Acquisitions of the current run so far.
    pub(super) acquires: u64,
    ops: Vec<u32>,
}

impl Meter {
    pub(super) fn begin(&mut self) {
        self.acquires = 0;
        self.ops.clear();
    }

    /// `task` carries out `op`.
    #[inline]
    pub(super) fn note(&mut self, task: TaskId, op: &Op) {
        self.acquires += u64::from(op.kind.class() == OpClass::Acquire);
        if self.ops.len() <= task.index() {
            self.ops.resize(task.index() + 1, 0);
        }
        self.ops[task.index()] += u32::from(op.kind != OpKind::Yield);
    }

    pub(super) fn end(&mut self, steps: u64) {
        self.seen.steps_max = self.seen.steps_max.max(steps);
        self.seen.acquires_max = self.seen.acquires_max.max(self.acquires);
        self.seen.merge_ops(&self.ops);
    }

    /// What all runs so far have shown.
    pub(super) const fn seen(&self) -> &Horizon {
        &self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_merging_does_not_matter() {
        let short = Horizon { steps_max: 10, acquires_max: 7, ops_per_task: vec![1, 9] };
        let long = Horizon { steps_max: 12, acquires_max: 3, ops_per_task: vec![4, 2, 6] };
        let (mut one, mut other) = (short.clone(), long.clone());
        one.merge(&long);
        other.merge(&short);
        assert_eq!(one, other);
        assert_eq!(one, Horizon { steps_max: 12, acquires_max: 7, ops_per_task: vec![4, 9, 6] });
        one.merge(&short);
        assert_eq!(one, other, "merging again changes nothing");
    }
}
