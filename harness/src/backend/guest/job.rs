//! [`Job`] and [`Event`]: what a guest is told before it boots, and what it tells while it runs.
//!
//! Invariant: host and guest run the same dmlab, so both sides speak the same language; scenarios travel as texts, and
//! plans are made where they are run, since only a kernel knows what it can.
//! Not here: how they travel (`initramfs`, `frame`).

use std::collections::BTreeMap;
use std::sync::Arc;

use dmlab_results::CellRecord;
use dmlab_scenarios::Document;
use dmlab_units::Seed;
use serde::{Deserialize, Serialize};

use crate::backend::kernel::RunningKernel;
use crate::detect::tasks::StuckTask;
use crate::plan::{Plan, Wishes};
use crate::script::Errand;

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
    /// To run cells.
    Run(Cells),
}

/// Ways of going wrong, by which the supervisor is tested, and what the kernel backend must leave behind (nothing).
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
    /// Runs on the kernel are killed, and what they leave is cleaned up.
    Leftovers,
    /// The same at full length.
    AllLeftovers,
}

impl Drill {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Panic,
        Self::HangInBoot,
        Self::Flood,
        Self::Stall,
        Self::Silence,
        Self::InitPanics,
        Self::Leftovers,
        Self::AllLeftovers,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::HangInBoot => "hang-in-boot",
            Self::Flood => "flood",
            Self::Stall => "stall",
            Self::Silence => "silence",
            Self::InitPanics => "init-panics",
            Self::Leftovers => "leftovers",
            Self::AllLeftovers => "all-leftovers",
        }
    }
}

/// Cells to run: all of these scenarios, from a number on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cells {
    /// The scenarios: file and text.
    documents: Vec<(String, String)>,
    /// What is done beside the steps of some of them, by their files.
    errands: BTreeMap<String, Errand>,
    /// `--variant`.
    overrides: Vec<(String, String)>,
    /// The run's seed.
    seed: u64,
    /// The number of the first cell, among all cells of the scenarios in their order.
    pub(super) from: usize,
}

impl Cells {
    /// All cells of `documents` that `overrides` leave.
    pub(super) fn of(
        documents: &[Arc<Document>],
        errands: &BTreeMap<String, Errand>,
        overrides: &[(String, String)],
        seed: Seed,
    ) -> Self {
        let text = |document: &Arc<Document>| (document.file().to_owned(), document.text().to_owned());
        Self {
            documents: documents.iter().map(text).collect(),
            errands: errands.clone(),
            overrides: overrides.to_vec(),
            seed: seed.0,
            from: 0,
        }
    }

    /// The same, without those before `from`.
    pub(super) fn starting(&self, from: usize) -> Self {
        Self { from, ..self.clone() }
    }

    /// The plans of all cells on a kernel, made again from the texts.
    ///
    /// # Errors
    /// A scenario that could be read on the other side cannot be read on this one.
    pub(super) fn plans(&self, kernel: Arc<RunningKernel>) -> Result<Vec<Plan>, String> {
        let wishes = Wishes {
            overrides: self.overrides.clone(),
            seed: Seed(self.seed),
            kernel: Some(kernel),
            ..Wishes::default()
        };
        let mut plans = Vec::new();
        for (file, text) in &self.documents {
            let wishes = Wishes { errand: self.errands.get(file).cloned().map(Arc::new), ..wishes.clone() };
            let document = Document::parse(file, text).map_err(|found| format!("{file}: {found}"))?;
            plans.extend(Plan::of(&Arc::new(document), &wishes).map_err(|found| format!("{file}: {found}"))?);
        }
        Ok(plans)
    }
}

/// A cell by its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    /// The scenario.
    pub(super) scenario: String,
    /// Axes and values.
    pub(super) variant: Vec<(String, String)>,
    /// The verdict that is expected.
    pub(super) expected: String,
    /// Its seed.
    pub(super) seed: u64,
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
    /// All cells of the scenarios, those before the first one to be run included.
    Cells {
        /// Their names.
        cells: Vec<Named>,
    },
    /// The cell with this number begins.
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
    /// The tasks that sleep uninterruptibly, of a cell that ends badly.
    Stuck {
        /// With their stacks.
        tasks: Vec<StuckTask>,
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
