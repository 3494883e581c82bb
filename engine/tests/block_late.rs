//! Bios that are held, slow, or caught by the removal of their device.
//!
//! Not here: which bios a plan strikes (`dmlab-faults`), steps of scenarios (the harness).

mod support;

use std::sync::{Arc, Mutex};

use dmlab_engine::block::{Bio, BioOp, BioVec, BlkStatus, Buffer, Device, EndIo, Fate, IoFaultHook, submit_bio};
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::sync::Completion;
use dmlab_engine::variants::Variants;
use dmlab_units::{Nanos, Sectors};

use support::{explore_once, finishes, hang, on_threads};

/// What becomes of every write.
struct Writes(Fate);

impl IoFaultHook for Writes {
    fn fate(
        &self,
        _device: &str,
        op: BioOp,
        _range: (Sectors, Sectors),
        _choose: Option<&mut dyn FnMut() -> bool>,
    ) -> Option<Fate> {
        (op == BioOp::Write).then_some(self.0)
    }
}

struct Waiter {
    ended: Completion,
    status: Mutex<Option<BlkStatus>>,
}

impl EndIo for Waiter {
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, _cookie: u64) {
        *self.status.lock().unwrap() = Some(status);
        self.ended.complete(current);
    }
}

/// A bio under way.
struct Flight(Arc<Waiter>, Arc<Buffer>);

impl Flight {
    fn begin(current: &Task, device: &Arc<Device>, op: BioOp, byte: u8) -> Self {
        let buffer = Buffer::zeroed(Sectors(1));
        buffer.with(current, |memory| memory.fill(byte));
        let waiter = Arc::new(Waiter { ended: Completion::new(current.runtime(), "io"), status: Mutex::default() });
        let (data, hook) = (BioVec::new(Arc::clone(&buffer)), Arc::clone(&waiter) as Arc<dyn EndIo>);
        let range = (Sectors(3), Sectors(1));
        submit_bio(current, Bio::new(current, op, Arc::clone(device), range, Some(data), (hook, 0)));
        Self(waiter, buffer)
    }

    fn has_ended(&self) -> bool {
        self.0.status.lock().unwrap().is_some()
    }

    fn end(&self, current: &Task) -> BlkStatus {
        self.0.ended.wait(current);
        self.0.status.lock().unwrap().unwrap()
    }

    fn first_byte(&self, current: &Task) -> u8 {
        self.1.with(current, |memory| memory[0])
    }
}

fn machine(current: &Task) -> (Arc<Machine>, Arc<Device>) {
    let machine = Machine::new(current, Variants::default(), false);
    let device = machine.add_ramdisk(current, "d", Sectors(8));
    (machine, device)
}

fn strike(current: &Task, machine: &Machine, fate: Option<Fate>) {
    machine.core().set_io_faults(current, fate.map(|fate| Arc::new(Writes(fate)) as Arc<dyn IoFaultHook>));
}

#[test]
fn a_held_write_has_no_effect_until_it_is_released_and_all_of_it_then() {
    finishes(|| {
        |current: &Task| {
            let (machine, device) = machine(current);
            strike(current, &machine, Some(Fate::Held));
            let write = Flight::begin(current, &device, BioOp::Write, 7);
            let before = Flight::begin(current, &device, BioOp::Read, 1);
            assert_eq!(before.end(current), BlkStatus::Ok);
            assert_eq!(before.first_byte(current), 0);
            assert!(!write.has_ended());
            assert_eq!(machine.core().release_held(current, &device), 1);
            assert_eq!(write.end(current), BlkStatus::Ok);
            let after = Flight::begin(current, &device, BioOp::Read, 1);
            assert_eq!((after.end(current), after.first_byte(current)), (BlkStatus::Ok, 7));
        }
    });
}

#[test]
fn a_write_that_is_never_released_is_a_hang_that_names_the_device() {
    let model = |current: &Task| {
        let (machine, device) = machine(current);
        strike(current, &machine, Some(Fate::Held));
        Flight::begin(current, &device, BioOp::Write, 7).end(current);
    };
    for outcome in [explore_once(model).outcome, on_threads(model).outcome] {
        let report = hang(outcome).to_string();
        assert!(report.contains("write d 3+1 held by d"), "{report}");
        assert!(report.contains("kworker/d.late.0"), "{report}");
    }
}

#[test]
fn a_slow_write_takes_its_time() {
    let model = |current: &Task| {
        let (machine, device) = machine(current);
        strike(current, &machine, Some(Fate::Slow(Nanos::millis(3))));
        let begin = current.now();
        let write = Flight::begin(current, &device, BioOp::Write, 7);
        assert!(!write.has_ended());
        assert_eq!(write.end(current), BlkStatus::Ok);
        assert!(current.now().saturating_sub(begin) >= Nanos::millis(3));
    };
    let explored = explore_once(model);
    assert_eq!((explored.outcome, explored.now), (Outcome::Finished, Nanos::millis(3)));
    assert_eq!(on_threads(model).outcome, Outcome::Finished);
}

#[test]
fn a_hold_that_crosses_with_the_healing_does_not_outlive_it() {
    finishes(|| {
        |current: &Task| {
            let (machine, device) = machine(current);
            strike(current, &machine, Some(Fate::Held));
            let (there, disk) = (Arc::clone(&machine), Arc::clone(&device));
            current.spawn("healer", move |current| {
                strike(current, &there, None);
                there.core().release_held(current, &disk);
            });
            assert_eq!(Flight::begin(current, &device, BioOp::Write, 7).end(current), BlkStatus::Ok);
        }
    });
}

#[test]
fn a_device_that_is_gone_ends_what_it_holds_and_whatever_comes() {
    finishes(|| {
        |current: &Task| {
            let (machine, device) = machine(current);
            strike(current, &machine, Some(Fate::Held));
            let held = Flight::begin(current, &device, BioOp::Write, 7);
            strike(current, &machine, Some(Fate::Slow(Nanos::millis(20))));
            let slow = Flight::begin(current, &device, BioOp::Write, 7);
            machine.unplug(current, &device);
            assert_eq!(held.end(current), BlkStatus::IoErr);
            assert_eq!(slow.end(current), BlkStatus::IoErr);
            assert_eq!(Flight::begin(current, &device, BioOp::Read, 1).end(current), BlkStatus::IoErr);
            assert_eq!(device.capacity(), Sectors::ZERO);
            strike(current, &machine, None);
            assert!(machine.core().is_gone(current, &device), "healing does not bring a device back");
            let other = machine.add_ramdisk(current, "e", Sectors(8));
            assert_eq!(Flight::begin(current, &other, BioOp::Write, 7).end(current), BlkStatus::Ok);
        }
    });
}
