//! Single bios and extents.
//!
//! Invariant: an extent lies within its device, as far as the device's size is known without a table.
//! Not here: loads (`load`).

use dmlab_units::Sectors;

use super::Outcome;

/// The operation of one bio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IoOp {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Empty flush.
    Flush,
}

/// A range of sectors of a device.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Extent {
    /// The device.
    pub device: String,
    /// First sector.
    pub at: Sectors,
    /// How many.
    pub sectors: Sectors,
}

/// One bio.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Submit {
    /// What to do.
    pub op: IoOp,
    /// Where (no sectors for a flush).
    pub extent: Extent,
    /// What must come of it.
    pub outcome: Outcome,
}
