//! Every thread of a run on threads ends with it, stuck ones too. One test in a process of its own, because it counts the
//! threads of the process.
//!
//! Not here: what the runs report (`sched_deadlocks.rs`).

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::sync::{Completion, Mutex, Work, Workqueue, WqFlags};

use support::on_threads;

const RUNS: u64 = 50;

fn threads_of_this_process() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap();
    line.trim().parse().unwrap()
}

struct Count(Arc<AtomicU64>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Two tasks in a deadlock, a third behind it, an idle worker, and one that waits for nobody.
fn stuck(unwound: Arc<AtomicU64>) -> impl FnOnce(&Task) + Send + 'static {
    move |current| {
        let runtime = current.runtime();
        let locks = Arc::new([Mutex::new(runtime, "a", ()), Mutex::new(runtime, "b", ())]);
        let here = Arc::new([Completion::new(runtime, "0 is here"), Completion::new(runtime, "1 is here")]);
        for n in 0..2 {
            let (locks, here, count) = (Arc::clone(&locks), Arc::clone(&here), Count(Arc::clone(&unwound)));
            current.spawn(&format!("locker.{n}"), move |task| {
                let _count = count;
                let _first = locks[n].lock(task);
                here[n].complete(task);
                here[1 - n].wait(task);
                drop(locks[1 - n].lock(task));
            });
        }
        let queue = Workqueue::new(runtime, "wq", WqFlags::RECLAIM);
        queue.queue(current, &Work::new("work", |_| ()));
        queue.flush(current);
        let (never, count) = (Completion::new(runtime, "never"), Count(Arc::clone(&unwound)));
        let waits = never.clone();
        current.spawn("waiter", move |task| {
            let _count = count;
            waits.wait(task);
        });
        let _count = Count(unwound);
        drop(locks[0].lock(current));
        never.wait(current);
    }
}

#[test]
fn fifty_runs_that_deadlock_leave_no_thread_behind() {
    let unwound = Arc::new(AtomicU64::new(0));
    let before = threads_of_this_process();
    let started = Instant::now();
    for run in 1..=RUNS {
        let outcome = on_threads(stuck(Arc::clone(&unwound))).outcome;
        assert!(matches!(outcome, Outcome::Deadlock(_)), "run {run}: {}", support::tell(&outcome));
        assert_eq!(unwound.load(Ordering::SeqCst), 4 * run, "every stuck task is unwound before the run returns");
    }
    assert!(started.elapsed() < Duration::from_secs(60), "a deadlock is seen within moments");
    // A thread that was joined may take an instant to leave the list.
    let deadline = Instant::now() + Duration::from_secs(10);
    while threads_of_this_process() > before && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(threads_of_this_process(), before);
}
