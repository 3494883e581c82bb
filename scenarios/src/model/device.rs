//! What a scenario stands on.
//!
//! Invariant: a device names only devices before it.
//! Not here: numbers (`major:minor`), which each backend gives.

use dmlab_units::{Bytes, Nanos};

use super::VolatileCache;

/// One device of a scenario.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Device {
    /// Its name in the scenario.
    pub name: String,
    /// What it is.
    pub kind: DeviceKind,
    /// What a power cut may take from it; `None` is nothing that was acknowledged.
    pub cache: Option<VolatileCache>,
    /// Which of a kernel's drivers a ramdisk is; for the engine they are all one.
    #[serde(skip_serializing_if = "Driver::is_brd")]
    pub driver: Driver,
}

/// A driver of a kernel whose devices keep data in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// Ramdisks; they take bios.
    #[default]
    Brd,
    /// Files as disks; takes requests.
    Loop,
    /// null_blk with memory behind it; takes requests.
    NullBlk,
    /// A SCSI disk that is none; takes requests.
    ScsiDebug,
}

impl Driver {
    /// The module that it comes in.
    pub const fn module(self) -> &'static str {
        match self {
            Self::Brd => "brd",
            Self::Loop => "loop",
            Self::NullBlk => "null_blk",
            Self::ScsiDebug => "scsi_debug",
        }
    }

    /// Whether it is what ramdisks are unless something else is said.
    pub const fn is_brd(&self) -> bool {
        matches!(self, Self::Brd)
    }
}

/// What a device is made of.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A ramdisk (kernel: brd) of this size.
    Ram(Bytes),
    /// Completes everything at once and keeps no data (kernel: null_blk) of this size.
    Null(Bytes),
    /// A ramdisk whose I/O takes time.
    Timed(Timed),
    /// A file or block device of the machine that dmlab runs on.
    File(FileDevice),
    /// A stacking driver above `below` that lets one bio through at a time, as md's single-flush rule and the
    /// raid1 barrier did (dm-spec §2.5).
    Barrier {
        /// The device below.
        below: String,
    },
    /// A dm device.
    Dm {
        /// The table, one target a line, in dmsetup's own syntax; `$name` stands for a device of the scenario and
        /// `$below` for the next lower level.
        table: Vec<String>,
        /// With `levels`: the device that the lowest level stands on.
        over: Option<String>,
        /// How many such devices to stack; 1 is the device alone. The others are called `<name>.1`, `<name>.2`, …
        /// from the lowest up, the topmost bears the plain name.
        levels: u32,
    },
}

/// How long a timed device takes.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Timed {
    /// Its size.
    pub size: Bytes,
    /// I/Os that are served at once.
    pub depth: u32,
    /// What a read takes beside its bytes.
    pub read: Nanos,
    /// What a write takes beside its bytes.
    pub write: Nanos,
    /// What a flush takes; without it there is no write cache.
    pub flush: Option<Nanos>,
    /// What a discard or write-zeroes takes, whatever its size.
    pub discard: Nanos,
    /// Bytes in a second with all channels busy; `None` is without limit.
    pub bandwidth: Option<Bytes>,
    /// How the times are spread around these means.
    pub spread: Spread,
}

/// How far service times lie around their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// Not at all.
    #[default]
    Constant,
    /// Evenly, from 0 to twice the mean.
    Uniform,
    /// Exponentially.
    Exponential,
}

/// Where a file device keeps its data.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileDevice {
    /// Its size.
    pub size: Bytes,
    /// The file or block device; `None` is a temporary file without a name.
    pub path: Option<String>,
}
