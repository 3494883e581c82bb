//! The block layer that dm stands on: bios, sets of them, how they are submitted, and the devices at the bottom.
//!
//! Reading order: [`status`], [`buffer`] and `pages` (data), [`opf`] (what
//! is asked for), [`bio`] (the unit of I/O and its completion), [`core`](mod@core) (what all
//! devices of a machine share: pools, faults, the entry log), [`device`], [`late`] (bios that are held or slow),
//! [`power`] and [`write_cache`] (what a power cut takes),
//! [`submit`] (`submit_bio_noacct`, variant by variant), [`bio_set`] (allocation and rescuing), [`offload`] (rescuing
//! whoever blocks in dm), [`split`], then the leaf devices [`ram`], [`null`], [`timed`] and the stacking [`barrier`].
//!
//! Invariants: a bio has one owner at a time and is moved, never shared; its completion half is shared and ends
//! exactly once; data moves only in leaf devices.
//! Not here: requests, merging, elevators, plugs.

pub mod barrier;
pub mod bio;
pub mod bio_set;
pub mod buffer;
pub mod core;
pub mod device;
pub mod late;
pub mod null;
pub mod offload;
pub mod opf;
mod pages;
pub mod power;
pub mod ram;
pub mod split;
pub mod status;
pub mod submit;
pub mod timed;
pub mod write_cache;

pub use self::core::{BlockCore, EntryEvent, IoFaultHook, SlabFaults};
pub use bio::{Bio, Completion, EndIo};
pub use bio_set::BioSet;
pub use buffer::{BioVec, Buffer};
pub use device::{DevId, Device, Driver};
pub use late::Fate;
pub use opf::{BioFlags, BioOp, Opf};
pub use power::{CutAt, Power};
pub use status::BlkStatus;
pub use submit::submit_bio;
pub use timed::{ServiceModel, Spread};
