//! The model on dmlab's explorer: its own rw_semaphore and semaphore, its strategies.
//!
//! Spawning is no scheduling point here, so all tasks start together. In the peers it is one, and kcopyd, which spawns
//! the others, gets going late: a starved kcopyd, which most of these deadlocks need, is likelier there. `STAGGERED`
//! yields after each spawn, which makes the two alike.
//!
//! Invariants: a run that neither finishes nor gets stuck is a panic, because its time would mean nothing; searches of all
//! schedules use every reduction that dmlab has, with the bounds that it has by default.

use std::ops::ControlFlow;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use dmlab_engine::sched::explorer::search::{Performed, SearchEnd, SearchOptions, search};
use dmlab_engine::sched::explorer::{Explorer, Horizon, Limits, Pct, Portfolio, Random, Strategy};
use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::sync::{RwSem, Semaphore};
use dmlab_units::Seed;

use super::model::{Engine, Throttle, throttle};
use super::{Bounds, Exhausted, Tally};

/// Schedules between two looks at the clock.
const SCHEDULES_PER_LOOK: u64 = 64;
/// Runs after which a campaign lets its strategies learn how long runs are.
const LEARNS_AFTER: [u64; 3] = [16, 48, 112];
/// More than any run of these models takes.
const STEPS_MAX: u64 = 100_000;

/// The explorer, with primitives of its own.
pub(crate) struct Dmlab<const STAGGERED: bool>;

impl<const STAGGERED: bool> Engine for Dmlab<STAGGERED> {
    type Current = Task;
    type RwSem = RwSem<()>;
    type Semaphore = Semaphore;

    fn rw_sem(current: &Task, name: &'static str) -> RwSem<()> {
        RwSem::new(current.runtime(), name, ())
    }

    fn semaphore(current: &Task, name: &'static str, units: u32) -> Semaphore {
        Semaphore::new(current.runtime(), name, u64::from(units))
    }

    fn spawn(current: &Task, name: &'static str, body: impl FnOnce(&Task) + Send + 'static) {
        current.spawn(name, body);
        if STAGGERED {
            current.yield_now();
        }
    }

    fn read(current: &Task, lock: &RwSem<()>, inside: impl FnOnce()) {
        let _read = lock.read(current);
        inside();
    }

    fn write(current: &Task, lock: &RwSem<()>) {
        drop(lock.write(current));
    }

    fn down(current: &Task, semaphore: &Semaphore) {
        semaphore.down(current);
    }

    fn up(current: &Task, semaphore: &Semaphore) {
        semaphore.up(current);
    }
}

/// A random walk.
pub(crate) fn random(model: Throttle, seed: u64, bounds: Bounds) -> Tally {
    run::<false>(model, &mut Random::new(Seed(seed)), bounds)
}

/// A random walk in which the tasks start one after the other, as in the peers.
pub(crate) fn random_staggered(model: Throttle, seed: u64, bounds: Bounds) -> Tally {
    run::<true>(model, &mut Random::new(Seed(seed)), bounds)
}

/// PCT of depth 3.
pub(crate) fn pct(model: Throttle, seed: u64, bounds: Bounds) -> Tally {
    run::<false>(model, &mut Pct::new(Seed(seed), 3), bounds)
}

/// What dmlab does unless it is told otherwise.
pub(crate) fn portfolio(model: Throttle, seed: u64, bounds: Bounds) -> Tally {
    run::<false>(model, &mut Portfolio::new(Seed(seed)), bounds)
}

/// Random walks on two OS threads, each with an explorer of its own; the schedules are those of both.
pub(crate) fn random_on_two(model: Throttle, seed: u64, bounds: Bounds) -> Tally {
    let ready = Arc::new(Barrier::new(2));
    let walkers = [0, 1].map(|walker| {
        let ready = Arc::clone(&ready);
        thread::spawn(move || {
            ready.wait();
            run::<false>(model, &mut Random::new(Seed(seed).nth(walker)), bounds)
        })
    });
    let tallies = walkers.map(|walker| walker.join().expect("a walk does not panic"));
    Tally {
        schedules: tallies.iter().map(|tally| tally.schedules).sum(),
        seconds: tallies.iter().map(|tally| tally.seconds).fold(0.0, f64::max),
        deadlock: tallies.iter().any(|tally| tally.deadlock),
    }
}

/// The exhaustive search, on one thread.
pub(crate) fn exhaust(model: Throttle, time_max: Duration) -> Exhausted {
    exhaust_on(1, model, time_max)
}

/// The exhaustive search, on two threads that share what is left to do. Its counts depend on who was faster.
pub(crate) fn exhaust_on_two(model: Throttle, time_max: Duration) -> Exhausted {
    exhaust_on(2, model, time_max)
}

fn exhaust_on(jobs: usize, model: Throttle, time_max: Duration) -> Exhausted {
    let options = SearchOptions { jobs, ..SearchOptions::default() };
    let perform = move |explorer: &mut Explorer, strategy: &mut dyn Strategy| {
        let result = explorer.run(strategy, move |current| throttle::<Dmlab<false>>(current, model));
        let told = (result.outcome != Outcome::Finished).then(|| result.outcome.clone());
        Performed { result, told }
    };
    let started = Instant::now();
    let report = search(&limits(), &options, &perform, &|_| {
        if started.elapsed() < time_max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let seconds = started.elapsed().as_secs_f64();
    if let Some(telling) = report.told.first() {
        panic!("{}: the fixed model does not deadlock, but {:?}", model.name(), telling.told);
    }
    let proved = report.end == SearchEnd::Exhausted && report.doubt.is_none();
    Exhausted { runs: report.counts.runs, states: Some(report.counts.states), seconds, proved }
}

fn limits() -> Limits {
    Limits { steps_max: STEPS_MAX, interrupt: Arc::default() }
}

fn run<const STAGGERED: bool>(model: Throttle, strategy: &mut dyn Strategy, bounds: Bounds) -> Tally {
    let mut explorer = Explorer::new(limits());
    let started = Instant::now();
    let (mut schedules, mut deadlock) = (0, false);
    while schedules < bounds.schedules_max && !deadlock {
        if LEARNS_AFTER.contains(&schedules) {
            let mut horizon = Horizon::default();
            strategy.gather(&mut horizon);
            strategy.learn(&horizon);
        }
        schedules += 1;
        match explorer.run(strategy, move |current| throttle::<Dmlab<STAGGERED>>(current, model)).outcome {
            Outcome::Finished => {}
            // The model does not say that kcopyd takes over the writers' units, so not every cycle can be named.
            Outcome::Deadlock(_) | Outcome::Hang(_) => deadlock = true,
            other => panic!("{}: neither finished nor stuck but {other:?}", model.name()),
        }
        if schedules % SCHEDULES_PER_LOOK == 0 && started.elapsed() >= bounds.time_max {
            break;
        }
    }
    Tally { schedules, seconds: started.elapsed().as_secs_f64(), deadlock }
}
