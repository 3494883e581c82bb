//! What is done with a dm device beside I/O and the verbs of [`super::Action`] itself: messages, events, names.
//!
//! Invariant: every device it names is declared.
//! Not here: create, load, suspend, resume, remove (`step`), what is printed (`printed`).

use dmlab_units::Sectors;

use super::Outcome;

/// A control step.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Admin {
    /// The dm device.
    pub device: String,
    /// What is done.
    pub verb: Verb,
    /// What must come of it.
    pub outcome: Outcome,
}

/// What a control step does.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// `dmsetup message`.
    Message {
        /// Which target: the one with this sector.
        sector: Sectors,
        /// The message.
        text: String,
        /// What must be answered; `None` leaves it open.
        reply: Option<String>,
    },
    /// `dmsetup clear`: drops the inactive table.
    Clear,
    /// `dmsetup rename`.
    Rename {
        /// The new name: a declared dm device that no step creates.
        to: String,
    },
    /// `dmsetup rename --setuuid`.
    SetUuid {
        /// The uuid.
        uuid: String,
    },
    /// `dmsetup remove --deferred`.
    RemoveDeferred,
    /// `dmsetup wait`: until the number of the last event is another one.
    WaitEvent {
        /// Than this; `None`: than at the beginning of the step.
        after: Option<u32>,
    },
    /// The number of the last event must be this.
    Events {
        /// The number.
        is: u32,
    },
    /// `dmsetup deps` must name these devices.
    Deps {
        /// Of the inactive table.
        inactive: bool,
        /// `$name`s, the one that the table named last first.
        is: Vec<String>,
    },
}
