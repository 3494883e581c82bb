//! `Guarded`: the data behind a lock whose exclusion is decided by a state machine.
//!
//! Invariant: a reference is handed out only by the guards of the lock that owns the cell, which exist only while
//! the lock's state machine has granted the section to their task (tested for exclusion under both drivers).
//! Not here: the locks.

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// A value that a lock's guards lead to.
pub(super) struct Guarded<T>(UnsafeCell<T>);

// SAFETY: the value is reached only through `Exclusive` and `Shared`, whose makers promise exclusion.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The value, for the one task that holds the lock for writing. To be called only when the lock's state machine
    /// has granted that, and to be dropped before it is released.
    pub(super) const fn exclusive(&self) -> Exclusive<'_, T> {
        Exclusive { cell: &self.0, not_send: PhantomData }
    }

    /// The value, for tasks that hold the lock for reading; the same duty.
    pub(super) const fn shared(&self) -> Shared<'_, T> {
        Shared { cell: &self.0, not_send: PhantomData }
    }
}

/// The right to change the value.
pub(super) struct Exclusive<'a, T> {
    cell: &'a UnsafeCell<T>,
    not_send: PhantomData<*const ()>,
}

impl<T> Deref for Exclusive<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: made only while the lock is held for writing, so nobody else has a reference.
        unsafe { &*self.cell.get() }
    }
}

impl<T> DerefMut for Exclusive<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and this is the only guard.
        unsafe { &mut *self.cell.get() }
    }
}

/// The right to read the value.
pub(super) struct Shared<'a, T> {
    cell: &'a UnsafeCell<T>,
    not_send: PhantomData<*const ()>,
}

impl<T> Deref for Shared<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: made only while the lock is held for reading, so nobody has a mutable reference.
        unsafe { &*self.cell.get() }
    }
}
