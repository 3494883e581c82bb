//! The starved helper: a deadlock that is the rarer the more units there are, and that hardly any random walk finds.
//!
//! Not here: how it is searched for.

use std::sync::Arc;

use dmlab_engine::sched::Task;
use dmlab_engine::sync::{RwSem, Semaphore};

/// The throttle of copy-on-write: writers take a unit of `cow_count` for each copy, kcopyd gives it back when the copy is
/// done, under `s->lock`. A constructor that wants the lock for writing shuts kcopyd out while writers sleep inside.
#[derive(Clone, Copy)]
pub(crate) struct Throttle {
    pub(crate) units: u64,
    pub(crate) writers: u32,
    pub(crate) writes: u32,
    /// The unit is taken before the lock and not under it.
    pub(crate) fixed: bool,
}

impl Throttle {
    pub(crate) fn model(self) -> impl FnOnce(&Task) + Send + 'static {
        move |current| {
            let lock = Arc::new(RwSem::new(current.runtime(), "s->lock", ()));
            let cow_count = Arc::new(Semaphore::new(current.runtime(), "cow_count", self.units));
            let jobs = Arc::new(Semaphore::new(current.runtime(), "jobs", 0));
            let (theirs, units, work) = (Arc::clone(&lock), Arc::clone(&cow_count), Arc::clone(&jobs));
            let kcopyd = current.spawn("kcopyd", move |task| {
                for _ in 0..self.writers * self.writes {
                    work.down(task);
                    let _guard = theirs.read(task);
                    units.up(task);
                }
            });
            for n in 0..self.writers {
                let (lock, cow_count, jobs) = (Arc::clone(&lock), Arc::clone(&cow_count), Arc::clone(&jobs));
                current.spawn(&format!("writer.{n}"), move |task| {
                    let _frame = task.enter("snapshot_map");
                    for _ in 0..self.writes {
                        if self.fixed {
                            cow_count.down(task);
                        }
                        let _guard = lock.read(task);
                        if !self.fixed {
                            cow_count.down(task);
                        }
                        cow_count.hand_over(task, kcopyd);
                        jobs.up(task);
                    }
                });
            }
            current.spawn("snapshot_ctr", move |task| drop(lock.write(task)));
        }
    }
}
