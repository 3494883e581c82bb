//! dmlab and shuttle behind one small interface, for models that are written once.
//!
//! shuttle plays with its own fair semaphore as rw_semaphore (a writer takes all permits), mutex (one permit) and
//! semaphore: whatever is released goes to whoever has waited longest, as in `sync`. [`Overtaking`] is the same with a
//! semaphore in which late readers pass a waiting writer.
//! Invariant: the number that a lock guards is touched only while the lock is held.

use std::sync::atomic::{AtomicU64, Ordering};

use dmlab_engine::sched::Task;
use dmlab_engine::sync::{Mutex, RwSem, Semaphore};
use shuttle::future::batch_semaphore::{BatchSemaphore, Fairness};

/// What the models need of an engine. Locks guard a number; `inside` may do further operations.
pub(crate) trait Engine: 'static {
    type Current;
    type Mutex: Send + Sync + 'static;
    type RwSem: Send + Sync + 'static;
    type Semaphore: Send + Sync + 'static;

    fn mutex(current: &Self::Current, name: &str) -> Self::Mutex;
    fn rw_sem(current: &Self::Current, name: &str) -> Self::RwSem;
    fn semaphore(current: &Self::Current, name: &str, units: u32) -> Self::Semaphore;
    fn spawn(current: &Self::Current, name: &str, body: impl FnOnce(&Self::Current) + Send + 'static);
    fn lock<R>(current: &Self::Current, mutex: &Self::Mutex, inside: impl FnOnce(&mut u64) -> R) -> R;
    fn read<R>(current: &Self::Current, lock: &Self::RwSem, inside: impl FnOnce(u64) -> R) -> R;
    fn write(current: &Self::Current, lock: &Self::RwSem, inside: impl FnOnce(&mut u64));
    fn down(current: &Self::Current, semaphore: &Self::Semaphore);
    fn up(current: &Self::Current, semaphore: &Self::Semaphore);
}

/// dmlab's explorer with its own primitives.
pub(crate) struct Dmlab;

impl Engine for Dmlab {
    type Current = Task;
    type Mutex = Mutex<u64>;
    type RwSem = RwSem<u64>;
    type Semaphore = Semaphore;

    fn mutex(current: &Task, name: &str) -> Mutex<u64> {
        Mutex::new(current.runtime(), name, 0)
    }

    fn rw_sem(current: &Task, name: &str) -> RwSem<u64> {
        RwSem::new(current.runtime(), name, 0)
    }

    fn semaphore(current: &Task, name: &str, units: u32) -> Semaphore {
        Semaphore::new(current.runtime(), name, u64::from(units))
    }

    fn spawn(current: &Task, name: &str, body: impl FnOnce(&Task) + Send + 'static) {
        current.spawn(name, body);
    }

    fn lock<R>(current: &Task, mutex: &Mutex<u64>, inside: impl FnOnce(&mut u64) -> R) -> R {
        inside(&mut mutex.lock(current))
    }

    fn read<R>(current: &Task, lock: &RwSem<u64>, inside: impl FnOnce(u64) -> R) -> R {
        let value = lock.read(current);
        inside(*value)
    }

    fn write(current: &Task, lock: &RwSem<u64>, inside: impl FnOnce(&mut u64)) {
        inside(&mut lock.write(current));
    }

    fn down(current: &Task, semaphore: &Semaphore) {
        semaphore.down(current);
    }

    fn up(current: &Task, semaphore: &Semaphore) {
        semaphore.up(current);
    }
}

/// What makes shuttle's semaphore this or that engine.
pub(crate) trait Order: Send + Sync + 'static {
    const FAIRNESS: Fairness;
}

/// First come, first served.
pub(crate) struct InTurn;

impl Order for InTurn {
    const FAIRNESS: Fairness = Fairness::StrictlyFair;
}

/// Whoever finds enough permits takes them, whoever waits.
pub(crate) struct Overtaking;

impl Order for Overtaking {
    const FAIRNESS: Fairness = Fairness::Unfair;
}

/// shuttle, whose semaphore serves in this order.
pub(crate) struct Shuttle<O>(O);

/// Permits, and the number that they guard.
pub(crate) struct Permits {
    left: BatchSemaphore,
    value: AtomicU64,
}

impl Permits {
    /// What a writer takes. More than there are readers.
    const ALL: usize = 100;

    fn new<O: Order>(permits: usize) -> Self {
        Self { left: BatchSemaphore::new(permits, O::FAIRNESS), value: AtomicU64::new(0) }
    }

    fn with<R>(&self, permits: usize, inside: impl FnOnce(&mut u64) -> R) -> R {
        self.left.acquire_blocking(permits).expect("nobody closes it");
        let before = self.value.load(Ordering::SeqCst);
        let mut value = before;
        let result = inside(&mut value);
        // Readers have not changed it, and must not undo what was written before they were let in.
        if value != before {
            self.value.store(value, Ordering::SeqCst);
        }
        self.left.release(permits);
        result
    }
}

impl<O: Order> Engine for Shuttle<O> {
    type Current = ();
    type Mutex = Permits;
    type RwSem = Permits;
    type Semaphore = Permits;

    fn mutex(_current: &(), _name: &str) -> Permits {
        Permits::new::<O>(1)
    }

    fn rw_sem(_current: &(), _name: &str) -> Permits {
        Permits::new::<O>(Permits::ALL)
    }

    fn semaphore(_current: &(), _name: &str, units: u32) -> Permits {
        Permits::new::<O>(units as usize)
    }

    fn spawn(_current: &(), _name: &str, body: impl FnOnce(&()) + Send + 'static) {
        drop(shuttle::thread::spawn(move || body(&())));
    }

    fn lock<R>(_current: &(), mutex: &Permits, inside: impl FnOnce(&mut u64) -> R) -> R {
        mutex.with(1, inside)
    }

    fn read<R>(_current: &(), lock: &Permits, inside: impl FnOnce(u64) -> R) -> R {
        lock.with(1, |value| inside(*value))
    }

    fn write(_current: &(), lock: &Permits, inside: impl FnOnce(&mut u64)) {
        lock.with(Permits::ALL, inside);
    }

    fn down(_current: &(), semaphore: &Permits) {
        semaphore.left.acquire_blocking(1).expect("nobody closes it");
    }

    fn up(_current: &(), semaphore: &Permits) {
        semaphore.left.release(1);
    }
}
