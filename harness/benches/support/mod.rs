//! What the benches share: a machine on the threads runtime, and a bio that is submitted and awaited over and over with
//! nothing but the engine between the two clock readings.
//!
//! Not here: scenarios and loads (their own overhead would be measured with the engine's).

#![allow(dead_code, reason = "each bench uses its own part of this module")]

pub(crate) mod rounds;
pub(crate) mod tables;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dmlab_engine::block::{Bio, BioOp, BioVec, BlkStatus, Buffer, Device, EndIo, submit_bio};
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::{Outcome, Task, threads};
use dmlab_engine::variants::Variants;
use dmlab_units::{Nanos, Sectors, Seed};

/// Variants with these axes set.
pub(crate) fn variants(pairs: &[(&str, &str)]) -> Variants {
    let mut variants = Variants::default();
    for (axis, value) in pairs {
        variants.set(axis, value).expect("a bench names known variants");
    }
    variants
}

struct CountEnds;

impl EndIo for CountEnds {
    fn end_io(self: Arc<Self>, _current: &Task, status: BlkStatus, _cookie: u64) {
        assert!(status.is_ok(), "a bench does no failing I/O");
    }
}

/// Runs `body` as the root task on threads and gives what it returns.
pub(crate) fn on_threads<T: Send + 'static>(body: impl FnOnce(&Task) -> T + Send + 'static) -> T {
    let config =
        threads::Config { seed: Seed(1), deadline: Nanos::secs(600), interrupt: Arc::new(AtomicBool::new(false)) };
    let slot = Arc::new(Mutex::new(None));
    let there = Arc::clone(&slot);
    let result = threads::run(&config, move |current| {
        *there.lock().expect("only this task writes") = Some(body(current));
    });
    assert_eq!(result.outcome, Outcome::Finished);
    let value = slot.lock().expect("the run is over").take();
    value.expect("the root task has run")
}

/// Creates, loads and resumes a dm device.
pub(crate) fn add_dm(current: &Task, machine: &Machine, name: &str, lines: &[String]) -> Arc<Device> {
    let device = machine.dm().create(current, name).expect("the name is free");
    machine.dm().load(current, name, lines).expect("the table is good");
    machine.dm().resume(current, name).expect("the table fits");
    device
}

/// How long `iterations` bios of `sectors` sectors to `device` take, one after the other. The devices below complete in
/// the submitter's context, so that a bio has ended when `submit_bio` returns.
pub(crate) fn submit_repeatedly(current: &Task, device: &Arc<Device>, sectors: Sectors, iterations: u64) -> Duration {
    let data = BioVec::new(Buffer::zeroed(sectors));
    let hook: Arc<dyn EndIo> = Arc::new(CountEnds);
    let started = Instant::now();
    for _ in 0..iterations {
        let (dev, data) = (Arc::clone(device), Some(data.clone()));
        let bio = Bio::new(current, BioOp::Write, dev, (Sectors::ZERO, sectors), data, (Arc::clone(&hook), 0));
        submit_bio(current, bio);
    }
    started.elapsed()
}
