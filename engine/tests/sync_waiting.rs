//! Semaphore, completion, wait queue, reference count and SRCU in real use, under both drivers: bounds hold and nobody is
//! left waiting.
//!
//! Not here: their state machines alone (unit tests next to them), what reports say of them (`sched_deadlocks.rs`).

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::sync::{Completion, RefCount, Semaphore, Srcu, WaitQueue};
use dmlab_units::Nanos;

use support::{crash, crew, finishes, first_failure, hang, on_both, strategies};

const LOOPS: u64 = 4;

#[test]
fn a_semaphore_bounds_how_many_are_inside_and_uses_all_its_units() {
    const UNITS: u64 = 2;
    finishes(|| {
        |current: &Task| {
            let units = Arc::new(Semaphore::new(current.runtime(), "units", UNITS));
            let inside = Arc::new(AtomicU64::new(0));
            let theirs = Arc::clone(&units);
            crew(current, "user", 4, move |task, n| {
                for _ in 0..LOOPS {
                    if n == 0 && !theirs.down_trylock(task) {
                        task.yield_now();
                        continue;
                    } else if n != 0 {
                        theirs.down(task);
                    }
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < UNITS, "too many are inside");
                    task.yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    theirs.up(task);
                }
            });
            for _ in 0..UNITS {
                assert!(units.down_trylock(current), "a unit got lost");
            }
            assert!(!units.down_trylock(current), "a unit was made");
        }
    });
}

#[test]
fn as_many_as_there_are_units_meet_inside() {
    finishes(|| {
        |current: &Task| {
            let units = Arc::new(Semaphore::new(current.runtime(), "units", 2));
            let here = [Completion::new(current.runtime(), "0"), Completion::new(current.runtime(), "1")];
            crew(current, "user", 2, move |task, n| {
                units.down(task);
                here[n as usize].complete(task);
                here[1 - n as usize].wait(task);
                units.up(task);
            });
        }
    });
}

#[test]
fn every_wait_for_a_completion_ends_when_there_are_as_many_completes() {
    finishes(|| {
        |current: &Task| {
            let ball = Completion::new(current.runtime(), "ball");
            crew(current, "player", 4, move |task, n| {
                for _ in 0..LOOPS {
                    if n % 2 == 0 { ball.wait(task) } else { ball.complete(task) }
                }
            });
        }
    });
}

#[test]
fn complete_all_lets_through_who_waits_and_who_comes_later() {
    finishes(|| {
        |current: &Task| {
            let done = Completion::new(current.runtime(), "done");
            crew(current, "waiter", 4, move |task, n| {
                if n == 0 {
                    done.complete_all(task);
                }
                done.wait(task);
                done.wait(task);
            });
        }
    });
}

#[test]
fn one_complete_too_few_is_a_hang_and_not_a_wait_that_ends() {
    let model = || {
        |current: &Task| {
            let done = Completion::new(current.runtime(), "done");
            done.complete(current);
            done.wait(current);
            done.wait(current);
        }
    };
    for outcome in on_both(model) {
        assert_eq!(hang(outcome).others[0].object, "done");
    }
}

/// Items are taken one by one by whoever finds some.
fn take(items: &AtomicU64) -> bool {
    items.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |items| items.checked_sub(1)).is_ok()
}

#[test]
fn wait_event_with_one_waiter_never_misses_a_wake_up() {
    finishes(|| {
        |current: &Task| {
            let (items, queue) = (AtomicU64::new(0), WaitQueue::new(current.runtime(), "items"));
            crew(current, "user", 2, move |task, n| {
                for _ in 0..LOOPS {
                    if n == 0 {
                        queue.wait_event(task, || take(&items));
                    } else {
                        items.fetch_add(1, Ordering::SeqCst);
                        queue.wake_up(task);
                    }
                }
            });
        }
    });
}

#[test]
fn wait_event_with_many_waiters_never_misses_a_wake_up_of_all() {
    finishes(|| {
        |current: &Task| {
            let (items, queue) = (AtomicU64::new(0), WaitQueue::new(current.runtime(), "items"));
            crew(current, "user", 4, move |task, n| {
                for _ in 0..LOOPS {
                    if n % 2 == 0 {
                        queue.wait_event(task, || take(&items));
                    } else {
                        items.fetch_add(1, Ordering::SeqCst);
                        queue.wake_up_all(task);
                    }
                }
            });
        }
    });
}

#[test]
fn one_wake_up_each_lets_sleepers_go_one_by_one() {
    finishes(|| {
        |current: &Task| {
            let gone = Arc::new(AtomicBool::new(false));
            let (queue, up) = (Arc::new(WaitQueue::new(current.runtime(), "gate")), Arc::clone(&gone));
            let (left, ended) = (Arc::new(AtomicU64::new(3)), Completion::new(current.runtime(), "ended"));
            for n in 0..3 {
                let (queue, gone, left) = (Arc::clone(&queue), Arc::clone(&gone), Arc::clone(&left));
                let ended = ended.clone();
                current.spawn(&format!("sleeper.{n}"), move |task| {
                    queue.wait_event(task, || gone.load(Ordering::SeqCst));
                    // Each passes the wake-up on, as an exclusive waiter does.
                    queue.wake_up(task);
                    left.fetch_sub(1, Ordering::SeqCst);
                    ended.complete(task);
                });
            }
            up.store(true, Ordering::SeqCst);
            queue.wake_up(current);
            (0..3).for_each(|_| ended.wait(current));
            assert_eq!(left.load(Ordering::SeqCst), 0);
        }
    });
}

#[test]
fn the_last_reference_is_dropped_once() {
    finishes(|| {
        |current: &Task| {
            let refs = Arc::new(RefCount::new(current.runtime(), "device", 1));
            let (theirs, zeros) = (Arc::clone(&refs), Arc::new(AtomicU64::new(0)));
            let seen = Arc::clone(&zeros);
            // The creator's reference goes to the tasks, who all take theirs before any of them can drop the last.
            for _ in 1..4 {
                refs.get(current);
            }
            crew(current, "user", 4, move |task, _| {
                theirs.get(task);
                assert!(!theirs.put(task), "there is still my own");
                if theirs.put(task) {
                    assert_eq!(seen.fetch_add(1, Ordering::SeqCst), 0, "two last references");
                }
            });
            assert_eq!((zeros.load(Ordering::SeqCst), refs.count()), (1, 0));
        }
    });
}

#[test]
fn a_reference_to_nothing_is_a_bug() {
    let revive = || {
        |current: &Task| {
            let refs = RefCount::new(current.runtime(), "device", 1);
            assert!(refs.put(current));
            refs.get(current);
        }
    };
    let twice = || {
        |current: &Task| {
            let refs = RefCount::new(current.runtime(), "device", 1);
            assert!(refs.put(current));
            refs.put(current);
        }
    };
    for outcome in on_both(revive) {
        assert!(crash(outcome).message.contains("\"device\" after the last was dropped: use after free"));
    }
    for outcome in on_both(twice) {
        assert!(crash(outcome).message.contains("\"device\" dropped once too often"));
    }
}

/// Tables that are freed after a grace period are never read again.
fn tables(current: &Task, synchronizes: bool) {
    const UPDATES: usize = 3;
    let srcu = Arc::new(Srcu::new(current.runtime(), "table", 0_usize));
    let freed: Arc<[AtomicBool; UPDATES + 1]> = Arc::default();
    crew(current, "user", 3, move |task, n| {
        for update in 1..=UPDATES {
            if n == 0 {
                let old = srcu.published();
                srcu.publish(task, update);
                if synchronizes {
                    srcu.synchronize(task);
                }
                freed[old].store(true, Ordering::SeqCst);
            } else {
                let table = srcu.read_lock(task);
                assert!(!freed[*table].load(Ordering::SeqCst), "a freed table is read");
                task.yield_now();
                // A nested read may see a newer table, and does not shorten the outer one.
                assert!(srcu.read_with(task, |newer| newer >= *table));
                task.yield_now();
                assert!(!freed[*table].load(Ordering::SeqCst), "a table was freed while it was read");
            }
        }
    });
}

#[test]
fn synchronize_returns_only_after_the_readers_that_began_before_it() {
    finishes(|| |current: &Task| tables(current, true));
}

#[test]
fn without_synchronize_a_table_is_freed_while_it_is_read() {
    for (name, mut strategy) in strategies(1) {
        let failure = first_failure(&mut *strategy, 200, || |current: &Task| tables(current, false));
        assert!(matches!(failure, Some((_, Outcome::Panic(_)))), "{name} sees no use after free");
    }
}

#[test]
fn later_readers_do_not_delay_synchronize() {
    let model = || {
        |current: &Task| {
            let srcu = Arc::new(Srcu::new(current.runtime(), "table", 0));
            let early = srcu.read_lock(current);
            let (theirs, over) = (Arc::clone(&srcu), Completion::new(current.runtime(), "grace period over"));
            let tell = over.clone();
            current.spawn("updater", move |task| {
                theirs.publish(task, 1);
                theirs.synchronize(task);
                tell.complete(task);
            });
            // The virtual clock moves only when the updater waits and can do nothing else.
            current.sleep(Nanos(1));
            let late = srcu.read_lock(current);
            assert_eq!((*early, *late), (0, 1));
            drop(early);
            over.wait(current);
            drop(late);
        }
    };
    for (name, mut strategy) in strategies(1) {
        assert_eq!(first_failure(&mut *strategy, 50, model), None, "{name}");
    }
}
