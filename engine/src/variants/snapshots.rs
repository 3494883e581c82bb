//! The axes of the snapshot family (dm-spec §5).
//!
//! Invariants: those of the catalogue.
//! Not here: what a value does (`targets::snapshot`).

use std::fmt;

use super::{AxisInfo, ValueInfo};

axis! {
    /// How many chunks a snapshot copies at once (dm-spec §5.5).
    CowThrottle "cow_throttle" "what keeps a snapshot from copying too many chunks at once" default Wait {
        /// Nothing.
        None "none" "< 5.0" "-" "starts a copy for every chunk that is written"
            good "no writer waits for its turn"
            bad "memory for copies grows with what is written, times the number of snapshots",
        /// A semaphore, taken with `_origins_lock` held.
        Semaphore "semaphore" "5.0 - 5.3" "721b1d98fb51"
            "a unit of a semaphore per copy, taken where the copy is started; 0 is no limit"
            good "bounded memory"
            bad "waits inside _origins_lock: a deadlock with whoever registers a snapshot meanwhile",
        /// Waiting before any lock is taken.
        Wait "wait" ">= 5.4" "b21555786f18"
            "writers wait before they take any lock; the threshold is live, and 0 lets one copy run at a time"
            good "bounded memory, no lock held"
            bad "writes that need no copy wait too; the bound is the threshold and one for each writer",
        /// As `wait`, with a counter that was never zeroed.
        WaitUninit "wait-uninit" "none, stable trees without d37753540568" "b21555786f18"
            "as wait, but the count of copies in progress begins with garbage"
            good "nothing" bad "everybody waits for ever",
    }
}

axis! {
    /// A snapshot's own lock (dm-spec §5.6).
    SnapLock "snap_lock" "what guards the exceptions of a snapshot" default Buckets {
        /// An rw_semaphore, taken for writing.
        RwSem "rwsem" "<= 4.14" "-" "an rw_semaphore, taken for writing by all I/O of the snapshot and its origin"
            good "simple" bad "one at a time, and more costly than a mutex",
        /// A mutex.
        Mutex "mutex" "4.15 - 5.1" "ae1093be5a0e" "a mutex, taken by all I/O of the snapshot and its origin"
            good "cheaper than the rw_semaphore" bad "one at a time",
        /// An rw_semaphore taken for reading, and a lock per bucket.
        Buckets "buckets" ">= 5.2" "4ad8d880b6c4 3f1637f21038"
            "an rw_semaphore, taken for reading by I/O, and under it a spinlock per bucket of the tables"
            good "I/O of different chunks goes on at once"
            bad "the lock is kept while a pending exception is allocated",
    }
}

axis! {
    /// Whether reads that a snapshot sends to its origin hold back a change of the origin.
    ChunkTracking "chunk_tracking" "whether a snapshot's reads of its origin are waited for" default On {
        /// No: a write to the origin may overtake them.
        Off "off" "< 2.6.27" "-" "a read that was sent to the origin is forgotten"
            good "no bookkeeping" bad "it may see what was written to the origin after it",
        /// Yes.
        On "on" ">= 2.6.27" "cd45daffd1f7 ?" "the end of a copy waits until all reads of the chunk have ended"
            good "a snapshot reads what was" bad "somebody has to wait for reads",
    }
}

axis! {
    /// Where the end of a copy waits for those reads.
    PendingPoll "pending_poll" "how the end of a copy waits for reads of its chunk" default Unlocked {
        /// With the snapshot's lock held.
        Locked "locked" "<= 5.1" "-" "waits with the snapshot's lock held, then inserts the exception"
            good "new reads wait as well, so that the wait comes to an end"
            bad "whoever needs the lock to bring the read to its end is stuck",
        /// With nothing held.
        Unlocked "unlocked" ">= 5.2" "65fc7c370430" "inserts the exception first, and waits without any lock"
            good "new reads go to the COW device at once" bad "a chunk is completed and pending for a while",
    }
}

axis! {
    /// The split boundary of an origin without snapshots.
    OriginBoundary "origin_boundary" "where writes to an origin without snapshots are split" default Pow2 {
        /// 0.
        Zero "zero" "<= 5.12" "-" "0" good "nothing" bad "a write at sector 0 is split into nothing and itself",
        /// The largest number.
        UintMax "uint-max" "none, 5.13-rc" "7ee06ddc4038 ?" "UINT_MAX"
            good "writes at sector 0 go through" bad "it is used as a mask and is no power of two",
        /// The largest power of two.
        Pow2 "pow2" ">= 5.13" "7e768532b239" "0x80000000, the largest power of two"
            good "a boundary like any other" bad "nothing",
    }
}

axis! {
    /// What becomes of a snapshot without a chunk size.
    ZeroChunk "zero_chunk" "what the constructor does about a transient store without a chunk size" default Refused {
        /// Everything is freed and success is returned.
        Accepted "accepted" "<= 5.12" "-" "frees everything and returns 0"
            good "nothing" bad "the table is loaded, and used after free",
        /// -EINVAL.
        Refused "refused" ">= 5.13" "c699a0db2d62" "refuses the table with -EINVAL"
            good "a mistake is told" bad "nothing",
    }
}

axis! {
    /// Whether structures with pools in them are zeroed when they are made.
    EmbeddedPools "embedded_pools" "whether a target's structure is zeroed before its pools are made" default Zeroed {
        /// `kmalloc`.
        Garbage "garbage" "none, 4.18-rc" "-" "a constructor that fails early ends pools that were never begun"
            good "saves zeroing" bad "ends garbage",
        /// `kzalloc`.
        Zeroed "zeroed" "all" "d37753540568" "ending a pool that was never begun does nothing"
            good "constructors may fail anywhere" bad "nothing",
    }
}

axis! {
    /// In which order copied chunks are committed (dm-spec §5.2).
    CommitOrder "commit_order" "in which order a snapshot commits its copies" default Allocation {
        /// As they are completed.
        Completion "completion" "<= 3.12" "-" "as copies end"
            good "no copy waits for another" bad "after a crash, chunks in front of the last may be lost for good",
        /// As their places were handed out.
        Allocation "allocation" ">= 3.13" "230c83afdd9c" "as their places were handed out"
            good "a crash leaves no holes" bad "a slow copy holds up those behind it",
    }
}
