//! What each step of a scenario means, in the operations of the seam.
//!
//! Invariants: control steps are compared with their expected outcome to the error number; status and table lines to
//! the byte.
//! Not here: loads ([`super::load`]), stamps and reading them back ([`super::stamps`]), snapshots ([`super::volumes`]), steps
//! that hold steps ([`super::flow`]).

use std::sync::Arc;

use dmlab_scenarios::{Action, DeviceKind, Errno, Extent, IoOp, Outcome, Pass, Step, Submit, SuspendHow, Wanted};

use super::pattern::{self, Label};
use super::stamps::{range, written_by};
use super::{Flow, Script, Stopped, admin, printed};
use crate::backend::Control;

impl Script {
    pub(super) fn step(self: &Arc<Self>, flow: Flow<'_>, step: &Step) -> Result<(), Stopped> {
        let actor = flow.actor;
        let line = step.line;
        let control = |operation: Control<'_>, outcome: Outcome| {
            let result = actor.control(operation);
            self.saw(flow, line, || describe(operation), &result);
            self.expect(line, &describe(operation), result.map(|_| ()), outcome)
        };
        match &step.action {
            Action::Create { device, outcome } => {
                self.expect(line, &format!("create {device}"), self.create(flow, line, device), *outcome)
            }
            Action::Load { device, table, outcome } => control(Control::Load(device, table), *outcome),
            Action::Suspend { device, how, outcome } => control(Control::Suspend { device, how: *how }, *outcome),
            Action::Resume { device, how, outcome } => control(Control::Resume { device, how: *how }, *outcome),
            Action::Remove { device, outcome } => control(Control::Remove(device), *outcome),
            Action::Snapshot(take) => self.take(flow, line, take),
            Action::Drop(drops) => self.drop_snapshots(flow, line, drops),
            Action::Merge(merge) => self.merge(flow, line, merge),
            Action::Admin(admin) => self.admin(flow, line, admin),
            Action::Status(printed) => self.compare(flow, line, admin::status_of(printed), &printed.wanted),
            Action::Table(printed) => self.compare(flow, line, admin::table_of(printed), &printed.wanted),
            Action::Submit(submit) => self.submit(flow, line, submit),
            Action::Run(load) => self.unbooked(&load.on, &written_by(load), || self.load(flow, line, load)),
            Action::Stamp(pass) => self.stamp(flow, line, pass),
            Action::Stomp(stomp) => self.stomp(flow, line, stomp),
            Action::VerifyAll(device) => self.verify_all(flow, line, device),
            Action::Verify(Pass { extent, outcome }) => {
                self.verify(flow, line, extent, &extent.device, extent.at, *outcome)
            }
            Action::Layout { of, on, at } => self.verify(flow, line, of, on, *at, Outcome::Ok),
            Action::Mount(pass) => self.mount(actor, line, pass),
            Action::Unmount { device, outcome } => {
                self.expect(line, &format!("unmount {device}"), actor.unmount(device), *outcome)
            }
            Action::Fault(fault) => {
                self.change_faults(actor, |faults| faults.push(fault.clone()));
                Ok(())
            }
            Action::Heal => {
                self.change_faults(actor, Vec::clear);
                Ok(())
            }
            Action::Release(device) => {
                actor.release(device);
                Ok(())
            }
            Action::Unplug(device) => {
                actor.unplug(device);
                Ok(())
            }
            Action::PowerCut(cut) => self.power_cut(flow, line, cut),
            Action::Survives(survives) => self.survives(flow, line, survives),
            Action::Parallel(branches) => {
                self.parallel(flow, branches);
                Ok(())
            }
            Action::Background(_) | Action::Join(_) => unreachable!("a list of steps sees to its own tasks"),
            Action::Steps(steps) => self.steps(flow, steps),
            Action::Repeat(repeat) => self.repeat(flow, line, repeat),
            Action::Wait(wait) => self.wait(flow, line, wait),
            Action::MustBlock(must_block) => self.must_block(flow, line, must_block),
            Action::Phase(name) => {
                // Where the clock does not measure, there are no results to tell apart.
                if actor.measures() {
                    self.phases.begin(name, actor.now());
                }
                Ok(())
            }
            Action::Sleep(duration) => {
                actor.sleep(*duration);
                Ok(())
            }
        }
    }

    /// Creates, loads and resumes a dm device, all levels of it.
    pub(super) fn create(&self, flow: Flow<'_>, line: u32, name: &str) -> Result<(), Errno> {
        let device = self.scenario.devices.iter().find(|device| device.name == name);
        let Some(DeviceKind::Dm { table, over, levels }) = device.map(|device| &device.kind) else {
            unreachable!("checked: only dm devices are created");
        };
        let control = |operation: Control<'_>| {
            let found = flow.actor.control(operation);
            self.saw(flow, line, || describe(operation), &found);
            found
        };
        let mut below = over.clone();
        for level in 1..=*levels {
            let level_name = if level == *levels { name.to_owned() } else { format!("{name}.{level}") };
            let lines: Vec<String> = table.iter().map(|line| on_level(line, below.as_deref())).collect();
            control(Control::Create(&level_name))?;
            let loaded = control(Control::Load(&level_name, &lines));
            let resume = Control::Resume { device: &level_name, how: SuspendHow::default() };
            if let Err(errno) = loaded.and_then(|_| control(resume)) {
                // As dmsetup create does: a device that could not be made is not left behind.
                control(Control::Remove(&level_name))?;
                return Err(errno);
            }
            below = Some(level_name);
        }
        Ok(())
    }

    pub(super) fn expect(
        &self,
        line: u32,
        what: &str,
        result: Result<(), Errno>,
        outcome: Outcome,
    ) -> Result<(), Stopped> {
        match result {
            Ok(()) if outcome.admits_success() => Ok(()),
            Err(errno) if outcome.admits_error(errno) => Ok(()),
            Ok(()) => Err(self.fail(line, format!("{what}: success, expected {outcome}"))),
            Err(errno) => Err(self.fail(line, format!("{what}: {errno:?}, expected {outcome}"))),
        }
    }

    fn compare(&self, flow: Flow<'_>, line: u32, operation: Control<'_>, wanted: &Wanted) -> Result<(), Stopped> {
        let found = flow.actor.control(operation);
        self.saw(flow, line, || describe(operation), &found);
        printed::compare(flow.actor, found, wanted)
            .map_err(|found| self.fail(line, format!("{}: {found}", describe(operation))))
    }

    fn submit(&self, flow: Flow<'_>, line: u32, submit: &Submit) -> Result<(), Stopped> {
        let actor = flow.actor;
        let Extent { device, at, sectors } = &submit.extent;
        let what = format!("{:?} of {device} {at}+{sectors}", submit.op).to_lowercase();
        let open = actor.open(device, 1, *sectors).map_err(|errno| self.fail(line, format!("{what}: {errno:?}")))?;
        let before = self.before_bio(actor, submit);
        let write = |label: Label| {
            if submit.op == IoOp::Write {
                open.with_slot(0, &mut |memory| pattern::fill(memory, label));
            }
            open.submit_flagged(0, submit.op, &submit.flags, *at, *sectors);
            open.reap().1.map_or(Ok(()), Err)
        };
        let error = match submit.op {
            IoOp::Read | IoOp::Flush => write(self.label(device, *at, 0)),
            IoOp::Write => self.booked(device, *at, *sectors, write),
            _ => self.unbooked(device, &range(*at, *sectors), || write(self.label(device, *at, 0))),
        };
        self.after_bio(actor, submit, before, error.is_ok());
        self.saw(flow, line, || what.clone(), &error.map(|()| Vec::new()));
        let error = error.err();
        self.note(|findings| {
            findings.ios += 1;
            findings.io_errors += u64::from(error.is_some());
        });
        self.expect(line, &what, error.map_or(Ok(()), Err), submit.outcome)
    }
}

/// `$below`, replaced.
fn on_level(line: &str, below: Option<&str>) -> String {
    let word = |word: &str| match (word, below) {
        ("$below", Some(below)) => format!("${below}"),
        _ => word.to_owned(),
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

pub(super) fn describe(operation: Control<'_>) -> String {
    match operation {
        Control::Create(device) => format!("create {device}"),
        Control::Load(device, _) => format!("table load of {device}"),
        Control::Suspend { device, .. } => format!("suspend {device}"),
        Control::Resume { device, .. } => format!("resume {device}"),
        Control::Remove(device) => format!("remove {device}"),
        Control::RemoveDeferred(device) => format!("deferred remove of {device}"),
        Control::Clear(device) => format!("clear {device}"),
        Control::Rename(device, to) => format!("rename {device} to {to}"),
        Control::SetUuid(device, _) => format!("uuid of {device}"),
        Control::Message { device, text, .. } => format!("message {text:?} to {device}"),
        Control::WaitEvent(device, _) => format!("wait for an event of {device}"),
        Control::EventNr(device) => format!("event number of {device}"),
        Control::Deps(device, _) => format!("deps of {device}"),
        Control::InactiveStatus(device) => format!("status of the inactive table of {device}"),
        Control::InactiveTable(device) => format!("inactive table of {device}"),
        Control::Status(device) => format!("status of {device}"),
        Control::Table(device) => format!("table of {device}"),
    }
}
