//! Mutex, spinlock, spinlock section and rw_semaphore in real use, under both drivers: exclusion, consistent reads, and
//! no sleep under a spinlock.
//!
//! Not here: their state machines alone (unit tests next to them), deadlocks between them (`sched_deadlocks.rs`).

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::sync::{Completion, Gfp, Mempool, Mutex, RwSem, Semaphore, SpinLock, SpinSection, Srcu, WaitQueue};
use dmlab_engine::sync::{Workqueue, WqFlags};
use dmlab_units::Nanos;

use support::{Fails, Model, crash, crew, finishes, first_failure, on_both, strategies};

const TASKS: u32 = 3;
const LOOPS: u64 = 4;

#[test]
fn a_mutex_loses_no_increment() {
    finishes(|| {
        |current: &Task| {
            let count = Arc::new(Mutex::new(current.runtime(), "count", 0_u64));
            let counted = Arc::clone(&count);
            crew(current, "counter", TASKS, move |task, _| {
                for _ in 0..LOOPS {
                    let mut guard = counted.lock(task);
                    let before = *guard;
                    task.yield_now();
                    *guard = before + 1;
                }
            });
            assert_eq!(*count.lock(current), u64::from(TASKS) * LOOPS);
        }
    });
}

#[test]
fn without_the_mutex_increments_are_lost() {
    let unlocked = || {
        |current: &Task| {
            let count = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&count);
            crew(current, "counter", TASKS, move |task, _| {
                for _ in 0..LOOPS {
                    let before = counted.load(Ordering::SeqCst);
                    task.yield_now();
                    counted.store(before + 1, Ordering::SeqCst);
                }
            });
            assert_eq!(count.load(Ordering::SeqCst), u64::from(TASKS) * LOOPS);
        }
    };
    for (name, mut strategy) in strategies(1) {
        let failure = first_failure(&mut *strategy, 100, unlocked);
        assert!(matches!(failure, Some((_, Outcome::Panic(_)))), "{name} sees no race");
    }
}

#[test]
fn try_lock_never_waits_and_never_lets_two_in() {
    finishes(|| {
        |current: &Task| {
            let inside = Arc::new(Mutex::new(current.runtime(), "inside", false));
            crew(current, "trier", TASKS, move |task, _| {
                for _ in 0..LOOPS {
                    if let Some(mut guard) = inside.try_lock(task) {
                        assert!(!std::mem::replace(&mut *guard, true), "two tasks are inside");
                        task.yield_now();
                        *guard = false;
                    }
                }
            });
        }
    });
}

#[test]
fn a_spinlock_loses_no_increment() {
    finishes(|| {
        |current: &Task| {
            let count = Arc::new(SpinLock::new(current.runtime(), "count", 0_u64));
            let (counted, up) = (Arc::clone(&count), Arc::new(Semaphore::new(current.runtime(), "up", 0)));
            crew(current, "counter", TASKS, move |task, _| {
                for _ in 0..LOOPS {
                    let mut guard = counted.lock(task);
                    let before = *guard;
                    // Allowed under a spinlock, and a place for others to come in.
                    up.up(task);
                    *guard = before + 1;
                    drop(guard);
                    assert!(!task.in_atomic());
                }
            });
            assert_eq!(*count.lock(current), u64::from(TASKS) * LOOPS);
        }
    });
}

#[test]
fn a_spinlock_section_loses_no_increment() {
    finishes(|| {
        |current: &Task| {
            let count = Arc::new(SpinSection::new(current.runtime(), "count", 0_u64));
            let counted = Arc::clone(&count);
            crew(current, "counter", TASKS, move |task, _| {
                for _ in 0..LOOPS {
                    counted.with(task, |count| *count += 1);
                }
            });
            assert_eq!(count.peek(|count| *count), u64::from(TASKS) * LOOPS);
        }
    });
}

#[test]
fn a_section_that_lets_another_task_in_is_found() {
    let nested = || {
        |current: &Task| {
            let section = Arc::new(SpinSection::new(current.runtime(), "section", ()));
            let up = Arc::new(Semaphore::new(current.runtime(), "up", 0));
            crew(current, "nester", 2, move |task, _| section.with(task, |()| up.up(task)));
        }
    };
    for (name, mut strategy) in strategies(1) {
        let Some((_, Outcome::Panic(text))) = first_failure(&mut *strategy, 100, nested) else {
            panic!("{name} does not notice");
        };
        assert!(text.contains("an operation was applied inside another one"), "{text}");
    }
}

/// What may sleep, each as a function that does it.
fn sleepers() -> Vec<(&'static str, Model)> {
    vec![
        ("mutex_lock", |task| drop(Mutex::new(task.runtime(), "m", ()).lock(task))),
        ("down_read", |task| drop(RwSem::new(task.runtime(), "rw", ()).read(task))),
        ("down_write", |task| drop(RwSem::new(task.runtime(), "rw", ()).write(task))),
        ("down", |task| Semaphore::new(task.runtime(), "s", 1).down(task)),
        ("schedule_timeout", |task| task.sleep(Nanos(1))),
        ("synchronize_srcu", |task| Srcu::new(task.runtime(), "srcu", ()).synchronize(task)),
        ("flush_workqueue", |task| Workqueue::new(task.runtime(), "wq", WqFlags::RECLAIM).flush(task)),
        ("drain_workqueue", |task| Workqueue::new(task.runtime(), "wq", WqFlags::RECLAIM).drain(task)),
        ("mempool_alloc", |task| assert!(Mempool::new(task.runtime(), "pool", 1).alloc(task, Gfp::NoIo).is_some())),
        ("wait_for_completion", |task| {
            let done = Completion::new(task.runtime(), "done");
            done.complete(task);
            done.wait(task);
        }),
        ("schedule", |task| {
            let (queue, mut asked) = (WaitQueue::new(task.runtime(), "wait"), 0);
            queue.wait_event(task, || {
                asked += 1;
                asked > 1
            });
        }),
    ]
}

#[test]
fn whatever_may_sleep_is_a_bug_under_a_spinlock_even_if_it_would_not_wait() {
    for (name, sleep) in sleepers() {
        let under_lock = || {
            move |current: &Task| {
                let _frame = current.enter("caller_of_sleep");
                let lock = SpinLock::new(current.runtime(), "spin", ());
                let _guard = lock.lock(current);
                sleep(current);
            }
        };
        let in_section = || {
            move |current: &Task| {
                let _frame = current.enter("caller_of_sleep");
                SpinSection::new(current.runtime(), "spin", ()).with(current, |()| sleep(current));
            }
        };
        for outcome in on_both(under_lock).into_iter().chain(on_both(in_section)) {
            let bug = crash(outcome);
            assert!(bug.message.starts_with(&format!("{name} called under a spinlock")), "{}", bug.message);
            assert_eq!((&*bug.task, bug.frames[0]), ("main", "caller_of_sleep"));
        }
    }
}

#[test]
fn whatever_cannot_sleep_is_allowed_under_a_spinlock() {
    let model = || {
        |current: &Task| {
            let runtime = current.runtime();
            let (mutex, srcu, pool) =
                (Mutex::new(runtime, "m", ()), Srcu::new(runtime, "srcu", ()), Mempool::new(runtime, "pool", 1));
            let (units, done, waiting) =
                (Semaphore::new(runtime, "s", 1), Completion::new(runtime, "done"), WaitQueue::new(runtime, "wait"));
            pool.set_allocator(current, Fails::dead());
            let lock = SpinLock::new(runtime, "spin", ());
            let guard = lock.lock(current);
            assert!(units.down_trylock(current));
            units.up(current);
            done.complete(current);
            done.complete_all(current);
            waiting.wake_up(current);
            waiting.wake_up_all(current);
            drop(srcu.read_lock(current));
            drop(mutex.try_lock(current).expect("it is free"));
            let element = pool.alloc(current, Gfp::NoWait).expect("the reserve");
            assert!(pool.alloc(current, Gfp::NoWait).is_none());
            pool.free(current, element);
            drop(guard);
            units.down(current);
        }
    };
    assert_eq!(on_both(model), [Outcome::Finished, Outcome::Finished]);
}

#[test]
fn readers_see_both_halves_of_a_write_and_writers_lose_nothing() {
    finishes(|| {
        |current: &Task| {
            let pair = Arc::new(RwSem::new(current.runtime(), "pair", (0_u64, 0_u64)));
            let shared = Arc::clone(&pair);
            crew(current, "user", 4, move |task, n| {
                for _ in 0..LOOPS {
                    if n % 2 == 0 {
                        let mut guard = shared.write(task);
                        guard.0 += 1;
                        task.yield_now();
                        guard.1 += 1;
                    } else {
                        let guard = shared.read(task);
                        let (before, after) = (guard.0, guard.1);
                        task.yield_now();
                        assert_eq!((before, after), (guard.0, guard.1), "a writer came in");
                        assert_eq!(before, after, "half of a write");
                    }
                }
            });
            assert_eq!(*pair.read(current), (2 * LOOPS, 2 * LOOPS));
        }
    });
}

/// Two readers meet inside: each waits there for the other.
fn readers_meet(current: &Task) {
    let shared = Arc::new(RwSem::new(current.runtime(), "shared", ()));
    let here = [Completion::new(current.runtime(), "0 is here"), Completion::new(current.runtime(), "1 is here")];
    crew(current, "reader", 2, move |task, n| {
        let _guard = shared.read(task);
        here[n as usize].complete(task);
        here[1 - n as usize].wait(task);
    });
}

#[test]
fn readers_do_not_exclude_each_other() {
    finishes(|| readers_meet);
}

#[test]
fn a_reader_that_comes_after_a_waiting_writer_reads_what_was_written() {
    let model = || {
        |current: &Task| {
            let value = Arc::new(RwSem::new(current.runtime(), "value", 0));
            let first = value.read(current);
            let (theirs, done) = (Arc::clone(&value), Completion::new(current.runtime(), "done"));
            let ended = done.clone();
            current.spawn("writer", move |task| {
                *theirs.write(task) = 1;
                ended.complete(task);
            });
            // The virtual clock moves only when the writer stands in line and can do nothing else.
            current.sleep(Nanos(1));
            let (theirs, ended) = (Arc::clone(&value), done.clone());
            current.spawn("reader", move |task| {
                assert_eq!(*theirs.read(task), 1);
                ended.complete(task);
            });
            current.sleep(Nanos(1));
            assert_eq!(*first, 0);
            drop(first);
            done.wait(current);
            done.wait(current);
        }
    };
    for (name, mut strategy) in strategies(1) {
        assert_eq!(first_failure(&mut *strategy, 50, model), None, "{name}");
    }
}
