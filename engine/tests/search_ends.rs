//! How searches end: what is told can be repeated, a search repeats itself, and every bound is named as what it is.
//!
//! Verified: repetition from choices, equal counts, deadlocks beside running tasks, livelocks, lock order, cache, tasks,
//! runs, timers. Not here: what reductions leave out (`search_modes.rs`).

mod exhaustive;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dmlab_engine::sched::explorer::search::{Performed, SearchEnd, SearchOptions, SearchReport, search};
use dmlab_engine::sched::explorer::{Choices, Explorer, Limits, Shard, Strategy};
use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::sync::{Completion, Mutex};
use dmlab_units::Nanos;

use exhaustive::program::{Do, Program};
use exhaustive::{Body, End, Log, Make, limits, perform, plain, whole};

fn report(limits: &Limits, options: &SearchOptions, make: Make<'_>) -> SearchReport<End> {
    let run = |explorer: &mut Explorer, strategy: &mut dyn Strategy| perform(make, explorer, strategy);
    search(limits, options, &run, &|_| ControlFlow::Continue(()))
}

/// Tells only of runs that did not finish.
fn failures(limits: &Limits, options: &SearchOptions, make: Make<'_>) -> SearchReport<Outcome> {
    let run = |explorer: &mut Explorer, strategy: &mut dyn Strategy| {
        let result = explorer.run(strategy, make(Log::default()));
        let told = (result.outcome != Outcome::Finished).then(|| result.outcome.clone());
        Performed { result, told }
    };
    search(limits, options, &run, &|_| ControlFlow::Continue(()))
}

fn reduced() -> SearchOptions {
    SearchOptions { sleep_sets: true, releases_first: true, state_cache: true, ..plain() }
}

fn program(tasks: Vec<Vec<Do>>) -> Program {
    Program {
        units: [1; 2],
        allocators: [3; 2],
        active: [1; 2],
        no_workers: [0; 2],
        works: Vec::new(),
        tasks,
        data: false,
    }
}

fn abba() -> Program {
    let nested = |one, two| vec![Do::Lock(one, vec![Do::Lock(two, vec![])]), Do::Count(0)];
    program(vec![nested(0, 1), nested(1, 0), vec![Do::Choose(2), Do::Count(0)]])
}

#[test]
fn every_run_that_tells_ends_the_same_when_its_choices_are_repeated() {
    let timed = program(vec![vec![Do::Stash(0, true), Do::FreeStashed(0)], vec![Do::Alloc(0, true, vec![])]]);
    for (program, timers_any) in [(abba(), false), (timed, true)] {
        let make: Make<'_> = &|log| program.body(log);
        let report = report(&limits(), &SearchOptions { timers_any, ..reduced() }, make);
        assert!(report.told.len() > 2 && report.told.iter().any(|telling| telling.cut));
        for telling in report.told {
            let mut explorer = Explorer::new(limits()).timers_any(timers_any);
            let mut choices = Choices::new(telling.choices.clone());
            assert_eq!(perform(make, &mut explorer, &mut choices).told, Some(telling.told));
            assert!(!choices.diverged);
            assert_eq!(explorer.choices(), telling.choices);
        }
    }
}

#[test]
fn a_search_by_one_worker_repeats_itself() {
    let program = abba();
    for options in [reduced(), plain(), SearchOptions { preemptions_max: Some(1), ..reduced() }] {
        let search = || report(&limits(), &options, &|log| program.body(log));
        let (first, second) = (search(), search());
        assert_eq!((first.counts, first.bounded, &first.terminals), (second.counts, second.bounded, &second.terminals));
        let choices = |report: &SearchReport<End>| report.told.iter().map(|t| t.choices.clone()).collect::<Vec<_>>();
        assert_eq!(choices(&first), choices(&second));
    }
}

#[test]
fn a_bound_on_preemptions_leaves_out_what_needs_more() {
    let program = abba();
    let stuck = |most| {
        let options = SearchOptions { preemptions_max: Some(most), ..reduced() };
        let report = report(&limits(), &options, &|log| program.body(log));
        (whole(&report).iter().any(|end| !end.outcome.is_empty()), report.bounded)
    };
    assert_eq!(stuck(0), (false, true));
    assert!(stuck(1).0);
    assert_eq!(stuck(50), (true, false));
}

#[test]
fn shards_say_whether_they_learnt_of_the_same_conflicts() {
    // Only one order of the turns at `a` lets the tasks meet at `b`, and only one shard comes to it.
    let far = |pattern: &'static [usize]| {
        move |_| -> Body {
            Box::new(move |current: &Task| {
                let runtime = current.runtime();
                let turns = Arc::new(Mutex::new(runtime, "a", Vec::new()));
                let last = Arc::new(Mutex::new(runtime, "b", ()));
                for n in 0..2 {
                    let (turns, last) = (Arc::clone(&turns), Arc::clone(&last));
                    current.spawn(["even", "odd"][n], move |task| {
                        let mut seen = Vec::new();
                        for _ in 0..5 {
                            let mut turns = turns.lock(task);
                            turns.push(n);
                            seen.clone_from(&turns);
                        }
                        if pattern.starts_with(&seen) {
                            drop(last.lock(task));
                        }
                    });
                }
            })
        }
    };
    let learnt = |pattern| -> std::collections::BTreeSet<[u64; 2]> {
        let shard = |index| {
            let options = SearchOptions { shard: Shard::new(index, 8), keep_going: false, ..reduced() };
            let report = failures(&limits(), &options, &far(pattern));
            assert_eq!((report.end, report.doubt), (SearchEnd::Exhausted, None));
            report.learnt
        };
        (0..8).map(shard).collect()
    };
    assert_eq!(learnt(&[]).len(), 1);
    assert_eq!(learnt(&[0, 1, 1, 0, 0, 1, 1, 0, 0, 1]).len(), 2);
}

/// Two tasks that lock each other out, and one that goes on for ever.
fn beside(forever: fn(&Task)) -> impl Fn(Log) -> Body + Sync {
    move |_| {
        Box::new(move |current: &Task| {
            let runtime = current.runtime();
            let locks = Arc::new([Mutex::new(runtime, "a", ()), Mutex::new(runtime, "b", ())]);
            let met = Arc::new([Completion::new(runtime, "0 is here"), Completion::new(runtime, "1 is here")]);
            for n in 0..2 {
                let (locks, met) = (Arc::clone(&locks), Arc::clone(&met));
                current.spawn(["forwards", "backwards"][n], move |task| {
                    let _first = locks[n].lock(task);
                    met[n].complete(task);
                    met[1 - n].wait(task);
                    drop(locks[1 - n].lock(task));
                });
            }
            current.spawn("beside", move |task| {
                loop {
                    forever(task);
                }
            });
        })
    }
}

#[test]
fn a_deadlock_beside_a_task_that_never_ends_is_found_with_its_cycle() {
    let limits = Limits { steps_max: 500, interrupt: Arc::default() };
    for forever in [(|task: &Task| task.yield_now()) as fn(&Task), |task| task.sleep(Nanos::secs(1))] {
        let report = failures(&limits, &SearchOptions { keep_going: false, ..reduced() }, &beside(forever));
        assert_eq!(report.end, SearchEnd::Told);
        let Outcome::Deadlock(stuck) = &report.told[0].told else { panic!("{:?}", report.told[0].told) };
        assert_eq!(stuck.signature(), "mutex_lock a, mutex_lock b");
    }
}

#[test]
fn a_run_without_end_is_a_livelock_or_a_step_limit_and_no_proof() {
    let limits = Limits { steps_max: 300, interrupt: Arc::default() };
    let polls: Make<'_> = &|_| {
        Box::new(|current: &Task| {
            loop {
                current.yield_now();
            }
        })
    };
    let works: Make<'_> = &|_| {
        Box::new(|current: &Task| {
            let lock = Mutex::new(current.runtime(), "lock", ());
            loop {
                drop(lock.lock(current));
            }
        })
    };
    for (make, livelock) in [(polls, true), (works, false)] {
        let report = failures(&limits, &SearchOptions { state_cache: false, ..reduced() }, make);
        let steps = 300;
        let expected = if livelock { Outcome::Livelock { steps } } else { Outcome::StepLimit { steps } };
        assert_eq!(report.told[0].told, expected);
        // Whoever does not tell of it hears of it.
        let quiet = |explorer: &mut Explorer, strategy: &mut dyn Strategy| Performed::<()> {
            result: explorer.run(strategy, make(Log::default())),
            told: None,
        };
        let options = SearchOptions { state_cache: false, ..reduced() };
        assert_eq!(search(&limits, &options, &quiet, &|_| ControlFlow::Continue(())).end, SearchEnd::StepLimit);
    }
}

#[test]
fn locks_in_circular_order_are_told_of_on_schedules_that_pass() {
    let program = program(vec![
        vec![Do::Lock(0, vec![Do::Lock(1, vec![])]), Do::Complete(0)],
        vec![Do::Wait(0), Do::Lock(1, vec![Do::Lock(0, vec![])])],
    ]);
    let report = failures(&limits(), &reduced(), &|log| program.body(log));
    assert_eq!((report.end.clone(), report.told.len()), (SearchEnd::Exhausted, 0));
    assert_eq!(report.lock_order.len(), 1, "{:?}", report.lock_order);
    assert!(["m0", "m1"].iter().all(|lock| report.lock_order[0].contains(lock)), "{:?}", report.lock_order);
    let mut explorer = Explorer::new(limits());
    explorer.run(&mut Choices::new(Vec::new()), program.body(Log::default()));
    assert_eq!(explorer.lock_order_findings(), report.lock_order);
}

#[test]
fn the_depth_of_a_search_is_counted_in_choices() {
    let lock = || vec![Do::Lock(0, vec![])];
    for (tasks, depth) in [
        (vec![lock()], 0),
        // Who takes the lock first; the other one has it to itself then.
        (vec![lock(), lock()], 1),
        (vec![lock(), lock(), lock()], 2),
        (vec![vec![Do::Choose(2), Do::Choose(3)]], 2),
        (vec![vec![Do::Choose(2)], lock(), lock()], 2),
    ] {
        let program = program(tasks);
        for jobs in [1, 2] {
            let report = failures(&limits(), &SearchOptions { jobs, ..reduced() }, &|log| program.body(log));
            assert_eq!((report.end, report.counts.depth_max), (SearchEnd::Exhausted, depth), "{:?}", program.tasks);
        }
    }
}

#[test]
fn several_workers_take_no_more_runs_than_one_may() {
    let program = abba();
    let performed = AtomicU64::new(0);
    let model = |explorer: &mut Explorer, strategy: &mut dyn Strategy| {
        performed.fetch_add(1, Ordering::Relaxed);
        Performed::<()> { result: explorer.run(strategy, program.body(Log::default())), told: None }
    };
    for runs_max in 100..150 {
        performed.store(0, Ordering::Relaxed);
        let options = SearchOptions { runs_max, jobs: 8, ..plain() };
        let report = search(&limits(), &options, &model, &|_| ControlFlow::Continue(()));
        assert_eq!((report.end, report.counts.runs), (SearchEnd::RunsMax, runs_max));
        assert_eq!(performed.load(Ordering::Relaxed), runs_max);
    }
}

#[test]
fn a_search_that_had_to_stop_says_why() {
    let program = abba();
    let make: Make<'_> = &|log| program.body(log);
    let ends = |options| failures(&limits(), &options, make).end;
    let full = ends(SearchOptions { cache_bytes_max: 1, ..reduced() });
    assert!(matches!(full, SearchEnd::CacheFull { .. }), "{full:?}");
    for runs_max in [0, 1, 3] {
        let report = failures(&limits(), &SearchOptions { runs_max, ..plain() }, make);
        assert_eq!((report.end, report.counts.runs), (SearchEnd::RunsMax, runs_max));
    }
    let runs_max = failures(&limits(), &plain(), make).counts.runs;
    assert_eq!(ends(SearchOptions { runs_max, ..plain() }), SearchEnd::Told, "as many as it takes");
    assert_eq!(ends(SearchOptions { runs_max: runs_max - 1, ..plain() }), SearchEnd::RunsMax);
    assert_eq!(ends(SearchOptions { keep_going: false, ..reduced() }), SearchEnd::Told);
    let counted = failures(&limits(), &SearchOptions { runs_max: 3, ..plain() }, make);
    assert_eq!(counted.counts.runs, 3);
    let many: Make<'_> = &|_| {
        Box::new(|current: &Task| {
            for _ in 0..64 {
                current.spawn("one of many", Task::yield_now);
            }
        })
    };
    assert_eq!(failures(&limits(), &reduced(), many).end, SearchEnd::TooManyTasks);
    let stopped = search(
        &limits(),
        &plain(),
        &|explorer: &mut Explorer, strategy: &mut dyn Strategy| Performed::<()> {
            result: explorer.run(strategy, make(Log::default())),
            told: None,
        },
        &|_| ControlFlow::Break(()),
    );
    assert_eq!(stopped.end, SearchEnd::Stopped);
}

#[test]
fn a_timed_wait_ends_by_its_timer_or_by_a_free_where_timers_may_fire_at_any_time() {
    // The first three questions to the allocator fail, the fourth does not: whoever starts over gets an element even
    // though none was given back.
    let tasks = vec![
        vec![Do::Stash(0, true), Do::Lock(0, vec![]), Do::FreeStashed(0)],
        vec![Do::Count(0), Do::Alloc(0, true, vec![Do::Count(0)])],
    ];
    let program = program(tasks);
    let timers = |timers_any| {
        let report = report(&limits(), &SearchOptions { timers_any, ..plain() }, &|log| program.body(log));
        let counts: std::collections::BTreeSet<usize> = report.told.iter().map(|t| t.choices.len()).collect();
        (report.counts.runs, counts.len())
    };
    let (fixed, any) = (timers(false), timers(true));
    assert!(any.0 > fixed.0 && any.1 > fixed.1, "{fixed:?} {any:?}");
}
