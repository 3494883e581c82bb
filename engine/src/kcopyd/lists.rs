//! [`Lists`]: the four lists that a client's jobs go through, under `job_lock`.
//!
//! Invariants: pieces of a sequential job are taken for writing in the order of their sectors; everything else is first
//! in, first out.
//! Difference from the kernel: there, one lock guards all four lists. A section uses one of them, and sections that use
//! different ones commute, so each list is a section of its own: a search need not try their orders.
//! Not here: who takes from which list when (the client's worker).

use std::collections::VecDeque;

use super::job::{CopyFlags, Job};
use crate::block::BioOp;
use crate::sched::digest::{Answer, Content};
use crate::sched::{Digest, Runtime, Task};
use crate::sync::SpinSection;
use crate::variants::Planted;

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// Need no I/O, just their callback.
    Callback,
    /// Have completed.
    Complete,
    /// Have pages and wait for their I/O to be issued.
    Io,
    /// Wait for pages.
    Pages,
}

/// Jobs, first in, first out. A search tells them by their names: what else there is to know of a job was put there by
/// tasks that have learnt it.
#[derive(Default)]
struct Jobs(VecDeque<Box<Job>>);

impl Content for Jobs {
    fn digest(&self, into: &mut Digest<'_>) {
        self.0.iter().for_each(|job| into.object(job.id));
    }
}

impl Answer for Box<Job> {
    fn digest(&self, into: &mut Digest<'_>) {
        into.object(self.id);
    }
}

/// The lists of one client.
pub(super) struct Lists {
    lists: [SpinSection<Jobs>; 4],
    planted: Planted,
}

impl Lists {
    /// Empty ones, of the client called `name`.
    pub(super) fn new(runtime: &Runtime, name: &str, planted: Planted) -> Self {
        let list = |list| SpinSection::new(runtime, &format!("{name}.job_lock ({list})"), Jobs::default());
        Self { lists: ["callback_jobs", "complete_jobs", "io_jobs", "pages_jobs"].map(list), planted }
    }

    /// `push`.
    #[track_caller]
    pub(super) fn push(&self, current: &Task, list: List, job: Box<Job>) {
        self.lists[list as usize].answer(current, |jobs| jobs.0.push_back(job));
    }

    /// `push_head`.
    #[track_caller]
    pub(super) fn push_head(&self, current: &Task, list: List, job: Box<Job>) {
        self.lists[list as usize].answer(current, |jobs| jobs.0.push_front(job));
    }

    /// `pop`, and `pop_io_job` for those that wait for I/O.
    #[track_caller]
    pub(super) fn pop(&self, current: &Task, list: List) -> Option<Box<Job>> {
        let planted = self.planted;
        self.lists[list as usize].answer(current, |jobs| {
            if list != List::Io {
                return jobs.0.pop_front();
            }
            let place = jobs.0.iter().position(|job| may_run(job, planted))?;
            let job = jobs.0.remove(place).expect("it is there");
            if is_sequential_write(&job)
                && let Some(master) = job.master()
            {
                master.advance_write_offset(job.count);
            }
            Some(job)
        })
    }

    /// Jobs without I/O are complete from now on.
    #[track_caller]
    pub(super) fn callbacks_are_complete(&self, current: &Task) {
        while let Some(job) = self.pop(current, List::Callback) {
            self.push(current, List::Complete, job);
        }
    }
}

fn is_sequential_write(job: &Job) -> bool {
    job.op != BioOp::Read && job.flags.contains(CopyFlags::WRITE_SEQ)
}

/// `pop_io_job`: any read, any write that may go out of order, and the sequential write whose turn it is.
fn may_run(job: &Job, planted: Planted) -> bool {
    if !is_sequential_write(job) || planted == Planted::KcopydUnordered {
        return true;
    }
    job.master().is_none_or(|master| master.write_offset() == job.write_offset)
}
