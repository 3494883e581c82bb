//! Time: the virtual clock of the explorer with and without costs, sleeps on threads, and waits with a time limit that
//! cross with their grant.
//!
//! Not here: the pool's five-second retry (`sync_mempool.rs`), deadlines (`sched_deadlocks.rs`).

mod support;

use std::sync::{Arc, Mutex};

use dmlab_engine::block::{Bio, BioOp, BlkStatus, EndIo, submit_bio};
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::explorer::{CostTable, Explorer, Fair, Random};
use dmlab_engine::sched::object::Wait;
use dmlab_engine::sched::{Digest, Holder, Object, OpKind, Outcome, Site, StateMachine, Step, Task, TaskId, Wakes};
use dmlab_engine::sync::{Completion, Mempool, Mutex as Lock};
use dmlab_engine::variants::Variants;
use dmlab_units::{Nanos, Sectors, Seed};

use support::{crew, explore, limits, on_threads, strategies};

/// Tasks that sleep and say when they woke.
fn sleepers(naps: &'static [u64], log: &Arc<Mutex<Vec<(u64, u64)>>>) -> impl FnOnce(&Task) + Send + 'static {
    let log = Arc::clone(log);
    move |current| {
        for (n, &nap) in naps.iter().enumerate() {
            let log = Arc::clone(&log);
            current.spawn(&format!("sleeper.{n}"), move |task| {
                task.sleep(Nanos(nap));
                log.lock().unwrap().push((nap, task.now().0));
            });
        }
    }
}

#[test]
fn sleeps_end_in_the_order_of_their_ends_and_the_clock_stops_at_the_last() {
    const NAPS: &[u64] = &[700, 20, 3_000_000_000, 21, 0, 699];
    for (name, mut strategy) in strategies(3) {
        for _ in 0..20 {
            let log = Arc::default();
            let result = explore(&mut *strategy, sleepers(NAPS, &log));
            assert_eq!((result.outcome, result.now), (Outcome::Finished, Nanos::secs(3)), "{name}");
            let expected = [0, 20, 21, 699, 700, 3_000_000_000].map(|nap| (nap, nap));
            assert_eq!(*log.lock().unwrap(), expected, "{name}");
        }
    }
}

#[test]
fn sleeps_one_after_the_other_add_up() {
    let result = explore(&mut Random::new(Seed(1)), |current| {
        for n in 1..=4 {
            current.sleep(Nanos(n * 100));
        }
        assert_eq!(current.now(), Nanos(1000));
        // Operations without a cost take no time.
        drop(Lock::new(current.runtime(), "lock", ()).lock(current));
        assert_eq!(current.now(), Nanos(1000));
    });
    assert_eq!((result.outcome, result.now), (Outcome::Finished, Nanos(1000)));
}

#[test]
fn without_costs_the_clock_stands_while_anybody_can_go_on() {
    let mut explorer = Explorer::new(limits());
    let log = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&log);
    let result = explorer.run(&mut Random::new(Seed(5)), move |current| {
        let sleeper = Arc::clone(&said);
        current.spawn("sleeper", move |task| {
            task.sleep(Nanos(1));
            sleeper.lock().unwrap().push("slept");
        });
        for _ in 0..50 {
            current.yield_now();
        }
        said.lock().unwrap().push("worked");
    });
    assert_eq!(result.outcome, Outcome::Finished);
    assert_eq!(*log.lock().unwrap(), ["worked", "slept"]);
}

#[test]
fn with_costs_a_timer_that_is_due_fires_while_others_are_ready() {
    let cost = CostTable::default();
    let mut explorer = Explorer::with_cost(limits(), cost);
    let log = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&log);
    let result = explorer.run(&mut Fair::new(Seed(5)), move |current| {
        let sleeper = Arc::clone(&said);
        current.spawn("sleeper", move |task| {
            task.sleep(Nanos(100));
            assert!(task.now() >= Nanos(100));
            sleeper.lock().unwrap().push("slept");
        });
        for _ in 0..50 {
            current.yield_now();
        }
        assert_eq!(current.now(), Nanos(51 * cost.other.0), "50 operations of mine and one of the sleeper's");
        said.lock().unwrap().push("worked");
    });
    assert_eq!(result.outcome, Outcome::Finished);
    assert_eq!(*log.lock().unwrap(), ["slept", "worked"]);
}

#[test]
fn each_operation_costs_what_the_table_says() {
    let cost =
        CostTable { lock: Nanos(1), mempool: Nanos(100), work: Nanos(10_000), other: Nanos(1_000_000), bio: Nanos(7) };
    let result = Explorer::with_cost(limits(), cost).run(&mut Fair::new(Seed(1)), |current| {
        drop(Lock::new(current.runtime(), "lock", ()).lock(current));
        let pool = Mempool::new(current.runtime(), "pool", 1);
        let element = pool.alloc(current, dmlab_engine::sync::Gfp::NoIo).unwrap();
        pool.free(current, element);
        current.yield_now();
        current.charge(Nanos(5_000_000_000));
    });
    assert_eq!((result.outcome, result.now), (Outcome::Finished, Nanos(5_001_000_202)));
}

struct Ends;

impl EndIo for Ends {
    fn end_io(self: Arc<Self>, _current: &Task, status: BlkStatus, _cookie: u64) {
        assert_eq!(status, BlkStatus::Ok);
    }
}

/// What a bio to a linear device over a null device costs if only bios cost something.
fn price_of_a_bio(split: &'static str) -> Nanos {
    let cost = CostTable { lock: Nanos(0), mempool: Nanos(0), work: Nanos(0), other: Nanos(0), bio: Nanos(1) };
    let result = Explorer::with_cost(limits(), cost).run(&mut Fair::new(Seed(1)), move |current| {
        let mut variants = Variants::default();
        variants.set("split", split).unwrap();
        let machine = Machine::new(current, variants, false);
        let null = machine.add_null(current, "n", Sectors(8));
        let device = machine.dm().create(current, "t").unwrap();
        machine.dm().load(current, "t", &[format!("0 8 linear {} 0", null.id())]).unwrap();
        machine.dm().resume(current, "t").unwrap();
        assert_eq!(current.now(), Nanos(0), "no bio so far");
        let hook: Arc<dyn EndIo> = Arc::new(Ends);
        submit_bio(current, Bio::new(current, BioOp::Write, device, (Sectors(0), Sectors(8)), None, (hook, 0)));
    });
    assert_eq!(result.outcome, Outcome::Finished);
    result.now
}

#[test]
fn a_bio_is_charged_for_when_it_is_taken_from_its_set_and_when_it_is_submitted() {
    assert_eq!(price_of_a_bio("trim"), Nanos(3), "two submitted, one of them from a set");
    assert_eq!(price_of_a_bio("loop"), Nanos(3), "the same: the dm_io is not from a set");
}

#[test]
fn charges_cost_nothing_without_a_table() {
    let result = explore(&mut Random::new(Seed(1)), |current| {
        current.charge(Nanos::secs(1));
        current.yield_now();
    });
    assert_eq!(result.now, Nanos(0));
}

#[test]
fn on_threads_a_sleep_takes_at_least_its_time() {
    let log = Arc::default();
    let result = on_threads(sleepers(&[30_000_000, 1_000_000], &log));
    assert_eq!(result.outcome, Outcome::Finished);
    assert!(log.lock().unwrap().iter().all(|(nap, woke)| woke >= nap));
    assert!(result.now >= Nanos::millis(30));
}

/// Waits with a time limit that one operation grants all at once, in the order of waiting.
#[derive(Default)]
struct Gate {
    waiters: Vec<TaskId>,
    granted: Vec<TaskId>,
}

enum GateOp {
    Pass(Nanos),
    Open,
}

impl StateMachine for Gate {
    type Op = GateOp;
    /// Whether the gate was opened in time.
    type Grant = bool;
    const LABEL: &'static str = "gate";

    fn announce(op: &GateOp) -> (OpKind, u64) {
        match op {
            GateOp::Pass(_) => (OpKind::WaitForCompletion, 0),
            GateOp::Open => (OpKind::CompleteAll, 0),
        }
    }

    fn may_sleep(op: &GateOp) -> bool {
        matches!(op, GateOp::Pass(_))
    }

    fn apply(&mut self, by: Site, op: GateOp, wakes: &mut Wakes) -> Step<bool> {
        match op {
            GateOp::Pass(limit) => {
                self.waiters.push(by.task);
                Step::Wait(Wait::at_most(limit))
            }
            GateOp::Open => {
                wakes.extend(self.waiters.iter().copied());
                self.granted.append(&mut self.waiters);
                Step::Granted(true)
            }
        }
    }

    fn observed(grant: &bool) -> u64 {
        u64::from(*grant)
    }

    fn digest(&self, into: &mut Digest<'_>) {
        self.waiters.iter().chain(&self.granted).for_each(|task| into.task(*task));
    }

    fn collect(&mut self, who: TaskId) -> bool {
        let place = self.granted.iter().position(|task| *task == who).expect("a woken waiter was granted something");
        self.granted.swap_remove(place);
        true
    }

    fn time_out(&mut self, who: TaskId) -> Option<bool> {
        let place = self.waiters.iter().position(|task| *task == who)?;
        self.waiters.remove(place);
        Some(false)
    }

    fn holders(&self, _waiter: TaskId) -> Vec<Holder> {
        Vec::new()
    }

    fn summary(&self) -> String {
        format!("{} waiting", self.waiters.len())
    }
}

/// Lets something between half of `time` and one and a half of it pass; on threads to the point, which a sleep is not.
fn pass_about(task: &Task, time: Nanos) {
    let nap = Nanos(time.0 / 2 + u64::from(task.choose("how long", time.0 as u32 + 1)));
    if task.runtime().is_explorer() {
        task.sleep(nap);
    } else {
        let end = task.now().0 + nap.0;
        while task.now().0 < end {
            std::hint::spin_loop();
        }
    }
}

/// Each wait at the gate is followed by a wait for a lock, which a wake-up left over from the gate would end early.
fn crossing(current: &Task, rounds: u32, limit: Nanos) {
    const WAITERS: u32 = 6;
    let gate = Object::new(current.runtime(), "gate", Gate::default());
    let lock = Arc::new(Lock::new(current.runtime(), "lock", 0_u64));
    let (theirs, locked) = (Arc::clone(&gate), Arc::clone(&lock));
    crew(current, "user", WAITERS + 1, move |task, n| {
        for _ in 0..rounds {
            if n < WAITERS {
                theirs.perform(task, GateOp::Pass(limit));
                *locked.lock(task) += 1;
            } else {
                let guard = locked.lock(task);
                pass_about(task, limit);
                theirs.perform(task, GateOp::Open);
                task.yield_now();
                drop(guard);
            }
        }
    });
    assert_eq!(*lock.lock(current), u64::from(WAITERS * rounds));
    let left = gate.peek(|gate| (gate.waiters.len(), gate.granted.len()));
    assert_eq!(left, (0, 0), "waits and grants are all accounted for");
}

#[test]
fn on_threads_a_grant_that_crosses_with_its_timeout_does_not_end_a_later_wait() {
    let result = on_threads(|current| crossing(current, 1500, Nanos(200_000)));
    assert_eq!(result.outcome, Outcome::Finished, "{}", support::tell(&result.outcome));
}

#[test]
fn on_the_explorer_a_grant_that_crosses_with_its_timeout_does_not_end_a_later_wait() {
    for (name, mut strategy) in strategies(2) {
        let failure = support::first_failure(&mut *strategy, 100, || |current: &Task| crossing(current, 3, Nanos(2)));
        assert_eq!(failure, None, "{name}");
    }
}

#[test]
fn a_wait_with_a_time_limit_ends_at_the_limit_or_when_granted() {
    let late = explore(&mut Random::new(Seed(1)), |current| {
        let gate = Object::new(current.runtime(), "gate", Gate::default());
        assert!(!gate.perform(current, GateOp::Pass(Nanos(500))));
        assert_eq!(current.now(), Nanos(500));
    });
    assert_eq!(late.outcome, Outcome::Finished);
    let granted = explore(&mut Random::new(Seed(1)), |current| {
        let (gate, end) =
            (Object::new(current.runtime(), "gate", Gate::default()), Completion::new(current.runtime(), "end"));
        let (theirs, ended) = (Arc::clone(&gate), end.clone());
        current.spawn("waiter", move |task| {
            assert!(theirs.perform(task, GateOp::Pass(Nanos(500))));
            assert_eq!(task.now(), Nanos(200));
            ended.complete(task);
        });
        current.sleep(Nanos(200));
        gate.perform(current, GateOp::Open);
        end.wait(current);
    });
    assert_eq!((granted.outcome, granted.now), (Outcome::Finished, Nanos(200)), "its timer is gone");
}
