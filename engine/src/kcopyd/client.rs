//! [`Client`]: `struct dm_kcopyd_client`: reserves of its own, and the one worker that moves its jobs from list to list.
//!
//! A wake-up of the worker runs through completed jobs, then jobs that wait for pages, then jobs that wait for I/O: in
//! this order, because completed jobs give back the pages that others wait for. An I/O that ends queues its job anew
//! and wakes the worker.
//!
//! Invariants: at most one worker runs; jobs in flight take their pages from the allocator or, where that fails, from a
//! reserve that is enough for one piece, so that one piece can always go on; [`Client::destroy`] waits for every job.
//! Differences from the kernel: pages are counted one by one, but a job's memory is one buffer; whole pages of a ramdisk are
//! shared with it, not copied.
//! Not here: splitting (`split`), the share of time ([`super::throttle`]).

use std::sync::{Arc, Weak};

use dmlab_units::{Bytes, Sectors};

use super::job::{Callback, CopyFlags, CopyResult, Done, Job, Pages, PreparedCallback};
use super::lists::{List, Lists};
use super::split::{segment_complete, split_job};
use super::throttle::Throttle;
use crate::block::{BioFlags, BioOp, BioVec, BlockCore, Buffer, Opf};
use crate::dm::io_client::{IoClient, IoRequest, Region};
use crate::sched::cell::{Tiny, Word};
use crate::sched::{Task, TaskId};
use crate::sync::mempool::Element;
use crate::sync::{Count, Gfp, Mempool, Variable, WaitQueue, Work, Workqueue, WqFlags};
use crate::variants::{KcopydSubjob, Planted};

/// `MIN_JOBS`: reserve of jobs per client, each with its eight pieces.
pub const JOBS_RESERVE: u64 = 8;
/// `MAX_SUB_JOB_SIZE_KB`.
pub const SUBJOB_SIZE_KB_MAX: u64 = 1024;
/// Buffers that a client keeps for its next jobs, so that copying does not live in the allocator.
const SPARE_BUFFERS_MAX: usize = 64;
/// What a page holds.
const PAGE_SECTORS: u64 = 8;
/// Counter: the most steps of jobs (completed, given pages, their I/O issued) that one wake-up of a worker has made, over
/// all clients: how long a worker of the kernel does nothing else.
pub const STEPS_PER_RUN_MAX: &str = "kcopyd_steps_per_run_max";
/// Of `parameters`, in the machine's modules.
const MODULE: &str = "kcopyd";

/// Parameters and statistics of kcopyd in one machine.
pub struct Module {
    /// `kcopyd_subjob_size_kb`, and what it is by default.
    subjob_size_kb: Word,
    subjob_default_kb: u64,
    /// The most steps of jobs in one wake-up of a worker.
    steps_per_run_max: Arc<Word>,
}

impl Module {
    /// kcopyd's parameters and statistics in the machine of `core`.
    pub fn of(current: &Task, core: &Arc<BlockCore>) -> Arc<Self> {
        let default = match core.variants().kcopyd_subjob {
            KcopydSubjob::K64 => 64,
            KcopydSubjob::K512 => 512,
        };
        core.module(current, MODULE, || Self {
            subjob_size_kb: Word::new(default),
            subjob_default_kb: default,
            steps_per_run_max: core.counter(current, STEPS_PER_RUN_MAX),
        })
    }

    /// `/sys/module/dm_mod/parameters/kcopyd_subjob_size_kb`: 0 means the default; sampled when a client is made.
    pub fn set_subjob_size_kb(&self, kb: u64) {
        self.subjob_size_kb.set(if kb == 0 { self.subjob_default_kb } else { kb.min(SUBJOB_SIZE_KB_MAX) });
    }
}

/// A client of kcopyd.
pub struct Client {
    inner: Arc<Inner>,
}

/// What the worker works on.
pub(super) struct Inner {
    module: Arc<Module>,
    to_self: Weak<Self>,
    io: IoClient,
    job_pool: Arc<Mempool>,
    page_pool: Arc<Mempool>,
    lists: Lists,
    wq: Workqueue,
    work: Work,
    /// Who runs [`Inner::do_work`].
    worker: Tiny<Option<TaskId>>,
    throttle: Option<Arc<Throttle>>,
    sub_job_size: Sectors,
    planted: Planted,
    nr_jobs: Count,
    destroyq: WaitQueue,
    /// Whether somebody waits for `nr_jobs` to become 0.
    destroying: Variable,
    spare: Tiny<Vec<Arc<Buffer>>>,
}

/// What came of processing a job.
enum Processed {
    /// It went on.
    Yes,
    /// It cannot go on yet.
    NotYet(Box<Job>),
    /// It cannot go on at all.
    Error(Box<Job>),
}

impl Client {
    /// `dm_kcopyd_client_create`: a client whose pools are `<name>.jobs`, `<name>.pages`, `<name>.io` and `<name>.bios`.
    pub fn new(current: &Task, core: &Arc<BlockCore>, name: &str, throttle: Option<Arc<Throttle>>) -> Self {
        let runtime = current.runtime();
        let module = Module::of(current, core);
        let sub_job_size = Sectors(module.subjob_size_kb.get() * 2);
        let named = |part: &str| format!("{name}.{part}");
        let inner = Arc::new_cyclic(|inner: &Weak<Inner>| {
            let to_work = Weak::clone(inner);
            let work = Work::new("do_work", move |worker| {
                if let Some(client) = to_work.upgrade() {
                    client.do_work(worker);
                }
            });
            Inner {
                module,
                to_self: Weak::clone(inner),
                io: IoClient::new(current, core, name),
                job_pool: core.new_pool(current, &named("jobs"), JOBS_RESERVE),
                page_pool: core.new_pool(current, &named("pages"), sub_job_size.0.div_ceil(PAGE_SECTORS)),
                lists: Lists::new(runtime, name, core.variants().planted),
                // One work item, never run twice at once: one worker is all that the queue can keep busy.
                wq: Workqueue::new(runtime, name, WqFlags::ORDERED_RECLAIM),
                work,
                worker: Tiny::new(None),
                throttle,
                sub_job_size,
                planted: core.variants().planted,
                nr_jobs: Count::new(runtime, &named("nr_jobs")),
                destroyq: WaitQueue::new(runtime, &named("destroyq")),
                destroying: Variable::new(runtime, &named("destroying"), 0),
                spare: Tiny::new(Vec::new()),
            }
        });
        Self { inner }
    }

    /// `dm_kcopyd_copy`: copies `from` to every destination, and tells `callback` in the client's worker. May wait for a
    /// job, not for the copy.
    #[track_caller]
    pub fn copy(&self, current: &Task, from: &Region, dests: &[Region], flags: CopyFlags, callback: Callback) {
        let _frame = current.enter("dm_kcopyd_copy");
        let job = self.new_job(current, Some(from.clone()), from.count, dests, flags, callback);
        self.go(current, job);
    }

    /// `dm_kcopyd_zero`: writes zeros to every destination.
    #[track_caller]
    pub fn zero(&self, current: &Task, dests: &[Region], flags: CopyFlags, callback: Callback) {
        let _frame = current.enter("dm_kcopyd_zero");
        let count = dests.first().map_or(Sectors::ZERO, |dest| dest.count);
        let job = self.new_job(current, None, count, dests, flags, callback);
        self.go(current, job);
    }

    /// `dm_kcopyd_prepare_callback`: a place in the worker's queue for the end of something else.
    #[track_caller]
    pub fn prepare_callback(&self, current: &Task, callback: Callback) -> PreparedCallback {
        let _frame = current.enter("dm_kcopyd_prepare_callback");
        let element = self.alloc_job(current);
        self.inner.count_job();
        PreparedCallback(Job::callback(current, element, callback))
    }

    /// `dm_kcopyd_do_callback`: it has ended, with `result`. May be called in atomic context.
    pub fn do_callback(&self, current: &Task, prepared: PreparedCallback, result: CopyResult) {
        let _frame = current.enter("dm_kcopyd_do_callback");
        let mut job = prepared.0;
        job.result = result;
        self.inner.push(current, List::Callback, job);
        self.inner.wake(current);
    }

    /// `dm_kcopyd_client_destroy`: waits until no job is left. There must be no new ones.
    pub fn destroy(&self, current: &Task) {
        let _frame = current.enter("dm_kcopyd_client_destroy");
        let inner = &self.inner;
        inner.destroying.set(1);
        inner.destroyq.wait_event(current, || inner.nr_jobs.is_zero());
        inner.wq.drain(current);
    }

    /// The pool of its jobs: how many were in flight at most.
    pub fn job_pool(&self) -> &Arc<Mempool> {
        &self.inner.job_pool
    }

    /// Whether this task is the client's worker, in the middle of its work. For reports.
    pub fn is_worker(&self, current: &Task) -> bool {
        *self.inner.worker.lock_for(current) == Some(current.id())
    }

    /// Jobs that have not completed.
    pub fn jobs(&self) -> u64 {
        self.inner.nr_jobs.peek()
    }

    fn alloc_job(&self, current: &Task) -> Element {
        self.inner.job_pool.alloc(current, Gfp::NoIo).expect("an allocation that may wait succeeds")
    }

    fn new_job(
        &self,
        current: &Task,
        source: Option<Region>,
        count: Sectors,
        dests: &[Region],
        mut flags: CopyFlags,
        callback: Callback,
    ) -> Box<Job> {
        let element = self.alloc_job(current);
        if flags.contains(CopyFlags::WRITE_SEQ) {
            // What has to be in order cannot go on behind a hole.
            flags.remove(CopyFlags::IGNORE_ERROR);
        }
        let zeros_alone = || dests.iter().all(|dest| dest.dev.driver().takes(BioOp::WriteZeroes));
        let (op, pages) = match &source {
            Some(_) => (BioOp::Read, Pages::None),
            None if zeros_alone() => (BioOp::WriteZeroes, Pages::Zero(None)),
            None => (BioOp::Write, Pages::Zero(Some(Buffer::zeroed(count.min(self.inner.sub_job_size))))),
        };
        Box::new(Job {
            id: Job::name(current),
            flags,
            op,
            source,
            count,
            dests: dests.to_vec(),
            pages,
            result: CopyResult::default(),
            write_offset: Sectors::ZERO,
            element: Some(element),
            done: Done::Callback(callback),
        })
    }

    fn go(&self, current: &Task, job: Box<Job>) {
        if job.count <= self.inner.sub_job_size {
            self.inner.dispatch_job(current, job);
        } else {
            split_job(current, &self.inner, job);
        }
    }
}

impl Inner {
    pub(super) const fn sub_job_size(&self) -> Sectors {
        self.sub_job_size
    }

    pub(super) fn count_job(&self) {
        self.nr_jobs.inc();
    }

    pub(super) fn push(&self, current: &Task, list: List, job: Box<Job>) {
        self.lists.push(current, list, job);
    }

    /// `wake`.
    pub(super) fn wake(&self, current: &Task) {
        self.wq.poke(current, &self.work);
    }

    /// `dispatch_job`.
    pub(super) fn dispatch_job(&self, current: &Task, job: Box<Job>) {
        let _frame = current.enter("dispatch_job");
        self.count_job();
        let list = match (&job.pages, job.count) {
            (_, Sectors::ZERO) => List::Callback,
            (Pages::Zero(_), _) => List::Io,
            _ => List::Pages,
        };
        self.push(current, list, job);
        self.wake(current);
    }

    /// `do_work`: what the worker does each time it is woken: completed jobs, then those that wait for pages, then those that
    /// wait for I/O (`process_jobs`, three times). Jobs without I/O count as completed when a wake-up begins.
    fn do_work(&self, worker: &Task) {
        let _frame = worker.enter("do_work");
        *self.worker.lock_for(worker) = Some(worker.id());
        self.lists.callbacks_are_complete(worker);
        let steps = [List::Complete, List::Pages, List::Io].map(|list| self.process_jobs(worker, list));
        self.module.steps_per_run_max.raise(steps.iter().sum());
    }

    /// `process_jobs`: works a list off, until it is empty or a job cannot go on; how many jobs it took.
    fn process_jobs(&self, worker: &Task, list: List) -> u64 {
        let mut steps = 0;
        while let Some(job) = self.lists.pop(worker, list) {
            let _frame = worker.enter("process_jobs");
            steps += 1;
            let processed = match list {
                List::Pages => self.run_pages_job(worker, job),
                List::Io => self.run_io_job(worker, job),
                List::Callback | List::Complete => self.run_complete_job(worker, *job),
            };
            match processed {
                Processed::Yes => {}
                Processed::NotYet(job) => {
                    self.lists.push_head(worker, list, job);
                    break;
                }
                Processed::Error(mut job) => {
                    match job.op {
                        BioOp::Read => job.result.read_err = true,
                        _ => job.result.write_err = u64::MAX,
                    }
                    self.push(worker, List::Complete, job);
                    self.wake(worker);
                    break;
                }
            }
        }
        steps
    }

    /// `run_complete_job`.
    fn run_complete_job(&self, worker: &Task, job: Job) -> Processed {
        let _frame = worker.enter("run_complete_job");
        let Job { pages, element, done, result, .. } = job;
        self.put_pages(worker, pages);
        if let Some(element) = element {
            self.job_pool.free(worker, element);
        }
        match done {
            Done::Callback(callback) => callback(worker, result),
            Done::Segment(master) => segment_complete(worker, self, &master, result),
        }
        self.nr_jobs.dec(worker);
        // Only who destroys the client waits here, and says so before it looks at the count.
        if self.destroying.get() != 0 && self.nr_jobs.is_zero() {
            self.destroyq.wake_up_all(worker);
        }
        Processed::Yes
    }

    /// `run_pages_job`.
    fn run_pages_job(&self, worker: &Task, mut job: Box<Job>) -> Processed {
        let _frame = worker.enter("run_pages_job");
        let pages = job.count.0.div_ceil(PAGE_SECTORS);
        let mut elements = Vec::with_capacity(pages as usize);
        while (elements.len() as u64) < pages {
            let Some(element) = self.page_pool.alloc(worker, Gfp::NoWait) else {
                elements.into_iter().for_each(|element| self.page_pool.free(worker, element));
                return Processed::NotYet(job);
            };
            elements.push(element);
        }
        job.pages = Pages::Own(self.buffer(worker, job.count), elements);
        self.push(worker, List::Io, job);
        Processed::Yes
    }

    /// `run_io_job`.
    fn run_io_job(&self, worker: &Task, mut job: Box<Job>) -> Processed {
        let _frame = worker.enter("run_io_job");
        if job.flags.contains(CopyFlags::WRITE_SEQ)
            && let Some(write_err) = job.master().map(|master| master.write_err()).filter(|&err| err != 0)
        {
            job.result.write_err = write_err;
            return Processed::Error(job);
        }
        if let Some(throttle) = &self.throttle {
            throttle.start(worker);
        }
        let memory = match &job.pages {
            Pages::Own(buffer, _) | Pages::Zero(Some(buffer)) => Some(BioVec::new(Arc::clone(buffer))),
            Pages::None | Pages::Zero(None) => None,
        };
        let request = IoRequest { opf: Opf::new(job.op, BioFlags::empty()), memory };
        let regions = match (&job.source, job.op) {
            (Some(source), BioOp::Read) => vec![source.clone()],
            _ => job.dests.clone(),
        };
        let client = self.to_self.upgrade().expect("a client outlives its worker's run");
        let notify = move |ender: &Task, error: u64| client.complete_io(ender, job, error);
        self.io.start(worker, &request, &regions, Box::new(notify));
        Processed::Yes
    }

    /// `complete_io`: the I/O of a job has ended, in whatever task.
    fn complete_io(&self, current: &Task, mut job: Box<Job>, error: u64) {
        let _frame = current.enter("complete_io");
        if let Some(throttle) = &self.throttle {
            throttle.finish(current);
        }
        let reading = job.op == BioOp::Read;
        if error != 0 && self.planted != Planted::KcopydDropsError {
            if reading { job.result.read_err = true } else { job.result.write_err |= error }
        }
        let gives_up = error != 0 && !job.flags.contains(CopyFlags::IGNORE_ERROR);
        let list = if gives_up || !reading {
            List::Complete
        } else {
            job.op = BioOp::Write;
            List::Io
        };
        self.push(current, list, job);
        self.wake(current);
    }

    /// Memory for a job: nobody looks at what is copied, so that whole pages can be shared with where they come from. Other
    /// memory is kept from earlier jobs, but not where a search would have to know what is left in it.
    fn buffer(&self, current: &Task, count: Sectors) -> Arc<Buffer> {
        if let Some(pages) = Buffer::of_pages(count) {
            return pages;
        }
        let mut spare = self.spare.lock_for(current);
        let place = spare.iter().position(|buffer| buffer.len() == Bytes(count.bytes().0));
        place.map_or_else(|| Buffer::zeroed(count), |place| spare.swap_remove(place))
    }

    /// `kcopyd_put_pages`.
    fn put_pages(&self, current: &Task, pages: Pages) {
        let Pages::Own(buffer, elements) = pages else { return };
        elements.into_iter().for_each(|element| self.page_pool.free(current, element));
        if buffer.len().0.is_multiple_of(PAGE_SECTORS * 512) {
            // Shared pages are given back.
            return;
        }
        let mut spare = self.spare.lock_for(current);
        if !current.runtime().is_explorer() && spare.len() < SPARE_BUFFERS_MAX && Arc::strong_count(&buffer) == 1 {
            spare.push(buffer);
        }
    }
}
