//! [`dependent`]: whether the order of two announced operations may matter.
//!
//! Invariants: the relation is symmetric; it errs on the side of "dependent". Releases hand over in order of arrival
//! (FIFO), so they commute with whatever else is done to their object.
//! Not here: objects at which a release can be watched (trylock, timeouts, stealing).

use super::super::op::{ObjectId, Op, OpClass, OpKind};

/// Whether `a` and `b`, of two tasks, may lead to different states if carried out in the other order.
#[inline]
pub fn dependent(a: &Op, b: &Op) -> bool {
    a.object == b.object && a.object != ObjectId::NONE && orders(a.kind) && orders(b.kind) && !commute(a, b)
}

/// Whether operations of that kind depend on any other at all.
#[inline]
pub(super) const fn orders(kind: OpKind) -> bool {
    matches!(kind.class(), OpClass::Acquire | OpClass::Access)
}

fn commute(a: &Op, b: &Op) -> bool {
    use OpKind::{DownRead, IoRead, IoWrite, RefGet, SrcuReadLock};
    match (a.kind, b.kind) {
        (DownRead, DownRead) | (SrcuReadLock, SrcuReadLock) | (RefGet, RefGet) | (IoRead, IoRead) => true,
        (IoRead | IoWrite, IoWrite) | (IoWrite, IoRead) => !overlap(a.arg, b.arg),
        _ => false,
    }
}

/// Whether two sector ranges, packed as start above 24 bits of length, have a sector in common.
const fn overlap(a: u64, b: u64) -> bool {
    const LENGTH_BITS: u32 = 24;
    const fn end(range: u64) -> u64 {
        (range >> LENGTH_BITS) + (range & ((1 << LENGTH_BITS) - 1))
    }
    a >> LENGTH_BITS < end(b) && b >> LENGTH_BITS < end(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(kind: OpKind, object: u32, arg: u64) -> Op {
        Op { kind, object: ObjectId(object), arg, at: std::panic::Location::caller() }
    }

    #[test]
    fn the_relation_is_symmetric_and_knows_no_pair_of_different_objects_or_of_none() {
        for &a in OpKind::ALL {
            for &b in OpKind::ALL {
                assert_eq!(dependent(&op(a, 1, 8), &op(b, 1, 8)), dependent(&op(b, 1, 8), &op(a, 1, 8)), "{a:?} {b:?}");
                assert!(!dependent(&op(a, 1, 8), &op(b, 2, 8)), "{a:?} {b:?}");
                assert!(!dependent(&op(a, 0, 8), &op(b, 0, 8)), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn acquisitions_of_one_object_depend_on_each_other_unless_both_are_shared() {
        use OpKind::*;
        for (a, b, expected) in [
            (MutexLock, MutexLock, true),
            (MutexLock, MutexUnlock, false),
            (Down, Up, false),
            (DownRead, DownWrite, true),
            (DownRead, DownRead, false),
            (SrcuReadLock, SrcuReadLock, false),
            (SrcuReadLock, SynchronizeSrcu, true),
            (RefGet, RefGet, false),
            (RefGet, RefPut, true),
            (QueueWork, WorkerThread, true),
        ] {
            assert_eq!(dependent(&op(a, 3, 1), &op(b, 3, 1)), expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn transfers_depend_on_each_other_where_a_write_overlaps() {
        use OpKind::{IoRead, IoWrite};
        let range = |start: u64, length: u64| start << 24 | length;
        for (a, b, overlap) in [
            (range(0, 8), range(8, 8), false),
            (range(0, 9), range(8, 8), true),
            (range(4, 1), range(0, 16), true),
            (range(100, 8), range(0, 8), false),
        ] {
            assert_eq!(dependent(&op(IoWrite, 1, a), &op(IoWrite, 1, b)), overlap);
            assert_eq!(dependent(&op(IoRead, 1, a), &op(IoWrite, 1, b)), overlap);
            assert!(!dependent(&op(IoRead, 1, a), &op(IoRead, 1, b)));
        }
    }
}
