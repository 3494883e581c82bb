//! [`Lists`]: the four lists that a client's jobs go through, under `job_lock`.
//!
//! Invariants: pieces of a sequential job are taken for writing in the order of their sectors; everything else is first
//! in, first out.
//! Difference from the kernel: finding one list empty and looking into the next is one section, so that nothing is queued
//! in between.
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

impl List {
    /// The list that the worker turns to when it has been through this one.
    pub(super) const fn after(self) -> Option<Self> {
        match self {
            Self::Callback => Some(Self::Complete),
            Self::Complete => Some(Self::Pages),
            Self::Pages => Some(Self::Io),
            Self::Io => None,
        }
    }
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
    fn pop(&mut self, list: List) -> Option<Box<Job>> {
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

    /// The worker's next job: from `list`, or from the first behind it that has one; `list` says which. Jobs without I/O
    /// count as completed when a wake-up begins.
    pub(super) fn next(&mut self, list: &mut List) -> Option<Box<Job>> {
        if *list == List::Callback {
            let mut callbacks = std::mem::take(&mut self.lists[List::Callback as usize]);
            self.lists[List::Complete as usize].append(&mut callbacks);
            *list = List::Complete;
        }
        loop {
            match self.pop(*list) {
                Some(job) => return Some(job),
                None => *list = list.after()?,
            }
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
