//! What the tests of `sched` and `sync` share: running a model on both drivers, under many schedules, and waiting for a
//! crew of tasks.
//!
//! Not here: any expectation; any model but those that several test binaries need.

#![allow(dead_code, reason = "each test binary uses its own part of this module")]

pub(crate) mod throttle;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dmlab_engine::sched::explorer::{Explorer, Limits, Pct, Random, Strategy};
use dmlab_engine::sched::outcome::Bug;
use dmlab_engine::sched::waits::StuckReport;
use dmlab_engine::sched::{Outcome, RunResult, Task, threads};
use dmlab_engine::sync::{Allocator, Completion};
use dmlab_units::{Nanos, Seed};

/// A model that needs nothing but the task it runs in.
pub(crate) type Model = fn(&Task);

/// Schedules that a model is put through per strategy, where a test does not say otherwise.
pub(crate) const SCHEDULES: u64 = 300;

/// Enough steps for every model here.
pub(crate) const LIMITS_STEPS_MAX: u64 = 100_000;

pub(crate) fn limits() -> Limits {
    Limits { steps_max: LIMITS_STEPS_MAX, interrupt: Arc::default() }
}

/// One run under `strategy`.
pub(crate) fn explore(strategy: &mut dyn Strategy, model: impl FnOnce(&Task) + Send + 'static) -> RunResult {
    Explorer::new(limits()).run(strategy, model)
}

/// One run under a random schedule.
pub(crate) fn explore_once(model: impl FnOnce(&Task) + Send + 'static) -> RunResult {
    explore(&mut Random::new(Seed(1)), model)
}

/// One run on threads; no model here makes no progress for ten seconds unless it is stuck.
pub(crate) fn on_threads(model: impl FnOnce(&Task) + Send + 'static) -> RunResult {
    let interrupt = Arc::new(AtomicBool::new(false));
    threads::run(&threads::Config { seed: Seed(1), deadline: Nanos::secs(10), interrupt }, model)
}

/// The same model once on each driver.
pub(crate) fn on_both<M: FnOnce(&Task) + Send + 'static>(make: impl Fn() -> M) -> [Outcome; 2] {
    [explore_once(make()).outcome, on_threads(make()).outcome]
}

/// The first of `schedules` runs that does not finish: its number from 1, and its outcome.
pub(crate) fn first_failure<M: FnOnce(&Task) + Send + 'static>(
    strategy: &mut dyn Strategy,
    schedules: u64,
    make: impl Fn() -> M,
) -> Option<(u64, Outcome)> {
    let mut explorer = Explorer::new(limits());
    (1..=schedules).find_map(|number| match explorer.run(strategy, make()).outcome {
        Outcome::Finished => None,
        outcome => Some((number, outcome)),
    })
}

/// Random walks and PCT of several depths.
pub(crate) fn strategies(seed: u64) -> Vec<(String, Box<dyn Strategy>)> {
    let random: (String, Box<dyn Strategy>) = ("random".to_owned(), Box::new(Random::new(Seed(seed))));
    let pct = (2..=4).map(|depth| {
        let strategy: Box<dyn Strategy> = Box::new(Pct::new(Seed(seed), depth));
        (format!("pct of depth {depth}"), strategy)
    });
    std::iter::once(random).chain(pct).collect()
}

/// Every schedule of the explorer that is tried, and some runs on threads, end as they should.
pub(crate) fn finishes<M: FnOnce(&Task) + Send + 'static>(make: impl Fn() -> M) {
    for (name, mut strategy) in strategies(7) {
        if let Some((number, outcome)) = first_failure(&mut *strategy, SCHEDULES, &make) {
            panic!("{name}, schedule {number}: {}", tell(&outcome));
        }
    }
    for _ in 0..10 {
        let outcome = on_threads(make()).outcome;
        assert!(outcome == Outcome::Finished, "on threads: {}", tell(&outcome));
    }
}

/// An outcome with its report as text.
pub(crate) fn tell(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Deadlock(report) => format!("deadlock\n{report}"),
        Outcome::Hang(report) => format!("hang\n{report}"),
        Outcome::Crash(bug) => bug.to_string(),
        other => format!("{other:?}"),
    }
}

#[track_caller]
pub(crate) fn deadlock(outcome: Outcome) -> StuckReport {
    match outcome {
        Outcome::Deadlock(report) => *report,
        other => panic!("no deadlock but {}", tell(&other)),
    }
}

#[track_caller]
pub(crate) fn hang(outcome: Outcome) -> StuckReport {
    match outcome {
        Outcome::Hang(report) => *report,
        other => panic!("no hang but {}", tell(&other)),
    }
}

#[track_caller]
pub(crate) fn crash(outcome: Outcome) -> Bug {
    match outcome {
        Outcome::Crash(bug) => bug,
        other => panic!("no crash but {}", tell(&other)),
    }
}

/// Starts `count` tasks and waits until each of them has ended.
pub(crate) fn crew(current: &Task, name: &str, count: u32, body: impl Fn(&Task, u32) + Send + Sync + 'static) {
    let (body, ended) = (Arc::new(body), Completion::new(current.runtime(), "crew ended"));
    for n in 0..count {
        let (body, ended) = (Arc::clone(&body), ended.clone());
        current.spawn(&format!("{name}.{n}"), move |task| {
            body(task, n);
            ended.complete(task);
        });
    }
    (0..count).for_each(|_| ended.wait(current));
}

/// Raised when it is dropped: shows that a stack was unwound.
pub(crate) struct Flag(pub(crate) Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// An allocator that fails every attempt below `failures`.
pub(crate) struct Fails {
    pub(crate) failures: u64,
    pub(crate) permanent: bool,
}

impl Fails {
    /// It never gives anything again.
    pub(crate) fn dead() -> Option<Arc<dyn Allocator>> {
        Some(Arc::new(Self { failures: u64::MAX, permanent: true }))
    }

    /// It gives nothing, but might later.
    pub(crate) fn for_now() -> Option<Arc<dyn Allocator>> {
        Some(Arc::new(Self { failures: u64::MAX, permanent: false }))
    }

    /// It fails so many attempts, then recovers.
    pub(crate) fn first(failures: u64) -> Option<Arc<dyn Allocator>> {
        Some(Arc::new(Self { failures, permanent: false }))
    }
}

impl Allocator for Fails {
    fn fails(&self, event: u64) -> bool {
        event < self.failures
    }

    fn is_permanent(&self) -> bool {
        self.permanent
    }
}
