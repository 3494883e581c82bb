//! The engine backend: a scenario on the user-space engine, on whichever driver a campaign chooses.
//!
//! Reading order: `actor` (the seam's operations on a machine), `io` (open devices), `faults` (fault plans as the
//! engine's hooks), `play` (one performance of a plan, from an empty machine to an empty machine).
//!
//! Invariants: a performance makes its own machine and leaves nothing behind; this folder and tests alone name the
//! engine's drivers.
//! Not here: verdicts.

mod actor;
mod faults;
mod io;
mod play;
mod stage;

pub use faults::matches as pool_matches;
pub use play::{Performance, Play, PoolUse};
pub(crate) use stage::same_end;
pub use stage::{ExplorerStage, Found, TraceStep};
pub use stage::{perform_on_threads, perform_virtually};
