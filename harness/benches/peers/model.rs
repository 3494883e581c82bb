//! The COW throttle of dm-snapshot, written once for every engine.
//!
//! Writers take the lock for reading and a unit of the throttle, queue a job and let go; `snapshot_ctr` takes the lock
//! for writing once; kcopyd (the root task) takes a job, the lock for reading, and gives the unit back. A writer that
//! waits for a unit *under* the lock deadlocks with a queued `snapshot_ctr` and a kcopyd that stands behind it.
//!
//! Invariants: the text is the same for every engine; shared handles are plain `Arc`s and nobody joins, because both
//! would cost the peers scheduling points that say nothing about the model.

use std::sync::Arc;

/// What the model needs of an engine.
pub(crate) trait Engine: 'static {
    /// What an engine passes to each task.
    type Current;
    /// A read-write semaphore in which a waiting writer bars later readers.
    type RwSem: Send + Sync + 'static;
    /// A counting semaphore.
    type Semaphore: Send + Sync + 'static;

    /// A free lock.
    fn rw_sem(current: &Self::Current, name: &'static str) -> Self::RwSem;
    /// A semaphore of `units`.
    fn semaphore(current: &Self::Current, name: &'static str, units: u32) -> Self::Semaphore;
    /// Starts a task that the run waits for.
    fn spawn(current: &Self::Current, name: &'static str, body: impl FnOnce(&Self::Current) + Send + 'static);
    /// Does `inside` while the lock is held for reading.
    fn read(current: &Self::Current, lock: &Self::RwSem, inside: impl FnOnce());
    /// Takes the lock for writing and gives it back.
    fn write(current: &Self::Current, lock: &Self::RwSem);
    /// Takes a unit, waiting for one.
    fn down(current: &Self::Current, semaphore: &Self::Semaphore);
    /// Gives a unit.
    fn up(current: &Self::Current, semaphore: &Self::Semaphore);
}

/// One size and variant of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Throttle {
    /// Tasks that write.
    pub(crate) writers: u32,
    /// Writes of each.
    pub(crate) loops: u32,
    /// Units of the throttle (`cow_count`).
    pub(crate) units: u32,
    /// Whether the unit is taken before the lock.
    pub(crate) fixed: bool,
}

impl Throttle {
    /// The order that deadlocks.
    pub(crate) const fn buggy(writers: u32, loops: u32, units: u32) -> Self {
        Self { writers, loops, units, fixed: false }
    }

    /// The order that does not.
    pub(crate) const fn fixed(writers: u32, loops: u32, units: u32) -> Self {
        Self { writers, loops, units, fixed: true }
    }

    /// `2x2 S=1`: writers, loops, units.
    pub(crate) fn name(self) -> String {
        format!("{}x{} S={}", self.writers, self.loops, self.units)
    }
}

/// Names cost nothing in the loop; there are no models with more writers.
const WRITERS: [&str; 4] = ["writer.0", "writer.1", "writer.2", "writer.3"];

/// One run; the caller's task becomes kcopyd.
pub(crate) fn throttle<E: Engine>(current: &E::Current, model: Throttle) {
    let lock = Arc::new(E::rw_sem(current, "origins_lock"));
    let units = Arc::new(E::semaphore(current, "cow_count", model.units));
    let jobs = Arc::new(E::semaphore(current, "jobs", 0));
    for name in &WRITERS[..model.writers as usize] {
        let (lock, units, jobs) = (Arc::clone(&lock), Arc::clone(&units), Arc::clone(&jobs));
        E::spawn(current, name, move |current| {
            for _ in 0..model.loops {
                if model.fixed {
                    E::down(current, &units);
                    E::read(current, &lock, || E::up(current, &jobs));
                } else {
                    E::read(current, &lock, || {
                        E::down(current, &units);
                        E::up(current, &jobs);
                    });
                }
            }
        });
    }
    let theirs = Arc::clone(&lock);
    E::spawn(current, "snapshot_ctr", move |current| E::write(current, &theirs));
    for _ in 0..model.writers * model.loops {
        E::down(current, &jobs);
        E::read(current, &lock, || E::up(current, &units));
    }
}
