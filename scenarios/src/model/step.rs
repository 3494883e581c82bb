//! What happens: steps and the flow between them.
//!
//! Invariants: a step has one action and the line it stands in; every device it names is declared.
//! Not here: repetition and waiting (`flow`), what is printed (`printed`), single bios (`io`), loads (`load`), faults
//! (`fault`), snapshots (`snapshot`).

use dmlab_units::{Nanos, Sectors};

use super::{
    Admin, DropSnapshots, Extent, Fault, Load, MergeSnapshot, MustBlock, Outcome, Pass, PowerCut, Printed, Repeat,
    Stomp, Submit, Survives, TakeSnapshot, Wait,
};

/// A step and where it stands in the file.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// Line in the scenario file, from 1; reports name it.
    pub line: u32,
    /// What to do.
    pub action: Action,
}

/// How a device is suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SuspendHow {
    /// Hold I/O back instead of waiting for it.
    pub noflush: bool,
    /// Do not freeze what lives on the device.
    pub nolockfs: bool,
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
        /// The table, as in [`DeviceKind::Dm`](super::DeviceKind::Dm).
        table: Vec<String>,
        /// What must come of it.
        outcome: Outcome,
    },
    /// `dmsetup suspend [--noflush] [--nolockfs]`.
    Suspend {
        /// The device.
        device: String,
        /// How.
        how: SuspendHow,
        /// What must come of it.
        outcome: Outcome,
    },
    /// `dmsetup resume [--noflush] [--nolockfs]`: takes an inactive table if there is one, and suspends for it first.
    Resume {
        /// The device.
        device: String,
        /// How it suspends, if it does.
        how: SuspendHow,
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
    /// Take snapshots of a volume.
    Snapshot(TakeSnapshot),
    /// Remove snapshots.
    Drop(DropSnapshots),
    /// Merge a snapshot into its volume.
    Merge(MergeSnapshot),
    /// Messages, events, names and the like.
    Admin(Admin),
    /// What `dmsetup status` must print.
    Status(Printed),
    /// What `dmsetup table` must print.
    Table(Printed),
    /// One bio, waited for.
    Submit(Submit),
    /// A load in fio's words.
    Run(Box<Load>),
    /// Write a pattern that says of each sector which device and sector it was written to.
    Stamp(Pass),
    /// The same on blocks here and there.
    Stomp(Stomp),
    /// Read all of a device back that was ever stamped.
    VerifyAll(String),
    /// Read a pattern back: every sector that can be read must hold what was stamped.
    Verify(Pass),
    /// A stamped extent of `of` must lie, byte for byte, at `on` below it.
    Layout {
        /// Where it was stamped.
        of: Extent,
        /// Which device it must be found on.
        on: String,
        /// From which sector of that device.
        at: Sectors,
    },
    /// Something lives on a dm device from now on, as a file system does, and has this to write whenever it is frozen.
    Mount(Pass),
    /// Nothing lives on this dm device any more.
    Unmount {
        /// The device.
        device: String,
        /// What must come of it.
        outcome: Outcome,
    },
    /// Begin to fail allocations or I/O.
    Fault(Fault),
    /// End all faults, and release what they hold.
    Heal,
    /// Let the I/O go on that this leaf device holds.
    Release(String),
    /// Remove this leaf device from under its users.
    Unplug(String),
    /// The power goes, everything stops, and the power comes back.
    PowerCut(PowerCut),
    /// What was made durable must have survived a power cut.
    Survives(Survives),
    /// Several lists of steps at once, each in a task of that name; the step ends when all have ended.
    Parallel(Vec<(String, Vec<Step>)>),
    /// Lists of steps beside what follows in this list, each in a task of that name. Whatever is not joined before is
    /// joined at the end of the list.
    Background(Vec<(String, Vec<Step>)>),
    /// Wait until these tasks of the same list have ended; no name stands for all of them.
    Join(Vec<String>),
    /// Several steps, one after another.
    Steps(Vec<Step>),
    /// The same steps several times.
    Repeat(Repeat),
    /// Wait until something has come true.
    Wait(Wait),
    /// Steps that must take their time.
    MustBlock(MustBlock),
    /// From here on, I/Os of loads belong to the phase of this name.
    Phase(String),
    /// Let time pass.
    Sleep(Nanos),
}
