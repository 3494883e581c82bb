//! The snapshot family: snapshot 1.16.0, snapshot-origin 1.9.0, snapshot-merge 1.5.0 (dm-spec §5).
//!
//! Before a chunk of the origin changes, it is copied to the COW device of every snapshot that has not got it. Reading
//! order: [`tables`] and `lines` (which chunk went where), [`pending`] (which is on its way), `lock` and `slots` (what
//! guards them, variant by variant), `throttle` (how many copies at once, variant by variant), `registry` (who is a
//! snapshot of what), `state` (a snapshot), `copy` (copying a chunk, and what happens then), `origin_write` (a write to
//! the origin), `origin` (the snapshot-origin target), `map` (the snapshot target), `merge` and `merge_map` (the
//! snapshot-merge target), `handover` (resume, and a table that takes over another's exceptions), `ctr`, `status`.
//!
//! Locks: `_origins_lock`, then a snapshot's lock, then its slot of the tables (dm-spec §5.6, I10).
//! Invariants: a write to the origin ends after every active, valid snapshot has the chunk (I5); a snapshot reads what
//! the origin held when it became active, until it is invalid (I4).
//! Not here: exception stores and kcopyd, which are ranks of their own; the DAX methods.

mod copy;
mod ctr;
mod drain;
mod handover;
mod lines;
mod lock;
mod map;
mod merge;
mod merge_map;
mod origin;
mod origin_write;
pub mod pending;
mod registry;
mod slots;
mod state;
mod status;
pub mod tables;
mod throttle;

pub use registry::Registry;

use crate::dm::TargetType;
use crate::dm::target::TargetFeatures;

pub(super) static SNAPSHOT: TargetType =
    TargetType { name: "snapshot", version: [1, 16, 0], features: TargetFeatures::empty(), ctr: ctr::snapshot };
pub(super) static ORIGIN: TargetType =
    TargetType { name: "snapshot-origin", version: [1, 9, 0], features: TargetFeatures::empty(), ctr: origin::ctr };
pub(super) static MERGE: TargetType =
    TargetType { name: "snapshot-merge", version: [1, 5, 0], features: TargetFeatures::empty(), ctr: ctr::merge };
