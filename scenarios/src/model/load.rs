//! A load in fio's words.
//!
//! Invariant: sizes are whole sectors, and one block fits the range.
//! Not here: which offset comes next (the harness), defaults (`check::load`).

use dmlab_units::{Bytes, Nanos, Seed};

use super::Outcome;

/// A load in fio's words.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Load {
    /// The device (fio: `filename`).
    pub on: String,
    /// Pattern.
    pub rw: Rw,
    /// Percent of reads in `rw`/`randrw`.
    pub rwmixread: u8,
    /// Block size, a multiple of 512.
    pub bs: Bytes,
    /// I/Os each job keeps in flight.
    pub iodepth: u32,
    /// Jobs at once, each with its own task.
    pub numjobs: u32,
    /// First byte of the range (fio: `offset`).
    pub offset: Bytes,
    /// Length of the range; `None` is to the end of the device.
    pub size: Option<Bytes>,
    /// Bytes each job transfers; `None` is one pass over its range.
    pub io_size: Option<Bytes>,
    /// Stop after this long.
    pub runtime: Option<Nanos>,
    /// Check what is read against what was written, whole blocks.
    pub verify: bool,
    /// Seed of the offsets; `None` is drawn from the run's seed.
    pub randseed: Option<Seed>,
    /// How many I/Os may fail: `Ok` none, `Errno` every failure must be this one and at least one must happen.
    pub outcome: Outcome,
}

/// fio's `rw`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Rw {
    Read,
    Write,
    RandRead,
    RandWrite,
    ReadWrite,
    RandRw,
}
