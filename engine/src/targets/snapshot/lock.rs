//! [`SnapLock`]: a snapshot's own lock, in the three kinds that it has been (dm-spec §5.6).
//!
//! * `rwsem` (to 4.14): a `rw_semaphore` that is taken for writing almost everywhere.
//! * `mutex` (4.15 to 5.1): a mutex.
//! * `buckets` (since 5.2): a `rw_semaphore` that I/O takes for reading, under which each slot of the tables has a lock.
//!
//! Invariant: whoever holds it [`SnapLock::io`] may use a slot of the tables through [`super::slots::Slots`].
//! Not here: what it guards.

use crate::sched::{Runtime, Task};
use crate::sync::lock::MutexGuard;
use crate::sync::rwsem::{ReadGuard, WriteGuard};
use crate::sync::{Mutex, RwSem};
use crate::variants::SnapLock as Kind;

/// `s->lock`.
pub(super) enum SnapLock {
    /// To 4.14, and since 5.2.
    RwSem(Kind, RwSem<()>),
    /// 4.15 to 5.1.
    Mutex(Mutex<()>),
}

/// The lock, held.
pub(super) enum SnapGuard<'a> {
    /// For reading.
    Read { _held: ReadGuard<'a, ()> },
    /// For writing.
    Write { _held: WriteGuard<'a, ()> },
    /// The mutex.
    Mutex { _held: MutexGuard<'a, ()> },
}

impl SnapLock {
    pub(super) fn new(runtime: &Runtime, name: &str, kind: Kind) -> Self {
        match kind {
            Kind::Mutex => Self::Mutex(Mutex::new(runtime, name, ())),
            Kind::RwSem | Kind::Buckets => Self::RwSem(kind, RwSem::new(runtime, name, ())),
        }
    }

    /// As I/O takes it: to look at, and to change, slots of the tables.
    #[track_caller]
    pub(super) fn io<'a>(&'a self, current: &'a Task) -> SnapGuard<'a> {
        match self {
            Self::RwSem(Kind::Buckets, lock) => SnapGuard::Read { _held: lock.read(current) },
            _ => self.write(current),
        }
    }

    /// To look at the snapshot's flags.
    #[track_caller]
    pub(super) fn read<'a>(&'a self, current: &'a Task) -> SnapGuard<'a> {
        match self {
            Self::RwSem(_, lock) => SnapGuard::Read { _held: lock.read(current) },
            Self::Mutex(_) => self.write(current),
        }
    }

    /// To change them.
    #[track_caller]
    pub(super) fn write<'a>(&'a self, current: &'a Task) -> SnapGuard<'a> {
        match self {
            Self::RwSem(_, lock) => SnapGuard::Write { _held: lock.write(current) },
            Self::Mutex(lock) => SnapGuard::Mutex { _held: lock.lock(current) },
        }
    }
}

impl SnapGuard<'_> {
    /// Whether it keeps everybody else out, so that whoever sleeps with it should rather give it back.
    pub(super) const fn is_exclusive(&self) -> bool {
        !matches!(self, Self::Read { .. })
    }
}
