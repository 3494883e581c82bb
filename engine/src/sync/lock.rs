//! [`Mutex`] and [`SpinLock`]: one owner at a time, first come first served.
//!
//! Invariants: at most one owner; `owner` is `None` only when nobody waits; unlocking by another task than the owner
//! is a panic (a bug of the engine). A spinlock also makes its owner atomic: it must not sleep.
//! Not here: stealing and optimistic spinning, interrupts (irqsave), recursion.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::guarded::{Exclusive, Guarded};
use super::line::Line;
use crate::sched::object::Wait;
use crate::sched::{
    Digest, Holder, Mode, Object, OpKind, Release, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes,
};

/// What tells a mutex from a spinlock.
pub trait Kind: Send + 'static {
    /// What reports call it.
    const LABEL: &'static str;
    /// Acquisition.
    const LOCK: OpKind;
    /// Release.
    const UNLOCK: OpKind;
    /// Whether acquiring may sleep.
    const SLEEPS: bool;
}

/// A sleeping lock.
pub struct Sleeping;

impl Kind for Sleeping {
    const LABEL: &'static str = "mutex";
    const LOCK: OpKind = OpKind::MutexLock;
    const UNLOCK: OpKind = OpKind::MutexUnlock;
    const SLEEPS: bool = true;
}

/// A lock that its owner must not sleep under.
pub struct Spinning;

impl Kind for Spinning {
    const LABEL: &'static str = "spinlock";
    const LOCK: OpKind = OpKind::SpinLock;
    const UNLOCK: OpKind = OpKind::SpinUnlock;
    const SLEEPS: bool = false;
}

/// Operations on a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOp {
    /// Take it, waiting.
    Lock,
    /// Take it if it is free.
    TryLock,
    /// Give it back.
    Unlock,
}

/// Who owns a lock and who waits.
pub struct LockState<K> {
    owner: Option<Site>,
    waiters: Line<Site>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Default for LockState<K> {
    fn default() -> Self {
        Self { owner: None, waiters: Line::new(), kind: PhantomData }
    }
}

impl<K: Kind> StateMachine for LockState<K> {
    type Op = LockOp;
    /// Whether the lock was taken; `true` for unlocking.
    type Grant = bool;
    const LABEL: &'static str = K::LABEL;
    const RELEASE: Release = Release::Owned;
    const IS_LOCK: bool = true;

    fn announce(op: &LockOp) -> (OpKind, u64) {
        match op {
            LockOp::Lock => (K::LOCK, 0),
            LockOp::TryLock => (OpKind::MutexTryLock, 0),
            LockOp::Unlock => (K::UNLOCK, 0),
        }
    }

    fn may_sleep(op: &LockOp) -> bool {
        K::SLEEPS && *op == LockOp::Lock
    }

    fn apply(&mut self, by: Site, op: LockOp, wakes: &mut Wakes) -> Step<bool> {
        match op {
            LockOp::Lock | LockOp::TryLock if self.owner.is_none() => {
                self.owner = Some(by);
                Step::Granted(true)
            }
            LockOp::Lock => {
                self.waiters.push_back(by);
                Step::Wait(Wait::FOREVER)
            }
            LockOp::TryLock => Step::Granted(false),
            LockOp::Unlock => {
                let owner = self.owner.take().expect("an unlocked lock is not unlocked");
                assert_eq!(owner.task, by.task, "a lock is unlocked by its owner");
                self.owner = self.waiters.pop_front();
                wakes.extend(self.owner.map(|next| next.task));
                Step::Granted(true)
            }
        }
    }

    fn mode(&self, op: &LockOp) -> Mode {
        match op {
            LockOp::Lock => Mode::Exclusive,
            LockOp::TryLock => Mode::Peek,
            LockOp::Unlock => Mode::Free,
        }
    }

    fn observed(grant: &bool) -> u64 {
        u64::from(*grant)
    }

    fn digest(&self, into: &mut Digest<'_>) {
        self.owner.iter().chain(&self.waiters).for_each(|site| into.task(site.task));
    }

    fn collect(&mut self, who: TaskId) -> bool {
        assert!(self.owner.is_some_and(|owner| owner.task == who), "a woken waiter owns the lock");
        true
    }

    fn time_out(&mut self, _who: TaskId) -> Option<bool> {
        unreachable!("nobody waits for a lock with a time limit")
    }

    fn holders(&self, _waiter: TaskId) -> Vec<Holder> {
        self.owner.iter().map(|&taken| Holder { task: taken.task, taken, what: "owner".to_owned() }).collect()
    }

    fn summary(&self) -> String {
        match self.owner {
            Some(_) => format!("owned, {} waiting", self.waiters.len()),
            None => "free".to_owned(),
        }
    }
}

macro_rules! lock {
    ($(#[$doc:meta])* $Lock:ident, $Guard:ident, $Kind:ident, $atomic:literal) => {
        $(#[$doc])*
        pub struct $Lock<T> {
            object: Arc<Object<LockState<$Kind>>>,
            data: Guarded<T>,
        }

        impl<T> $Lock<T> {
            /// An unlocked lock around `data`, called `name` in reports.
            pub fn new(runtime: &Runtime, name: &str, data: T) -> Self {
                Self { object: Object::new(runtime, name, LockState::default()), data: Guarded::new(data) }
            }

            /// Takes the lock; it is released when the guard is dropped.
            #[inline(always)]
            #[track_caller]
            pub fn lock<'a>(&'a self, current: &'a Task) -> $Guard<'a, T> {
                self.object.perform(current, LockOp::Lock);
                self.guard(current)
            }

            /// Takes the lock if it is free.
            #[inline(always)]
            #[track_caller]
            pub fn try_lock<'a>(&'a self, current: &'a Task) -> Option<$Guard<'a, T>> {
                self.object.perform(current, LockOp::TryLock).then(|| self.guard(current))
            }

            #[inline]
            fn guard<'a>(&'a self, current: &'a Task) -> $Guard<'a, T> {
                if size_of::<T>() > 0 {
                    current.sees(self.object.id());
                }
                if $atomic {
                    current.count_atomic(1);
                }
                $Guard { lock: self, current, data: self.data.exclusive() }
            }
        }

        /// The lock, held.
        pub struct $Guard<'a, T> {
            lock: &'a $Lock<T>,
            current: &'a Task,
            data: Exclusive<'a, T>,
        }

        impl<T> Deref for $Guard<'_, T> {
            type Target = T;
            fn deref(&self) -> &T {
                &self.data
            }
        }

        impl<T> DerefMut for $Guard<'_, T> {
            fn deref_mut(&mut self) -> &mut T {
                &mut self.data
            }
        }

        impl<T> Drop for $Guard<'_, T> {
            #[inline(always)]
            fn drop(&mut self) {
                if $atomic {
                    self.current.count_atomic(-1);
                }
                if size_of::<T>() > 0 {
                    self.current.changes(self.lock.object.id());
                }
                self.lock.object.release(self.current, LockOp::Unlock);
            }
        }
    };
}

lock! {
    /// The kernel's `mutex`.
    Mutex, MutexGuard, Sleeping, false
}

lock! {
    /// The kernel's `spinlock_t`, for sections that contain other operations (see [`super::SpinSection`] for those
    /// that do not).
    SpinLock, SpinGuard, Spinning, true
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::sched::Frame;

    const TASKS: u32 = 4;

    fn site(task: u32) -> Site {
        Site { task: TaskId(task), frame: Frame::root(), at: std::panic::Location::caller() }
    }

    /// The lock as one line of tasks, of which the first owns it.
    fn follows_the_line<K: Kind>(steps: &[(u32, LockOp)]) {
        let (mut state, mut line) = (LockState::<K>::default(), VecDeque::new());
        for &(task, op) in steps {
            let (owns, waits) = (line.front() == Some(&task), line.iter().skip(1).any(|waiter| *waiter == task));
            if waits || (owns && op == LockOp::Lock) || (!owns && op == LockOp::Unlock) {
                continue;
            }
            let mut wakes = Wakes::new();
            let step = state.apply(site(task), op, &mut wakes);
            let mut woken = None;
            let expected = match op {
                LockOp::Unlock => {
                    line.pop_front();
                    woken = line.front().copied();
                    Step::Granted(true)
                }
                LockOp::TryLock if !line.is_empty() => Step::Granted(false),
                LockOp::Lock | LockOp::TryLock => {
                    line.push_back(task);
                    if line.len() == 1 { Step::Granted(true) } else { Step::Wait(Wait::FOREVER) }
                }
            };
            assert_eq!(step, expected, "{op:?} by {task}");
            assert_eq!(wakes.to_vec(), woken.map(TaskId).into_iter().collect::<Vec<_>>(), "{op:?} by {task}");
            if let Some(next) = woken {
                assert!(state.collect(TaskId(next)));
            }
            let holders: Vec<u32> = state.holders(TaskId(TASKS)).iter().map(|holder| holder.task.0).collect();
            assert_eq!(holders, line.front().copied().into_iter().collect::<Vec<_>>());
        }
        // Whoever still stands in line is served when all owners give the lock back.
        while let Some(owner) = line.pop_front() {
            let mut wakes = Wakes::new();
            state.apply(site(owner), LockOp::Unlock, &mut wakes);
            assert_eq!(wakes.first().map(|task| task.0), line.front().copied());
        }
        assert_eq!(state.summary(), "free");
    }

    fn op() -> impl Strategy<Value = LockOp> {
        prop_oneof![2 => Just(LockOp::Lock), 1 => Just(LockOp::TryLock), 2 => Just(LockOp::Unlock)]
    }

    proptest! {
        #[test]
        fn a_lock_has_one_owner_and_serves_its_waiters_in_order(steps in vec((0..TASKS, op()), 1..100)) {
            follows_the_line::<Sleeping>(&steps);
            follows_the_line::<Spinning>(&steps);
        }
    }

    #[test]
    fn only_taking_a_mutex_may_sleep() {
        let all = [LockOp::Lock, LockOp::TryLock, LockOp::Unlock];
        assert_eq!(all.map(|op| LockState::<Sleeping>::may_sleep(&op)), [true, false, false]);
        assert_eq!(all.map(|op| LockState::<Spinning>::may_sleep(&op)), [false, false, false]);
    }

    #[test]
    #[should_panic(expected = "a lock is unlocked by its owner")]
    fn unlocking_somebody_elses_lock_is_a_panic() {
        let mut state = LockState::<Sleeping>::default();
        state.apply(site(1), LockOp::Lock, &mut Wakes::new());
        state.apply(site(2), LockOp::Unlock, &mut Wakes::new());
    }

    #[test]
    #[should_panic(expected = "an unlocked lock is not unlocked")]
    fn unlocking_a_free_lock_is_a_panic() {
        LockState::<Sleeping>::default().apply(site(1), LockOp::Unlock, &mut Wakes::new());
    }
}
