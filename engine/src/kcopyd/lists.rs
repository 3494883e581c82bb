//! [`Lists`]: the four lists that a client's jobs go through, under `job_lock`.
//!
//! Invariants: pieces of a sequential job are taken for writing in the order of their sectors; everything else is first
//! in, first out.
//! Not here: who takes from which list when (the client's worker).

use std::collections::VecDeque;

use super::job::{CopyFlags, Job};
use crate::block::BioOp;
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

/// The lists of one client.
pub(super) struct Lists {
    lists: [VecDeque<Box<Job>>; 4],
    planted: Planted,
}

impl Lists {
    pub(super) fn new(planted: Planted) -> Self {
        Self { lists: [const { VecDeque::new() }; 4], planted }
    }

    /// `push`.
    pub(super) fn push(&mut self, list: List, job: Box<Job>) {
        self.lists[list as usize].push_back(job);
    }

    /// `push_head`.
    pub(super) fn push_head(&mut self, list: List, job: Box<Job>) {
        self.lists[list as usize].push_front(job);
    }

    /// `pop`.
    pub(super) fn pop(&mut self, list: List) -> Option<Box<Job>> {
        if list != List::Io {
            return self.lists[list as usize].pop_front();
        }
        let jobs = &mut self.lists[List::Io as usize];
        let planted = self.planted;
        let place = jobs.iter().position(|job| may_run(job, planted))?;
        let job = jobs.remove(place).expect("it is there");
        if is_sequential_write(&job)
            && let Some(master) = job.master()
        {
            master.advance_write_offset(job.count);
        }
        Some(job)
    }

    /// What `do_work` begins with: jobs without I/O count as completed.
    pub(super) fn complete_callbacks(&mut self) {
        let mut callbacks = std::mem::take(&mut self.lists[List::Callback as usize]);
        self.lists[List::Complete as usize].append(&mut callbacks);
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
