//! How many schedules the explorer runs, and how long whole proofs take: the throttle model of three tasks that fight
//! for a semaphore and an rw_semaphore (few objects, many waits), and scenarios of the catalogue (a machine built and
//! torn down for each schedule).
//!
//! `cargo bench -p dmlab --bench explorer`. In the group `schedules` an element is a schedule: `Kelem/s` are thousands
//! of schedules per second. In the group `proof of` an element is a whole proof, with everything that `dmlab explore`
//! does for it on one thread.
//!
//! Invariant: a schedule that does not finish, and a proof that is none, is a panic: its time would mean nothing.
//! Not here: other engines (`explorer_peers.rs`).

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dmlab::backend::engine::ExplorerStage;
use dmlab::campaign;
use dmlab::plan::{Plan, RunOn, Wishes};
use dmlab_engine::sched::explorer::{Explorer, Limits, Portfolio, Random};
use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::sync::{RwSem, Semaphore};
use dmlab_results::{Proof, Strength};
use dmlab_scenarios::{Strategy, catalog};
use dmlab_units::Seed;

/// Axes and values, as `--variant` would set them.
type Overrides = &'static [(&'static str, &'static str)];

/// What is sampled. The first is S2, the split that deadlocked until the remainder was kept as the head.
const SAMPLED: [(&str, Overrides); 2] = [
    ("bio/split-head-or-remainder", &[("split", "depth-first"), ("sectors", "32")]),
    ("dm/suspend-under-io", &[("split", "trim")]),
];

/// What is proved.
const PROVED: [(&str, Overrides); 2] = [
    ("dm/suspend-vs-one-io", &[("split", "trim"), ("planted", "none")]),
    ("bio/rescuer-one-task", &[("rescue", "punt-own"), ("gmr", "fifo")]),
];

/// Schedules of a sampled campaign: past those from which strategies learn.
const CAMPAIGN_SCHEDULES: u64 = 1000;

/// Two writers that take a unit and then the lock, a task that takes the lock for writing, a helper that gives units
/// back: the fixed order of the COW throttle.
fn throttle(current: &Task) {
    let runtime = current.runtime();
    let lock = Arc::new(RwSem::new(runtime, "origins_lock", ()));
    let units = Arc::new(Semaphore::new(runtime, "cow_count", 1));
    let jobs = Arc::new(Semaphore::new(runtime, "jobs", 0));
    for name in ["writer.0", "writer.1"] {
        let (lock, units, jobs) = (Arc::clone(&lock), Arc::clone(&units), Arc::clone(&jobs));
        current.spawn(name, move |current| {
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

/// The one cell on the explorer that these overrides leave.
fn cell(scenario: &str, overrides: Overrides) -> Plan {
    let entry = catalog().iter().find(|entry| entry.id() == scenario);
    let document = entry.unwrap_or_else(|| panic!("{scenario} is not in the catalogue")).parse();
    let overrides = overrides.iter().map(|(axis, value)| ((*axis).to_owned(), (*value).to_owned())).collect();
    let wishes = Wishes { overrides, ..Wishes::default() };
    let plans = Plan::of(&Arc::new(document.expect("the catalogue is valid")), &wishes);
    let mut plans = plans.expect("the catalogue has these variants");
    plans.retain(|plan| plan.run_on == RunOn::Explorer);
    assert_eq!(plans.len(), 1, "cells of {scenario} on the explorer");
    plans.remove(0)
}

/// `bio/rescuer-one-task punt-own fifo`.
fn title(scenario: &str, overrides: Overrides) -> String {
    let values = overrides.iter().map(|(_, value)| *value).filter(|value| *value != "none");
    std::iter::once(scenario).chain(values).collect::<Vec<_>>().join(" ")
}

fn schedules(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("schedules");
    group.throughput(Throughput::Elements(1));
    let limits = Limits { steps_max: 100_000, interrupt: Arc::default() };
    group.bench_function("throttle 2x2, random", |bencher| {
        let mut explorer = Explorer::new(limits.clone());
        let mut strategy = Random::new(Seed(1));
        bencher.iter(|| assert_eq!(explorer.run(&mut strategy, throttle).outcome, Outcome::Finished));
    });
    for (scenario, overrides) in SAMPLED {
        let plan = cell(scenario, overrides);
        group.bench_function(format!("{}, portfolio", title(scenario, overrides)), |bencher| {
            let mut stage = ExplorerStage::new(&plan, &limits.interrupt);
            let mut strategy = Portfolio::new(plan.seed.derive("strategy"));
            bencher.iter(|| assert_eq!(stage.perform_with(&mut strategy).0.outcome, Outcome::Finished));
        });
    }
    group.throughput(Throughput::Elements(CAMPAIGN_SCHEDULES));
    for (scenario, overrides) in SAMPLED {
        let mut plan = cell(scenario, overrides);
        // A proof that the scenario expects would not sample.
        plan.explore.strategy = Strategy::Portfolio;
        plan.explore.wanted = None;
        plan.explore.schedules = CAMPAIGN_SCHEDULES;
        group.bench_function(format!("{}, portfolio, judged and counted", title(scenario, overrides)), |bencher| {
            bencher.iter(|| {
                let found = campaign::run(&plan, &limits.interrupt).record.exploration.map(|found| found.strength);
                assert_eq!(found, Some(Strength::NotFound { schedules: CAMPAIGN_SCHEDULES }));
            });
        });
    }
    group.finish();
}

fn proofs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("proof of");
    group.throughput(Throughput::Elements(1));
    // A proof takes long enough for few of them to tell.
    group.sample_size(10);
    for (scenario, overrides) in PROVED {
        let plan = cell(scenario, overrides);
        group.bench_function(title(scenario, overrides), |bencher| {
            bencher.iter(|| {
                let record = campaign::run(&plan, &Arc::default()).record;
                let strength = record.exploration.expect("it is explored").strength;
                assert!(strength.meets(Proof::Complete), "{scenario}: {strength}");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, schedules, proofs);
criterion_main!(benches);
