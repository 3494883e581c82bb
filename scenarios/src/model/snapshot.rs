//! Snapshots of a volume, as LVM lays them out.
//!
//! A volume with snapshots is a snapshot-origin target on `<volume>-real`, which has the table that the volume had; each
//! snapshot `<name>` stands on that and on `<name>-cow`, which lies on the device given for it.
//!
//! Invariants: a volume is a dm device that is no snapshot; a snapshot's name belongs to one volume.
//! Not here: in which order layers are made and unmade (the harness).

use dmlab_units::{Nanos, Sectors};

use super::Outcome;

/// Take snapshots of a volume, all at one point in time.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TakeSnapshot {
    /// The volume.
    pub of: String,
    /// The snapshots.
    pub takes: Vec<Cow>,
    /// Where exceptions are kept.
    pub store: Store,
    /// Chunk size in sectors; 0 is the store's default.
    pub chunk: Sectors,
    /// What must come of it.
    pub outcome: Outcome,
}

/// A snapshot and the device for its copies.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cow {
    /// The snapshot.
    pub snapshot: String,
    /// The device.
    pub on: String,
    /// How much of it, from its beginning.
    pub sectors: Sectors,
}

/// An exception store, as table lines name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub enum Store {
    /// Persistent.
    #[default]
    P,
    /// Persistent, and user space knows what an overflow is.
    PO,
    /// Transient.
    N,
}

/// A snapshot and the volume that it is of.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SnapshotOf {
    /// The snapshot.
    pub snapshot: String,
    /// Its volume.
    pub of: String,
}

/// Remove snapshots, one after another.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DropSnapshots {
    /// Which.
    pub snapshots: Vec<SnapshotOf>,
    /// What must come of each.
    pub outcome: Outcome,
}

/// Merge a snapshot into its volume, and wait until that is done.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MergeSnapshot {
    /// Which.
    pub snapshot: SnapshotOf,
    /// The step fails when it is not merged after this long.
    pub within: Nanos,
    /// What must come of it.
    pub outcome: Outcome,
}

impl Store {
    /// As in a table line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::P => "P",
            Self::PO => "PO",
            Self::N => "N",
        }
    }

    /// Sectors of the smallest COW device that has room for `exceptions` exceptions: a chunk each; of a persistent store
    /// also the header and the areas of the metadata, among them the one that is begun when the last but one is full
    /// (dm-spec §5.3). `None` beyond 64 bits.
    pub fn room(self, exceptions: u64, chunk: Sectors) -> Option<Sectors> {
        let metadata = match self {
            Self::N => 0,
            Self::P | Self::PO => {
                let exceptions_per_area = chunk.0.checked_mul(512)? / EXCEPTION_BYTES;
                HEADER_CHUNKS + exceptions / exceptions_per_area + 1
            }
        };
        exceptions.checked_add(metadata)?.checked_mul(chunk.0).map(Sectors)
    }
}

/// Of an exception on the disk.
const EXCEPTION_BYTES: u64 = 16;
const HEADER_CHUNKS: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_header_areas_and_chunks() {
        // A chunk of 16 sectors holds 512 exceptions.
        let chunk = Sectors(16);
        assert_eq!(Store::P.room(1, chunk), Some(Sectors(3 * 16)));
        assert_eq!(Store::P.room(511, chunk), Some(Sectors(513 * 16)));
        // A full area makes the next one necessary.
        assert_eq!(Store::PO.room(512, chunk), Some(Sectors((512 + 3) * 16)));
        assert_eq!(Store::N.room(512, chunk), Some(Sectors(512 * 16)));
        assert_eq!(Store::P.room(u64::MAX, chunk), None);
    }
}
