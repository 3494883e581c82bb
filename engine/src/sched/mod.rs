//! Who runs, when, and what time it is.
//!
//! The seam of the whole engine: **operations are data**. A task that locks, waits, allocates from a pool, queues
//! work or takes a random choice announces an [`Op`] and then has it applied to a pure state machine
//! ([`object::StateMachine`]). On [`threads`] it is applied in place under the object's tiny lock and the OS thread
//! parks if it must wait; on [`explorer`] the task (a coroutine) suspends at the announcement, a strategy picks one of
//! all announced operations, and only that task goes on. One state machine per primitive, two drivers.
//!
//! Reading order: [`op`] (what is announced), [`object`] (what it is applied to), [`task`] (`current`), [`runtime`]
//! (the handle), [`frames`] and [`waits`] (what reports are made of), [`outcome`], then the two drivers.
//!
//! Invariants: a task that waits is woken only by being granted what it waits for, by its timeout, or by the end of
//! the run; no ambient state: the runtime is reached through the task that is passed down as `current`.
//! Not here: any primitive (see `sync`), any policy about devices.

pub mod cell;
pub mod digest;
pub mod explorer;
pub mod frames;
pub mod object;
pub mod op;
pub mod outcome;
pub mod runtime;
pub mod task;
pub mod threads;
pub mod waits;

pub use digest::Digest;
pub use frames::Frame;
pub use object::{Mode, Object, Release, StateMachine, Step, Wakes};
pub use op::{ObjectId, Op, OpKind, TaskId};
pub use outcome::{Outcome, RunResult};
pub use runtime::Runtime;
pub use task::{Task, TaskLocal};
pub use waits::{Holder, Site, Waitable};
