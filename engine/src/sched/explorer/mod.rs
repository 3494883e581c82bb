//! The driver that owns every scheduling decision: one OS thread, tasks as stackful coroutines, a virtual clock,
//! schedules as data.
//!
//! A run: each task goes on by itself until it announces an operation. The strategy picks one of all announced
//! operations, the step is recorded, that task alone carries it out and goes on to its next announcement; tasks that
//! were woken by it go on to theirs. When nobody is ready, the clock moves to the next timer; when there is none, the
//! run is over, and whoever still waits (and is not idle) is stuck.
//!
//! Reading order: [`strategy`] (what decides), [`core`](mod@core) (the run's state and what tasks ask of it), `coroutine` (the
//! switch), [`driver`] (the loop), [`trace`]; then one strategy a file; [`batches`] and [`campaign`] (many
//! runs), [`search`] (all of them), [`guided`] and [`mod@minimise`] (the shortest way to a failure).
//!
//! Invariants: the same choices give the same run, step by step; nothing of a run survives it but stacks and
//! capacities; every run is bounded in steps.
//! Not here: what is wrong with a run.

pub mod batches;
pub mod campaign;
pub mod choices;
pub mod core;
mod coroutine;
pub mod cost;
pub mod driver;
pub mod fair;
pub mod guided;
pub mod horizon;
pub mod independence;
mod lock_order;
pub mod minimise;
pub mod pct;
pub mod portfolio;
pub mod pos;
pub mod random;
pub mod replay;
pub mod search;
mod seat;
pub mod strategy;
pub mod trace;
pub(super) mod tracker;
pub mod urw;

pub(super) use self::core::{CoreRef, Registered};
pub(super) use self::lock_order::LockClass;
pub(super) use self::seat::{Applied, Seat};
pub use batches::{Batch, Batches, Shard};
pub use campaign::{BatchReport, Campaign, Ran};
pub use choices::Choices;
pub use cost::CostTable;
pub use driver::{Explorer, Limits};
pub use fair::Fair;
pub use guided::{Guided, Observed, preemptions};
pub use horizon::Horizon;
pub use independence::dependent;
pub use minimise::{Budget, Minimal, minimise};
pub use pct::Pct;
pub use portfolio::Portfolio;
pub use pos::Pos;
pub use random::Random;
pub use replay::{Divergence, Replay};
pub use strategy::{Strategy, TaskSet, View};
pub use trace::{Choice, TraceStep};
pub use urw::Urw;
