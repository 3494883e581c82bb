//! [`SpinSection`]: a spinlock whose sections contain no other operation, so that a whole section is one operation.
//!
//! Most spinlocks in this engine guard a list or a few counters for a handful of instructions. Modelling the section
//! as one step halves the steps of a schedule and loses no behaviour, because nothing can happen inside it.
//!
//! Invariants: a section that performs an operation of the engine is a `BUG` if that may sleep, and a panic on the
//! explorer if it lets another task into the same section.

use std::panic::Location;

use crate::sched::cell::Tiny;
use crate::sched::digest::{Answer, Content};
use crate::sched::{Mode, ObjectId, OpKind, Runtime, Task};

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

    /// As [`Self::with`], where the search can be told what is in the data, and all that the section finds out is what it
    /// gives.
    #[inline]
    #[track_caller]
    pub fn answer<R: Answer>(&self, current: &Task, section: impl FnOnce(&mut T) -> R) -> R
    where
        T: Content,
    {
        current.announce(OpKind::SpinSection, self.id, 0, Location::caller());
        self.carry_out(current, section)
    }

    /// As [`Self::answer`], inside the section of another lock: that section is the operation.
    #[inline]
    pub fn inside<R: Answer>(&self, current: &Task, section: impl FnOnce(&mut T) -> R) -> R
    where
        T: Content,
    {
        current.runtime().touches(self.id, Mode::Exclusive);
        self.carry_out(current, section)
    }

    #[inline]
    fn carry_out<R: Answer>(&self, current: &Task, section: impl FnOnce(&mut T) -> R) -> R
    where
        T: Content,
    {
        let mut data = self.data.lock_for(current);
        let answer = current.atomically(|| section(&mut data));
        current.shows_content(self.id, &answer, &*data);
        answer
    }

    /// Takes the data away, when nothing runs any more.
    pub(crate) fn take_away(&self) -> T
    where
        T: Default,
    {
        std::mem::take(&mut self.data.lock())
    }

    /// A look that is no operation: for statistics, and for checks when nothing runs any more.
    pub fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.data.lock())
    }
}
