//! The engine backend: a scenario on the user-space engine, on whichever driver a campaign chooses.
//!
//! Reading order: `actor` (the seam's operations on a machine), `io` (open devices), `faults` (fault plans as the
//! engine's hooks), `power` (power cuts), `play` (one performance of a plan, from an empty machine to an empty machine), `stage` (the
//! drivers to give it on), `explore` (as many schedules as a search takes), `search` (schedules like another one).
//!
//! Invariants: a performance makes its own machine and leaves nothing behind; this folder and tests alone name the
//! engine's drivers.
//! Not here: verdicts.

mod actor;
mod explore;
mod faults;
mod file;
mod io;
mod mounted;
mod play;
mod power;
mod search;
mod stage;

pub use explore::{End, Explored, Note, Seen as Schedule, explore};
pub use faults::matches as pool_matches;
pub use play::Play;
pub use search::{Searcher, Seen, Way};
pub use stage::{ExplorerStage, Found, TraceStep};
pub use stage::{perform_on_threads, perform_virtually};
