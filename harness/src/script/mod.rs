//! Carries out a scenario's steps on any backend and notes what it sees.
//!
//! Reading order: `flow` (lists of steps, and steps that hold steps), `steps` (each other step's meaning), `printed`
//! (status and table), `volumes` (snapshots), `stamps` and `book` (what is written, and what may be there), `load` (fio's
//! words), `pattern` (what is written, and how it is recognised again), `power` (power cuts
//! and what survives them), `phases`, `trace` (what each step was answered),
//! `errand` (what is done beside the steps, for conformance), `findings`.
//!
//! Invariants: a step whose expectation is not met is noted and ends its list of steps, and with it the lists around it and
//! the tasks that they have in the background; other flows go on; the same scenario, seed and backend schedule give the
//! same findings.
//! Not here: verdicts ([`crate::judge`]).

mod admin;
mod book;
mod budget;
mod errand;
mod findings;
mod flow;
mod load;
mod mount;
mod pattern;
mod phases;
mod pooled;
mod power;
mod printed;
mod stamps;
mod steps;
mod trace;
mod volumes;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use dmlab_scenarios::{
    Action, Admin, DeviceKind, Fault, MustBlock, Outcome, PowerCut, Repeat, Scenario, Step, Stomp, Verb,
};
use dmlab_units::{Nanos, Seed};

pub use errand::image::Image;
pub use errand::store::StoreSeen;
pub use errand::{Errand, READING};
pub use findings::{Findings, LoadFinding};
pub use load::{Counted, JobTally, PhaseTally};
pub use phases::Mark;
pub use trace::{EVENTS_MAX, Event, Trace};

use self::book::Book;
use self::phases::Phases;
use self::volumes::Volumes;

use crate::backend::{Actor, Flag};

/// A scenario, ready to be performed.
pub struct Script {
    scenario: Arc<Scenario>,
    seed: Seed,
    /// Faults in force: they add up, whichever flow begins them, until they are healed.
    faults: Mutex<Vec<Fault>>,
    phases: Phases,
    /// Volumes that have snapshots, and how each was made. Changed under the lock of the volume.
    volumes: Mutex<Volumes>,
    /// Devices that steps make, besides those of the scenario.
    made: BTreeSet<String>,
    /// Of these devices a book is kept.
    kept: BTreeSet<String>,
    book: Mutex<Book>,
    /// Raised whenever somebody looks into the book, so that a search knows; not there when no book is kept.
    book_flag: OnceLock<Arc<dyn Flag>>,
    power: power::Power,
    /// What is done beside the steps, if anything.
    errand: Option<Arc<Errand>>,
    /// When it began, where a budget wants to know.
    began: OnceLock<Nanos>,
    findings: Mutex<Findings>,
}

/// A flow of control has come to an early end; why is noted in the findings.
struct Stopped;

/// A flow of control of a script.
#[derive(Clone, Copy)]
struct Flow<'a> {
    /// Who carries it out.
    actor: &'a dyn Actor,
    /// Its name behind the names of the flows around it.
    path: &'a str,
    /// In the background: up when the list that started it has come to an early end.
    stop: Option<&'a Arc<dyn Flag>>,
}

impl Flow<'_> {
    /// Whether it is to end as soon as it can.
    fn is_to_stop(self) -> bool {
        self.stop.is_some_and(|stop| stop.is_up())
    }
}

impl Script {
    /// A script of `scenario`, whose data and offsets are decided by `seed`.
    pub fn new(scenario: &Arc<Scenario>, seed: Seed) -> Arc<Self> {
        Self::on_errand(scenario, seed, None)
    }

    /// The same, with something to be done beside its steps.
    pub fn on_errand(scenario: &Arc<Scenario>, seed: Seed, errand: Option<Arc<Errand>>) -> Arc<Self> {
        Arc::new(Self {
            scenario: Arc::clone(scenario),
            seed: seed.derive("script"),
            faults: Mutex::default(),
            phases: Phases::default(),
            volumes: Mutex::default(),
            made: volumes::made(&scenario.steps),
            kept: kept(&scenario.steps),
            book: Mutex::default(),
            book_flag: OnceLock::new(),
            power: power::Power::of(scenario),
            errand,
            began: OnceLock::new(),
            findings: Mutex::default(),
        })
    }

    /// Performs all steps, after creating the dm devices that no step creates.
    pub fn perform(self: &Arc<Self>, actor: &dyn Actor) {
        self.begin_budget(actor);
        if !self.kept.is_empty() {
            self.book_flag.get_or_init(|| actor.flag("the book of stamps"));
        }
        if let Err(why) = self.preload(actor) {
            return self.refuse(why);
        }
        let by_hand = created_by(&self.scenario.steps);
        let flow = Flow { actor, path: trace::MAIN, stop: None };
        for device in &self.scenario.devices {
            let by_itself = matches!(device.kind, DeviceKind::Dm { .. }) && !by_hand.contains(&device.name);
            if by_itself && let Err(errno) = self.create(flow, 0, &device.name) {
                self.fail(0, format!("{} could not be created: {errno:?}", device.name));
                return;
            }
        }
        // A flow that stopped has noted why.
        let _ = self.steps(flow, &self.scenario.steps);
    }

    /// Whether some step mounts a device.
    pub fn mounts(&self) -> bool {
        let mut mounts = false;
        every(&self.scenario.steps, &mut |action| mounts |= matches!(action, Action::Mount(_)));
        mounts
    }

    /// Notes that there is nothing to be performed on, and why.
    pub fn refuse(&self, why: String) {
        self.fail(0, why);
    }

    /// What was seen; nothing of it is kept.
    pub fn take_findings(&self) -> Findings {
        let mut findings = std::mem::take(&mut *self.findings.lock().unwrap_or_else(PoisonError::into_inner));
        self.phases.refresh(&mut findings.phases);
        findings
    }

    fn note(&self, note: impl FnOnce(&mut Findings)) {
        note(&mut self.findings.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Changes the faults in force.
    fn change_faults(&self, actor: &dyn Actor, change: impl FnOnce(&mut Vec<Fault>)) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut faults);
        let now = faults.clone();
        drop(faults);
        actor.set_faults(&now);
    }

    fn fail(&self, line: u32, message: String) -> Stopped {
        // What fails because the power is gone is no finding.
        if self.power.is_off() {
            return Stopped;
        }
        self.fail_anyway(line, message)
    }

    /// As [`Self::fail`], with or without power.
    fn fail_anyway(&self, line: u32, message: String) -> Stopped {
        let message = if line == 0 { message } else { format!("line {line}: {message}") };
        self.note(|findings| findings.failures.push(message));
        Stopped
    }
}

/// Shows `see` every action, also those inside of others.
fn every(steps: &[Step], see: &mut dyn FnMut(&Action)) {
    for step in steps {
        see(&step.action);
        match &step.action {
            Action::Parallel(branches) | Action::Background(branches) => {
                branches.iter().for_each(|(_, steps)| every(steps, see));
            }
            Action::Steps(steps)
            | Action::Repeat(Repeat { steps, .. })
            | Action::MustBlock(MustBlock { steps, .. })
            | Action::PowerCut(PowerCut { steps, .. }) => every(steps, see),
            _ => {}
        }
    }
}

/// The devices that some step creates.
fn created_by(steps: &[Step]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    every(steps, &mut |action| match action {
        Action::Create { device, .. } => names.extend([device.clone()]),
        Action::Admin(Admin { verb: Verb::Rename { to }, outcome: Outcome::Ok, .. }) => names.extend([to.clone()]),
        _ => {}
    });
    names
}

/// The devices of which a book is kept: volumes and snapshots, and what is stamped here and there or read back as a whole.
fn kept(steps: &[Step]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    every(steps, &mut |action| match action {
        Action::Snapshot(take) => {
            names.insert(take.of.clone());
            names.extend(take.takes.iter().map(|cow| cow.snapshot.clone()));
        }
        Action::Stomp(Stomp { device, .. }) | Action::VerifyAll(device) => names.extend([device.clone()]),
        _ => {}
    });
    names
}
