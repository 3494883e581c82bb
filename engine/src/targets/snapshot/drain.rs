//! [`Drain`]: things in flight, by chunk, and who waits until none of a chunk is left: tracked reads and writes.
//!
//! Invariant: whoever waits says so before it looks, so that the end of the last one is not missed.
//! Differences from the kernel: the kernel looks every millisecond (`__check_for_conflicting_io`); here the wait ends with
//! the last of them, so that a wait without an end stands still and can be reported.
//! Not here: which bios are tracked.

use std::collections::BTreeMap;

use crate::sched::{Runtime, Task};
use crate::sync::{Confided, Count, WaitQueue};

/// `s->tracked_chunk_hash`.
pub(super) struct Drain {
    chunks: Confided<BTreeMap<u64, u32>>,
    waiting: Count,
    queue: WaitQueue,
}

impl Drain {
    pub(super) fn new(runtime: &Runtime, name: &str) -> Self {
        Self {
            chunks: Confided::new(runtime, &format!("{name}.tracked_chunks"), BTreeMap::new()),
            waiting: Count::new(runtime, &format!("{name}.draining")),
            queue: WaitQueue::new(runtime, &format!("{name}.tracked_chunk_wait")),
        }
    }

    /// `track_chunk`.
    pub(super) fn track(&self, current: &Task, chunk: u64) {
        self.chunks.change(current, |chunks| *chunks.entry(chunk).or_insert(0) += 1);
    }

    /// `stop_tracking_chunk`.
    pub(super) fn stop(&self, current: &Task, chunk: u64) {
        let last = self.chunks.change(current, |chunks| {
            let count = chunks.get_mut(&chunk).expect("what is tracked was counted");
            *count -= 1;
            let last = *count == 0;
            if last {
                chunks.remove(&chunk);
            }
            last
        });
        if last && !self.waiting.is_zero() {
            self.queue.wake_up_all(current);
        }
    }

    /// `__chunk_is_tracked`.
    pub(super) fn is_tracked(&self, current: &Task, chunk: u64) -> bool {
        self.chunks.look(current, |chunks| chunks.contains_key(&chunk))
    }

    /// `__check_for_conflicting_io`: waits until nothing of the chunk is in flight.
    #[track_caller]
    pub(super) fn wait(&self, current: &Task, chunk: u64) {
        let _frame = current.enter("__check_for_conflicting_io");
        if !self.is_tracked(current, chunk) {
            return;
        }
        self.waiting.inc();
        self.queue.wait_event(current, || !self.is_tracked(current, chunk));
        self.waiting.drop_one();
    }
}
