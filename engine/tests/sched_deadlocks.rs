//! What a run says when it is stuck: that it is, with whom, where and why; on both drivers.
//!
//! Verified: cycles through mutexes, rw_semaphores, semaphores and completions, and waits without a known holder. Not
//! here: pools and workqueues (`sync_mempool.rs`, `sync_workqueue.rs`), device-mapper's own deadlocks (`stacks.rs`).

mod support;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_engine::sched::explorer::{Explorer, Pct, Random};
use dmlab_engine::sched::waits::StuckReport;
use dmlab_engine::sched::{Object, OpKind, Outcome, RunResult, StateMachine, Task, TaskLocal, threads};
use dmlab_engine::sync::rwsem::{RwOp, RwState};
use dmlab_engine::sync::{Completion, Mutex, Semaphore, SpinLock, WaitQueue};
use dmlab_units::{Nanos, Seed};

use support::{Model, deadlock, finishes, first_failure, hang, limits, on_both, on_threads};

/// Two mutexes taken in both orders. `met` makes sure that each task has its first before either asks for its second.
fn abba(met: bool) -> impl FnOnce(&Task) + Send + 'static {
    move |current| {
        let runtime = current.runtime();
        let locks = Arc::new([Mutex::new(runtime, "lock_a", ()), Mutex::new(runtime, "lock_b", ())]);
        let here = Arc::new([Completion::new(runtime, "0 is here"), Completion::new(runtime, "1 is here")]);
        for n in 0..2 {
            let (locks, here) = (Arc::clone(&locks), Arc::clone(&here));
            current.spawn(["forwards", "backwards"][n], move |task| {
                let _outer = task.enter(["take_a_then_b", "take_b_then_a"][n]);
                let _first = {
                    let _inner = task.enter("take_first");
                    locks[n].lock(task)
                };
                if met {
                    here[n].complete(task);
                    here[1 - n].wait(task);
                }
                let _inner = task.enter("take_second");
                drop(locks[1 - n].lock(task));
            });
        }
    }
}

fn check_abba(report: &StuckReport) {
    assert_eq!((report.cycle.len(), report.others.len()), (2, 0));
    let names: Vec<&str> = report.cycle_names().into_iter().collect();
    assert_eq!(names, ["backwards", "forwards", "lock_a", "lock_b"]);
    assert_eq!(report.signature(), "mutex_lock lock_a, mutex_lock lock_b");
    for (place, link) in report.cycle.iter().enumerate() {
        assert_eq!((link.op, link.label), (OpKind::MutexLock, "mutex"));
        let next = &report.cycle[1 - place];
        assert_eq!((&link.held_by[0].task, link.held_by[0].in_cycle), (&next.task, true));
        assert_eq!(link.frames[0], "take_second");
        assert_eq!(link.held_by[0].frames[0], "take_first");
        assert_eq!(link.frames[1], next.held_by[0].frames[1]);
        assert!(link.at.starts_with("engine/tests/sched_deadlocks.rs:"), "{}", link.at);
    }
    let text = report.to_string();
    for part in [
        "deadlock: 2 tasks wait for each other: forwards -> backwards",
        "task forwards waits in mutex_lock for mutex \"lock_b\" (owned, 1 waiting)",
        "task backwards waits in mutex_lock for mutex \"lock_a\" (owned, 1 waiting)",
        "=> held by backwards: owner, taken in",
        "take_a_then_b",
        "take_b_then_a",
        "take_first",
        "take_second",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn the_explorer_finds_two_mutexes_taken_in_both_orders() {
    for seed in 0..20 {
        let (_, outcome) = first_failure(&mut Random::new(Seed(seed)), 20, || abba(false)).expect("random finds it");
        check_abba(&deadlock(outcome));
        let (_, outcome) = first_failure(&mut Pct::new(Seed(seed), 2), 500, || abba(false)).expect("pct finds it");
        check_abba(&deadlock(outcome));
    }
}

#[test]
fn threads_report_the_same_deadlock_when_it_is_certain() {
    check_abba(&deadlock(on_threads(abba(true)).outcome));
}

#[test]
fn the_report_is_the_same_text_on_both_drivers() {
    let [explored, threaded] = on_both(|| abba(true));
    assert_eq!(deadlock(explored).to_string(), deadlock(threaded).to_string());
}

#[test]
fn one_order_of_two_mutexes_never_deadlocks() {
    finishes(|| {
        |current: &Task| {
            let locks = Arc::new([Mutex::new(current.runtime(), "a", ()), Mutex::new(current.runtime(), "b", ())]);
            support::crew(current, "user", 3, move |task, _| {
                let _first = locks[0].lock(task);
                let _second = locks[1].lock(task);
            });
        }
    });
}

#[test]
fn a_reader_that_reads_again_behind_a_queued_writer_is_told_of_the_writer() {
    let model = || {
        |current: &Task| {
            // The bare primitive, whose state can be looked at: the writer must be in the queue.
            let lock = Object::new(current.runtime(), "s->lock", RwState::default());
            let _outer = current.enter("snapshot_map");
            lock.perform(current, RwOp::DownRead);
            let theirs = Arc::clone(&lock);
            current.spawn("ctr", move |task| {
                let _frame = task.enter("snapshot_ctr");
                theirs.perform(task, RwOp::DownWrite);
            });
            while !lock.peek(RwState::summary).contains("1 writer(s)") {
                current.yield_now();
            }
            let _inner = current.enter("__origin_write");
            lock.perform(current, RwOp::DownRead);
        }
    };
    let check = |report: StuckReport| {
        assert_eq!(report.cycle.len(), 2);
        let reader = report.cycle.iter().find(|link| link.task == "main").unwrap();
        let writer = report.cycle.iter().find(|link| link.task == "ctr").unwrap();
        assert_eq!((reader.op, &*reader.held_by[0].what), (OpKind::DownRead, "queued writer, bars later readers"));
        assert_eq!((writer.op, &*writer.held_by[0].what), (OpKind::DownWrite, "reader"));
        assert_eq!(writer.held_by[0].frames, ["snapshot_map"]);
        assert_eq!(reader.frames, ["__origin_write", "snapshot_map"]);
        assert_eq!(reader.held_by[0].frames, ["snapshot_ctr"]);
        assert_eq!(reader.summary, "held by 1 reader(s), 1 writer(s) and 1 reader(s) waiting");
    };
    on_both(model).into_iter().for_each(|outcome| check(deadlock(outcome)));
}

#[test]
fn a_lock_taken_twice_by_its_owner_is_a_cycle_of_one() {
    let model = || {
        |current: &Task| {
            let lock = Mutex::new(current.runtime(), "once", ());
            let _first = lock.lock(current);
            drop(lock.lock(current));
        }
    };
    for outcome in on_both(model) {
        assert!(deadlock(outcome).to_string().starts_with("deadlock: main waits for itself\n"));
    }
}

#[test]
fn two_spinlocks_taken_in_both_orders_are_a_deadlock_too() {
    let model = || {
        |current: &Task| {
            let locks =
                Arc::new([SpinLock::new(current.runtime(), "a", ()), SpinLock::new(current.runtime(), "b", ())]);
            for n in 0..2 {
                let locks = Arc::clone(&locks);
                current.spawn(&format!("cpu.{n}"), move |task| {
                    let _first = locks[n].lock(task);
                    drop(locks[1 - n].lock(task));
                });
            }
        }
    };
    let (_, outcome) = first_failure(&mut Random::new(Seed(3)), 50, model).expect("it is found");
    assert_eq!(deadlock(outcome).signature(), "spin_lock a, spin_lock b");
}

#[test]
fn a_unit_that_was_handed_over_is_held_by_its_new_keeper() {
    let model = || {
        |current: &Task| {
            let throttle = Arc::new(Semaphore::new(current.runtime(), "cow_count", 1));
            let lock = Arc::new(Mutex::new(current.runtime(), "pe_lock", ()));
            let guard = lock.lock(current);
            throttle.down(current);
            let (theirs, their_lock) = (Arc::clone(&throttle), Arc::clone(&lock));
            let keeper = current.spawn("kcopyd", move |task| {
                let _guard = their_lock.lock(task);
                theirs.up(task);
            });
            throttle.hand_over(current, keeper);
            throttle.down(current);
            drop(guard);
        }
    };
    for outcome in on_both(model) {
        let report = deadlock(outcome);
        let names: Vec<&str> = report.cycle_names().into_iter().collect();
        assert_eq!(names, ["cow_count", "kcopyd", "main", "pe_lock"]);
        assert_eq!(report.cycle[0].held_by[0].what, "1 unit");
    }
}

#[test]
fn a_completion_whose_completer_is_known_takes_part_in_a_cycle() {
    let model = || {
        |current: &Task| {
            let (done, lock) = (
                Completion::new(current.runtime(), "io done"),
                Arc::new(Mutex::new(current.runtime(), "suspend_lock", ())),
            );
            let guard = lock.lock(current);
            let (theirs, complete) = (Arc::clone(&lock), done.clone());
            let completer = current.spawn("worker", move |task| {
                drop(theirs.lock(task));
                complete.complete(task);
            });
            done.declare_completer(current, completer);
            done.wait(current);
            drop(guard);
        }
    };
    for outcome in on_both(model) {
        let report = deadlock(outcome);
        assert_eq!(report.signature(), "mutex_lock suspend_lock, wait_for_completion io done");
        assert_eq!(report.cycle[0].held_by[0].what, "to complete it");
    }
}

#[test]
fn waits_without_a_holder_are_a_hang_and_not_a_deadlock() {
    let waits: Vec<(&str, Model)> = vec![
        ("wait_for_completion", |task| Completion::new(task.runtime(), "nothing").wait(task)),
        ("schedule", |task| WaitQueue::new(task.runtime(), "nothing").wait_event(task, || false)),
        ("down", |task| Semaphore::new(task.runtime(), "nothing", 0).down(task)),
    ];
    for (op, wait) in waits {
        for outcome in on_both(|| wait) {
            let report = hang(outcome);
            assert!(report.cycle.is_empty() && report.cycle_names().is_empty());
            assert_eq!((report.others.len(), report.others[0].op.name()), (1, op));
            let text = report.to_string();
            assert!(text.starts_with("1 task(s) can never go on; no wait-for cycle is known\n"), "{text}");
        }
    }
}

#[test]
fn tasks_behind_a_deadlock_are_told_apart_from_those_in_it() {
    let model = || {
        |current: &Task| {
            let lock = Arc::new(Mutex::new(current.runtime(), "lock", ()));
            let _first = lock.lock(current);
            for n in 0..2 {
                let lock = Arc::clone(&lock);
                current.spawn(&format!("victim.{n}"), move |task| drop(lock.lock(task)));
            }
            drop(lock.lock(current));
        }
    };
    for outcome in on_both(model) {
        let report = deadlock(outcome);
        assert_eq!(report.cycle.iter().map(|link| &*link.task).collect::<Vec<_>>(), ["main"]);
        assert_eq!(report.others.iter().map(|link| &*link.task).collect::<Vec<_>>(), ["victim.0", "victim.1"]);
        assert!(report.to_string().contains("\n2 more task(s) behind it:\n"));
    }
}

#[test]
fn a_task_that_makes_no_progress_until_the_deadline_is_a_hang() {
    let config = threads::Config { seed: Seed(1), deadline: Nanos::millis(50), interrupt: Arc::default() };
    let RunResult { outcome, .. } =
        threads::run(&config, |_| std::thread::sleep(std::time::Duration::from_millis(400)));
    let report = hang(outcome);
    assert!(report.others.is_empty(), "nobody waits for anything");
}

#[test]
fn time_that_passes_in_a_sleep_is_no_hang() {
    let config =
        threads::Config { seed: Seed(1), deadline: Nanos::millis(30), interrupt: Arc::new(AtomicBool::new(false)) };
    let RunResult { outcome, now, .. } = threads::run(&config, |current| current.sleep(Nanos::millis(150)));
    assert_eq!(outcome, Outcome::Finished);
    assert!(now >= Nanos::millis(150));
}

#[test]
fn an_explorer_that_was_stuck_is_as_good_as_new() {
    let mut explorer = Explorer::new(limits());
    for _ in 0..50 {
        check_abba(&deadlock(explorer.run(&mut Random::new(Seed(1)), abba(true)).outcome));
        let sound = explorer.run(&mut Random::new(Seed(1)), |current| current.yield_now());
        assert_eq!((sound.outcome, sound.steps), (Outcome::Finished, 1));
    }
}

/// What a task keeps from others, as the block layer does with undispatched bios.
struct Keeps(std::cell::Cell<u32>);

impl TaskLocal for Keeps {
    fn schedule(&self, _current: &Task) {
        self.0.set(self.0.get() + 1);
    }

    fn is_called_back(&self) -> bool {
        false
    }

    fn keeps(&self) -> Vec<String> {
        vec![format!("something, since {} schedules", self.0.get())]
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[test]
fn a_task_that_is_about_to_sleep_says_so_to_the_layer_above_and_one_that_spins_does_not() {
    let model = || {
        |current: &Task| {
            let kept = current.local(|| Keeps(std::cell::Cell::new(0)));
            let free = Mutex::new(current.runtime(), "free", ());
            drop(free.lock(current));
            assert_eq!(kept.0.get(), 0, "nothing to wait for");
            current.sleep(Nanos(1));
            assert_eq!(kept.0.get(), 1);
            let spin = SpinLock::new(current.runtime(), "spin", ());
            let _first = spin.lock(current);
            drop(spin.lock(current));
        }
    };
    for outcome in on_both(model) {
        let text = deadlock(outcome).to_string();
        assert!(text.contains("  meanwhile it keeps something, since 1 schedules\n"), "{text}");
    }
    let waits = || {
        |current: &Task| {
            current.local(|| Keeps(std::cell::Cell::new(0)));
            Completion::new(current.runtime(), "never").wait(current);
        }
    };
    for outcome in on_both(waits) {
        let text = hang(outcome).to_string();
        assert!(text.contains("  meanwhile it keeps something, since 1 schedules\n"), "{text}");
    }
}
