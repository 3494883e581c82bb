//! What happens: steps and the flow between them.
//!
//! Invariants: a step has one action and the line it stands in; every device it names is declared.
//! Not here: single bios (`io`), loads (`load`), faults (`fault`).

use dmlab_units::{Nanos, Sectors};

use super::{Extent, Fault, Load, Submit};

/// A step and where it stands in the file.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// Line in the scenario file, from 1; reports name it.
    pub line: u32,
    /// What to do.
    pub action: Action,
}

/// What a step does. A dm device that no `Create` step names is created before the first step.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Create, load and resume a dm device: `dmsetup create`.
    Create {
        /// The device.
        device: String,
        /// What must come of it.
        outcome: Outcome,
    },
    /// Load a table into the inactive slot: `dmsetup load`.
    Load {
        /// The device.
        device: String,
        /// The table, as in [`DeviceKind::Dm`].
        table: Vec<String>,
        /// What must come of it.
        outcome: Outcome,
    },
    /// `dmsetup suspend [--noflush]`.
    Suspend {
        /// The device.
        device: String,
        /// Hold I/O back instead of waiting for it.
        noflush: bool,
        /// What must come of it.
        outcome: Outcome,
    },
    /// `dmsetup resume`: takes an inactive table if there is one.
    Resume {
        /// The device.
        device: String,
        /// What must come of it.
        outcome: Outcome,
    },
    /// `dmsetup remove`.
    Remove {
        /// The device.
        device: String,
        /// What must come of it.
        outcome: Outcome,
    },
    /// `dmsetup status` must print exactly this.
    Status {
        /// The device.
        device: String,
        /// The lines, e.g. `0 16 linear `; `$name` as in tables.
        lines: Vec<String>,
    },
    /// `dmsetup table` must print exactly this.
    Table {
        /// The device.
        device: String,
        /// The lines.
        lines: Vec<String>,
    },
    /// One bio, waited for.
    Submit(Submit),
    /// A load in fio's words.
    Run(Load),
    /// Write a pattern that says of each sector which device and sector it was written to.
    Stamp(Extent),
    /// Read a pattern back: every sector of `of` must hold what was stamped.
    Verify(Extent),
    /// A stamped extent of `of` must lie, byte for byte, at `on` below it.
    Layout {
        /// Where it was stamped.
        of: Extent,
        /// Which device it must be found on.
        on: String,
        /// From which sector of that device.
        at: Sectors,
    },
    /// Begin to fail allocations or I/O.
    Fault(Fault),
    /// End all faults.
    Heal,
    /// Several lists of steps at once, each in a task of that name; the step ends when all have ended.
    Parallel(Vec<(String, Vec<Step>)>),
    /// The same steps several times.
    Repeat {
        /// How often.
        times: u32,
        /// What.
        steps: Vec<Step>,
    },
    /// Let time pass.
    Sleep(Nanos),
}

/// What a control step must end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Success.
    Ok,
    /// This error.
    Errno(Errno),
}

/// The error numbers that scenarios may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, clippy::upper_case_acronyms)]
pub enum Errno {
    EPERM,
    ENOENT,
    ENXIO,
    EIO,
    ENOMEM,
    EBUSY,
    EEXIST,
    ENODEV,
    EINVAL,
    ENOSPC,
    EOPNOTSUPP,
    EAGAIN,
}
