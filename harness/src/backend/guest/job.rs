//! [`Job`] and [`Event`]: what a guest is told before it boots, and what it tells while it runs.
//!
//! Invariant: host and guest run the same dmlab, so both sides always speak the same language.
//! Not here: how they travel (`initramfs`, `frame`).

use dmlab_results::CellRecord;
use serde::{Deserialize, Serialize};

/// Where the job lies in a guest.
pub(super) const JOB_FILE: &str = "/job.json";

/// What a guest is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Job {
    /// To say that it is there.
    Hello,
    /// To go wrong.
    Drill(Drill),
}

/// Ways of going wrong, by which the supervisor is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drill {
    /// The kernel panics within a cell.
    Panic,
    /// `/init` never says anything.
    HangInBoot,
    /// A cell writes to the console without an end.
    Flood,
    /// A cell never ends and nothing moves in it.
    Stall,
    /// The guest is silent within a cell: no beat of life.
    Silence,
    /// `/init` itself panics.
    InitPanics,
}

impl Drill {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Panic, Self::HangInBoot, Self::Flood, Self::Stall, Self::Silence, Self::InitPanics];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::HangInBoot => "hang-in-boot",
            Self::Flood => "flood",
            Self::Stall => "stall",
            Self::Silence => "silence",
            Self::InitPanics => "init-panics",
        }
    }
}

/// What a guest tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Event {
    /// `/init` runs.
    Hello {
        /// As `uname -r` has it.
        release: String,
        /// Processors.
        cpus: u32,
        /// Since the kernel started.
        uptime_ms: u64,
    },
    /// The cell with this number in the job begins.
    Begin {
        /// Its number, from 0.
        cell: usize,
    },
    /// It is alive.
    Beat {
        /// Grows when something moves: steps, I/Os.
        progress: u64,
    },
    /// The cell has ended.
    End {
        /// Its number.
        cell: usize,
        /// What came of it.
        record: Box<CellRecord>,
        /// Whether the kernel is in a state in which no other cell should run.
        spoiled: bool,
    },
    /// Something to keep with a failure: tables, stacks, slabinfo.
    Artefact {
        /// Name of the file.
        name: String,
        /// Its text.
        text: String,
    },
    /// `/init` cannot go on.
    Fatal {
        /// Why.
        why: String,
    },
    /// All is done; the power goes off.
    Bye,
}
