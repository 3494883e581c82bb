//! How many schedules the explorer runs: the throttle model of three tasks that fight for a semaphore and an
//! rw_semaphore (few objects, many waits), and whole scenarios of the catalogue (a machine built and torn down for each
//! schedule).
//!
//! `cargo bench -p dmlab --bench explorer`; the figures are times per schedule.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dmlab::backend::engine::ExplorerStage;
use dmlab::plan::{Plan, RunOn, Wishes};
use dmlab_engine::sched::explorer::{Explorer, Limits, Random};
use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::sync::{RwSem, Semaphore};
use dmlab_scenarios::catalog;
use dmlab_units::Seed;

/// Two writers that take a unit and then the lock, a task that takes the lock for writing, a helper that gives units
/// back: the fixed order of the COW throttle.
fn throttle(current: &Task) {
    let runtime = current.runtime();
    let lock = Arc::new(RwSem::new(runtime, "origins_lock", ()));
    let units = Arc::new(Semaphore::new(runtime, "cow_count", 1));
    let jobs = Arc::new(Semaphore::new(runtime, "jobs", 0));
    for writer in 0..2 {
        let (lock, units, jobs) = (Arc::clone(&lock), Arc::clone(&units), Arc::clone(&jobs));
        current.spawn(&format!("writer.{writer}"), move |current| {
            for _ in 0..2 {
                units.down(current);
                let _read = lock.read(current);
                jobs.up(current);
            }
        });
    }
    let there = Arc::clone(&lock);
    current.spawn("snapshot_ctr", move |current| drop(there.write(current)));
    for _ in 0..4 {
        jobs.down(current);
        let _read = lock.read(current);
        units.up(current);
    }
}

fn schedules(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("schedules");
    group.throughput(Throughput::Elements(1));
    let limits = Limits { steps_max: 100_000, interrupt: Arc::new(AtomicBool::new(false)) };
    group.bench_function("throttle 2x2, random", |bencher| {
        let mut explorer = Explorer::new(limits.clone());
        let mut strategy = Random::new(Seed(1));
        bencher.iter(|| assert_eq!(explorer.run(&mut strategy, throttle).outcome, Outcome::Finished));
    });
    for (scenario, split) in [("bio/split-head-or-remainder", "depth-first"), ("dm/suspend-under-io", "trim")] {
        let entry = catalog().iter().find(|entry| entry.id() == scenario).expect("the catalogue has it");
        let document = Arc::new(entry.parse().expect("the catalogue is valid"));
        let wishes = Wishes { overrides: vec![("split".to_owned(), split.to_owned())], ..Wishes::default() };
        let plans = Plan::of(&document, &wishes).expect("the catalogue is valid");
        let plan = plans.iter().rfind(|plan| plan.run_on == RunOn::Explorer).expect("it runs on the explorer");
        group.bench_function(format!("{scenario}, {split}, portfolio"), |bencher| {
            let mut stage = ExplorerStage::new(plan, &limits.interrupt);
            bencher.iter(|| assert_eq!(stage.perform().0.outcome, Outcome::Finished));
        });
    }
    group.finish();
}

criterion_group!(benches, schedules);
criterion_main!(benches);
