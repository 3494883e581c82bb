//! [`Slots`]: a snapshot's two tables, completed and pending exceptions, cut into slots; since 5.2 with a lock each.
//!
//! Under `buckets` a slot is a spinlock section: what the kernel does under the two slot locks (completed, then pending)
//! is one operation here. Under the older locks a slot is guarded by the snapshot's lock, and using it is no operation.
//!
//! Invariant: whoever uses a slot holds the snapshot's lock ([`super::lock`]).
//! Differences from the kernel: there are 16 slot locks (the kernel has one per bucket), so that chunks of different
//! buckets may stand in one another's way for the length of a section.

use std::collections::BTreeMap;

use super::pending::Pending;
use super::tables::{CONSECUTIVE_BITS, Completed};
use crate::sched::digest::{Answer, Content};
use crate::sched::{Digest, Runtime, Task};
use crate::sync::{Confided, SpinSection};
use crate::variants::SnapLock;

/// Bits of a chunk's number that choose its slot.
const SLOT_BITS: u32 = 4;

/// A part of both tables.
#[derive(Default)]
pub(super) struct Slot {
    /// `s->complete`.
    pub(super) completed: Completed,
    /// `s->pending`, by chunk.
    pub(super) pending: BTreeMap<u64, Pending>,
}

impl Slot {
    /// The place of a chunk that was copied.
    #[inline]
    pub(super) fn lookup(&self, chunk: u64) -> Option<u64> {
        self.completed.lookup(chunk)
    }
}

impl Content for Slot {
    fn digest(&self, into: &mut Digest<'_>) {
        Content::digest(&self.completed, into);
        for (chunk, pending) in &self.pending {
            into.word(*chunk);
            pending.digest(into);
        }
    }
}

/// Both tables.
pub(super) enum Slots {
    /// A lock per slot.
    Locked(Vec<SpinSection<Slot>>),
    /// All of them under the snapshot's lock.
    Plain(Vec<Confided<Slot>>),
}

impl Slots {
    /// `init_hash_tables`.
    pub(super) fn new(runtime: &Runtime, name: &str, lock: SnapLock) -> Self {
        let slot = Slot::default;
        let slots = 0..1 << SLOT_BITS;
        match lock {
            SnapLock::Buckets => {
                Self::Locked(slots.map(|_| SpinSection::new(runtime, &format!("{name}.slot"), slot())).collect())
            }
            _ => Self::Plain(slots.map(|_| Confided::new(runtime, &format!("{name}.slot"), slot())).collect()),
        }
    }

    /// Whether using a slot is an operation: then what is done inside takes the places of sections of other spinlocks.
    pub(super) const fn is_locked(&self) -> bool {
        matches!(self, Self::Locked(_))
    }

    /// Empties both tables, when nothing runs any more.
    pub(super) fn abandon(&self) {
        match self {
            Self::Locked(slots) => slots.iter().for_each(|slot| drop(slot.take_away())),
            Self::Plain(slots) => slots.iter().for_each(|slot| drop(slot.take_away())),
        }
    }

    const fn index(chunk: u64) -> usize {
        (chunk >> CONSECUTIVE_BITS) as usize & ((1 << SLOT_BITS) - 1)
    }

    /// Uses the slot of a chunk: `dm_exception_table_lock`. Nothing that may wait can be done inside.
    #[track_caller]
    pub(super) fn with<R: Answer>(&self, current: &Task, chunk: u64, use_it: impl FnOnce(&mut Slot) -> R) -> R {
        self.nth(current, Self::index(chunk), use_it)
    }

    #[track_caller]
    fn nth<R: Answer>(&self, current: &Task, index: usize, use_it: impl FnOnce(&mut Slot) -> R) -> R {
        match self {
            Self::Locked(slots) => slots[index].answer(current, use_it),
            Self::Plain(slots) => slots[index].answer(current, use_it),
        }
    }

    /// Exchanges the completed exceptions of two snapshots, whose locks the caller holds for writing.
    pub(super) fn swap_completed(&self, current: &Task, other: &Self) {
        for index in 0..1 << SLOT_BITS {
            let mine = self.nth(current, index, |slot| std::mem::take(&mut slot.completed));
            let theirs = other.nth(current, index, |slot| std::mem::replace(&mut slot.completed, mine));
            self.nth(current, index, |slot| slot.completed = theirs);
        }
    }

    /// All entries of completed exceptions, and bytes that they take up.
    pub(super) fn size(&self, current: &Task) -> (usize, usize) {
        let sizes = (0..1 << SLOT_BITS).map(|index| self.nth(current, index, |slot| slot.completed.size()));
        sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }
}
