//! The target types, one file each, and the list of them.
//!
//! Invariant: a target knows nothing of its siblings; its name, argument errors, status and table lines are the
//! kernel's (dm-spec §9).

mod delay;
mod dust;
mod error;
mod flakey;
mod gate;
mod linear;
mod mirror;
pub mod snapshot;
mod striped;
mod versions;
mod zero;

pub use versions::versions;

use crate::dm::TargetType;

/// Every target type of this engine.
pub const TYPES: &[&TargetType] = &[
    &delay::TYPE,
    &dust::TYPE,
    &error::TYPE,
    &flakey::TYPE,
    &gate::TYPE,
    &linear::TYPE,
    &mirror::TYPE,
    &snapshot::MERGE,
    &snapshot::ORIGIN,
    &snapshot::SNAPSHOT,
    &striped::TYPE,
    &zero::TYPE,
];
