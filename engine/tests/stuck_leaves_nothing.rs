//! A run that ends with bios on somebody's list leaves no machine behind: bios lead to tables, and tables to lists.
//!
//! Verified: bios that are held by a device, put off by a suspended one, queued with a pending exception, and on the list
//! of a rescuer (by the scenarios that get stuck there). Not here: what a stuck run reports.

mod support;

use std::sync::{Arc, Mutex, Weak};

use dmlab_engine::block::{Bio, BioOp, BlkStatus, BlockCore, EndIo, Fate, IoFaultHook, submit_bio};
use dmlab_engine::dm::SuspendFlags;
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::Task;
use dmlab_engine::sync::Completion;
use dmlab_engine::variants::{CowThrottle, Variants};
use dmlab_units::Sectors;

use support::{explore_once, hang};

struct Waiter(Completion);

impl EndIo for Waiter {
    fn end_io(self: Arc<Self>, current: &Task, _status: BlkStatus, _cookie: u64) {
        self.0.complete(current);
    }
}

/// Holds everything that a device whose name begins with `held` is to do.
struct Holds;

impl IoFaultHook for Holds {
    fn fate(
        &self,
        device: &str,
        _op: BioOp,
        _range: (Sectors, Sectors),
        _choose: Option<&mut dyn FnMut() -> bool>,
    ) -> Option<Fate> {
        device.starts_with("held").then_some(Fate::Held)
    }
}

/// Two ramdisks and devices over them, by name and line; `$0` and `$1` stand for the ramdisks.
fn devices(current: &Task, machine: &Machine, disks: [&str; 2], lines: &[(&str, &str)]) {
    let disks = disks.map(|name| machine.add_ramdisk(current, name, Sectors(64)).id().to_string());
    machine.core().set_io_faults(current, Some(Arc::new(Holds)));
    for (name, line) in lines {
        let line = line.replace("$0", &disks[0]).replace("$1", &disks[1]);
        machine.dm().create(current, name).unwrap();
        machine.dm().load(current, name, &[line]).unwrap();
        machine.dm().resume(current, name).unwrap();
    }
}

/// Writes to a device and waits for the end that does not come.
fn write(current: &Task, machine: &Machine, name: &str) {
    let dev = machine.dm().device(current, name).unwrap();
    let waiter = Arc::new(Waiter(Completion::new(current.runtime(), "io")));
    let hook = (Arc::clone(&waiter) as Arc<dyn EndIo>, 0);
    submit_bio(current, Bio::new(current, BioOp::Write, dev, (Sectors(0), Sectors(4)), None, hook));
    waiter.0.wait(current);
}

/// The model gets stuck, and then nothing is left of its machine.
#[track_caller]
fn leaves_nothing(variants: Variants, model: impl FnOnce(&Task, &Machine) + Send + 'static) {
    let left: Arc<Mutex<Weak<BlockCore>>> = Arc::default();
    let note = Arc::clone(&left);
    let result = explore_once(move |current| {
        let machine = Machine::new(current, variants, false);
        *note.lock().unwrap() = Arc::downgrade(machine.core());
        model(current, &machine);
    });
    hang(result.outcome);
    assert!(left.lock().unwrap().upgrade().is_none(), "the machine is still there");
}

#[test]
fn with_a_bio_that_a_device_holds() {
    leaves_nothing(Variants::default(), |current, machine| {
        devices(current, machine, ["held", "d"], &[("t", "0 64 linear $0 0")]);
        write(current, machine, "t");
    });
}

#[test]
fn with_a_bio_that_a_suspended_device_has_put_off() {
    leaves_nothing(Variants::default(), |current, machine| {
        devices(current, machine, ["o", "d"], &[("t", "0 64 linear $0 0"), ("top", "0 64 linear $1 0")]);
        machine.dm().suspend(current, "t", SuspendFlags::empty()).unwrap();
        write(current, machine, "t");
    });
}

#[test]
fn with_a_writer_that_no_throttle_lets_pass() {
    let variants = Variants { cow_throttle: CowThrottle::WaitUninit, ..Variants::default() };
    leaves_nothing(variants, |current, machine| {
        devices(current, machine, ["o", "c"], &[("s", "0 64 snapshot $0 $1 N 8"), ("b", "0 64 snapshot-origin $0")]);
        write(current, machine, "b");
    });
}

#[test]
fn with_a_write_that_waits_for_a_copy() {
    leaves_nothing(Variants::default(), |current, machine| {
        devices(current, machine, ["o", "held"], &[("s", "0 64 snapshot $0 $1 N 8"), ("b", "0 64 snapshot-origin $0")]);
        write(current, machine, "s");
    });
}
