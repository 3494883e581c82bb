//! [`Mutex`] and [`SpinLock`]: one owner at a time, first come first served.
//!
//! Invariants: at most one owner; `owner` is `None` only when nobody waits; unlocking by another task than the owner
//! is a panic (a bug of the engine). A spinlock also makes its owner atomic: it must not sleep.
//! Not here: stealing and optimistic spinning, interrupts (irqsave), recursion.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::guarded::{Exclusive, Guarded};
use crate::sched::object::Wait;
use crate::sched::{Holder, Object, OpKind, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes};

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
    waiters: VecDeque<Site>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Default for LockState<K> {
    fn default() -> Self {
        Self { owner: None, waiters: VecDeque::new(), kind: PhantomData }
    }
}

impl<K: Kind> StateMachine for LockState<K> {
    type Op = LockOp;
    /// Whether the lock was taken; `true` for unlocking.
    type Grant = bool;
    const LABEL: &'static str = K::LABEL;

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
            #[track_caller]
            pub fn lock<'a>(&'a self, current: &'a Task) -> $Guard<'a, T> {
                self.object.perform(current, LockOp::Lock);
                self.guard(current)
            }

            /// Takes the lock if it is free.
            #[track_caller]
            pub fn try_lock<'a>(&'a self, current: &'a Task) -> Option<$Guard<'a, T>> {
                self.object.perform(current, LockOp::TryLock).then(|| self.guard(current))
            }

            fn guard<'a>(&'a self, current: &'a Task) -> $Guard<'a, T> {
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
            fn drop(&mut self) {
                if $atomic {
                    self.current.count_atomic(-1);
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
