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
    /// Discard.
    Discard,
    /// Secure erase.
    SecureErase,
    /// Write zeroes, without data.
    WriteZeroes,
}

/// A `REQ_*` modifier of one bio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IoFlag {
    /// On the medium before it ends.
    Fua,
    /// Flush first.
    Preflush,
    /// Somebody waits for it.
    Sync,
    /// May fail at any time.
    Rahead,
    /// `EAGAIN` rather than wait.
    Nowait,
    /// Swap.
    Swap,
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
    /// How; in order, none twice.
    pub flags: Vec<IoFlag>,
    /// Where (no sectors for a flush).
    pub extent: Extent,
    /// What must come of it.
    pub outcome: Outcome,
}

/// I/O over an extent, piece by piece, up to the first error.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pass {
    /// Where.
    pub extent: Extent,
    /// What it must end in.
    pub outcome: Outcome,
}

/// Stamps on so much of a device, in blocks that the seed chooses.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stomp {
    /// The device.
    pub device: String,
    /// Percent of its blocks, from 1 to 100; at least one block.
    pub percent: u32,
    /// Size of a block; what is left of a device after its last whole block is not stamped.
    pub block: Sectors,
    /// What they must end in.
    pub outcome: Outcome,
}
