//! Pools in real use, under both drivers: progress from a reserve of one, waits that end, waits that cannot, and the
//! five-second retry.
//!
//! Not here: the pool's rules one by one (unit tests next to it), bio sets (`stacks.rs`).

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dmlab_engine::sched::explorer::{Explorer, Limits, Random};
use dmlab_engine::sched::{Outcome, RunResult, Task};
use dmlab_engine::sync::{Completion, Gfp, Mempool};
use dmlab_units::{Nanos, Seed};

use support::{Fails, crew, deadlock, explore_once, finishes, hang, on_both, on_threads};

const LOOPS: u64 = 3;

/// Tasks that take an element, use it, and give it back; nobody takes a second one.
fn shared_pool(current: &Task, reserve: u64, permanent: bool) {
    let pool = Arc::new(Mempool::new(current.runtime(), "pool", reserve));
    pool.set_allocator(current, if permanent { Fails::dead() } else { Fails::for_now() });
    let (theirs, inside) = (Arc::clone(&pool), AtomicU64::new(0));
    crew(current, "user", 4, move |task, _| {
        for _ in 0..LOOPS {
            let element = theirs.alloc(task, Gfp::NoIo).expect("with direct reclaim an allocation never fails");
            assert!(inside.fetch_add(1, Ordering::SeqCst) < reserve, "more elements than there are");
            task.yield_now();
            inside.fetch_sub(1, Ordering::SeqCst);
            theirs.free(task, element);
        }
    });
    assert!(pool.at_rest());
    assert_eq!((pool.stats().in_use, pool.stats().reserve), (0, reserve));
    assert!(pool.stats().peak <= reserve);
}

#[test]
fn four_tasks_make_progress_with_a_reserve_of_one_and_a_dead_allocator() {
    finishes(|| |current: &Task| shared_pool(current, 1, true));
}

#[test]
fn four_tasks_make_progress_with_a_reserve_of_two_and_an_allocator_that_fails_for_now() {
    finishes(|| |current: &Task| shared_pool(current, 2, false));
}

#[test]
fn without_direct_reclaim_an_allocation_fails_rather_than_waits() {
    finishes(|| {
        |current: &Task| {
            let pool = Arc::new(Mempool::new(current.runtime(), "pool", 1));
            pool.set_allocator(current, Fails::dead());
            let (theirs, got) = (Arc::clone(&pool), Arc::new(AtomicU64::new(0)));
            let count = Arc::clone(&got);
            crew(current, "user", 3, move |task, _| {
                for _ in 0..LOOPS {
                    if let Some(element) = theirs.alloc(task, Gfp::NoWait) {
                        count.fetch_add(1, Ordering::SeqCst);
                        task.yield_now();
                        theirs.free(task, element);
                    }
                }
            });
            assert!(got.load(Ordering::SeqCst) > 0);
            assert_eq!(pool.stats().waits, 0);
            assert!(pool.at_rest());
        }
    });
}

#[test]
fn a_healthy_allocator_never_touches_the_reserve() {
    finishes(|| {
        |current: &Task| {
            let pool = Mempool::new(current.runtime(), "pool", 1);
            let elements: Vec<_> = (0..5).map(|_| pool.alloc(current, Gfp::NoIo).unwrap()).collect();
            pool.set_allocator(current, Fails::dead());
            let last = pool.alloc(current, Gfp::NoWait).expect("the reserve was not touched");
            assert!(pool.alloc(current, Gfp::NoWait).is_none());
            assert_eq!((pool.stats().peak, pool.stats().slab_failures), (6, 2));
            elements.into_iter().chain([last]).for_each(|element| pool.free(current, element));
            assert!(pool.at_rest());
        }
    });
}

/// Everybody sleeps on an empty pool until somebody repairs the allocator.
fn repaired(current: &Task) {
    let pool = Arc::new(Mempool::new(current.runtime(), "pool", 0));
    pool.set_allocator(current, Fails::dead());
    let (theirs, ended) = (Arc::clone(&pool), Completion::new(current.runtime(), "ended"));
    for n in 0..3 {
        let (pool, ended) = (Arc::clone(&theirs), ended.clone());
        current.spawn(&format!("user.{n}"), move |task| {
            let element = pool.alloc(task, Gfp::NoIo).unwrap();
            pool.free(task, element);
            ended.complete(task);
        });
    }
    while pool.stats().waits < 3 {
        current.sleep(Nanos::millis(1));
    }
    pool.set_allocator(current, None);
    (0..3).for_each(|_| ended.wait(current));
    assert_eq!(pool.stats().waits, 3);
    assert!(pool.at_rest());
}

#[test]
fn a_new_allocator_lets_everybody_who_sleeps_try_again() {
    finishes(|| repaired);
}

#[test]
fn a_sleeper_tries_the_allocator_again_after_five_seconds() {
    let model = |current: &Task| {
        let pool = Mempool::new(current.runtime(), "pool", 0);
        // The first try asks twice, without waiting and with; a try after a sleep asks once.
        pool.set_allocator(current, Fails::first(3));
        let element = pool.alloc(current, Gfp::NoIo).unwrap();
        pool.free(current, element);
        assert_eq!((pool.stats().waits, pool.stats().slab_failures), (2, 3));
    };
    let RunResult { outcome, now, .. } = explore_once(model);
    assert_eq!((outcome, now), (Outcome::Finished, Nanos::secs(10)));
}

#[test]
fn an_element_that_comes_back_ends_a_sleep_before_its_five_seconds() {
    let model = || {
        |current: &Task| {
            let pool = Arc::new(Mempool::new(current.runtime(), "pool", 1));
            pool.set_allocator(current, Fails::for_now());
            let element = pool.alloc(current, Gfp::NoIo).unwrap();
            let (theirs, ended) = (Arc::clone(&pool), Completion::new(current.runtime(), "ended"));
            let tell = ended.clone();
            current.spawn("sleeper", move |task| {
                let element = theirs.alloc(task, Gfp::NoIo).unwrap();
                theirs.free(task, element);
                tell.complete(task);
            });
            while pool.stats().waits == 0 {
                current.sleep(Nanos::millis(1));
            }
            pool.free(current, element);
            ended.wait(current);
            assert!(current.now() < Nanos::secs(5));
        }
    };
    assert_eq!(explore_once(model()).outcome, Outcome::Finished);
    assert_eq!(on_threads(model()).outcome, Outcome::Finished);
}

#[test]
fn an_allocator_that_might_recover_and_does_not_ends_at_the_step_limit() {
    let limits = Limits { steps_max: 50, interrupt: Arc::default() };
    let result = Explorer::new(limits).run(&mut Random::new(Seed(1)), |current| {
        let pool = Mempool::new(current.runtime(), "pool", 0);
        pool.set_allocator(current, Fails::for_now());
        pool.alloc(current, Gfp::NoIo);
    });
    assert_eq!(result.outcome, Outcome::StepLimit { steps: 50 });
}

#[test]
fn an_empty_pool_without_a_user_is_a_hang() {
    let model = || {
        |current: &Task| {
            let pool = Mempool::new(current.runtime(), "pool", 0);
            pool.set_allocator(current, Fails::dead());
            pool.alloc(current, Gfp::NoIo);
        }
    };
    for outcome in on_both(model) {
        let text = hang(outcome).to_string();
        assert!(text.contains("0 out, reserve 0 of 0, 1 waiting, allocator failing for good"), "{text}");
    }
}

#[test]
fn two_elements_of_one_pool_in_one_hand_deadlock() {
    let model = || {
        |current: &Task| {
            let pool = Arc::new(Mempool::new(current.runtime(), "pool", 2));
            pool.set_allocator(current, Fails::dead());
            let here = [Completion::new(current.runtime(), "0"), Completion::new(current.runtime(), "1")];
            crew(current, "user", 2, move |task, n| {
                let _frame = task.enter(["first_user", "second_user"][n as usize]);
                let first = pool.alloc(task, Gfp::NoIo).unwrap();
                here[n as usize].complete(task);
                here[1 - n as usize].wait(task);
                let second = pool.alloc(task, Gfp::NoIo).unwrap();
                pool.free(task, first);
                pool.free(task, second);
            });
        }
    };
    for outcome in on_both(model) {
        let report = deadlock(outcome);
        // Either element would do for either, so both belong to it.
        assert_eq!((report.cycle.len(), &*report.signature()), (2, "mempool_alloc pool"));
        let text = report.to_string();
        for part in ["first_user", "second_user", "2 out, reserve 0 of 2, 2 waiting", "1 element"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}

#[test]
fn an_element_that_was_handed_over_is_kept_by_whoever_is_to_free_it() {
    let model = || {
        |current: &Task| {
            let pool = Arc::new(Mempool::new(current.runtime(), "pool", 1));
            pool.set_allocator(current, Fails::dead());
            let (theirs, handed) = (Arc::clone(&pool), Completion::new(current.runtime(), "handed over"));
            let never = Completion::new(current.runtime(), "never");
            never.declare_completer(current, current.id());
            let (slot, ready) = (Arc::new(std::sync::Mutex::new(None)), handed.clone());
            let inbox = Arc::clone(&slot);
            let keeper = current.spawn("keeper", move |task| {
                ready.wait(task);
                let element = inbox.lock().unwrap().take().unwrap();
                never.wait(task);
                theirs.free(task, element);
            });
            let element = pool.alloc(current, Gfp::NoIo).unwrap();
            pool.hand_over(current, &element, keeper, "with the keeper");
            *slot.lock().unwrap() = Some(element);
            handed.complete(current);
            pool.alloc(current, Gfp::NoIo);
        }
    };
    for outcome in on_both(model) {
        let report = deadlock(outcome);
        assert_eq!(report.cycle_names().into_iter().collect::<Vec<_>>(), ["keeper", "main", "never", "pool"]);
        assert_eq!(report.cycle[0].held_by[0].what, "1 element, with the keeper");
        assert_eq!(report.cycle[0].held_by[0].task, "keeper");
    }
}
