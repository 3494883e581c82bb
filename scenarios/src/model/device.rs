//! What a scenario stands on.
//!
//! Invariant: a device names only devices before it.
//! Not here: numbers (`major:minor`), which each backend gives.

use dmlab_units::Bytes;

/// One device of a scenario.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Device {
    /// Its name in the scenario.
    pub name: String,
    /// What it is.
    pub kind: DeviceKind,
}

/// What a device is made of.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A ramdisk (kernel: brd) of this size.
    Ram(Bytes),
    /// Completes everything at once and keeps no data (kernel: null_blk) of this size.
    Null(Bytes),
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
