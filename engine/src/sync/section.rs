//! [`SpinSection`]: a spinlock whose sections contain no other operation, so that a whole section is one operation.
//!
//! Most spinlocks in this engine guard a list or a few counters for a handful of instructions. Modelling the section
//! as one step halves the steps of a schedule and loses no behaviour, because nothing can happen inside it.
//!
//! Invariants: a section that performs an operation of the engine is a `BUG` if that may sleep, and a panic on the
//! explorer if it lets another task into the same section.

use std::panic::Location;

use crate::sched::cell::Tiny;
use crate::sched::{ObjectId, OpKind, Runtime, Task};

/// Data behind a spinlock that is only ever held for one closure.
pub struct SpinSection<T> {
    id: ObjectId,
    data: Tiny<T>,
}

impl<T> SpinSection<T> {
    /// What reports and traces call it.
    const LABEL: &'static str = "spinlock";

    /// An unlocked section around `data`, called `name` in traces.
    pub fn new(runtime: &Runtime, name: &str, data: T) -> Self {
        Self { id: runtime.register(Self::LABEL, name), data: Tiny::new(data) }
    }

    /// Runs `section` with the lock held.
    #[inline]
    #[track_caller]
    pub fn with<R>(&self, current: &Task, section: impl FnOnce(&mut T) -> R) -> R {
        current.announce(OpKind::SpinSection, self.id, 0, Location::caller());
        current.changes(self.id);
        current.atomically(|| section(&mut self.data.lock_for(current)))
    }

    /// A look that is no operation: for statistics, and for checks when nothing runs any more.
    pub fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.data.lock())
    }
}
