//! [`Drain`]: things in flight, by chunk, and who waits until none of a chunk is left: tracked reads and writes.
//!
//! Invariant: whoever waits says so before it looks, so that the end of the last one is not missed.
//! Differences from the kernel: the kernel looks every millisecond (`__check_for_conflicting_io`); here the wait ends with
//! the last of them, so that a wait without an end stands still and can be reported.
//! Not here: which bios are tracked.

use std::collections::BTreeMap;

use crate::sched::digest::Content;
use crate::sched::{Digest, Runtime, Task};
use crate::sync::{Count, SpinSection, WaitQueue};

/// `s->tracked_chunk_hash`: how many of each chunk.
#[derive(Default)]
struct Chunks(BTreeMap<u64, u32>);

impl Chunks {
    fn add(&mut self, chunk: u64) {
        *self.0.entry(chunk).or_insert(0) += 1;
    }

    /// Whether it was the last of its chunk.
    fn remove(&mut self, chunk: u64) -> bool {
        let count = self.0.get_mut(&chunk).expect("what is tracked was counted");
        *count -= 1;
        let last = *count == 0;
        if last {
            self.0.remove(&chunk);
        }
        last
    }
}

impl Content for Chunks {
    fn digest(&self, into: &mut Digest<'_>) {
        for (chunk, count) in &self.0 {
            into.word(*chunk);
            into.word(u64::from(*count));
        }
    }
}

/// What whoever tracks a chunk owes to those who wait for it. Who has sent the bio is taken to be who can bring it to its
/// end: until it is dispatched, that is so.
const TRACKED: &str = "its bio of the chunk is in flight";

/// The chunks under `s->tracked_chunk_lock`, and their end.
pub(super) struct Drain {
    chunks: SpinSection<Chunks>,
    waiting: Count,
    queue: WaitQueue,
}

impl Drain {
    pub(super) fn new(runtime: &Runtime, name: &str) -> Self {
        Self {
            chunks: SpinSection::new(runtime, &format!("{name}.tracked_chunk_lock"), Chunks::default()),
            waiting: Count::new(runtime, &format!("{name}.draining")),
            queue: WaitQueue::new(runtime, &format!("{name}.tracked_chunk_wait")),
        }
    }

    /// `track_chunk`.
    #[track_caller]
    pub(super) fn track(&self, current: &Task, chunk: u64) {
        self.chunks.answer(current, |chunks| chunks.add(chunk));
        self.queue.owe(current, chunk, TRACKED);
    }

    /// As [`Self::track`], inside the section of a slot.
    #[track_caller]
    pub(super) fn track_inside(&self, current: &Task, chunk: u64) {
        self.chunks.inside(current, |chunks| chunks.add(chunk));
        self.queue.owe(current, chunk, TRACKED);
    }

    /// `stop_tracking_chunk`.
    #[track_caller]
    pub(super) fn stop(&self, current: &Task, chunk: u64) {
        let last = self.chunks.answer(current, |chunks| chunks.remove(chunk));
        self.queue.settle(current, chunk);
        if last && !self.waiting.is_zero() {
            self.queue.wake_up_all(current);
        }
    }

    /// `__chunk_is_tracked`, inside the section of a slot, or under the lock that slots are used under.
    pub(super) fn is_tracked_inside(&self, current: &Task, chunk: u64) -> bool {
        self.chunks.inside(current, |chunks| chunks.0.contains_key(&chunk))
    }

    #[track_caller]
    fn is_tracked(&self, current: &Task, chunk: u64) -> bool {
        self.chunks.answer(current, |chunks| chunks.0.contains_key(&chunk))
    }

    /// `__check_for_conflicting_io`: waits until nothing of the chunk is in flight.
    #[track_caller]
    pub(super) fn wait(&self, current: &Task, chunk: u64) {
        let _frame = current.enter("__check_for_conflicting_io");
        if !self.is_tracked(current, chunk) {
            return;
        }
        self.waiting.inc();
        self.queue.wait_event_about(current, chunk, || !self.is_tracked(current, chunk));
        self.waiting.drop_one();
    }
}
