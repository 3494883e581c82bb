//! [`Campaign`]: many runs of one model, on several OS threads, with an outcome that does not depend on their number.
//!
//! Runs are dealt out one by one to whoever is free. When a run tells something, later runs of the batch are left out;
//! earlier ones are still performed, and the report ends with the lowest telling run. When the campaign goes on, it
//! goes on behind that run and under the same horizon, so runs that had been ahead are performed again as they were.
//!
//! Invariants: reports are the same for every number of jobs, unless somebody stops the campaign; horizons are merged
//! only when a learning batch has been performed in whole; one explorer per OS thread; with one job no thread is made.
//! Not here: what is performed, and what is told by it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

use super::batches::{Batch, Batches, Shard};
use super::driver::{Explorer, Limits};
use super::horizon::Horizon;
use super::strategy::Strategy;

/// How many runs, and on how many OS threads.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// OS threads that perform runs, the caller's included; at least one.
    pub jobs: usize,
    /// Which of the runs.
    pub shard: Shard,
    /// Bound on run numbers, in all shards together.
    pub runs_max: u64,
    /// Bounds of each run. The interrupt flag ends the campaign, too.
    pub limits: Limits,
    /// A timer may fire as soon as it is set.
    pub timers_any: bool,
}

/// A run that was performed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran<N, T> {
    /// Operations carried out.
    pub steps: u64,
    /// What to keep of every run; the caller of the campaign folds them.
    pub note: N,
    /// Something worth a look; the batch is reported up to here.
    pub told: Option<T>,
}

/// Runs of the shard that were performed, in the order of their numbers and without a gap.
#[derive(Debug)]
pub struct BatchReport<'a, N, T> {
    /// Run number and note of each run. The last one is the telling one, if there is any.
    pub notes: Vec<(u64, N)>,
    /// Operations of these runs together.
    pub steps: u64,
    /// Lowest number of a telling run, and what it told.
    pub told: Option<(u64, T)>,
    /// What the strategies knew. With its number, this is all that is needed to perform a run again.
    pub horizon: &'a Horizon,
    /// Whether somebody stopped the campaign. This is then the last report, and the only one that may have gaps.
    pub stopped: bool,
}

impl<N, T> BatchReport<'_, N, T> {
    /// How many runs this report is about.
    pub const fn schedules(&self) -> u64 {
        self.notes.len() as u64
    }
}

impl Campaign {
    /// Performs runs batch by batch until there are no more, `on_batch` breaks, or `stop` is set (it is looked at
    /// between two runs).
    ///
    /// `make_strategy` and `run_one` are called on the OS threads that perform the runs. `run_one` is given the number
    /// of its run and should pass it to [`Explorer::run_nth`]; it must not depend on anything else. A run may be
    /// performed more than once, or for its length alone: only what is in a report counts.
    ///
    /// # Panics
    /// When there is no job, or `run_one` panics.
    pub fn explore<N: Send, T: Send>(
        &self,
        stop: &AtomicBool,
        make_strategy: impl Fn() -> Box<dyn Strategy> + Sync,
        run_one: impl Fn(&mut Explorer, &mut dyn Strategy, u64) -> Ran<N, T> + Sync,
        mut on_batch: impl FnMut(BatchReport<'_, N, T>) -> ControlFlow<()>,
    ) {
        assert!(self.jobs > 0, "a campaign needs at least one job");
        let board = Board { campaign: self, stop, next: AtomicU64::new(0), telling: AtomicU64::new(u64::MAX) };
        std::thread::scope(|scope| {
            let hired: Vec<Hired<N, T>> =
                (1..self.jobs).map(|_| Hired::new(scope, &board, &make_strategy, &run_one)).collect();
            let mut own = Worker::new(&board, &make_strategy, &run_one);
            let mut horizon = Arc::new(Horizon::default());
            for batch in Batches::new(self.shard, self.runs_max) {
                let mut seen = Horizon::default();
                let mut from = 0;
                while from < batch.len() {
                    board.lay_out(from);
                    for worker in &hired {
                        worker.order(&batch, &horizon);
                    }
                    let mut done = own.work(&batch, &horizon, &mut seen);
                    for worker in &hired {
                        let (theirs, longest) = worker.done();
                        done.extend(theirs);
                        seen.merge(&longest);
                    }
                    let report = board.report(done, &batch, &horizon);
                    from = board.telling.load(Ordering::Relaxed).saturating_add(1);
                    let stopped = report.stopped;
                    if on_batch(report).is_break() || stopped {
                        return;
                    }
                }
                if batch.learns {
                    Arc::make_mut(&mut horizon).merge(&seen);
                }
            }
        });
    }
}

/// What the workers of a campaign share. Orders and answers pass through channels, which order all else around them.
struct Board<'a> {
    campaign: &'a Campaign,
    stop: &'a AtomicBool,
    /// Position in the batch of the next run that nobody has.
    next: AtomicU64,
    /// Lowest position of a telling run.
    telling: AtomicU64,
}

impl Board<'_> {
    fn lay_out(&self, from: u64) {
        self.next.store(from, Ordering::Relaxed);
        self.telling.store(u64::MAX, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.campaign.limits.interrupt.load(Ordering::Relaxed)
    }

    fn report<'h, N, T>(&self, mut done: Done<N, T>, batch: &Batch, horizon: &'h Horizon) -> BatchReport<'h, N, T> {
        done.sort_unstable_by_key(|&(position, _)| position);
        let telling = self.telling.load(Ordering::Relaxed);
        let stopped = self.is_stopped();
        let notes = Vec::with_capacity(done.len());
        let mut report = BatchReport { notes, steps: 0, told: None, horizon, stopped };
        for (position, ran) in done.into_iter().take_while(|&(position, _)| position <= telling) {
            let run = batch.run(position).expect("what was done was in the batch");
            report.steps += ran.steps;
            report.notes.push((run, ran.note));
            report.told = ran.told.map(|told| (run, told));
        }
        report
    }
}

/// Runs with their positions in the batch.
type Done<N, T> = Vec<(u64, Ran<N, T>)>;

/// Performs runs on one OS thread.
struct Worker<'a, F> {
    board: &'a Board<'a>,
    explorer: Explorer,
    strategy: Box<dyn Strategy>,
    run_one: &'a F,
}

impl<'a, F> Worker<'a, F> {
    fn new(board: &'a Board<'a>, make_strategy: &impl Fn() -> Box<dyn Strategy>, run_one: &'a F) -> Self {
        Self {
            board,
            explorer: Explorer::new(board.campaign.limits.clone()).timers_any(board.campaign.timers_any),
            strategy: make_strategy(),
            run_one,
        }
    }

    /// Performs runs of `batch` until there are none left, one has told something or the campaign is stopped. Runs of
    /// other shards, in batches to learn from, leave nothing but the horizon.
    fn work<N, T>(&mut self, batch: &Batch, horizon: &Horizon, seen: &mut Horizon) -> Done<N, T>
    where
        F: Fn(&mut Explorer, &mut dyn Strategy, u64) -> Ran<N, T>,
    {
        let mut done = Vec::new();
        self.strategy.learn(horizon);
        loop {
            let position = self.board.next.fetch_add(1, Ordering::Relaxed);
            let Some(run) = batch.run(position) else { break };
            if position > self.board.telling.load(Ordering::Relaxed) || self.board.is_stopped() {
                break;
            }
            let ran = (self.run_one)(&mut self.explorer, &mut *self.strategy, run);
            if !self.board.campaign.shard.owns(run) {
                continue;
            }
            if ran.told.is_some() {
                self.board.telling.fetch_min(position, Ordering::Relaxed);
            } else if self.board.campaign.limits.interrupt.load(Ordering::Relaxed) {
                // It may have been cut short.
                break;
            }
            done.push((position, ran));
        }
        if batch.learns {
            self.strategy.gather(seen);
        }
        done
    }
}

/// A worker on an OS thread of its own. It ends when nobody can give it orders any more.
struct Hired<N, T> {
    orders: Sender<(Batch, Arc<Horizon>)>,
    answers: Receiver<(Done<N, T>, Horizon)>,
}

impl<N: Send, T: Send> Hired<N, T> {
    fn new<'scope>(
        scope: &'scope Scope<'scope, '_>,
        board: &'scope Board<'scope>,
        make_strategy: &'scope (impl Fn() -> Box<dyn Strategy> + Sync),
        run_one: &'scope (impl Fn(&mut Explorer, &mut dyn Strategy, u64) -> Ran<N, T> + Sync),
    ) -> Self
    where
        N: 'scope,
        T: 'scope,
    {
        let (orders, ordered) = channel::<(Batch, Arc<Horizon>)>();
        let (answer, answers) = channel();
        scope.spawn(move || {
            let mut worker = Worker::new(board, make_strategy, run_one);
            for (batch, horizon) in ordered {
                let mut seen = Horizon::default();
                let done = worker.work(&batch, &horizon, &mut seen);
                if answer.send((done, seen)).is_err() {
                    return;
                }
            }
        });
        Self { orders, answers }
    }

    fn order(&self, batch: &Batch, horizon: &Arc<Horizon>) {
        self.orders.send((batch.clone(), Arc::clone(horizon))).expect("a worker of the campaign panicked");
    }

    fn done(&self) -> (Done<N, T>, Horizon) {
        self.answers.recv().expect("a worker of the campaign panicked")
    }
}
