//! The driver that owns every scheduling decision: one OS thread, tasks as stackful coroutines, a virtual clock,
//! schedules as data.
//!
//! A run: each task goes on by itself until it announces an operation. The strategy picks one of all announced
//! operations, the step is recorded, that task alone carries it out and goes on to its next announcement; tasks that
//! were woken by it go on to theirs. When nobody is ready, the clock moves to the next timer; when there is none, the
//! run is over, and whoever still waits (and is not idle) is stuck.
//!
//! Reading order: [`strategy`] (what decides), [`core`](mod@core) (the run's state and what tasks ask of it), `coroutine` (the
//! switch), [`driver`] (the loop), [`trace`]; then one strategy a file.
//!
//! Invariants: the same choices give the same run, step by step; nothing of a run survives it but stacks and
//! capacities; every run is bounded in steps.
//! Not here: exhaustive search and its reductions.

pub mod choices;
pub mod core;
mod coroutine;
pub mod cost;
pub mod driver;
pub mod fair;
pub mod pct;
pub mod portfolio;
pub mod random;
pub mod replay;
pub mod strategy;
pub mod trace;

pub(super) use self::core::{CoreRef, Seat};
pub use choices::Choices;
pub use cost::CostTable;
pub use driver::{Explorer, Limits};
pub use fair::Fair;
pub use pct::Pct;
pub use portfolio::Portfolio;
pub use random::Random;
pub use replay::{Divergence, Replay};
pub use strategy::{Strategy, TaskSet, View};
pub use trace::{Choice, TraceStep};
