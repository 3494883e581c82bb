//! Workqueues in real use, under both drivers: order, max_active, flush, drain, and the rescuer when no worker can be
//! started.
//!
//! Not here: the queue's rules one by one (unit tests next to it), md's own queues (`stacks.rs`).

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::sync::{Completion, Work, Workqueue, WqFlags};
use dmlab_units::Nanos;

use support::{crew, deadlock, finishes, first_failure, hang, on_both, strategies};

/// What has been done, in order.
type Log = Arc<Mutex<Vec<u32>>>;

fn items(log: &Log, count: u32) -> Vec<Work> {
    let item = |n: u32| {
        let log = Arc::clone(log);
        Work::new("work", move |worker| {
            worker.yield_now();
            log.lock().unwrap().push(n);
        })
    };
    (0..count).map(item).collect()
}

fn seen(log: &Log) -> Vec<u32> {
    log.lock().unwrap().clone()
}

fn no_worker_starts(mem_reclaim: bool, max_active: u32) -> WqFlags {
    WqFlags { max_active, mem_reclaim, worker_fails: Some(Arc::new(|_| true)) }
}

#[test]
fn an_ordered_queue_runs_one_by_one_in_the_order_of_queueing() {
    finishes(|| {
        |current: &Task| {
            let (log, queue) = (Log::default(), Workqueue::new(current.runtime(), "wq", WqFlags::ORDERED_RECLAIM));
            let works = items(&log, 6);
            for work in &works {
                assert!(queue.queue(current, work));
            }
            queue.flush(current);
            assert_eq!(seen(&log), [0, 1, 2, 3, 4, 5]);
        }
    });
}

/// Six items, of which no more than `max_active` may be inside at once.
fn crowd(max_active: u32, worker_fails: fn(u64) -> bool) -> impl FnOnce(&Task) + Send + 'static {
    move |current| {
        let flags = WqFlags { max_active, mem_reclaim: true, worker_fails: Some(Arc::new(worker_fails)) };
        let queue = Workqueue::new(current.runtime(), "wq", flags);
        let (inside, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        for _ in 0..6 {
            let (inside, done) = (Arc::clone(&inside), Arc::clone(&done));
            let work = Work::new("work", move |worker| {
                assert!(inside.fetch_add(1, Ordering::SeqCst) < u64::from(max_active), "too many items run");
                worker.yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
            });
            queue.queue(current, &work);
        }
        queue.drain(current);
        assert_eq!(done.load(Ordering::SeqCst), 6);
    }
}

#[test]
fn no_more_than_max_active_items_run_at_once() {
    finishes(|| crowd(2, |_| false));
}

#[test]
fn the_rescuer_counts_towards_max_active() {
    // The first worker cannot be started, so there is a rescuer; the second can, so there are two threads for one place.
    finishes(|| crowd(1, |n| n == 0));
}

#[test]
fn two_items_that_need_each_other_meet_when_two_may_run() {
    let meet = |max_active: u32| {
        move |current: &Task| {
            let queue =
                Workqueue::new(current.runtime(), "wq", WqFlags { max_active, mem_reclaim: false, worker_fails: None });
            let here = Arc::new([Completion::new(current.runtime(), "0"), Completion::new(current.runtime(), "1")]);
            for n in 0..2 {
                let here = Arc::clone(&here);
                let work = Work::new("work", move |worker| {
                    here[n].complete(worker);
                    here[1 - n].wait(worker);
                });
                queue.queue(current, &work);
            }
            queue.flush(current);
        }
    };
    finishes(|| meet(2));
    for outcome in on_both(|| meet(1)) {
        let text = hang(outcome).to_string();
        assert!(text.contains("1 of 1 running, 1 queued, 0 idle worker(s)"), "{text}");
        assert!(text.contains("runs work item 0"), "{text}");
    }
}

#[test]
fn an_item_that_is_pending_is_not_queued_twice_and_one_that_runs_can_be_queued_again() {
    finishes(|| {
        |current: &Task| {
            let queue = Workqueue::new(current.runtime(), "wq", WqFlags::ORDERED_RECLAIM);
            let (begun, go) = (Completion::new(current.runtime(), "begun"), Completion::new(current.runtime(), "go"));
            let runs = Arc::new(AtomicU64::new(0));
            let (tell, wait, count) = (begun.clone(), go.clone(), Arc::clone(&runs));
            let work = Work::new("work", move |worker| {
                count.fetch_add(1, Ordering::SeqCst);
                tell.complete(worker);
                wait.wait(worker);
            });
            assert!(queue.queue(current, &work));
            begun.wait(current);
            assert!(queue.queue(current, &work), "it runs, so it is not pending");
            assert!(!queue.queue(current, &work), "it is pending");
            go.complete_all(current);
            queue.flush(current);
            assert_eq!(runs.load(Ordering::SeqCst), 2);
        }
    });
}

#[test]
fn flush_waits_for_what_was_queued_before_and_not_for_what_comes_later() {
    let model = || {
        |current: &Task| {
            let flags = WqFlags { max_active: 2, mem_reclaim: false, worker_fails: None };
            let (queue, log) = (Workqueue::new(current.runtime(), "wq", flags), Log::default());
            let flushed = Completion::new(current.runtime(), "flushed");
            let hold = flushed.clone();
            // Cannot end before the flush has returned.
            let later = Work::new("work", move |worker| hold.wait(worker));
            let (theirs, said) = (queue.clone(), Arc::clone(&log));
            let first = Work::new("work", move |worker| {
                // The virtual clock moves only when the flush waits.
                worker.sleep(Nanos(1));
                theirs.queue(worker, &later);
                worker.yield_now();
                said.lock().unwrap().push(1);
            });
            queue.queue(current, &first);
            queue.flush(current);
            assert_eq!(seen(&log), [1]);
            flushed.complete(current);
            queue.drain(current);
        }
    };
    for (name, mut strategy) in strategies(1) {
        assert_eq!(first_failure(&mut *strategy, 100, model), None, "{name}");
    }
}

#[test]
fn drain_waits_for_items_that_items_queue() {
    finishes(|| {
        |current: &Task| {
            let queue = Workqueue::new(current.runtime(), "wq", WqFlags::ORDERED_RECLAIM);
            let log = Log::default();
            let mut next = items(&log, 1).remove(0);
            for n in 1..4 {
                let (queue, log, then) = (queue.clone(), Arc::clone(&log), next);
                next = Work::new("work", move |worker| {
                    log.lock().unwrap().push(n);
                    queue.queue(worker, &then);
                });
            }
            queue.queue(current, &next);
            queue.drain(current);
            assert_eq!(seen(&log), [3, 2, 1, 0]);
        }
    });
}

#[test]
fn the_rescuer_runs_the_work_when_no_worker_can_be_started() {
    finishes(|| {
        |current: &Task| {
            let (log, queue) = (Log::default(), Workqueue::new(current.runtime(), "wq", no_worker_starts(true, 4)));
            let names = Arc::new(Mutex::new(Vec::new()));
            let said = Arc::clone(&names);
            let who = Work::new("work", move |worker| said.lock().unwrap().push(worker.name().to_owned()));
            for work in &items(&log, 3) {
                queue.queue(current, work);
            }
            queue.queue(current, &who);
            queue.flush(current);
            assert_eq!(seen(&log), [0, 1, 2]);
            assert_eq!(*names.lock().unwrap(), ["rescuer/wq"]);
        }
    });
}

#[test]
fn without_a_rescuer_the_work_waits_until_a_worker_can_be_started() {
    // The first attempt fails, the second does not.
    finishes(|| {
        |current: &Task| {
            let flags = WqFlags { max_active: 1, mem_reclaim: false, worker_fails: Some(Arc::new(|n| n == 0)) };
            let (log, queue) = (Log::default(), Workqueue::new(current.runtime(), "wq", flags));
            let works = items(&log, 2);
            queue.queue(current, &works[0]);
            queue.queue(current, &works[1]);
            queue.flush(current);
            assert_eq!(seen(&log), [0, 1]);
        }
    });
    for outcome in on_both(|| {
        |current: &Task| {
            let queue = Workqueue::new(current.runtime(), "wq", no_worker_starts(false, 1));
            queue.queue(current, &Work::new("work", |_| ()));
            queue.flush(current);
        }
    }) {
        let text = hang(outcome).to_string();
        assert!(text.contains("0 of 1 running, 1 queued, 0 idle worker(s)"), "{text}");
    }
}

#[test]
fn many_tasks_queue_and_flush_at_once() {
    finishes(|| {
        |current: &Task| {
            let flags = WqFlags { max_active: 2, mem_reclaim: true, worker_fails: Some(Arc::new(|n| n % 2 == 0)) };
            let queue = Workqueue::new(current.runtime(), "wq", flags);
            let theirs = queue.clone();
            crew(current, "client", 3, move |task, _| {
                let runs = Arc::new(AtomicU64::new(0));
                for n in 1..=3 {
                    let count = Arc::clone(&runs);
                    let work = Work::new("work", move |_| {
                        count.fetch_add(1, Ordering::SeqCst);
                    });
                    theirs.queue(task, &work);
                    theirs.flush(task);
                    assert_eq!(runs.load(Ordering::SeqCst), n, "my item has run when the flush is over");
                }
            });
            queue.drain(current);
        }
    });
}

#[test]
fn a_work_item_that_flushes_its_own_queue_waits_for_itself() {
    let model = || {
        |current: &Task| {
            let queue = Workqueue::new(current.runtime(), "wq", WqFlags::ORDERED_RECLAIM);
            let theirs = queue.clone();
            queue.queue(current, &Work::new("work", move |worker| theirs.flush(worker)));
        }
    };
    for outcome in on_both(model) {
        let report = deadlock(outcome);
        assert_eq!((report.cycle.len(), &*report.cycle[0].task), (1, "kworker/wq.0"));
        assert_eq!(report.cycle[0].frames, ["process_one_work", "worker_thread"]);
    }
}

#[test]
fn workers_without_work_do_not_make_a_run_stuck() {
    let model = || {
        |current: &Task| {
            let queue = Workqueue::new(current.runtime(), "wq", WqFlags::RECLAIM);
            for _ in 0..3 {
                queue.queue(current, &Work::new("yield", Task::yield_now));
            }
        }
    };
    assert_eq!(on_both(model), [Outcome::Finished, Outcome::Finished]);
}
