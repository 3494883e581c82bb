//! The model on shuttle, in two ways: emulated with mutex and condition variable ("cv", see [`super::emulated`]), and
//! with shuttle's own strictly fair semaphore for everything ("bs"), which is the best that shuttle can do here: one
//! scheduling point per operation and direct hand-off.
//!
//! Invariants: no schedule is saved; a panic that is no deadlock is passed on. A deadlock is announced on stderr (see
//! [`super::child`]).

use std::mem::ManuallyDrop;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use shuttle::future::batch_semaphore::{BatchSemaphore, Fairness};
use shuttle::scheduler::{
    DfsScheduler, PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId, UrwRandomScheduler,
};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use super::model::{Engine, Throttle, throttle};
use super::{Bounds, Exhausted, Tally};

/// Permits of a free lock: a writer takes all, a reader one. More than there are readers.
const PERMITS: usize = 1000;
/// More than any run of these models takes.
const STEPS_MAX: usize = 100_000;

/// shuttle's own semaphore as rw_semaphore and as semaphore.
pub(crate) struct ShuttleBs;

/// All permits, or one.
fn acquire(semaphore: &BatchSemaphore, permits: usize) {
    semaphore.acquire_blocking(permits).expect("nobody closes it");
}

impl Engine for ShuttleBs {
    type Current = ();
    type RwSem = BatchSemaphore;
    type Semaphore = BatchSemaphore;

    fn rw_sem(_current: &(), _name: &'static str) -> BatchSemaphore {
        BatchSemaphore::new(PERMITS, Fairness::StrictlyFair)
    }

    fn semaphore(_current: &(), _name: &'static str, units: u32) -> BatchSemaphore {
        BatchSemaphore::new(units as usize, Fairness::StrictlyFair)
    }

    fn spawn(_current: &(), _name: &'static str, body: impl FnOnce(&()) + Send + 'static) {
        drop(shuttle::thread::spawn(move || body(&())));
    }

    fn read(_current: &(), lock: &BatchSemaphore, inside: impl FnOnce()) {
        acquire(lock, 1);
        inside();
        lock.release(1);
    }

    fn write(_current: &(), lock: &BatchSemaphore) {
        acquire(lock, PERMITS);
        lock.release(PERMITS);
    }

    fn down(_current: &(), semaphore: &BatchSemaphore) {
        acquire(semaphore, 1);
    }

    fn up(_current: &(), semaphore: &BatchSemaphore) {
        semaphore.release(1);
    }
}

/// A random walk.
pub(crate) fn random<E: Engine<Current = ()>>(model: Throttle, seed: u64, bounds: Bounds) -> Tally {
    let count = usize::try_from(bounds.schedules_max).unwrap_or(usize::MAX);
    run::<E, _>(model, RandomScheduler::new_from_seed(seed, count), bounds.time_max)
}

/// PCT of depth 3.
pub(crate) fn pct<E: Engine<Current = ()>>(model: Throttle, seed: u64, bounds: Bounds) -> Tally {
    let count = usize::try_from(bounds.schedules_max).unwrap_or(usize::MAX);
    run::<E, _>(model, PctScheduler::new_from_seed(seed, 3, count), bounds.time_max)
}

/// A walk that is uniform over schedules rather than over steps.
pub(crate) fn urw<E: Engine<Current = ()>>(model: Throttle, seed: u64, bounds: Bounds) -> Tally {
    let count = usize::try_from(bounds.schedules_max).unwrap_or(usize::MAX);
    run::<E, _>(model, UrwRandomScheduler::new_from_seed(seed, count), bounds.time_max)
}

/// All schedules in order, as many as the bounds let through.
pub(crate) fn dfs<E: Engine<Current = ()>>(model: Throttle, _seed: u64, bounds: Bounds) -> Tally {
    let count = usize::try_from(bounds.schedules_max).ok();
    run::<E, _>(model, DfsScheduler::new(count, false), bounds.time_max)
}

/// All schedules, for at most `time_max`.
pub(crate) fn exhaust<E: Engine<Current = ()>>(model: Throttle, time_max: Duration) -> Exhausted {
    let Tally { schedules: runs, seconds, deadlock } = dfs::<E>(model, 0, Bounds::time(time_max));
    assert!(!deadlock, "{}: the fixed model does not deadlock", model.name());
    // shuttle does not say why it stopped, but it never stops early otherwise.
    Exhausted { runs, states: None, seconds, proved: seconds < time_max.as_secs_f64() }
}

/// A scheduler that is never dropped, a few hundred bytes per call: dropping one that could go on prints its seed.
struct Kept<S>(ManuallyDrop<S>);

impl<S: Scheduler> Scheduler for Kept<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.0.new_execution()
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        self.0.next_task(runnable, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}

fn run<E: Engine<Current = ()>, S: Scheduler + 'static>(model: Throttle, scheduler: S, time_max: Duration) -> Tally {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.max_time = Some(time_max);
    let begun = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&begun);
    let runner = Runner::new(Kept(ManuallyDrop::new(scheduler)), config);
    let body = move || {
        count.fetch_add(1, Ordering::Relaxed);
        throttle::<E>(&(), model);
    };
    let started = Instant::now();
    let result = panic::catch_unwind(AssertUnwindSafe(|| runner.run(body)));
    let seconds = started.elapsed().as_secs_f64();
    let deadlock = match result {
        Ok(_) => false,
        Err(payload) if message(&*payload).contains("deadlock") => true,
        Err(payload) => panic::resume_unwind(payload),
    };
    Tally { schedules: begun.load(Ordering::Relaxed), seconds, deadlock }
}

/// What a panic said.
fn message(payload: &(dyn std::any::Any + Send)) -> &str {
    match payload.downcast_ref::<String>() {
        Some(text) => text,
        None => payload.downcast_ref::<&str>().copied().unwrap_or_default(),
    }
}
