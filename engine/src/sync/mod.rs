//! Kernel-shaped primitives. Each is a pure state machine (`…State`) behind an [`crate::sched::Object`], with a thin
//! front that tasks call; both drivers run the same state machine.
//!
//! Reading order: [`guarded`] (data behind a lock), [`lock`] (mutex and spinlock), [`section`] (a spinlock whose
//! sections are one operation), [`rwsem`], [`semaphore`], [`variable`], [`completion`], [`wait_queue`], [`refcount`], [`srcu`],
//! [`mempool`], [`workqueue`].
//!
//! Invariants, the same for all: what is released is handed directly to the first waiter in order (nobody overtakes);
//! an operation of a release kind never waits; waiting under a spinlock is a `BUG`.
//! Not here: lock stealing and optimistic spinning (the kernel's mutex and rwsem let a running task overtake).

pub mod completion;
pub mod guarded;
mod line;
pub mod lock;
pub mod mempool;
pub mod refcount;
pub mod rwsem;
pub mod section;
pub mod semaphore;
pub mod srcu;
pub mod variable;
pub mod wait_queue;
pub mod workqueue;

pub use completion::Completion;
pub use lock::{Mutex, SpinLock};
pub use mempool::{Allocator, Gfp, Mempool, PoolStats};
pub use refcount::RefCount;
pub use rwsem::RwSem;
pub use section::SpinSection;
pub use semaphore::Semaphore;
pub use srcu::Srcu;
pub use variable::{Confided, Count, Variable};
pub use wait_queue::WaitQueue;
pub use workqueue::{Work, Workqueue, WqFlags};
