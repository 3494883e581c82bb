//! [`Workqueue`]: the kernel's `workqueue_struct`: workers that are started on demand, a rescuer for queues that must
//! make progress under memory pressure, flush and drain.
//!
//! Invariants: work items start in the order of queueing, but for one that is still running: it is never run by two
//! workers at once, and waits until it has ended; at most `max_active` run at once (the rescuer included); a
//! [`Work`] that is pending is not queued twice; a worker without work is idle, not stuck. A worker thread that cannot
//! be started (the fault hook says so) is replaced by the rescuer on a `mem_reclaim` queue; without one, the work waits
//! until a worker is free.
//! Not here: per-CPU pools, delayed work (a task that sleeps does as well), concurrency management.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::sched::digest::word_of;
use crate::sched::object::Wait;
use crate::sched::{Digest, Holder, Object, OpKind, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes};

/// What a work item does.
type Function = Arc<dyn Fn(&Task) + Send + Sync>;

/// The kernel's `work_struct`: something to do, that can be pending at most once.
#[derive(Clone)]
pub struct Work {
    /// Stands for the name.
    name: u64,
    function: Function,
}

impl Work {
    /// A work item that runs `function` each time it was queued. Its name tells it from other items of the same queue,
    /// run after run.
    pub fn new(name: &str, function: impl Fn(&Task) + Send + Sync + 'static) -> Self {
        Self { name: word_of(name), function: Arc::new(function) }
    }

    fn is(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.function), Arc::as_ptr(&other.function))
    }
}

/// Flags and limits of a queue.
#[derive(Clone)]
pub struct WqFlags {
    /// Work items that may run at once (kernel: 0 stands for 256; `alloc_ordered_workqueue` is 1).
    pub max_active: u32,
    /// `WQ_MEM_RECLAIM`: has a rescuer thread of its own.
    pub mem_reclaim: bool,
    /// Whether starting worker thread number n (from 0) fails, as it may under memory pressure.
    pub worker_fails: Option<Arc<dyn Fn(u64) -> bool + Send + Sync>>,
}

impl WqFlags {
    /// One item at a time, with a rescuer: `alloc_ordered_workqueue(…, WQ_MEM_RECLAIM)`.
    pub const ORDERED_RECLAIM: Self = Self { max_active: 1, mem_reclaim: true, worker_fails: None };
    /// Several items at a time, with a rescuer: `alloc_workqueue(…, WQ_MEM_RECLAIM, 0)`.
    pub const RECLAIM: Self = Self { max_active: 256, mem_reclaim: true, worker_fails: None };
}

/// Operations on a workqueue.
pub enum WqOp {
    /// Queue an item.
    Queue(Work),
    /// Queue an item, without being told whether it was pending already.
    Poke(Work),
    /// A worker looks for work.
    Next,
    /// A worker has finished its item.
    Done,
    /// Wait for everything queued before.
    Flush,
    /// Wait until nothing is queued or running.
    Drain,
}

/// What an operation on a workqueue gives.
pub enum WqGrant {
    /// It is done; `start` names the thread that the caller is to start.
    Queued {
        /// `false` when the item was pending already.
        fresh: bool,
        /// The worker to start.
        start: Option<Start>,
    },
    /// It is pending.
    Poked {
        /// The worker to start.
        start: Option<Start>,
    },
    /// Work for a worker.
    Work(Work),
    /// Nothing.
    Done,
}

/// Which thread is to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// An ordinary worker.
    Worker(u64),
    /// The queue's rescuer.
    Rescuer,
}

const fn start_word(start: Option<Start>) -> u64 {
    match start {
        None => 0,
        Some(Start::Rescuer) => 1,
        Some(Start::Worker(number)) => 2 + number,
    }
}

struct Item {
    number: u64,
    work: Work,
    queued: Site,
}

struct Running {
    worker: TaskId,
    work: Work,
    number: u64,
    queued: Site,
}

enum Goal {
    /// Everything numbered below has finished.
    Before(u64),
    /// Nothing is left.
    Empty,
}

/// Items, workers, and who waits for them.
pub struct WqState {
    flags: WqFlags,
    next_number: u64,
    items: VecDeque<Item>,
    running: Vec<Running>,
    idle: VecDeque<TaskId>,
    handed: Vec<(TaskId, Work)>,
    /// Threads that were started or tried.
    tried: u64,
    workers: u32,
    rescuer_started: bool,
    waiters: Vec<(Site, Goal)>,
}

impl WqState {
    /// An empty queue.
    pub const fn new(flags: WqFlags) -> Self {
        Self {
            flags,
            next_number: 0,
            items: VecDeque::new(),
            running: Vec::new(),
            idle: VecDeque::new(),
            handed: Vec::new(),
            tried: 0,
            workers: 0,
            rescuer_started: false,
            waiters: Vec::new(),
        }
    }

    fn may_run_more(&self) -> bool {
        self.running.len() < self.flags.max_active as usize
    }

    fn give(&mut self, worker: TaskId) -> Option<Work> {
        if !self.may_run_more() {
            return None;
        }
        let Item { number, work, queued } = self.items.remove(self.next_item()?)?;
        self.running.push(Running { worker, work: work.clone(), number, queued });
        Some(work)
    }

    /// The first item that is not running already: the kernel never runs a work item concurrently with itself.
    fn next_item(&self) -> Option<usize> {
        let runs = |work: &Work| self.running.iter().any(|running| running.work.is(work));
        self.items.iter().position(|item| !runs(&item.work))
    }

    fn add(&mut self, by: Site, work: Work, wakes: &mut Wakes) -> Option<Start> {
        self.items.push_back(Item { number: self.next_number, work, queued: by });
        self.next_number += 1;
        self.dispatch(wakes)
    }

    /// Hands waiting items to idle workers, then says whether a thread must be started for what is left.
    fn dispatch(&mut self, wakes: &mut Wakes) -> Option<Start> {
        while self.next_item().is_some() && self.may_run_more() {
            let Some(worker) = self.idle.pop_front() else { return self.start_thread() };
            let work = self.give(worker).expect("there is an item and it may run");
            self.handed.push((worker, work));
            wakes.push(worker);
        }
        None
    }

    fn start_thread(&mut self) -> Option<Start> {
        if self.workers >= self.flags.max_active {
            return None;
        }
        let attempt = self.tried;
        self.tried += 1;
        if !self.flags.worker_fails.as_ref().is_some_and(|fails| fails(attempt)) {
            self.workers += 1;
            return Some(Start::Worker(attempt));
        }
        let rescue = self.flags.mem_reclaim && !self.rescuer_started;
        self.rescuer_started |= rescue;
        rescue.then_some(Start::Rescuer)
    }

    fn reached(&self, goal: &Goal) -> bool {
        let oldest = self.items.front().map(|item| item.number).into_iter();
        let oldest = oldest.chain(self.running.iter().map(|running| running.number)).min();
        match (goal, oldest) {
            (_, None) => true,
            (Goal::Before(number), Some(oldest)) => oldest >= *number,
            (Goal::Empty, Some(_)) => false,
        }
    }

    fn wait_for(&mut self, by: Site, goal: Goal) -> Step<WqGrant> {
        if self.reached(&goal) {
            return Step::Granted(WqGrant::Done);
        }
        self.waiters.push((by, goal));
        Step::Wait(Wait::FOREVER)
    }

    fn release_waiters(&mut self, wakes: &mut Wakes) {
        let waiters = std::mem::take(&mut self.waiters);
        for (site, goal) in waiters {
            if self.reached(&goal) { wakes.push(site.task) } else { self.waiters.push((site, goal)) }
        }
    }
}

impl StateMachine for WqState {
    type Op = WqOp;
    type Grant = WqGrant;
    const LABEL: &'static str = "workqueue";

    fn announce(op: &WqOp) -> (OpKind, u64) {
        let kind = match op {
            WqOp::Queue(_) | WqOp::Poke(_) => OpKind::QueueWork,
            WqOp::Next => OpKind::WorkerThread,
            WqOp::Done => OpKind::WorkDone,
            WqOp::Flush => OpKind::FlushWorkqueue,
            WqOp::Drain => OpKind::DrainWorkqueue,
        };
        (kind, 0)
    }

    fn may_sleep(op: &WqOp) -> bool {
        matches!(op, WqOp::Flush | WqOp::Drain)
    }

    fn apply(&mut self, by: Site, op: WqOp, wakes: &mut Wakes) -> Step<WqGrant> {
        match op {
            WqOp::Queue(work) => {
                if self.items.iter().any(|item| item.work.is(&work)) {
                    return Step::Granted(WqGrant::Queued { fresh: false, start: None });
                }
                Step::Granted(WqGrant::Queued { fresh: true, start: self.add(by, work, wakes) })
            }
            WqOp::Poke(work) => {
                let pending = self.items.iter().any(|item| item.work.is(&work));
                Step::Granted(WqGrant::Poked { start: if pending { None } else { self.add(by, work, wakes) } })
            }
            WqOp::Next => match self.give(by.task) {
                Some(work) => Step::Granted(WqGrant::Work(work)),
                None => {
                    self.idle.push_back(by.task);
                    Step::Wait(Wait::IDLE)
                }
            },
            WqOp::Done => {
                let place = self.running.iter().position(|running| running.worker == by.task);
                self.running.swap_remove(place.expect("a worker that finishes had an item"));
                self.release_waiters(wakes);
                Step::Granted(WqGrant::Done)
            }
            WqOp::Flush => self.wait_for(by, Goal::Before(self.next_number)),
            WqOp::Drain => self.wait_for(by, Goal::Empty),
        }
    }

    fn observed(grant: &WqGrant) -> u64 {
        match grant {
            WqGrant::Done => 0,
            WqGrant::Work(work) => work.name ^ 1,
            WqGrant::Queued { fresh, start } => 4 | u64::from(*fresh) | start_word(*start) << 3,
            WqGrant::Poked { start } => 6 | start_word(*start) << 3,
        }
    }

    fn digest(&self, into: &mut Digest<'_>) {
        // Numbers count back from the next one: how many items there have been means nothing.
        let age = |number: u64| self.next_number - number;
        for item in &self.items {
            into.word(item.work.name);
            into.word(age(item.number));
        }
        into.set(self.running.iter().map(|running| (running.worker, running.work.name ^ age(running.number))));
        self.idle.iter().for_each(|worker| into.task(*worker));
        into.set(self.handed.iter().map(|(worker, work)| (*worker, work.name)));
        into.word(self.tried);
        into.word(u64::from(self.workers) << 1 | u64::from(self.rescuer_started));
        into.set(self.waiters.iter().map(|(site, goal)| {
            let goal = match goal {
                Goal::Before(number) => age(*number),
                Goal::Empty => u64::MAX,
            };
            (site.task, goal)
        }));
    }

    fn collect(&mut self, who: TaskId) -> WqGrant {
        match self.handed.iter().position(|(task, _)| *task == who) {
            Some(place) => WqGrant::Work(self.handed.swap_remove(place).1),
            None => WqGrant::Done,
        }
    }

    /// An idle worker is sent home at the end of a run; nobody else waits here with a time limit.
    fn time_out(&mut self, who: TaskId) -> Option<WqGrant> {
        let place = self.idle.iter().position(|worker| *worker == who)?;
        self.idle.remove(place);
        Some(WqGrant::Done)
    }

    fn holders(&self, _waiter: TaskId) -> Vec<Holder> {
        let holder = |running: &Running| Holder {
            task: running.worker,
            taken: running.queued,
            what: format!("runs work item {}", running.number),
        };
        self.running.iter().map(holder).collect()
    }

    fn summary(&self) -> String {
        let (running, queued) = (self.running.len(), self.items.len());
        format!("{running} of {} running, {queued} queued, {} idle worker(s)", self.flags.max_active, self.idle.len())
    }
}

/// The kernel's `workqueue_struct`.
#[derive(Clone)]
pub struct Workqueue {
    object: Arc<Object<WqState>>,
}

impl Workqueue {
    /// An empty queue, called `name` in reports; its workers are `kworker/<name>`, its rescuer `rescuer/<name>`.
    pub fn new(runtime: &Runtime, name: &str, flags: WqFlags) -> Self {
        Self { object: Object::new(runtime, name, WqState::new(flags)) }
    }

    /// `queue_work`: `false` when the item was pending already.
    #[track_caller]
    pub fn queue(&self, current: &Task, work: &Work) -> bool {
        match self.object.perform(current, WqOp::Queue(work.clone())) {
            WqGrant::Queued { fresh, start } => {
                self.start(current, start);
                fresh
            }
            _ => unreachable!("queueing is answered with Queued"),
        }
    }

    /// `queue_work` by whoever does not care whether the item was pending already.
    #[track_caller]
    pub fn poke(&self, current: &Task, work: &Work) {
        match self.object.perform(current, WqOp::Poke(work.clone())) {
            WqGrant::Poked { start } => self.start(current, start),
            _ => unreachable!("poking is answered with Poked"),
        }
    }

    fn start(&self, current: &Task, start: Option<Start>) {
        let name = self.object.name();
        let name = match start {
            None => return,
            Some(Start::Worker(number)) => format!("kworker/{name}.{number}"),
            Some(Start::Rescuer) => format!("rescuer/{name}"),
        };
        let queue = self.clone();
        current.spawn(&name, move |worker| queue.work(worker));
    }

    /// `flush_workqueue`: waits for everything queued before.
    #[track_caller]
    pub fn flush(&self, current: &Task) {
        self.object.perform(current, WqOp::Flush);
    }

    /// `drain_workqueue`: waits until nothing is queued or running.
    #[track_caller]
    pub fn drain(&self, current: &Task) {
        self.object.perform(current, WqOp::Drain);
    }

    /// A worker's life.
    fn work(&self, worker: &Task) {
        let _frame = worker.enter("worker_thread");
        loop {
            // Anything but work means that the run is over.
            let WqGrant::Work(work) = self.object.perform(worker, WqOp::Next) else { return };
            let _frame = worker.enter("process_one_work");
            (work.function)(worker);
            self.object.perform(worker, WqOp::Done);
        }
    }
}

#[cfg(test)]
mod tests;
