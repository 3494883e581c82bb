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
use crate::sched::{
    Digest, Holder, Mode, Object, OpKind, Release, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes,
};

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
    const RELEASE: Release = Release::Owned;

    fn announce(op: &SrcuOp<T>) -> (OpKind, u64) {
        match op {
            SrcuOp::ReadLock => (OpKind::SrcuReadLock, 0),
            SrcuOp::ReadUnlock(_) => (OpKind::SrcuReadUnlock, 0),
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

    fn mode(&self, op: &SrcuOp<T>) -> Mode {
        match op {
            SrcuOp::ReadLock => Mode::Shared,
            SrcuOp::ReadUnlock(_) => Mode::Free,
            SrcuOp::Publish(_) | SrcuOp::Synchronize => Mode::Exclusive,
        }
    }

    /// The value is data, of which the front tells.
    fn observed(grant: &Self::Grant) -> u64 {
        u64::from(grant.is_some())
    }

    fn digest(&self, into: &mut Digest<'_>) {
        // Generations count from the present one: how many there have been means nothing.
        into.set(self.readers.iter().map(|(site, began)| (site.task, self.generation - began)));
        for (site, closed) in &self.waiters {
            into.task(site.task);
            into.word(self.generation - closed);
        }
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
        current.sees(self.object.id());
        let (generation, value) = granted.expect("a reader is given a generation and a value");
        SrcuGuard { _unlock: Unlock { srcu: self, current, generation }, value }
    }

    /// As [`Self::read_lock`], around `section`, which gets the value itself.
    #[inline]
    #[track_caller]
    pub fn read_with<R>(&self, current: &Task, section: impl FnOnce(T) -> R) -> R {
        let granted = self.object.perform(current, SrcuOp::ReadLock);
        current.sees(self.object.id());
        let (generation, value) = granted.expect("a reader is given a generation and a value");
        let _unlock = Unlock { srcu: self, current, generation };
        section(value)
    }

    /// `rcu_assign_pointer`: later readers read `value`.
    #[track_caller]
    pub fn publish(&self, current: &Task, value: T) {
        self.object.perform(current, SrcuOp::Publish(value));
        current.changes(self.object.id());
    }

    /// `synchronize_srcu`: waits for every reader that has begun.
    #[track_caller]
    pub fn synchronize(&self, current: &Task) {
        self.object.perform(current, SrcuOp::Synchronize);
    }

    /// The published value, for whoever is the only one to change it.
    pub fn published(&self) -> T {
        self.object.peek(|state| state.published.clone())
    }
}

/// A read-side section, with what it reads.
pub struct SrcuGuard<'a, T: Clone + Send + 'static> {
    _unlock: Unlock<'a, T>,
    value: T,
}

/// The end of a read-side section.
struct Unlock<'a, T: Clone + Send + 'static> {
    srcu: &'a Srcu<T>,
    current: &'a Task,
    generation: u64,
}

impl<T: Clone + Send + 'static> Deref for SrcuGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Clone + Send + 'static> Drop for Unlock<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.srcu.object.release(self.current, SrcuOp::ReadUnlock(self.generation));
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::sched::Frame;

    const TASKS: u32 = 4;

    fn site(task: u32) -> Site {
        Site { task: TaskId(task), frame: Frame::root(), at: std::panic::Location::caller() }
    }

    #[derive(Clone, Copy, Debug)]
    enum Do {
        ReadLock,
        ReadUnlock,
        Publish,
        Synchronize,
    }

    /// A read that goes on: whose, the generation it was told, and when it began.
    struct Read {
        task: u32,
        generation: u64,
        began: usize,
    }

    fn sorted(mut tasks: Vec<u32>) -> Vec<u32> {
        tasks.sort_unstable();
        tasks
    }

    fn op() -> impl Strategy<Value = Do> {
        prop_oneof![
            4 => Just(Do::ReadLock),
            4 => Just(Do::ReadUnlock),
            1 => Just(Do::Publish),
            2 => Just(Do::Synchronize)
        ]
    }

    proptest! {
        /// The model knows nothing of generations: a synchronize waits for the reads that began before it.
        #[test]
        fn synchronize_waits_for_earlier_readers_and_for_no_others(steps in vec((0..TASKS, op()), 1..150)) {
            let mut state = SrcuState::new(0);
            let mut published = 0;
            let (mut reads, mut waiters) = (Vec::<Read>::new(), Vec::<(u32, usize)>::new());
            for (now, (task, op)) in steps.into_iter().enumerate() {
                let own = reads.iter().rposition(|read| read.task == task);
                if waiters.iter().any(|waiter| waiter.0 == task) {
                    continue;
                }
                let mut wakes = Wakes::new();
                match op {
                    Do::ReadLock => {
                        let Step::Granted(Some((generation, value))) =
                            state.apply(site(task), SrcuOp::ReadLock, &mut wakes)
                        else {
                            panic!("a reader never waits");
                        };
                        prop_assert_eq!(value, published);
                        reads.push(Read { task, generation, began: now });
                    }
                    Do::ReadUnlock => {
                        let Some(own) = own else { continue };
                        let Read { generation, .. } = reads.remove(own);
                        let step = state.apply(site(task), SrcuOp::ReadUnlock(generation), &mut wakes);
                        prop_assert_eq!(step, Step::Granted(None));
                    }
                    Do::Publish => {
                        published = now;
                        prop_assert_eq!(state.apply(site(task), SrcuOp::Publish(now), &mut wakes), Step::Granted(None));
                    }
                    Do::Synchronize => {
                        if own.is_some() {
                            continue;
                        }
                        let step = state.apply(site(task), SrcuOp::Synchronize, &mut wakes);
                        prop_assert_eq!(step, if reads.is_empty() { Step::Granted(None) } else { Step::Wait(Wait::FOREVER) });
                        if !reads.is_empty() {
                            waiters.push((task, now));
                        }
                    }
                }
                let over = |since: usize| reads.iter().all(|read| read.began > since);
                let woken: Vec<TaskId> =
                    waiters.iter().filter(|waiter| over(waiter.1)).map(|waiter| TaskId(waiter.0)).collect();
                prop_assert_eq!(wakes.to_vec(), woken);
                waiters.retain(|waiter| !over(waiter.1));
                for (waiter, since) in &waiters {
                    let earlier = reads.iter().filter(|read| read.began < *since).map(|read| read.task).collect();
                    let told = state.holders(TaskId(*waiter)).iter().map(|holder| holder.task.0).collect();
                    prop_assert_eq!(sorted(told), sorted(earlier));
                }
            }
        }
    }

    #[test]
    fn a_reader_keeps_what_was_published_when_it_began() {
        let (mut state, mut wakes) = (SrcuState::new('a'), Wakes::new());
        assert_eq!(state.apply(site(1), SrcuOp::ReadLock, &mut wakes), Step::Granted(Some((0, 'a'))));
        state.apply(site(2), SrcuOp::Publish('b'), &mut wakes);
        assert_eq!(state.apply(site(2), SrcuOp::Synchronize, &mut wakes), Step::Wait(Wait::FOREVER));
        assert_eq!(state.apply(site(3), SrcuOp::ReadLock, &mut wakes), Step::Granted(Some((1, 'b'))));
        state.apply(site(1), SrcuOp::ReadUnlock(0), &mut wakes);
        assert_eq!(wakes.to_vec(), [TaskId(2)], "the later reader delays nobody");
    }

    #[test]
    #[should_panic(expected = "a read that ends has begun, in the same task")]
    fn ending_somebody_elses_read_is_a_panic() {
        let mut state = SrcuState::new(());
        state.apply(site(1), SrcuOp::ReadLock, &mut Wakes::new());
        state.apply(site(2), SrcuOp::ReadUnlock(0), &mut Wakes::new());
    }
}
