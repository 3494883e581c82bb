//! Property tests of the workqueue's state machine against a small reference model.
//!
//! Not here: the workqueue under the two drivers (`engine/tests`).

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::sched::Frame;

/// Distinct work items.
const WORKS: usize = 4;
/// Tasks below are clients, tasks from here on are workers.
const FIRST_WORKER: u32 = 10;

fn site(task: u32) -> Site {
    Site { task: TaskId(task), frame: Frame::root(), at: std::panic::Location::caller() }
}

#[derive(Clone, Copy, Debug)]
enum Do {
    Queue(usize),
    Worker(usize),
    Flush(u32),
    Drain(u32),
}

fn op() -> impl Strategy<Value = Do> {
    prop_oneof![
        4 => (0..WORKS).prop_map(Do::Queue),
        5 => (0..8_usize).prop_map(Do::Worker),
        1 => (0..4_u32).prop_map(Do::Flush),
        1 => (0..4_u32).prop_map(Do::Drain)
    ]
}

/// What a worker is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worker {
    Looks,
    Idle,
    /// Runs the item that was queued as number so and so, and which one that is.
    Runs(u64, usize),
}

/// The queue as a list of numbers: what was queued and not begun, and what has begun and not ended.
struct Model {
    state: WqState,
    works: Vec<Work>,
    pending: VecDeque<(u64, usize)>,
    queued: u64,
    workers: Vec<Worker>,
    rescuers: u32,
    /// Who waits, and for the end of all items below which number; `u64::MAX` for the end of all.
    waiters: BTreeMap<u32, u64>,
}

impl Model {
    fn new(flags: WqFlags) -> Self {
        Self {
            state: WqState::new(flags),
            works: (0..WORKS).map(|_| Work::new("work", |_| ())).collect(),
            pending: VecDeque::new(),
            queued: 0,
            workers: Vec::new(),
            rescuers: 0,
            waiters: BTreeMap::new(),
        }
    }

    fn oldest(&self) -> u64 {
        let running = self.workers.iter().filter_map(|worker| match worker {
            Worker::Runs(number, _) => Some(*number),
            _ => None,
        });
        running.chain(self.pending.iter().map(|item| item.0)).min().unwrap_or(u64::MAX)
    }

    fn running(&self) -> usize {
        self.workers.iter().filter(|worker| matches!(worker, Worker::Runs(..))).count()
    }

    fn runs(&self, which: usize) -> bool {
        self.workers.iter().any(|worker| matches!(worker, Worker::Runs(_, running) if *running == which))
    }

    /// A worker was given `work`: it must be the longest pending item that is not running already.
    fn begins(&mut self, worker: usize, work: &Work) {
        let place = self.pending.iter().position(|item| !self.runs(item.1)).expect("there is work to give");
        let (number, which) = self.pending.remove(place).expect("a place in the queue");
        assert!(self.works[which].is(work), "items start in the order of queueing");
        self.workers[worker] = Worker::Runs(number, which);
    }

    /// Woken workers have work, woken clients have nothing left to wait for.
    fn wake(&mut self, wakes: &Wakes) {
        for task in wakes {
            if task.0 < FIRST_WORKER {
                assert!(matches!(self.state.collect(*task), WqGrant::Done));
                let goal = self.waiters.remove(&task.0).expect("only a waiter is woken");
                assert!(self.oldest() >= goal, "a waiter is woken early");
            } else {
                let worker = (task.0 - FIRST_WORKER) as usize;
                assert_eq!(self.workers[worker], Worker::Idle);
                let WqGrant::Work(work) = self.state.collect(*task) else { panic!("a worker was woken for nothing") };
                self.begins(worker, &work);
            }
        }
    }

    fn queue(&mut self, which: usize) {
        let was_pending = self.pending.iter().any(|item| item.1 == which);
        let mut wakes = Wakes::new();
        let work = self.works[which].clone();
        let Step::Granted(WqGrant::Queued { fresh, start }) = self.state.apply(site(0), WqOp::Queue(work), &mut wakes)
        else {
            panic!("queueing never waits");
        };
        assert_eq!(fresh, !was_pending, "an item is pending at most once");
        if fresh {
            self.pending.push_back((self.queued, which));
            self.queued += 1;
        }
        if start.is_some() {
            self.workers.push(Worker::Looks);
        }
        self.rescuers += u32::from(start == Some(Start::Rescuer));
        self.wake(&wakes);
    }

    /// Lets a worker take its next step; `false` when it has nothing to do.
    fn step(&mut self, worker: usize) -> bool {
        let (mut wakes, by) = (Wakes::new(), site(FIRST_WORKER + worker as u32));
        match self.workers[worker] {
            Worker::Idle => return false,
            Worker::Looks => match self.state.apply(by, WqOp::Next, &mut wakes) {
                Step::Granted(WqGrant::Work(work)) => self.begins(worker, &work),
                Step::Wait(wait) => {
                    assert_eq!(wait, Wait::IDLE);
                    self.workers[worker] = Worker::Idle;
                }
                Step::Granted(_) => panic!("a worker that looks is given work"),
            },
            Worker::Runs(..) => {
                self.workers[worker] = Worker::Looks;
                self.state.apply(by, WqOp::Done, &mut wakes);
            }
        }
        self.wake(&wakes);
        true
    }

    fn wait(&mut self, client: u32, op: WqOp, goal: u64) {
        if self.waiters.contains_key(&client) {
            return;
        }
        match self.state.apply(site(client), op, &mut Wakes::new()) {
            Step::Granted(_) => assert!(self.oldest() >= goal, "nothing to wait for"),
            Step::Wait(wait) => {
                assert_eq!(wait, Wait::FOREVER);
                assert!(self.oldest() < goal, "a wait for nothing");
                self.waiters.insert(client, goal);
            }
        }
    }

    fn check(&self) {
        let max = self.state.flags.max_active;
        assert!(self.running() <= max as usize, "max_active was exceeded");
        assert_eq!((self.state.running.len(), self.state.items.len()), (self.running(), self.pending.len()));
        assert!(self.rescuers <= 1);
        assert!(self.workers.len() <= (max + self.rescuers) as usize, "more threads than can ever run");
        let oldest = self.oldest();
        assert!(self.waiters.values().all(|goal| oldest < *goal), "a waiter was not woken");
        assert!(self.state.handed.is_empty());
    }

    fn run(&mut self, steps: Vec<Do>) {
        for step in steps {
            match step {
                Do::Queue(which) => self.queue(which),
                Do::Worker(worker) if worker < self.workers.len() => drop(self.step(worker)),
                Do::Worker(_) => {}
                Do::Flush(client) => self.wait(client, WqOp::Flush, self.queued),
                Do::Drain(client) => self.wait(client, WqOp::Drain, u64::MAX),
            }
            self.check();
        }
        while (0..self.workers.len()).any(|worker| self.step(worker)) {
            self.check();
        }
    }
}

fn flags(max_active: u32, mem_reclaim: bool, fails: Vec<bool>) -> WqFlags {
    let hook = move |number: u64| fails.get(number as usize).copied().unwrap_or(true);
    WqFlags { max_active, mem_reclaim, worker_fails: Some(Arc::new(hook)) }
}

proptest! {
    #[test]
    fn everything_queued_runs_once_in_order_within_max_active(
        max_active in 1..4_u32,
        steps in vec(op(), 1..150),
    ) {
        let mut model = Model::new(WqFlags { max_active, mem_reclaim: false, worker_fails: None });
        model.run(steps);
        prop_assert!(model.pending.is_empty() && model.running() == 0 && model.waiters.is_empty());
        prop_assert_eq!(model.rescuers, 0);
    }

    #[test]
    fn with_a_rescuer_no_work_is_left_whichever_threads_fail_to_start(
        max_active in 1..4_u32,
        fails in vec(prop::bool::ANY, 0..6),
        steps in vec(op(), 1..150),
    ) {
        let mut model = Model::new(flags(max_active, true, fails));
        model.run(steps);
        prop_assert!(model.pending.is_empty() && model.running() == 0 && model.waiters.is_empty());
    }

    #[test]
    fn without_a_rescuer_work_is_left_only_when_no_thread_was_ever_started(
        max_active in 1..4_u32,
        fails in vec(prop::bool::ANY, 0..6),
        steps in vec(op(), 1..150),
    ) {
        let mut model = Model::new(flags(max_active, false, fails));
        model.run(steps);
        prop_assert_eq!(model.rescuers, 0);
        prop_assert!(model.workers.is_empty() || model.pending.is_empty());
    }
}

#[test]
fn a_worker_without_work_waits_idly() {
    let mut state = WqState::new(WqFlags::RECLAIM);
    let step = state.apply(site(FIRST_WORKER), WqOp::Next, &mut Wakes::new());
    assert!(matches!(step, Step::Wait(Wait { timeout: None, idle: true })));
}

#[test]
fn a_flush_names_the_workers_that_run_something() {
    let mut model = Model::new(WqFlags::ORDERED_RECLAIM);
    model.queue(0);
    model.step(0);
    model.wait(1, WqOp::Flush, 1);
    let holders = model.state.holders(TaskId(1));
    assert_eq!((holders.len(), holders[0].task, &*holders[0].what), (1, TaskId(FIRST_WORKER), "runs work item 0"));
}
