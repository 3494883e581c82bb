//! What breaks, where and when: pure plans, no threads, no clock.
//!
//! Fault model: an allocation behind a pool may fail, always, at a rate, at given events, or at events that a search
//! chooses within a budget; a pool's reserve never fails. I/O of a leaf device may fail in the same ways, by operation
//! and sector range, and may also be late by a given time or hang until it is released. Data already on the device is
//! never damaged, so every fault can be switched off again. Where nobody searches, a decision is a function of (seed, event
//! index) only: the same plan under the same seed gives the same decisions whatever else the program does.
//!
//! Reading order: [`When`] (which events), [`SlabFault`] (allocations), [`IoFault`] (bios).
//! Not here: how a fault reaches a kernel (the backends), path failures (with the targets they belong to), power
//! cuts (dmlab-engine has power and caches, the harness the step).

mod io;
mod slab;
mod when;

pub use io::{Effect, FaultOp, IoFault};
pub use slab::SlabFault;
pub use when::When;
