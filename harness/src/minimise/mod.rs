//! From a failing schedule to the smallest one that fails in the same way, and to the smallest workload that does.
//!
//! Reading order: [`signature`](mod@signature) (what counts as the same failure), [`edits`] (what may be left out of a
//! scenario, as data), `shrink` (which edits are kept), [`schedule`] (the whole of it, on a plan).
//!
//! Invariants: what comes out was performed and failed with the signature of what was put in; preemptions never grow;
//! the same plan and schedule give the same result.
//! Not here: schedules of models in general (the engine's `minimise`), files (`crate::schedule_file`).

pub mod edits;
pub mod schedule;
mod shrink;
pub mod signature;

pub use edits::{Change, Edit, EditError, apply};
pub use schedule::{Budget, MinimalSchedule, minimise};
pub use signature::signature;
