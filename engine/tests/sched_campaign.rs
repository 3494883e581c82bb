//! Many runs: the outcome of a campaign does not depend on the number of jobs or shards, and its strategies find what
//! they are for as soon as they should.
//!
//! Not here: single runs (`sched_strategies`).

mod support;

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use dmlab_engine::sched::explorer::{
    BatchReport, Campaign, Choice, Explorer, Horizon, Pct, Portfolio, Pos, Ran, Random, Shard, Strategy, Urw,
};
use dmlab_engine::sched::{Outcome, Task};
use dmlab_units::Seed;

use support::limits;
use support::throttle::Throttle;

const THROTTLE: Throttle = Throttle { units: 1, writers: 2, writes: 2, fixed: false };

/// With six units the helper must be starved for long.
const HARD: Throttle = Throttle { units: 6, writers: 2, writes: 4, fixed: false };

/// Makes a strategy from a seed.
type Maker = fn(u64) -> Box<dyn Strategy>;

const STRATEGIES: [(&str, Maker); 6] = [
    ("random", |seed| Box::new(Random::new(Seed(seed)))),
    ("pct", |seed| Box::new(Pct::new(Seed(seed), 3))),
    ("biased pct", |seed| Box::new(Pct::biased(Seed(seed), 3))),
    ("pos", |seed| Box::new(Pos::new(Seed(seed)))),
    ("urw", |seed| Box::new(Urw::new(Seed(seed)))),
    ("portfolio", |seed| Box::new(Portfolio::new(Seed(seed)))),
];

fn campaign(jobs: usize, shard: Shard, runs_max: u64) -> Campaign {
    Campaign { jobs, shard, runs_max, limits: limits(), timers_any: false }
}

/// A run of `model` that keeps its choices and tells of anything but a good end.
fn perform<M: FnOnce(&Task) + Send + 'static>(
    model: impl Fn() -> M + Sync,
) -> impl Fn(&mut Explorer, &mut dyn Strategy, u64) -> Ran<Vec<Choice>, Outcome> + Sync {
    move |explorer, strategy, run| {
        let result = explorer.run_nth(run, strategy, model());
        let told = (result.outcome != Outcome::Finished).then_some(result.outcome);
        Ran { steps: result.steps, note: explorer.choices(), told }
    }
}

/// How many schedules it takes until one fails.
fn schedules_to_failure(make: Maker, seed: u64, throttle: Throttle, runs_max: u64) -> Option<u64> {
    let mut schedules = 0;
    let mut found = None;
    let run_one = |explorer: &mut Explorer, strategy: &mut dyn Strategy, run| {
        let result = explorer.run_nth(run, strategy, throttle.model());
        Ran { steps: result.steps, note: (), told: (result.outcome != Outcome::Finished).then_some(()) }
    };
    campaign(1, Shard::WHOLE, runs_max).explore(
        &AtomicBool::new(false),
        || make(seed),
        run_one,
        |report| {
            schedules += report.schedules();
            found = report.told.map(|_| schedules);
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    );
    found
}

/// Median, and maximum, over 20 seeds; a seed without a find counts as `runs_max`.
fn median_and_max(make: Maker, throttle: Throttle, runs_max: u64) -> (u64, u64) {
    let found = |seed| schedules_to_failure(make, seed, throttle, runs_max).unwrap_or(runs_max);
    let mut found: Vec<u64> = (0..20).map(found).collect();
    found.sort_unstable();
    (found[10], found[19])
}

#[test]
fn every_strategy_finds_the_shallow_throttle_deadlock_within_fifty_schedules() {
    for (name, make) in STRATEGIES {
        let (median, max) = median_and_max(make, THROTTLE, 1000);
        println!("{name}: median {median}, max {max}");
        assert!(median <= 10, "{name}: median {median}");
        assert!(max <= 50, "{name}: max {max}");
    }
}

#[test]
fn the_portfolio_finds_the_starved_helper_in_thirty_schedules_and_random_does_not() {
    let figures = STRATEGIES.map(|(name, make)| {
        let (median, max) = median_and_max(make, HARD, 3000);
        println!("{name}: median {median}, max {max}");
        (name, median)
    });
    let median_of = |wanted| figures.iter().find(|(name, _)| *name == wanted).expect("it is listed").1;
    assert!(median_of("portfolio") <= 30);
    assert!(median_of("pct") <= 30);
    assert!(median_of("biased pct") <= 30);
    assert_eq!(median_of("random"), 3000, "found by random walks, it would be no example");
}

#[test]
fn sampling_partial_orders_finds_what_takes_a_random_walk_far_longer() {
    let middling = Throttle { units: 4, ..HARD };
    let median_of = |make| median_and_max(make, middling, 3000).0;
    let (pos, random) = (median_of(STRATEGIES[3].1), median_of(STRATEGIES[0].1));
    println!("pos: median {pos}, random: median {random}");
    assert!(pos * 3 < random, "{pos} and {random}");
}

/// All that a campaign reports, batch by batch.
#[derive(Debug, PartialEq)]
struct Report {
    notes: Vec<(u64, Vec<Choice>)>,
    steps: u64,
    told: Option<(u64, Outcome)>,
    horizon: Horizon,
}

fn keep(report: BatchReport<'_, Vec<Choice>, Outcome>) -> Report {
    Report { steps: report.steps, horizon: report.horizon.clone(), notes: report.notes, told: report.told }
}

/// The reports of a campaign that goes on whatever it is told.
fn reports(make: Maker, seed: u64, campaign: &Campaign, throttle: Throttle) -> Vec<Report> {
    let mut reports = Vec::new();
    campaign.explore(
        &AtomicBool::new(false),
        || make(seed),
        perform(|| throttle.model()),
        |report| {
            assert!(!report.stopped);
            reports.push(keep(report));
            ControlFlow::Continue(())
        },
    );
    reports
}

#[test]
fn counts_telling_runs_and_horizons_are_the_same_for_any_number_of_jobs() {
    for (name, make) in STRATEGIES {
        for throttle in [THROTTLE, HARD] {
            let alone = reports(make, 5, &campaign(1, Shard::WHOLE, 700), throttle);
            let runs: Vec<u64> = alone.iter().flat_map(|report| &report.notes).map(|&(run, _)| run).collect();
            assert_eq!(runs, (0..700).collect::<Vec<_>>(), "{name}: every run is reported once");
            for jobs in [2, 3] {
                let together = reports(make, 5, &campaign(jobs, Shard::WHOLE, 700), throttle);
                assert!(alone == together, "{name}: {jobs} jobs differ from one");
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_runs_and_another_seed_others() {
    let of_seed =
        |seed| reports(|seed| Box::new(Portfolio::new(Seed(seed))), seed, &campaign(1, Shard::WHOLE, 300), HARD);
    let first = of_seed(1);
    assert!(first == of_seed(1));
    assert!(first != of_seed(2));
}

#[test]
fn shards_perform_exactly_the_runs_of_the_whole() {
    for (name, make) in STRATEGIES {
        for throttle in [THROTTLE, HARD] {
            let all_of = |jobs, shard| {
                let reports = reports(make, 9, &campaign(jobs, shard, 1000), throttle);
                reports.into_iter().flat_map(|report| report.notes).collect::<Vec<_>>()
            };
            let whole = all_of(1, Shard::WHOLE);
            let mut parts: Vec<_> =
                (0..3).flat_map(|index| all_of(1 + index as usize % 2, Shard::new(index, 3))).collect();
            parts.sort_unstable_by_key(|&(run, _)| run);
            assert!(whole == parts, "{name}");
        }
    }
}

#[test]
fn a_run_can_be_performed_again_from_its_number_and_the_horizon() {
    for (name, make) in STRATEGIES {
        for report in reports(make, 3, &campaign(2, Shard::WHOLE, 250), HARD) {
            let (run, choices) = report.notes.last().expect("no batch is empty");
            let mut strategy = make(3);
            strategy.learn(&report.horizon);
            let again = perform(|| HARD.model())(&mut Explorer::new(limits()), &mut *strategy, *run);
            assert!(again.note == *choices, "{name}: run {run}");
        }
    }
}

#[test]
fn strategies_learn_how_long_runs_are_and_stop_learning() {
    let reports = reports(|seed| Box::new(Portfolio::new(Seed(seed))), 3, &campaign(1, Shard::WHOLE, 2000), HARD);
    assert_eq!(reports[0].horizon, Horizon::default());
    let learnt = &reports.last().expect("there were runs").horizon;
    let longest = reports.iter().flat_map(|report| &report.notes).map(|(_, choices)| choices.len() as u64).max();
    assert!(learnt.steps_max <= longest.expect("there were runs"));
    assert!(learnt.steps_max >= longest.expect("there were runs") / 2);
    assert!(learnt.acquires_max > 0 && learnt.acquires_max < learnt.steps_max);
    assert_eq!(learnt.ops_per_task.len(), 5);
    assert!(reports.iter().filter(|report| report.notes[0].0 >= 112).all(|report| report.horizon == *learnt));
}

#[test]
fn the_lowest_telling_run_is_reported_even_if_a_later_one_is_found_first() {
    let (later_told, first_told) = (AtomicBool::new(false), AtomicBool::new(false));
    let run_one = |explorer: &mut Explorer, strategy: &mut dyn Strategy, run: u64| {
        let steps = explorer.run_nth(run, strategy, |current| current.yield_now()).steps;
        if run == 5 && !first_told.load(Ordering::Relaxed) {
            while !later_told.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            first_told.store(true, Ordering::Relaxed);
        }
        if run == 9 {
            later_told.store(true, Ordering::Relaxed);
        }
        Ran { steps, note: run, told: matches!(run, 5 | 9 | 10).then_some(run * 100) }
    };
    let mut told = Vec::new();
    let make = || -> Box<dyn Strategy> { Box::new(Random::new(Seed(1))) };
    campaign(2, Shard::WHOLE, 12).explore(&AtomicBool::new(false), make, run_one, |report| {
        assert_eq!(report.steps, report.schedules());
        told.push((report.told, report.notes.iter().map(|&(run, _)| run).collect::<Vec<_>>()));
        ControlFlow::Continue(())
    });
    assert!(first_told.load(Ordering::Relaxed));
    let expected = [
        (Some((5, 500)), vec![0, 1, 2, 3, 4, 5]),
        (Some((9, 900)), vec![6, 7, 8, 9]),
        (Some((10, 1000)), vec![10]),
        (None, vec![11]),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_campaign_ends_when_it_is_stopped_or_interrupted_and_where_its_caller_breaks() {
    for jobs in [1, 3] {
        for interrupts in [false, true] {
            let (stop, campaign) = (AtomicBool::new(false), campaign(jobs, Shard::WHOLE, u64::MAX));
            let flag = if interrupts { &*campaign.limits.interrupt } else { &stop };
            let run_one = |explorer: &mut Explorer, strategy: &mut dyn Strategy, run: u64| {
                if run == 300 {
                    flag.store(true, Ordering::Relaxed);
                }
                perform(|| THROTTLE.model())(explorer, strategy, run)
            };
            let make = || -> Box<dyn Strategy> { Box::new(Random::new(Seed(1))) };
            let (mut last, mut runs) = (false, 0);
            campaign.explore(&stop, make, run_one, |report| {
                assert!(!last, "nothing comes after the last report");
                last = report.stopped;
                runs += report.schedules();
                ControlFlow::Continue(())
            });
            assert!(last);
            assert!((200..=300 + jobs as u64 * 100).contains(&runs), "{runs} runs, {jobs} jobs");
        }
        let (mut reports, make) = (0, || -> Box<dyn Strategy> { Box::new(Random::new(Seed(1))) });
        let fixed = Throttle { fixed: true, ..THROTTLE };
        let run_one = perform(|| fixed.model());
        campaign(jobs, Shard::WHOLE, u64::MAX).explore(&AtomicBool::new(false), make, run_one, |report| {
            assert_eq!(report.told, None);
            reports += 1;
            if reports == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(reports, 4);
    }
}

#[test]
fn a_panic_of_a_run_outside_the_explorer_ends_the_campaign() {
    for jobs in [1, 2, 3] {
        let run_one = |_: &mut Explorer, _: &mut dyn Strategy, run: u64| {
            assert!(run != 40, "expected by this test");
            Ran::<(), ()> { steps: 0, note: (), told: None }
        };
        let make = || -> Box<dyn Strategy> { Box::new(Random::new(Seed(1))) };
        let explore = || {
            campaign(jobs, Shard::WHOLE, 1000)
                .explore(&AtomicBool::new(false), make, run_one, |_| ControlFlow::Continue(()));
        };
        assert!(catch_unwind(AssertUnwindSafe(explore)).is_err());
    }
}
