//! Large jobs in pieces: `split_job` and `segment_complete`.
//!
//! A job that is larger than the client's sub-job size is shared by eight pieces, which take one segment after another
//! until the whole is done; the last piece to find nothing left completes the job.
//!
//! Invariants: segments are given out in the order of their sectors, each once; after an error no new segment is given
//! out, unless errors are ignored; the job completes once, when all pieces have come to rest.
//! Not here: what happens to a piece on its way (the client's worker).

use std::sync::Arc;

use dmlab_units::Sectors;

use super::client::Inner;
use super::job::{CopyFlags, CopyResult, Done, Job, Pages};
use super::lists::List;
use crate::block::{BioOp, Buffer};
use crate::dm::io_client::Region;
use crate::sched::cell::Tiny;
use crate::sched::{Runtime, Task};
use crate::sync::{Count, Mutex, Variable};

/// Pieces of a large job.
pub(super) const SPLIT_COUNT: u32 = 8;

/// What has been given out, and what went wrong: under the job's mutex.
struct Progress {
    progress: Sectors,
    result: CopyResult,
}

/// A large job.
pub(super) struct Master {
    flags: CopyFlags,
    op: BioOp,
    source: Option<Region>,
    /// The memory of a job of zeros.
    zero: Option<Option<Arc<Buffer>>>,
    count: Sectors,
    dests: Vec<Region>,
    lock: Mutex<Progress>,
    /// A copy of the write errors, for those who look without the lock.
    write_err: Variable,
    /// Pieces that have not come to rest.
    sub_jobs: Count,
    /// Where the next sequential write begins. Under `job_lock`.
    write_offset: Tiny<Sectors>,
    /// The job itself, until it completes.
    whole: Tiny<Option<Box<Job>>>,
}

impl Master {
    fn new(runtime: &Runtime, whole: Box<Job>) -> Arc<Self> {
        let zero = match &whole.pages {
            Pages::Zero(page) => Some(page.clone()),
            _ => None,
        };
        let progress = Progress { progress: Sectors::ZERO, result: CopyResult::default() };
        Arc::new(Self {
            flags: whole.flags,
            op: whole.op,
            source: whole.source.clone(),
            zero,
            count: whole.count,
            dests: whole.dests.clone(),
            lock: Mutex::new(runtime, "kcopyd_job.lock", progress),
            write_err: Variable::new(runtime, "kcopyd_job.write_err", 0),
            sub_jobs: Count::new(runtime, "kcopyd_job.sub_jobs"),
            write_offset: Tiny::new(Sectors::ZERO),
            whole: Tiny::new(Some(whole)),
        })
    }

    pub(super) fn write_offset(&self) -> Sectors {
        *self.write_offset.lock()
    }

    pub(super) fn advance_write_offset(&self, by: Sectors) {
        *self.write_offset.lock() += by;
    }

    /// Write errors so far.
    pub(super) fn write_err(&self) -> u64 {
        self.write_err.get()
    }

    /// The piece that begins `progress` sectors into the job.
    fn segment(self: &Arc<Self>, current: &Task, progress: Sectors, count: Sectors, result: CopyResult) -> Box<Job> {
        let at = |region: &Region| Region {
            dev: Arc::clone(&region.dev),
            sector: region.sector + progress,
            count: count.min(Sectors(region.count.0.saturating_sub(progress.0))),
        };
        Box::new(Job {
            id: Job::name(current),
            flags: self.flags,
            op: self.op,
            source: self.source.as_ref().map(at),
            count,
            dests: self.dests.iter().map(at).collect(),
            pages: self.zero.clone().map_or(Pages::None, Pages::Zero),
            result,
            write_offset: progress,
            element: None,
            done: Done::Segment(Arc::clone(self)),
        })
    }
}

/// `split_job`.
pub(super) fn split_job(current: &Task, client: &Inner, whole: Box<Job>) {
    let _frame = current.enter("split_job");
    let master = Master::new(current.runtime(), whole);
    client.count_job();
    (0..SPLIT_COUNT).for_each(|_| master.sub_jobs.inc());
    for _ in 0..SPLIT_COUNT {
        segment_complete(current, client, &master, CopyResult::default());
    }
}

/// `segment_complete`: a piece is done with what it had; it gets the next segment, or comes to rest.
pub(super) fn segment_complete(current: &Task, client: &Inner, master: &Arc<Master>, result: CopyResult) {
    let _frame = current.enter("segment_complete");
    let segment = {
        let mut state = master.lock.lock(current);
        state.result.read_err |= result.read_err;
        state.result.write_err |= result.write_err;
        if result.write_err != 0 {
            master.write_err.set(state.result.write_err);
        }
        let goes_on = state.result.is_ok() || master.flags.contains(CopyFlags::IGNORE_ERROR);
        let count = (master.count - state.progress).min(client.sub_job_size());
        (goes_on && count > Sectors::ZERO).then(|| {
            let progress = state.progress;
            state.progress += count;
            master.segment(current, progress, count, state.result)
        })
    };
    if let Some(segment) = segment {
        return client.dispatch_job(current, segment);
    }
    master.sub_jobs.dec(current);
    if master.sub_jobs.is_zero() {
        let result = master.lock.lock(current).result;
        let whole = master.whole.lock_for(current).take();
        let mut whole = whole.expect("the last piece comes to rest once");
        whole.result = result;
        whole.pages = Pages::None;
        // To the worker: callbacks must not race with each other, and this may be another task.
        client.push(current, List::Complete, whole);
        client.wake(current);
    }
}
