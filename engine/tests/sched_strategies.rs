//! What decides schedules: the same seed takes the same way, a recorded way can be taken again, and each strategy finds
//! what it is for.
//!
//! Not here: exhaustive search and its proofs.

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use dmlab_engine::sched::explorer::{
    Choice, Divergence, Explorer, Fair, Horizon, Pct, Portfolio, Pos, Random, Replay, Strategy, TraceStep, Urw, View,
};
use dmlab_engine::sched::{OpKind, Outcome, RunResult, Task, TaskId};
use dmlab_engine::sync::{Completion, Mutex as Lock, Semaphore};
use dmlab_units::Seed;

use support::throttle::Throttle;
use support::{LIMITS_STEPS_MAX, crew, deadlock, explore, first_failure, limits};

/// Something of everything that a strategy decides, and sometimes a deadlock.
fn mixed(current: &Task) {
    let locks = [Lock::new(current.runtime(), "a", 0), Lock::new(current.runtime(), "b", 0)];
    crew(current, "user", 4, move |task, n| {
        for _ in 0..3 {
            let first = task.choose("which lock", 2) as usize;
            let mut one = locks[first].lock(task);
            *one += n;
            if task.choose("whether to take both", 8) == 0 {
                *locks[1 - first].lock(task) += 1;
            }
            drop(one);
            task.yield_now();
        }
    });
}

/// Makes a strategy from a seed.
type Maker = fn(u64) -> Box<dyn Strategy>;

fn makers() -> Vec<(&'static str, Maker)> {
    vec![
        ("random", |seed| Box::new(Random::new(Seed(seed)))),
        ("pct", |seed| Box::new(Pct::new(Seed(seed), 3))),
        ("biased pct", |seed| Box::new(Pct::biased(Seed(seed), 3))),
        ("pos", |seed| Box::new(Pos::new(Seed(seed)))),
        ("urw", |seed| Box::new(Urw::new(Seed(seed)))),
        ("portfolio", |seed| Box::new(Portfolio::new(Seed(seed)))),
        ("fair", |seed| Box::new(Fair::new(Seed(seed)))),
    ]
}

/// Results and choices of `runs` runs one after the other.
fn campaign(strategy: &mut dyn Strategy, runs: usize) -> Vec<(RunResult, Vec<Choice>)> {
    let mut explorer = Explorer::new(limits());
    (0..runs).map(|_| (explorer.run(strategy, mixed), explorer.choices())).collect()
}

#[test]
fn the_same_seed_takes_the_same_way_and_another_seed_another() {
    for (name, make) in makers() {
        let first = campaign(&mut *make(11), 40);
        assert_eq!(first, campaign(&mut *make(11), 40), "{name}");
        assert_ne!(first, campaign(&mut *make(12), 40), "{name}");
        let ways: BTreeSet<String> = first.iter().map(|(_, choices)| format!("{choices:?}")).collect();
        assert!(ways.len() > 10, "{name}: {} ways in 40 runs", ways.len());
    }
}

#[test]
fn every_way_of_a_choice_is_taken_and_no_other() {
    for (name, make) in makers() {
        let mut strategy = make(1);
        let mut explorer = Explorer::new(limits());
        let taken = Arc::new(Mutex::new(BTreeSet::new()));
        for _ in 0..100 {
            let taken = Arc::clone(&taken);
            explorer.run(&mut *strategy, move |current| {
                taken.lock().unwrap().insert(current.choose("way", 5));
                assert_eq!(current.choose("no choice", 1), 0);
            });
        }
        assert_eq!(taken.lock().unwrap().iter().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4], "{name}");
    }
}

#[test]
fn on_threads_choices_come_from_the_seed_and_the_task() {
    let draw = |seed: u64| {
        let drawn = Arc::new(Mutex::new(vec![Vec::new(); 3]));
        let theirs = Arc::clone(&drawn);
        let config = dmlab_engine::sched::threads::Config {
            seed: Seed(seed),
            deadline: dmlab_units::Nanos::secs(10),
            interrupt: Arc::default(),
        };
        let result = dmlab_engine::sched::threads::run(&config, move |current| {
            crew(current, "drawer", 3, move |task, n| {
                let draws: Vec<u32> = (0..20).map(|_| task.choose("way", 1000)).collect();
                theirs.lock().unwrap()[n as usize] = draws;
            });
        });
        assert_eq!(result.outcome, Outcome::Finished);
        drawn.lock().unwrap().clone()
    };
    let first = draw(1);
    assert_eq!(first, draw(1));
    assert_ne!(first, draw(2));
    assert_ne!(first[0], first[1], "tasks draw independently");
}

#[test]
fn random_reaches_every_order_of_three_tasks() {
    let mut explorer = Explorer::new(limits());
    let mut strategy = Random::new(Seed(1));
    let orders = Arc::new(Mutex::new(BTreeSet::new()));
    for _ in 0..200 {
        let orders = Arc::clone(&orders);
        explorer.run(&mut strategy, move |current| {
            let order = Arc::new(Mutex::new(Vec::new()));
            let theirs = Arc::clone(&order);
            crew(current, "task", 3, move |task, n| {
                task.yield_now();
                theirs.lock().unwrap().push(n);
            });
            orders.lock().unwrap().insert(order.lock().unwrap().clone());
        });
    }
    assert_eq!(orders.lock().unwrap().len(), 6);
}

#[test]
fn a_run_takes_the_same_way_whatever_ran_before_it() {
    for (name, make) in makers().into_iter().filter(|&(name, _)| name != "fair") {
        let third_of = |before: fn(&Task)| {
            let (mut explorer, mut strategy) = (Explorer::new(limits()), make(4));
            explorer.run(&mut *strategy, before);
            explorer.run(&mut *strategy, before);
            (explorer.run(&mut *strategy, mixed), explorer.choices())
        };
        assert_eq!(third_of(mixed), third_of(|current| current.yield_now()), "{name}");
    }
}

/// Where tasks note their numbers.
type Order = Arc<Mutex<Vec<u32>>>;

/// For each of `runs` runs of `model`, the tasks in the order in which they noted themselves.
fn orders<M: FnOnce(&Task) + Send + 'static>(
    strategy: &mut dyn Strategy,
    runs: usize,
    model: impl Fn(Order) -> M,
) -> Vec<Vec<u32>> {
    let mut explorer = Explorer::new(limits());
    let one = |_| {
        let order = Order::default();
        assert_eq!(explorer.run(strategy, model(Arc::clone(&order))).outcome, Outcome::Finished);
        order.lock().unwrap().clone()
    };
    (0..runs).map(one).collect()
}

/// Tasks that complete something `counts` times each, and note their number each time.
fn completers(counts: [u32; 2]) -> impl Fn(Order) -> Box<dyn FnOnce(&Task) + Send> {
    move |order| {
        Box::new(move |current| {
            for (n, count) in (0..).zip(counts) {
                let order = Arc::clone(&order);
                current.spawn(&format!("completer.{n}"), move |task| {
                    let done = Completion::new(task.runtime(), "done");
                    for _ in 0..count {
                        done.complete(task);
                        order.lock().unwrap().push(n);
                    }
                });
            }
        })
    }
}

#[test]
fn biased_change_points_do_not_interrupt_who_acquires_nothing() {
    let horizon = Horizon { steps_max: 20, acquires_max: 20, ops_per_task: Vec::new() };
    let interrupted = |mut strategy: Pct| {
        strategy.learn(&horizon);
        let orders = orders(&mut strategy, 100, completers([10, 10]));
        orders.iter().filter(|order| order.windows(2).filter(|pair| pair[0] != pair[1]).count() > 1).count()
    };
    assert_eq!(interrupted(Pct::biased(Seed(1), 5)), 0);
    assert!(interrupted(Pct::new(Seed(1), 5)) > 50);
}

#[test]
fn urw_takes_every_interleaving_equally_often_once_it_knows_the_lengths() {
    let places = |strategy: &mut dyn Strategy| {
        let mut places = [0_u32; 10];
        for order in orders(strategy, 5000, completers([9, 1])) {
            places[order.iter().position(|&task| task == 1).unwrap()] += 1;
        }
        places
    };
    let mut urw = Urw::new(Seed(1));
    let before = places(&mut urw);
    assert!(before[0] > 2000, "knowing nothing, it walks like random: {before:?}");
    let mut horizon = Horizon::default();
    urw.gather(&mut horizon);
    assert_eq!(horizon, Horizon { steps_max: 10, acquires_max: 0, ops_per_task: vec![0, 9, 1] });
    urw.learn(&horizon);
    let after = places(&mut urw);
    assert!(after.iter().all(|&runs| runs.abs_diff(500) < 100), "{after:?}");
}

#[test]
fn pos_delays_an_operation_past_many_that_do_not_matter_to_it() {
    let late = |strategy: &mut dyn Strategy| {
        let orders = orders(strategy, 1000, |order| {
            move |current: &Task| {
                let lock = Arc::new(Lock::new(current.runtime(), "lock", ()));
                for (n, detours) in [(0, 10), (1, 0)] {
                    let (lock, order) = (Arc::clone(&lock), Arc::clone(&order));
                    current.spawn(&format!("task.{n}"), move |task| {
                        let elsewhere = Completion::new(task.runtime(), "elsewhere");
                        (0..detours).for_each(|_| elsewhere.complete(task));
                        let _guard = lock.lock(task);
                        order.lock().unwrap().push(n);
                    });
                }
            }
        });
        orders.iter().filter(|order| order[0] == 0).count()
    };
    // One in twelve (the lowest of so many priorities), and one in 2^11.
    let (pos, random) = (late(&mut Pos::new(Seed(1))), late(&mut Random::new(Seed(1))));
    assert!((50..130).contains(&pos), "{pos}");
    assert!(random < 10, "{random}");
}

#[test]
fn fair_passes_nobody_over() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&log);
    let result = explore(&mut Fair::new(Seed(1)), move |current| {
        crew(current, "task", 3, move |task, n| {
            for _ in 0..10 {
                task.yield_now();
                theirs.lock().unwrap().push(n);
            }
        });
    });
    assert_eq!(result.outcome, Outcome::Finished);
    for turn in log.lock().unwrap().chunks(3) {
        assert_eq!(turn.iter().copied().collect::<BTreeSet<_>>().len(), 3, "{turn:?}");
    }
}

#[test]
fn a_task_that_polls_gives_way_under_every_strategy() {
    let makers = makers().into_iter().chain([("pct of depth 1", (|seed| Box::new(Pct::new(Seed(seed), 1))) as Maker)]);
    for (name, make) in makers {
        for seed in 0..50 {
            let mut strategy = make(seed);
            strategy.learn(&Horizon { steps_max: 500, acquires_max: 300, ops_per_task: vec![10, 10, 400, 400] });
            let result = explore(&mut *strategy, |current| {
                let flag = Arc::new(Semaphore::new(current.runtime(), "flag", 0));
                crew(current, "task", 3, move |task, n| {
                    if n == 0 {
                        // It may come to its own giving way after the others have come to theirs.
                        assert!(!flag.down_trylock(task));
                        task.yield_now();
                        flag.up(task);
                        flag.up(task);
                    } else {
                        while !flag.down_trylock(task) {
                            task.yield_now();
                        }
                    }
                });
            });
            assert_eq!(result.outcome, Outcome::Finished, "{name}, seed {seed}");
            assert!(result.steps < 1000, "{name}, seed {seed}: {} steps", result.steps);
        }
    }
}

/// A traced run of `mixed` that ends in a deadlock, and one that does not.
fn recordings() -> [(RunResult, Vec<TraceStep>); 2] {
    let mut explorer = Explorer::tracing(limits());
    let mut strategy = Random::new(Seed(5));
    let mut found = [None, None];
    while found.iter().any(Option::is_none) {
        let result = explorer.run(&mut strategy, mixed);
        let kind = usize::from(result.outcome == Outcome::Finished);
        found[kind].get_or_insert_with(|| (result, explorer.trace().to_vec()));
    }
    found.map(Option::unwrap)
}

fn replay(steps: &[TraceStep]) -> (RunResult, Vec<TraceStep>, Option<Divergence>) {
    let mut explorer = Explorer::tracing(limits());
    let mut strategy = Replay::new(steps.to_vec());
    let result = explorer.run(&mut strategy, mixed);
    (result, explorer.trace().to_vec(), strategy.divergence())
}

#[test]
fn a_replay_ends_in_the_same_outcome_by_the_same_steps() {
    for (result, trace) in recordings() {
        assert_eq!(trace.len() as u64, result.steps);
        assert!(trace.iter().any(|step| step.taken.is_some_and(|way| way > 0)));
        assert_eq!(replay(&trace), (result, trace, None));
    }
}

#[test]
fn a_replay_can_be_used_again() {
    let [(result, trace), _] = recordings();
    let mut explorer = Explorer::tracing(limits());
    let mut strategy = Replay::new(trace);
    for _ in 0..3 {
        assert_eq!(explorer.run(&mut strategy, mixed), result);
        assert_eq!(strategy.divergence(), None);
    }
}

#[test]
fn a_choice_is_replayed_even_if_it_was_the_only_difference() {
    let model = |log: Arc<Mutex<Vec<u32>>>| {
        move |current: &Task| (0..20).for_each(|_| log.lock().unwrap().push(current.choose("way", 1000)))
    };
    let mut explorer = Explorer::tracing(limits());
    let (first, second) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    explorer.run(&mut Random::new(Seed(9)), model(Arc::clone(&first)));
    let trace = explorer.trace().to_vec();
    let taken: Vec<u32> = trace.iter().map(|step| step.taken.unwrap()).collect();
    let takes = explorer.choices().into_iter().filter_map(|choice| match choice {
        Choice::Take(way) => Some(way),
        Choice::Run(_) => None,
    });
    assert_eq!(takes.collect::<Vec<_>>(), taken);
    explorer.run(&mut Replay::new(trace), model(Arc::clone(&second)));
    assert_eq!((&*first.lock().unwrap(), &taken), (&*second.lock().unwrap(), &taken));
}

#[test]
fn a_changed_step_is_where_the_replay_diverges() {
    let (_, trace) = recordings().into_iter().next().unwrap();
    for at in [0, 1, trace.len() / 2, trace.len() - 1] {
        let changes: [fn(&mut TraceStep); 3] =
            [|step| step.op = OpKind::SynchronizeSrcu, |step| step.arg += 17, |step| step.task = TaskId(99)];
        for change in changes {
            let mut changed = trace.clone();
            change(&mut changed[at]);
            let (_, found, divergence) = replay(&changed);
            let divergence = divergence.expect("the change is seen");
            assert_eq!(divergence.step, at as u64);
            assert_eq!(divergence.expected, Some(changed[at].to_string()));
            let real = &trace[at];
            let offered = format!("task {} at {} (argument {})", real.task.0, real.op.name(), real.arg);
            assert!(divergence.found.contains(&offered), "{offered:?} is not in {:?}", divergence.found);
            assert_eq!(found[..at], trace[..at], "up to there it was a replay");
        }
    }
}

#[test]
fn a_recording_that_is_too_short_or_too_long_is_a_divergence() {
    let [_, (_, trace)] = recordings();
    let (_, _, divergence) = replay(&trace[..trace.len() - 1]);
    let divergence = divergence.expect("a step too few");
    assert_eq!((divergence.step, divergence.expected), (trace.len() as u64 - 1, None));

    let more: Vec<TraceStep> = trace.iter().chain(trace.last()).cloned().collect();
    let (_, _, divergence) = replay(&more);
    let expected = trace.last().map(ToString::to_string);
    let found = "the end of the run".to_owned();
    assert_eq!(divergence, Some(Divergence { step: trace.len() as u64, expected, found }));
}

#[test]
fn a_trace_reads_like_what_happened() {
    let mut explorer = Explorer::tracing(limits());
    explorer.run(&mut Fair::new(Seed(1)), |current| {
        let _named_first = Completion::new(current.runtime(), "unused");
        let lock = Lock::new(current.runtime(), "s->lock", ());
        drop(lock.lock(current));
        current.sleep(dmlab_units::Nanos(30));
        current.choose("way", 1);
    });
    let told: Vec<String> = explorer.trace().iter().map(ToString::to_string).collect();
    let expected =
        ["main: mutex_lock s->lock", "main: mutex_unlock s->lock", "main: schedule_timeout 30", "main: choose 1 -> 0"];
    assert_eq!(told, expected);
}

const COW: Throttle = Throttle { units: 4, writers: 2, writes: 4, fixed: false };

#[test]
fn pct_finds_the_starved_helper_with_every_seed() {
    for seed in 0..5 {
        let (schedules, outcome) =
            first_failure(&mut Pct::new(Seed(seed), 3), 2000, || COW.model()).expect("pct finds it");
        assert!(schedules < 2000);
        let report = deadlock(outcome);
        for name in ["kcopyd", "snapshot_ctr", "s->lock", "cow_count"] {
            assert!(report.cycle_names().contains(name), "{name} is not in\n{report}");
        }
        let (schedules, _) =
            first_failure(&mut Portfolio::new(Seed(seed)), 2000, || COW.model()).expect("the portfolio finds it");
        assert!(schedules < 2000);
    }
}

#[test]
fn random_does_not_find_the_starved_helper_in_as_many_schedules_as_pct() {
    // With six units the helper must be starved for longer.
    let hard = Throttle { units: 6, ..COW };
    for seed in 0..5 {
        let found = first_failure(&mut Pct::new(Seed(seed), 3), 2000, || hard.model());
        assert!(found.is_some_and(|(schedules, _)| schedules < 2000));
        assert_eq!(first_failure(&mut Random::new(Seed(seed)), 2000, || hard.model()), None);
    }
}

#[test]
fn the_fixed_throttle_is_clean() {
    let fixed = Throttle { fixed: true, ..COW };
    assert_eq!(first_failure(&mut Pct::new(Seed(1), 3), 5000, || fixed.model()), None);
    assert_eq!(first_failure(&mut Random::new(Seed(1)), 5000, || fixed.model()), None);
}

/// Asks its view everything that it may be asked.
struct Looks(Random);

impl Strategy for Looks {
    fn pick(&mut self, view: &View<'_>) -> TaskId {
        assert!(!view.ready().is_empty());
        assert!(view.step < LIMITS_STEPS_MAX);
        assert_eq!(view.last.is_none(), view.step == 0);
        for task in view.ready().iter() {
            let op = view.op(task);
            // What a guard gives back when it is dropped has no place in the source of its user.
            let of_a_guard = op.kind == OpKind::MutexUnlock;
            assert!(of_a_guard || op.at.file().starts_with("engine/tests/"), "{op:?} at {}", op.at);
            assert_eq!(op.kind == OpKind::Yield, op.object.0 == 0);
        }
        self.0.pick(view)
    }

    fn choose(&mut self, task: TaskId, options: u32) -> u32 {
        self.0.choose(task, options)
    }
}

#[test]
fn a_strategy_sees_every_announced_operation_with_its_object_and_place() {
    let result = explore(&mut Looks(Random::new(Seed(1))), |current| {
        let lock = Lock::new(current.runtime(), "lock", ());
        crew(current, "user", 3, move |task, _| {
            let guard = lock.lock(task);
            task.yield_now();
            drop(guard);
        });
    });
    assert_eq!(result.outcome, Outcome::Finished, "{}", support::tell(&result.outcome));
}
