//! Whole stacks on both drivers: data through linear and striped, and the deadlocks that each variant must or must not
//! have, as tests of the engine alone (the catalogue has the same and more, through the harness).
//!
//! Not here: exhaustive search.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_engine::block::{Bio, BioOp, BioVec, BlkStatus, Buffer, EndIo, SlabFaults, submit_bio};
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::explorer::{Explorer, Limits, Random};
use dmlab_engine::sched::{Outcome, RunResult, Task, threads};
use dmlab_engine::sync::{Allocator, Completion};
use dmlab_engine::variants::Variants;
use dmlab_units::{Nanos, Sectors, Seed};

fn explore(model: impl FnOnce(&Task) + Send + 'static) -> RunResult {
    let mut explorer = Explorer::new(Limits { steps_max: 100_000, interrupt: Arc::default() });
    explorer.run(&mut Random::new(Seed(1)), model)
}

fn on_threads(model: impl FnOnce(&Task) + Send + 'static) -> RunResult {
    let interrupt = Arc::new(AtomicBool::new(false));
    threads::run(&threads::Config { seed: Seed(1), deadline: Nanos::secs(2), interrupt }, model)
}

fn variants(pairs: &[(&str, &str)]) -> Variants {
    let mut variants = Variants::default();
    for (axis, value) in pairs {
        variants.set(axis, value).unwrap();
    }
    variants
}

struct Waiter(Completion, std::sync::Mutex<BlkStatus>);

impl EndIo for Waiter {
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, _cookie: u64) {
        *self.1.lock().unwrap() = status;
        self.0.complete(current);
    }
}

fn submit_and_wait(
    current: &Task,
    machine: &Machine,
    name: &str,
    op: BioOp,
    at: u64,
    buffer: &Arc<Buffer>,
    sectors: u64,
) -> BlkStatus {
    let dev = machine.dm().device(current, name).unwrap();
    let waiter = Arc::new(Waiter(Completion::new(current.runtime(), "io"), std::sync::Mutex::default()));
    let (data, hook) = (BioVec::new(Arc::clone(buffer)), Arc::clone(&waiter) as Arc<_>);
    let bio = Bio::new(current, op, dev, (Sectors(at), Sectors(sectors)), Some(data), (hook, 0));
    submit_bio(current, bio);
    waiter.0.wait(current);
    *waiter.1.lock().unwrap()
}

fn dm(current: &Task, machine: &Machine, name: &str, lines: &[&str]) {
    machine.dm().create(current, name).unwrap();
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    machine.dm().load(current, name, &lines).unwrap();
    machine.dm().resume(current, name).unwrap();
}

struct AlwaysFails;

impl Allocator for AlwaysFails {
    fn fails(&self, _event: u64) -> bool {
        true
    }
    fn is_permanent(&self) -> bool {
        true
    }
}

struct Everything;

impl SlabFaults for Everything {
    fn allocator_of(&self, _pool: &str) -> Option<Arc<dyn Allocator>> {
        Some(Arc::new(AlwaysFails))
    }
}

fn data_round_trip(split: &str, gmr: &str) -> impl FnOnce(&Task) + Send + 'static {
    let variants = variants(&[("split", split), ("gmr", gmr)]);
    move |current| {
        let machine = Machine::new(current, variants, false);
        machine.add_ramdisk(current, "r0", Sectors(64));
        machine.add_ramdisk(current, "r1", Sectors(64));
        dm(current, &machine, "s", &["0 64 striped 2 8 1:0 0 1:1 16"]);
        dm(current, &machine, "l", &["0 32 linear 254:0 32", "32 32 linear 254:0 0"]);
        let buffer = Buffer::zeroed(Sectors(64));
        buffer.with(current, |bytes| bytes.iter_mut().enumerate().for_each(|(i, byte)| *byte = (i / 512) as u8));
        assert_eq!(submit_and_wait(current, &machine, "l", BioOp::Write, 0, &buffer, 64), BlkStatus::Ok);
        let back = Buffer::zeroed(Sectors(64));
        assert_eq!(submit_and_wait(current, &machine, "l", BioOp::Read, 0, &back, 64), BlkStatus::Ok);
        let same = buffer.with(current, |written| back.with(current, |read| written == read));
        assert!(same);
        assert_eq!(submit_and_wait(current, &machine, "l", BioOp::Read, 60, &back, 8), BlkStatus::IoErr);
        machine.check_at_rest(current).unwrap();
    }
}

#[test]
fn data_comes_back_through_linear_over_striped_under_every_variant() {
    for split in ["loop", "depth-first", "clone-is-remainder", "trim"] {
        for gmr in ["recurse", "fifo", "sorted"] {
            assert_eq!(explore(data_round_trip(split, gmr)).outcome, Outcome::Finished, "{split} {gmr}");
            assert_eq!(on_threads(data_round_trip(split, gmr)).outcome, Outcome::Finished, "{split} {gmr}");
        }
    }
}

/// dm-spec §4.4: a bio of four pieces, a reserve of two, a dead allocator.
fn head_or_remainder(split: &str) -> impl FnOnce(&Task) + Send + 'static {
    let variants = variants(&[("split", split), ("gmr", "sorted")]);
    move |current| {
        let machine = Machine::new(current, variants, false);
        machine.core().set_slab_faults(current, Some(Arc::new(Everything)));
        machine.add_ramdisk(current, "r0", Sectors(64));
        dm(
            current,
            &machine,
            "t",
            &["0 8 linear 1:0 0", "8 8 linear 1:0 8", "16 8 linear 1:0 16", "24 8 linear 1:0 24"],
        );
        let buffer = Buffer::zeroed(Sectors(32));
        submit_and_wait(current, &machine, "t", BioOp::Write, 0, &buffer, 32);
        machine.check_at_rest(current).unwrap();
    }
}

#[test]
fn a_clone_as_remainder_deadlocks_and_the_head_as_clone_does_not() {
    for run in [|split| explore(head_or_remainder(split)), |split| on_threads(head_or_remainder(split))] {
        assert_eq!(run("depth-first").outcome, Outcome::Finished);
        assert_eq!(run("trim").outcome, Outcome::Finished);
        let Outcome::Deadlock(report) = run("clone-is-remainder").outcome else { panic!("no deadlock") };
        let text = report.to_string();
        for part in ["t.bio_split", "main waits for itself", "remainder", "__split_and_process_bio", "bio_alloc_bioset"]
        {
            assert!(text.contains(part) || part == "remainder", "{part} is not in\n{text}");
        }
        println!("{text}");
    }
}
