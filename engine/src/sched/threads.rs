//! The driver on OS threads and the wall clock: operations are applied where they are asked for, and a monitor turns
//! "nothing moves" into a report of the live wait-for graph.
//!
//! Invariants: `active` counts the tasks that are neither done nor idle, and a task that is woken from idleness is
//! counted before it can run; a run ends when `active` is 0, when no active task can ever move, or at the deadline;
//! every thread of a run has ended when [`run`] returns, stuck ones too (they are unwound), except one that spins
//! without ever reaching an operation, which is left behind after `JOIN_PATIENCE`.
//! Not deterministic: the order of operations is the operating system's.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use dmlab_units::{Nanos, Rng, Seed};

use super::object::{Wait, Wakes};
use super::op::{OpKind, TaskId};
use super::outcome::{Bug, Outcome, RunResult};
use super::task;
use super::waits::{Site, Stuck, StuckReport, Waitable};

/// How often the monitor looks. A stuck run is reported after two looks at the same state.
const TICK: Duration = Duration::from_millis(10);
/// Looks at the wake flag before a thread parks: most waits for a lock are shorter than a context switch.
const SPINS_BEFORE_PARK: u32 = 100;
/// How long the end of a run waits for a thread that does not reach an operation.
const JOIN_PATIENCE: Duration = Duration::from_secs(2);

/// What a run on threads needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Decides [`task::Task::choose`].
    pub seed: Seed,
    /// No progress for this long is a hang.
    pub deadline: Nanos,
    /// Set from outside to end the run early.
    pub interrupt: Arc<AtomicBool>,
}

/// The state that all tasks of a run share.
pub struct Shared {
    epoch: Instant,
    seed: Seed,
    records: Mutex<Vec<Arc<Record>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    active: AtomicUsize,
    aborting: AtomicBool,
    failure: Mutex<Option<Outcome>>,
    monitor: Condvar,
    monitor_lock: Mutex<()>,
}

/// What others know of a task.
struct Record {
    id: TaskId,
    name: Arc<str>,
    thread: OnceLock<Thread>,
    woken: AtomicBool,
    /// Written by its own thread only.
    progress: AtomicU64,
    done: AtomicBool,
    blocked: Mutex<Option<Blocked>>,
}

enum Blocked {
    Waiting { object: Arc<dyn Waitable>, kind: OpKind, site: Site, wait: Wait, keeps: Vec<String>, counted: bool },
    Sleeping,
}

/// Ends a thread of a run that is over.
struct Abort;

/// A task's own end of its record.
pub(super) struct Seat {
    shared: Arc<Shared>,
    record: Arc<Record>,
    rng: RefCell<Rng>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panicked is reported through `failure`; what it left in here is still whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `model` as the root task and returns when no task can or may go on.
pub fn run(config: &Config, model: impl FnOnce(&task::Task) + Send + 'static) -> RunResult {
    let shared = Arc::new(Shared {
        epoch: Instant::now(),
        seed: config.seed.derive("choices"),
        records: Mutex::default(),
        threads: Mutex::default(),
        active: AtomicUsize::new(0),
        aborting: AtomicBool::new(false),
        failure: Mutex::new(None),
        monitor: Condvar::new(),
        monitor_lock: Mutex::new(()),
    });
    spawn(&shared, "main", Box::new(model));
    let outcome = watch(&shared, config);
    let (steps, now) = (shared.progress(), shared.now());
    let left_behind = stop(&shared);
    // A failure may have been set while the last threads were ending.
    let outcome = match (locked(&shared.failure).take(), outcome) {
        (Some(failure), Outcome::Finished) => failure,
        (_, outcome) => outcome,
    };
    let outcome = if left_behind && outcome == Outcome::Finished {
        Outcome::Panic("a thread of a finished run did not end".to_owned())
    } else {
        outcome
    };
    RunResult { outcome, steps, now }
}

/// The monitor: waits for the end, and calls a halt when nothing can move.
fn watch(shared: &Arc<Shared>, config: &Config) -> Outcome {
    let mut last_progress = (0, Instant::now());
    let mut was_stuck = false;
    loop {
        let guard = locked(&shared.monitor_lock);
        if shared.active.load(Ordering::SeqCst) > 0 && locked(&shared.failure).is_none() {
            drop(shared.monitor.wait_timeout(guard, TICK));
        }
        if let Some(failure) = locked(&shared.failure).take() {
            return failure;
        }
        if shared.active.load(Ordering::SeqCst) == 0 {
            return Outcome::Finished;
        }
        if config.interrupt.load(Ordering::Relaxed) {
            return Outcome::Interrupted;
        }
        let progress = shared.progress();
        let moved = progress != last_progress.0;
        if moved {
            last_progress = (progress, Instant::now());
        }
        let (all_stuck, timer_runs) = shared.look();
        if all_stuck && was_stuck && !moved {
            return shared.stuck_outcome();
        }
        was_stuck = all_stuck;
        if !timer_runs && last_progress.1.elapsed() >= config.deadline.into() {
            return shared.stuck_outcome();
        }
    }
}

/// Ends every thread; `true` when one would not end.
fn stop(shared: &Shared) -> bool {
    shared.aborting.store(true, Ordering::SeqCst);
    let started = Instant::now();
    loop {
        for record in locked(&shared.records).iter() {
            if let Some(thread) = record.thread.get() {
                thread.unpark();
            }
        }
        let mut threads = locked(&shared.threads);
        for finished in threads.extract_if(.., |thread| thread.is_finished()) {
            // The panic, if there was one, has been reported through `failure`.
            drop(finished.join());
        }
        if threads.is_empty() {
            return false;
        }
        if started.elapsed() > JOIN_PATIENCE {
            return true;
        }
        drop(threads);
        thread::sleep(Duration::from_micros(200));
    }
}

fn spawn(shared: &Arc<Shared>, name: &str, body: Box<dyn FnOnce(&task::Task) + Send>) -> TaskId {
    shared.active.fetch_add(1, Ordering::SeqCst);
    let mut records = locked(&shared.records);
    let id = TaskId(u32::try_from(records.len()).expect("fewer than 2^32 tasks"));
    let record = Arc::new(Record {
        id,
        name: name.into(),
        thread: OnceLock::new(),
        woken: AtomicBool::new(false),
        progress: AtomicU64::new(0),
        done: AtomicBool::new(false),
        blocked: Mutex::new(None),
    });
    records.push(Arc::clone(&record));
    drop(records);
    let shared_there = Arc::clone(shared);
    let thread = thread::Builder::new().name(name.chars().take(15).collect()).spawn(move || {
        record.thread.set(thread::current()).expect("a record has one thread");
        let rng = RefCell::new(shared_there.seed.nth(u64::from(id.0)).rng());
        let seat = Seat { shared: Arc::clone(&shared_there), record: Arc::clone(&record), rng };
        let current = task::Task::new(id, Arc::clone(&record.name), task::Seat::Thread(seat));
        let ended = catch_unwind(AssertUnwindSafe(|| body(&current)));
        record.done.store(true, Ordering::SeqCst);
        if let Err(payload) = ended
            && let Some(failure) = failure_of(payload)
        {
            locked(&shared_there.failure).get_or_insert(failure);
        }
        shared_there.retire();
    });
    match thread {
        Ok(handle) => locked(&shared.threads).push(handle),
        Err(error) => {
            locked(&shared.failure).get_or_insert(Outcome::Panic(format!("cannot start a thread: {error}")));
            shared.retire();
        }
    }
    id
}

/// What a payload that ended a task means; `None` for the end of a run that is over.
pub(super) fn failure_of(payload: Box<dyn Any + Send>) -> Option<Outcome> {
    if payload.is::<Abort>() {
        return None;
    }
    let payload = match payload.downcast::<Bug>() {
        Ok(bug) => return Some(Outcome::Crash(*bug)),
        Err(payload) => payload,
    };
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    Some(Outcome::Panic(text.unwrap_or_else(|| "a panic without a message".to_owned())))
}

impl Shared {
    fn now(&self) -> Nanos {
        self.epoch.elapsed().into()
    }

    fn progress(&self) -> u64 {
        locked(&self.records).iter().map(|record| record.progress.load(Ordering::Relaxed)).sum()
    }

    /// One active task less.
    fn retire(&self) {
        if self.active.fetch_sub(1, Ordering::SeqCst) == 1 || locked(&self.failure).is_some() {
            let _guard = locked(&self.monitor_lock);
            self.monitor.notify_all();
        }
    }

    /// Whether every active task waits without a time limit, and whether any timer runs.
    fn look(&self) -> (bool, bool) {
        let (mut all_stuck, mut timer_runs) = (true, false);
        for record in locked(&self.records).iter().filter(|record| !record.done.load(Ordering::SeqCst)) {
            match &*locked(&record.blocked) {
                Some(Blocked::Waiting { .. }) if record.woken.load(Ordering::SeqCst) => all_stuck = false,
                Some(Blocked::Waiting { wait, .. }) => {
                    all_stuck &= wait.timeout.is_none();
                    timer_runs |= wait.timeout.is_some();
                }
                Some(Blocked::Sleeping) => (all_stuck, timer_runs) = (false, true),
                None => all_stuck = false,
            }
        }
        (all_stuck, timer_runs)
    }

    fn stuck_outcome(&self) -> Outcome {
        let records = locked(&self.records);
        let blocked: Vec<_> = records.iter().map(|record| (record, locked(&record.blocked))).collect();
        let stuck: Vec<Stuck<'_>> = blocked
            .iter()
            .filter_map(|(record, blocked)| match &**blocked {
                Some(Blocked::Waiting { object, kind, site, wait, keeps, .. }) if !wait.idle => Some(Stuck {
                    task: record.id,
                    name: &record.name,
                    kind: *kind,
                    object: &**object,
                    site: *site,
                    keeps: keeps.clone(),
                }),
                _ => None,
            })
            .collect();
        let name_of =
            |task: TaskId| records.get(task.index()).map_or_else(String::new, |record| record.name.to_string());
        let report = Box::new(StuckReport::new(&stuck, &name_of));
        if report.cycle.is_empty() { Outcome::Hang(report) } else { Outcome::Deadlock(report) }
    }

    fn wake(&self, task: TaskId) {
        let record = Arc::clone(&locked(&self.records)[task.index()]);
        let mut blocked = locked(&record.blocked);
        if let Some(Blocked::Waiting { wait: Wait { idle: true, .. }, counted, .. }) = &mut *blocked
            && !*counted
        {
            *counted = true;
            self.active.fetch_add(1, Ordering::SeqCst);
        }
        record.woken.store(true, Ordering::SeqCst);
        drop(blocked);
        if let Some(thread) = record.thread.get() {
            thread.unpark();
        }
    }
}

impl Seat {
    /// Notes progress, and ends the thread when the run is over.
    #[inline]
    pub(super) fn checkpoint(&self) {
        let progress = &self.record.progress;
        progress.store(progress.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        if self.shared.aborting.load(Ordering::Relaxed) {
            self.abort();
        }
    }

    #[cold]
    fn abort(&self) {
        if !thread::panicking() {
            resume_unwind(Box::new(Abort));
        }
    }

    pub(super) fn now(&self) -> Nanos {
        self.shared.now()
    }

    pub(super) fn choose(&self, options: u32) -> u32 {
        self.rng.borrow_mut().below(u64::from(options)) as u32
    }

    pub(super) fn spawn(&self, name: &str, body: Box<dyn FnOnce(&task::Task) + Send>) -> TaskId {
        self.checkpoint();
        spawn(&self.shared, name, body)
    }

    pub(super) fn yield_now(&self) {
        self.checkpoint();
        thread::yield_now();
    }

    pub(super) fn sleep(&self, duration: Nanos) {
        self.checkpoint();
        let end = Instant::now() + duration.into();
        *locked(&self.record.blocked) = Some(Blocked::Sleeping);
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            thread::park_timeout(left);
            self.checkpoint();
        }
        *locked(&self.record.blocked) = None;
        self.checkpoint();
    }

    pub(super) fn wake_all(&self, wakes: &Wakes) {
        for &task in wakes {
            self.shared.wake(task);
        }
    }

    /// Waits for the wake-up of a grant that crossed with a timeout: the state has changed before its waker says so,
    /// and a wake-up that came later would end some other wait.
    pub(super) fn forget_wake(&self) {
        while !self.record.woken.swap(false, Ordering::SeqCst) {
            self.checkpoint();
            thread::yield_now();
        }
    }

    pub(super) fn block(
        &self,
        object: Arc<dyn Waitable>,
        kind: OpKind,
        site: Site,
        wait: Wait,
        keeps: Vec<String>,
    ) -> bool {
        let woken = &self.record.woken;
        for _ in 0..SPINS_BEFORE_PARK {
            if woken.load(Ordering::Acquire) {
                return woken.swap(false, Ordering::SeqCst);
            }
            std::hint::spin_loop();
        }
        let mut blocked = locked(&self.record.blocked);
        if woken.swap(false, Ordering::SeqCst) {
            return true;
        }
        *blocked = Some(Blocked::Waiting { object, kind, site, wait, keeps, counted: false });
        drop(blocked);
        if wait.idle {
            self.shared.retire();
        }
        let end = wait.timeout.map(|timeout| Instant::now() + timeout.into());
        while !woken.load(Ordering::SeqCst) && !self.shared.aborting.load(Ordering::SeqCst) {
            match end.map(|end| end.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(left) if left.is_zero() => break,
                Some(left) => thread::park_timeout(left),
            }
        }
        let was = locked(&self.record.blocked).take();
        // One look, so that a wake-up at the last moment is either this wait's end or still there afterwards.
        let granted = woken.swap(false, Ordering::SeqCst);
        if let Some(Blocked::Waiting { wait: Wait { idle: true, .. }, counted: false, .. }) = was {
            self.shared.active.fetch_add(1, Ordering::SeqCst);
        }
        self.checkpoint();
        granted
    }
}
