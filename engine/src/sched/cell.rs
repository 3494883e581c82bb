//! The cells that shared state lives in: [`Tiny`], a lock for a few instructions; `Confined`, state that only one OS
//! thread may touch; [`Word`], a number without order.
//!
//! Invariants: a `Tiny` is held for the application of one operation and nothing that waits or calls out runs under
//! it; on the explorer, where all tasks share one OS thread, it is taken without an atomic read-modify-write and
//! re-entry is a panic. A `Confined` panics when another thread reaches for it.
//! Not here: anything that a task can wait for (see `sync`).

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::task::{Seat, Task};

/// Times a spinning thread looks again before it gives its time slice away.
const SPINS_BEFORE_YIELD: u32 = 64;

/// A value behind a lock that is held for a handful of instructions.
pub struct Tiny<T> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `lock` hands out one guard at a time (the flag is taken with Acquire and given back with Release), so the
// value moves between threads but is never seen by two; `lock_confined` is used only while all users are one thread.
unsafe impl<T: Send> Sync for Tiny<T> {}

impl<T> Tiny<T> {
    /// A value of its own.
    pub const fn new(value: T) -> Self {
        Self { locked: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Takes the lock, spinning and then yielding.
    #[inline]
    pub fn lock(&self) -> TinyGuard<'_, T> {
        if self.locked.swap(true, Ordering::Acquire) {
            self.lock_contended();
        }
        TinyGuard { cell: self }
    }

    #[cold]
    fn lock_contended(&self) {
        let mut spins = 0;
        loop {
            while self.locked.load(Ordering::Relaxed) {
                spins += 1;
                if spins < SPINS_BEFORE_YIELD { std::hint::spin_loop() } else { std::thread::yield_now() }
            }
            if !self.locked.swap(true, Ordering::Acquire) {
                return;
            }
        }
    }

    /// Takes the lock the way that suits the driver `current` runs on.
    ///
    /// # Panics
    /// On the explorer, when the cell is locked already: then an operation was applied from within another one.
    #[inline]
    pub fn lock_for(&self, current: &Task) -> TinyGuard<'_, T> {
        match current.seat() {
            Seat::Thread(_) => self.lock(),
            // SAFETY: all tasks of an explorer's run share the one OS thread that its core is confined to, and a cell
            // is used by the tasks of one run only; outside of a run (reports) nothing else runs either.
            Seat::Coroutine(_) => unsafe { self.lock_confined() },
        }
    }

    /// # Safety
    /// No other thread may use this cell until the guard is dropped.
    #[inline]
    unsafe fn lock_confined(&self) -> TinyGuard<'_, T> {
        assert!(!self.locked.load(Ordering::Relaxed), "an operation was applied inside another one");
        self.locked.store(true, Ordering::Relaxed);
        TinyGuard { cell: self }
    }

    /// The value, when nobody else can hold the cell.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

/// The right to use a [`Tiny`]'s value.
pub struct TinyGuard<'a, T> {
    cell: &'a Tiny<T>,
}

impl<T> Deref for TinyGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard exists, so the flag is ours and nobody else has a reference to the value.
        unsafe { &*self.cell.value.get() }
    }
}

impl<T> DerefMut for TinyGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; the guard is borrowed mutably, so this reference is the only one.
        unsafe { &mut *self.cell.value.get() }
    }
}

impl<T> Drop for TinyGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.cell.locked.store(false, Ordering::Release);
    }
}

/// A number that many may read and write, where nobody relies on the order of accesses: statistics, and limits that
/// change only while nothing looks.
#[derive(Debug, Default)]
pub struct Word(AtomicU64);

impl Word {
    /// A number.
    pub const fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    /// What it is.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Makes it `value`.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds to it.
    pub fn add(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    /// Makes it `value` if that is more: for the most that was ever seen.
    pub fn raise(&self, value: u64) {
        if value > self.get() {
            self.0.fetch_max(value, Ordering::Relaxed);
        }
    }
}

/// The place of something that lives on a suspended stack, kept for reports.
pub(super) struct Address<T: ?Sized>(NonNull<T>);

// SAFETY: an address is only a number until `look`, whose caller answers for the thread it is on.
unsafe impl<T: ?Sized> Send for Address<T> {}

impl<T: ?Sized> Address<T> {
    pub(super) const fn of(value: &T) -> Self {
        Self(NonNull::from_ref(value))
    }

    /// # Safety
    /// The value must still be where it was, and nothing may run that could use it meanwhile.
    pub(super) const unsafe fn look(&self) -> &T {
        // SAFETY: the caller's promise.
        unsafe { self.0.as_ref() }
    }
}

thread_local! {
    /// A byte whose address names the OS thread, at the price of one TLS access.
    static THREAD_MARK: u8 = const { 0 };
}

fn this_thread() -> usize {
    THREAD_MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

/// A value that only the thread which made it may reach, in a wrapper that may travel.
pub(super) struct Confined<T> {
    owner: usize,
    value: T,
}

// SAFETY: `get` refuses every thread but the owner, so no two threads ever share a reference to the value; it may be
// dropped elsewhere, which `T: Send` permits.
unsafe impl<T: Send> Sync for Confined<T> {}

impl<T> Confined<T> {
    pub(super) fn new(value: T) -> Self {
        Self { owner: this_thread(), value }
    }

    /// # Panics
    /// When called on another thread than the one that made the value.
    #[inline]
    pub(super) fn get(&self) -> &T {
        assert!(self.owner == this_thread(), "an explorer's state was reached from another OS thread");
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_tiny_lock_excludes() {
        let count = Arc::new(Tiny::new(0_u64));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        *count.lock() += 1;
                    }
                });
            }
        });
        assert_eq!(*count.lock(), 40_000);
    }

    #[test]
    #[should_panic(expected = "inside another one")]
    fn re_entry_on_one_thread_is_a_panic() {
        let cell = Tiny::new(());
        // SAFETY: the cell is local to this test.
        let _first = unsafe { cell.lock_confined() };
        // SAFETY: likewise.
        let _second = unsafe { cell.lock_confined() };
    }

    #[test]
    fn another_thread_may_not_reach_confined_state() {
        let confined = Arc::new(Confined::new(std::cell::Cell::new(1)));
        confined.get().set(2);
        let other = Arc::clone(&confined);
        assert!(std::thread::spawn(move || other.get().get()).join().is_err());
    }
}
