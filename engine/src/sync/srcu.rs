//! [`Srcu`]: sleepable read-copy-update: readers never wait, and `synchronize` waits for those that began before it.
//!
//! What the domain protects is published in it: a reader gets, with the lock, a copy of what was current at that
//! moment (`srcu_read_lock` and `srcu_dereference` in one operation, because nothing useful can come between).
//!
//! Invariants: a reader counts in the generation in which it began; `synchronize` closes the current generation and
//! returns when no reader of it, or of an earlier one, is left; later readers do not delay it.
//! Not here: callbacks (`call_srcu`).

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::sched::object::Wait;
use crate::sched::{Holder, Object, OpKind, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes};

/// Operations on an SRCU domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SrcuOp<T> {
    /// Begin to read.
    ReadLock,
    /// End a read that began in this generation.
    ReadUnlock(u64),
    /// Publish a new value; readers that have begun keep the old one.
    Publish(T),
    /// Wait for all readers that have begun.
    Synchronize,
}

/// The published value, readers by generation, and who waits for them.
pub struct SrcuState<T> {
    published: T,
    generation: u64,
    readers: SmallVec<[(Site, u64); 4]>,
    waiters: VecDeque<(Site, u64)>,
}

impl<T> SrcuState<T> {
    /// A domain without readers.
    pub fn new(published: T) -> Self {
        Self { published, generation: 0, readers: SmallVec::new(), waiters: VecDeque::new() }
    }

    fn drained(&self, generation: u64) -> bool {
        !self.readers.iter().any(|(_, began)| *began <= generation)
    }
}

impl<T: Clone + Send + 'static> StateMachine for SrcuState<T> {
    type Op = SrcuOp<T>;
    /// For a reader, the generation it began in and the value it reads.
    type Grant = Option<(u64, T)>;
    const LABEL: &'static str = "srcu";

    fn announce(op: &SrcuOp<T>) -> (OpKind, u64) {
        match op {
            SrcuOp::ReadLock => (OpKind::SrcuReadLock, 0),
            SrcuOp::ReadUnlock(generation) => (OpKind::SrcuReadUnlock, *generation),
            SrcuOp::Publish(_) => (OpKind::RcuAssign, 0),
            SrcuOp::Synchronize => (OpKind::SynchronizeSrcu, 0),
        }
    }

    fn may_sleep(op: &SrcuOp<T>) -> bool {
        matches!(op, SrcuOp::Synchronize)
    }

    #[inline]
    fn apply(&mut self, by: Site, op: SrcuOp<T>, wakes: &mut Wakes) -> Step<Self::Grant> {
        match op {
            SrcuOp::ReadLock => {
                self.readers.push((by, self.generation));
                return Step::Granted(Some((self.generation, self.published.clone())));
            }
            SrcuOp::ReadUnlock(generation) => {
                let own = self.readers.iter().rposition(|(site, began)| site.task == by.task && *began == generation);
                self.readers.swap_remove(own.expect("a read that ends has begun, in the same task"));
                while let Some(&(waiter, generation)) = self.waiters.front()
                    && self.drained(generation)
                {
                    self.waiters.pop_front();
                    wakes.push(waiter.task);
                }
            }
            SrcuOp::Publish(value) => self.published = value,
            SrcuOp::Synchronize => {
                let closed = self.generation;
                self.generation += 1;
                if !self.drained(closed) {
                    self.waiters.push_back((by, closed));
                    return Step::Wait(Wait::FOREVER);
                }
            }
        }
        Step::Granted(None)
    }

    fn collect(&mut self, _who: TaskId) -> Self::Grant {
        None
    }

    fn time_out(&mut self, _who: TaskId) -> Option<Self::Grant> {
        unreachable!("nobody waits for a grace period with a time limit")
    }

    fn holders(&self, waiter: TaskId) -> Vec<Holder> {
        let closed = self.waiters.iter().find(|(site, _)| site.task == waiter).map_or(u64::MAX, |(_, closed)| *closed);
        let readers = self.readers.iter().filter(|(_, began)| *began <= closed);
        readers.map(|&(taken, _)| Holder { task: taken.task, taken, what: "reader".to_owned() }).collect()
    }

    fn summary(&self) -> String {
        format!("{} reader(s), {} waiting", self.readers.len(), self.waiters.len())
    }
}

/// An SRCU domain around a value that readers get a copy of.
pub struct Srcu<T> {
    object: Arc<Object<SrcuState<T>>>,
}

impl<T: Clone + Send + 'static> Srcu<T> {
    /// A domain without readers, called `name` in reports.
    pub fn new(runtime: &Runtime, name: &str, published: T) -> Self {
        Self { object: Object::new(runtime, name, SrcuState::new(published)) }
    }

    /// `srcu_read_lock` and `srcu_dereference`; `srcu_read_unlock` when the guard is dropped.
    #[inline]
    #[track_caller]
    pub fn read_lock<'a>(&'a self, current: &'a Task) -> SrcuGuard<'a, T> {
        let granted = self.object.perform(current, SrcuOp::ReadLock);
        let (generation, value) = granted.expect("a reader is given a generation and a value");
        SrcuGuard { srcu: self, current, generation, value }
    }

    /// `rcu_assign_pointer`: later readers read `value`.
    #[track_caller]
    pub fn publish(&self, current: &Task, value: T) {
        self.object.perform(current, SrcuOp::Publish(value));
    }

    /// `synchronize_srcu`: waits for every reader that has begun.
    #[track_caller]
    pub fn synchronize(&self, current: &Task) {
        self.object.perform(current, SrcuOp::Synchronize);
    }

    /// The published value, for whoever is the only one to change it.
    pub fn published(&self, current: &Task) -> T {
        self.object.peek(current, |state| state.published.clone())
    }
}

/// A read-side section, with what it reads.
pub struct SrcuGuard<'a, T: Clone + Send + 'static> {
    srcu: &'a Srcu<T>,
    current: &'a Task,
    generation: u64,
    value: T,
}

impl<T: Clone + Send + 'static> Deref for SrcuGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Clone + Send + 'static> Drop for SrcuGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.srcu.object.release(self.current, SrcuOp::ReadUnlock(self.generation));
    }
}
