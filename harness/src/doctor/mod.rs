//! `dmlab doctor`: what this machine can run, and for what it cannot, why not and which command would change that.
//!
//! Reading order: [`Report`] (here), `machine` (reads files below a root, and asks the machine through [`Probes`]), then
//! what is looked at: `engine`, `kernel` (device-mapper, modules, faults), `guest`, `figures`; `show` (table and JSON).
//!
//! Invariants: looking changes nothing but a file of a moment in the results folder; every probe ends by itself or at a
//! deadline; all files are read below a root and all probes go through a trait, so that each line has tests for yes
//! and for no on machines that are made of a folder.
//! Not here: mending anything.

mod engine;
mod figures;
mod guest;
mod kernel;
mod machine;
mod probe;
mod show;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use self::machine::Machine;
pub use self::probe::{Probes, RealProbes};

/// What something is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// The engine in user space: all that this version of dmlab runs.
    Engine,
    /// Files as devices.
    Files,
    /// The dm of the running kernel.
    Kernel,
    /// Kernels in virtual machines.
    Guest,
    /// Figures that mean something.
    Figures,
}

impl Need {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 5] = [Self::Engine, Self::Files, Self::Kernel, Self::Guest, Self::Figures];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Files => "files",
            Self::Kernel => "kernel",
            Self::Guest => "guest",
            Self::Figures => "figures",
        }
    }
}

/// How well something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It can be used.
    Yes,
    /// It can be used, with less than one would want.
    Partly,
    /// It cannot be used.
    No,
    /// It could not be found out.
    Unknown,
}

impl State {
    /// The word in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Partly => "partly",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is needed for.
    pub need: Need,
    /// What was looked at.
    pub what: String,
    /// How well it is there.
    pub state: State,
    /// What was found.
    pub found: String,
    /// A command, or another step, that would change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    fn new(need: Need, what: impl Into<String>, state: State, found: impl Into<String>) -> Self {
        Self { need, what: what.into(), state, found: found.into(), fix: None }
    }

    /// With what would change it, unless all is well.
    fn or(self, fix: impl Into<String>) -> Self {
        let fix = (self.state != State::Yes).then(|| fix.into());
        Self { fix, ..self }
    }
}

/// Everything that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order of [`Need::ALL`].
    pub findings: Vec<Finding>,
}

impl Report {
    /// Looks at `machine`.
    pub fn of(machine: &Machine<'_>) -> Self {
        let findings = [
            engine::findings(machine),
            kernel::findings(machine),
            guest::findings(machine),
            figures::findings(machine),
        ];
        Self { findings: findings.concat() }
    }

    /// Whether nothing that `need` needs is missing.
    pub fn can(&self, need: Need) -> bool {
        self.findings.iter().all(|finding| finding.need != need || finding.state != State::No)
    }
}
