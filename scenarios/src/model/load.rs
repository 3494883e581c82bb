//! A load in fio's words.
//!
//! Invariants: sizes are whole sectors and multiples of the smallest block; one block of the largest size fits the range;
//! with `verify` no two jobs share a block; shares are percents that come to 100.
//! Not here: which offset comes next (the harness), defaults (`check::load`).

use dmlab_units::{Bytes, Nanos, Seed};

use super::Outcome;

/// A load in fio's words.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Load {
    /// What results call it (fio: the section's name).
    pub name: Option<String>,
    /// The device (fio: `filename`).
    pub on: String,
    /// Pattern.
    pub rw: Rw,
    /// Percent of reads in `rw`/`randrw`.
    pub rwmixread: u8,
    /// Block sizes.
    pub bs: BlockSizes,
    /// I/Os each job keeps in flight.
    pub iodepth: u32,
    /// I/Os that are submitted together: a job waits until it has room for so many.
    pub iodepth_batch_submit: u32,
    /// I/Os that are waited for together, where there is no room for more.
    pub iodepth_batch_complete: u32,
    /// Jobs at once, each with its own task.
    pub numjobs: u32,
    /// First byte of the range (fio: `offset`).
    pub offset: Bytes,
    /// How much later in the device the range of each further job begins.
    pub offset_increment: Bytes,
    /// Length of the range; `None` is to the end of the device.
    pub size: Option<Bytes>,
    /// Bytes each job transfers; `None` is one pass over its range.
    pub io_size: Option<Bytes>,
    /// Stop after this long.
    pub runtime: Option<Nanos>,
    /// Go on until then, however much that is.
    pub time_based: bool,
    /// What ends in so long after the begin is not in the results; `runtime` begins after it.
    pub ramp_time: Nanos,
    /// When I/Os are due; `None` is as soon as there is room.
    pub rate: Option<Rate>,
    /// Where random I/Os go.
    pub random_distribution: Distribution,
    /// Whether random I/Os may meet a block twice in a pass.
    pub norandommap: bool,
    /// Seed of the offsets; `None` is drawn from the run's seed.
    pub randseed: Option<Seed>,
    /// A flush after so many writes (fio: `fsync`, `fdatasync`, which are the same on a block device).
    pub fsync: Option<u32>,
    /// Check what is read against what was written, whole blocks.
    pub verify: bool,
    /// Read back after so many writes already; `None` is at the end only.
    pub verify_backlog: Option<u32>,
    /// Pauses.
    pub think: Option<Think>,
    /// The percentiles in results, in thousandths of a percent; `None` is fio's default list.
    pub percentile_list: Option<Vec<u32>>,
    /// The longest time that a job may have I/O in flight of which none ends.
    pub max_stall: Option<Nanos>,
    /// What I/Os must end in: every failure must be admitted, and where success is not, at least one must fail.
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
    Trim,
    RandTrim,
    /// Each block is trimmed, then written.
    TrimWrite,
}

impl Rw {
    /// Whether offsets are drawn.
    pub const fn is_random(self) -> bool {
        matches!(self, Self::RandRead | Self::RandWrite | Self::RandRw | Self::RandTrim)
    }

    /// Whether it writes.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::RandWrite | Self::ReadWrite | Self::RandRw | Self::TrimWrite)
    }
}

/// The sizes of blocks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockSizes {
    /// All of this size (fio: `bs`).
    One(Bytes),
    /// Any multiple of the first up to the second, all equally often (fio: `bsrange`).
    Range(Bytes, Bytes),
    /// These, each in so many percent of the I/Os (fio: `bssplit`).
    Split(Vec<(Bytes, u8)>),
}

impl BlockSizes {
    /// The smallest; all are multiples of it.
    pub fn min(&self) -> Bytes {
        match self {
            Self::One(size) | Self::Range(size, _) => *size,
            Self::Split(shares) => shares.iter().map(|(size, _)| *size).min().unwrap_or_default(),
        }
    }

    /// The largest.
    pub fn max(&self) -> Bytes {
        match self {
            Self::One(size) | Self::Range(_, size) => *size,
            Self::Split(shares) => shares.iter().map(|(size, _)| *size).max().unwrap_or_default(),
        }
    }
}

/// When the I/Os of a job are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rate {
    /// So many bytes a second, one after the other (fio: `rate`).
    Bytes(Bytes),
    /// So many a second, evenly (fio: `rate_iops`).
    Ios(u32),
    /// So many a second on average, in a Poisson process (fio: `rate_iops` with `rate_process=poisson`).
    Poisson(u32),
}

/// Where random I/Os go.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Everywhere equally often.
    Random,
    /// The n-th most popular block in proportion to n to the power of minus theta; thousandths.
    Zipf(u32),
    /// The most popular share h of the blocks gets a share 1 - h of the I/Os; thousandths.
    Pareto(u32),
    /// Around the middle, with this standard deviation in thousandths of a percent of the range.
    Normal(u32),
    /// Zones, one after the other: percent of the I/Os, percent of the range.
    Zoned(Vec<(u8, u8)>),
}

/// Pauses of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Think {
    /// How long.
    pub time: Nanos,
    /// After how many I/Os.
    pub blocks: u32,
}
