//! [`Variable`], [`Count`] and [`Confided`]: what tasks share without a lock of its own: a word (`READ_ONCE`,
//! `WRITE_ONCE`), a counter (per-CPU, or an `atomic_t` that is only added to), and data that is guarded by something else
//! than a primitive of this engine.
//!
//! But for [`Count::dec`] and [`Count::looks_at_most`] none is an operation: between two operations a task runs
//! undisturbed, so that nothing can come between a look and
//! what is done about it. What they do to the order of operations is told to an exhaustive search.
//!
//! Invariant: what a task sees here counts as learnt by it.
//! Not here: statistics that nothing in a run depends on (`Word`).

use std::panic::Location;

use crate::sched::cell::{Tiny, Word};
use crate::sched::digest::{Answer, Content};
use crate::sched::{Mode, ObjectId, OpKind, Runtime, Task};

/// A shared word.
pub struct Variable {
    id: ObjectId,
    runtime: Runtime,
    value: Word,
}

impl Variable {
    /// Holding `value`, called `name` where a search speaks of it.
    pub fn new(runtime: &Runtime, name: &str, value: u64) -> Self {
        Self { id: runtime.register("variable", name), runtime: runtime.clone(), value: Word::new(value) }
    }

    /// What it is.
    #[inline]
    pub fn get(&self) -> u64 {
        let value = self.value.get();
        self.runtime.touches(self.id, Mode::Shared);
        self.runtime.learns(value);
        value
    }

    /// Makes it `value`.
    #[inline]
    pub fn set(&self, value: u64) {
        self.value.set(value);
        self.written(value);
    }

    #[inline]
    fn written(&self, value: u64) {
        self.runtime.touches(self.id, Mode::Exclusive);
        self.runtime.shows(self.id, value);
    }
}

/// A shared counter: who only counts commutes with everybody else who does.
pub struct Count {
    id: ObjectId,
    runtime: Runtime,
    value: Word,
}

impl Count {
    /// At 0, called `name` where a search speaks of it.
    pub fn new(runtime: &Runtime, name: &str) -> Self {
        Self { id: runtime.register("counter", name), runtime: runtime.clone(), value: Word::new(0) }
    }

    /// One more.
    #[inline]
    pub fn inc(&self) {
        self.runtime.touches(self.id, Mode::Shared);
        self.change(1);
    }

    /// One less, as an operation: what others have waited for may come true with it.
    #[inline]
    #[track_caller]
    pub fn dec(&self, current: &Task) {
        current.announce(OpKind::CpuDec, self.id, 0, Location::caller());
        self.change(u64::MAX);
    }

    /// One less, on the way of something else.
    #[inline]
    pub fn drop_one(&self) {
        self.runtime.touches(self.id, Mode::Shared);
        self.change(u64::MAX);
    }

    #[inline]
    fn change(&self, by: u64) {
        self.value.add(by);
        self.runtime.shows(self.id, self.value.get());
    }

    /// Whether it is 0.
    #[inline]
    pub fn is_zero(&self) -> bool {
        let is_zero = self.value.get() == 0;
        self.runtime.touches(self.id, Mode::Exclusive);
        self.runtime.learns(u64::from(is_zero));
        is_zero
    }

    /// What it is.
    #[inline]
    pub fn value(&self) -> u64 {
        let value = self.value.get();
        self.runtime.touches(self.id, Mode::Exclusive);
        self.runtime.learns(value);
        value
    }

    /// Whether it is not above `limit`; nothing else is learnt of it.
    #[inline]
    pub fn is_at_most(&self, limit: u64) -> bool {
        let holds = self.value.get() <= limit;
        self.runtime.touches(self.id, Mode::Exclusive);
        self.runtime.learns(u64::from(holds));
        holds
    }

    /// As [`Self::is_at_most`], as an operation: for whoever has just got what he waited for, and must not look at more in
    /// the same step.
    #[track_caller]
    pub fn looks_at_most(&self, current: &Task, limit: u64) -> bool {
        current.announce(OpKind::AtomicRead, self.id, 0, Location::caller());
        self.is_at_most(limit)
    }

    /// Sets it, before anybody else has seen it.
    pub fn set(&self, value: u64) {
        self.value.set(value);
        self.runtime.shows(self.id, value);
    }

    /// A look that is no part of the run: for checks when nothing runs any more.
    pub fn peek(&self) -> u64 {
        self.value.get()
    }
}

/// Shared data behind something else than a lock of this engine.
pub struct Confided<T> {
    id: ObjectId,
    runtime: Runtime,
    data: Tiny<T>,
}

impl<T> Confided<T> {
    /// Around `data`, called `name` where a search speaks of it.
    pub fn new(runtime: &Runtime, name: &str, data: T) -> Self {
        Self { id: runtime.register("data", name), runtime: runtime.clone(), data: Tiny::new(data) }
    }

    /// Looks at it.
    pub fn look<R>(&self, current: &Task, look: impl FnOnce(&T) -> R) -> R {
        self.runtime.touches(self.id, Mode::Shared);
        current.sees(self.id);
        look(&self.data.lock_for(current))
    }

    /// As [`Self::change`], where the search can be told what is in the data, and all that is found out is what `change`
    /// gives.
    pub fn answer<R: Answer>(&self, current: &Task, change: impl FnOnce(&mut T) -> R) -> R
    where
        T: Content,
    {
        self.runtime.touches(self.id, Mode::Exclusive);
        let mut data = self.data.lock_for(current);
        let answer = change(&mut data);
        current.shows_content(self.id, &answer, &*data);
        answer
    }

    /// Takes it away, when nothing runs any more.
    pub(crate) fn take_away(&self) -> T
    where
        T: Default,
    {
        std::mem::take(&mut self.data.lock())
    }

    /// Changes it.
    pub fn change<R>(&self, current: &Task, change: impl FnOnce(&mut T) -> R) -> R {
        self.runtime.touches(self.id, Mode::Exclusive);
        current.changes(self.id);
        change(&mut self.data.lock_for(current))
    }
}
