//! How runs end: step limit, panic, BUG, interrupt, and what is unwound then; on both drivers.
//!
//! Not here: deadlocks and hangs (`sched_deadlocks.rs`), time (`sched_clock.rs`).

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dmlab_engine::sched::explorer::{Explorer, Limits, Random};
use dmlab_engine::sched::{Outcome, RunResult, Task, threads};
use dmlab_engine::sync::{Completion, Mutex, Semaphore, SpinSection};
use dmlab_units::{Nanos, Seed};

use support::{Flag, crash, crew, explore_once, limits, on_both, on_threads};

#[test]
fn a_run_of_nothing_finishes_on_both_drivers() {
    assert_eq!(on_both(|| |_: &Task| ()), [Outcome::Finished, Outcome::Finished]);
}

#[test]
fn a_run_goes_on_until_the_last_task_has_ended_even_if_the_first_is_gone() {
    let ended = Arc::new(AtomicU64::new(0));
    let model = || {
        let ended = Arc::clone(&ended);
        move |current: &Task| {
            for n in 0..3_u32 {
                let ended = Arc::clone(&ended);
                current.spawn(&format!("child.{n}"), move |child| {
                    child.spawn("grandchild", move |task| {
                        task.sleep(Nanos::millis(2));
                        ended.fetch_add(1, Ordering::SeqCst);
                    });
                });
            }
        }
    };
    assert_eq!(on_both(model), [Outcome::Finished, Outcome::Finished]);
    assert_eq!(ended.load(Ordering::SeqCst), 6);
}

/// What a run of at most `steps_max` steps comes to when two tasks go round for ever.
fn for_ever(steps_max: u64, round: fn(&Task, &Semaphore)) -> RunResult {
    let mut explorer = Explorer::new(Limits { steps_max, interrupt: Arc::default() });
    explorer.run(&mut Random::new(Seed(1)), move |current| {
        let units = Semaphore::new(current.runtime(), "units", 0);
        crew(current, "spinner", 2, move |task, _| {
            loop {
                round(task, &units);
            }
        });
    })
}

#[test]
fn tasks_that_never_end_meet_the_step_limit() {
    let RunResult { outcome, steps, .. } = for_ever(1000, |task, units| {
        units.up(task);
        task.yield_now();
    });
    assert_eq!((outcome, steps), (Outcome::StepLimit { steps: 1000 }, 1000));
}

#[test]
fn tasks_that_do_nothing_but_give_way_and_sleep_are_a_livelock() {
    for round in [|task: &Task, _: &Semaphore| task.yield_now(), |task: &Task, _: &Semaphore| task.sleep(Nanos(1))] {
        let RunResult { outcome, steps, .. } = for_ever(1000, round);
        assert_eq!((outcome, steps), (Outcome::Livelock { steps: 1000 }, 1000));
    }
}

#[test]
fn a_run_that_takes_exactly_the_limit_finishes() {
    for (steps_max, expected) in [(10, Outcome::Finished), (9, Outcome::StepLimit { steps: 9 })] {
        let mut explorer = Explorer::new(Limits { steps_max, interrupt: Arc::default() });
        let result = explorer.run(&mut Random::new(Seed(1)), |current| {
            let units = Semaphore::new(current.runtime(), "units", 0);
            (0..10).for_each(|_| units.up(current));
        });
        assert_eq!(result.outcome, expected);
    }
}

#[test]
fn a_panic_is_an_outcome_with_its_text() {
    let formatted = || |_: &Task| panic!("{} is {}", "the cake", "a lie");
    let literal = || |_: &Task| panic!("just so");
    let payload = || |_: &Task| std::panic::panic_any(7_u8);
    assert_eq!(on_both(formatted), outcomes("the cake is a lie"));
    assert_eq!(on_both(literal), outcomes("just so"));
    assert_eq!(on_both(payload), outcomes("a panic without a message"));
}

#[test]
fn a_panic_in_any_task_ends_the_run_while_others_wait() {
    let unwound = Arc::new(AtomicU64::new(0));
    let model = || {
        let unwound = Arc::clone(&unwound);
        move |current: &Task| {
            let (lock, never) =
                (Arc::new(Mutex::new(current.runtime(), "held", ())), Completion::new(current.runtime(), "never"));
            for n in 0..3_u32 {
                let (lock, never, unwound) = (Arc::clone(&lock), never.clone(), Arc::clone(&unwound));
                current.spawn(&format!("waiter.{n}"), move |task| {
                    let _count = Count(unwound);
                    let _guard = lock.lock(task);
                    never.wait(task);
                });
            }
            current.spawn("culprit", |task| {
                task.yield_now();
                panic!("the culprit")
            });
            never.wait(current);
        }
    };
    assert_eq!(on_both(model), outcomes("the culprit"));
    // On threads a waiter may not have begun when the run ends, but one that has is unwound.
    assert!(unwound.load(Ordering::SeqCst) >= 3);
}

struct Count(Arc<AtomicU64>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn outcomes(text: &str) -> [Outcome; 2] {
    [Outcome::Panic(text.to_owned()), Outcome::Panic(text.to_owned())]
}

#[test]
fn a_bug_is_a_crash_with_task_functions_and_place() {
    let model = || {
        |current: &Task| {
            let never = Completion::new(current.runtime(), "never");
            current.spawn("kcopyd", |task| {
                let _outer = task.enter("do_work");
                let _inner = task.enter("run_complete_job");
                {
                    let _left = task.enter("left_again");
                }
                task.bug("the job list is broken");
            });
            never.wait(current);
        }
    };
    for outcome in on_both(model) {
        let bug = crash(outcome);
        assert_eq!((&*bug.message, &*bug.task), ("the job list is broken", "kcopyd"));
        assert_eq!(bug.frames, ["run_complete_job", "do_work"]);
        assert!(bug.at.starts_with("engine/tests/sched_outcomes.rs:"), "{}", bug.at);
        let text = bug.to_string();
        assert!(
            text.starts_with("BUG: the job list is broken\ntask kcopyd at engine/tests/sched_outcomes.rs:"),
            "{text}"
        );
        assert!(text.ends_with("\n      run_complete_job\n      do_work\n"), "{text}");
    }
}

#[test]
fn a_bug_inside_a_section_or_under_a_lock_ends_the_run_too() {
    let model = || {
        |current: &Task| {
            let (lock, section) =
                (Mutex::new(current.runtime(), "lock", ()), SpinSection::new(current.runtime(), "section", ()));
            let _guard = lock.lock(current);
            section.with(current, |()| -> () { current.bug("inside") });
        }
    };
    for outcome in on_both(model) {
        assert_eq!(crash(outcome).message, "inside");
    }
}

/// Goes on until it is stopped, and asks for that itself after a while.
fn endless(interrupt: &Arc<AtomicBool>, unwound: &Arc<AtomicBool>) -> impl FnOnce(&Task) + Send + 'static {
    let (interrupt, flag) = (Arc::clone(interrupt), Flag(Arc::clone(unwound)));
    move |current| {
        let _flag = flag;
        for step in 0.. {
            if step == 100 {
                interrupt.store(true, Ordering::Relaxed);
            }
            current.yield_now();
        }
    }
}

#[test]
fn an_interrupt_ends_a_run_on_both_drivers() {
    let (interrupt, unwound) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let limits = Limits { steps_max: u64::MAX, interrupt: Arc::clone(&interrupt) };
    let result = Explorer::new(limits).run(&mut Random::new(Seed(1)), endless(&interrupt, &unwound));
    assert_eq!(result.outcome, Outcome::Interrupted);
    assert!(result.steps > 100);
    assert!(unwound.load(Ordering::SeqCst), "the task was unwound");

    let (interrupt, unwound) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let config = threads::Config { seed: Seed(1), deadline: Nanos::secs(10), interrupt: Arc::clone(&interrupt) };
    let result = threads::run(&config, endless(&interrupt, &unwound));
    assert_eq!(result.outcome, Outcome::Interrupted);
    assert!(unwound.load(Ordering::SeqCst), "the task was unwound");
}

#[test]
fn an_interrupt_before_the_start_ends_a_run_at_once() {
    let interrupt = Arc::new(AtomicBool::new(true));
    let limits = Limits { steps_max: 10, interrupt };
    let result = Explorer::new(limits).run(&mut Random::new(Seed(1)), |current| current.yield_now());
    assert_eq!((result.outcome, result.steps), (Outcome::Interrupted, 0));
}

#[test]
fn what_a_stuck_run_holds_is_dropped_at_its_end() {
    for run in [|model| explore_once(model).outcome, |model| on_threads(model).outcome] {
        let dropped = Arc::new(AtomicBool::new(false));
        let flag = Flag(Arc::clone(&dropped));
        let model: Box<dyn FnOnce(&Task) + Send> = Box::new(move |current| {
            // The flag lives in data behind a lock, in a pool of nobody: only the object itself keeps it.
            let lock = Arc::new(Mutex::new(current.runtime(), "holds the flag", flag));
            let theirs = Arc::clone(&lock);
            current.spawn("other", move |task| drop(theirs.lock(task)));
            let _guard = lock.lock(current);
            Completion::new(current.runtime(), "never").wait(current);
        });
        assert!(matches!(run(model), Outcome::Hang(_)));
        assert!(dropped.load(Ordering::SeqCst), "an object of the run outlives it");
    }
}

#[test]
fn steps_count_the_operations_that_were_carried_out() {
    let mut explorer = Explorer::new(limits());
    let result = explorer.run(&mut Random::new(Seed(1)), |current| {
        let lock = Mutex::new(current.runtime(), "lock", ());
        drop(lock.lock(current));
        current.yield_now();
        current.sleep(Nanos(1));
        current.choose("way", 2);
    });
    assert_eq!((result.outcome, result.steps), (Outcome::Finished, 5));
}
