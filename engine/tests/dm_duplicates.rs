//! Flushes, discards and pushed-back bios on whole machines: which device gets what, in which order, and what is left of
//! a bio that its target gives back.
//!
//! Not here: data on ramdisks.

mod support;

use std::collections::VecDeque;
use std::sync::Arc;

use dmlab_engine::block::{Bio, BioFlags, BioOp, BlkStatus, BlockCore, DevId, Device, Driver, EndIo, submit_bio};
use dmlab_engine::dm::target::CtrError;
use dmlab_engine::dm::{
    DeviceTable, DmControl, Ended, Mapped, SuspendFlags, Target, TargetArgs, TargetFeatures, TargetHost, TargetRange,
    TargetType,
};
use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::sync::{Completion, SpinSection};
use dmlab_engine::targets;
use dmlab_engine::variants::Variants;
use dmlab_units::Sectors;

static HOLD: TargetType =
    TargetType { name: "hold", version: [1, 0, 0], features: TargetFeatures::empty(), ctr: hold_ctr };

/// Keeps every bio until the device is suspended, then pushes it back.
struct Hold {
    host: Arc<TargetHost>,
    dev: Arc<Device>,
    held: SpinSection<VecDeque<Bio>>,
}

fn hold_ctr(current: &Task, args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    let dev = args.device(args.argv[0], "Device lookup failed")?;
    let held = SpinSection::new(current.runtime(), "held", VecDeque::new());
    Ok(Box::new(Hold { host: Arc::clone(args.host), dev, held }))
}

impl Target for Hold {
    fn map(&self, current: &Task, _dev: &Device, _range: &TargetRange, bio: Bio) -> Mapped {
        if self.host.noflush_suspending() {
            // What was pushed back comes again until I/O is blocked.
            return Mapped::Requeue(bio);
        }
        self.held.with(current, |held| held.push_back(bio));
        Mapped::Submitted
    }

    fn max_io_len(&self) -> Option<Sectors> {
        Some(Sectors(8))
    }

    fn num_flush_bios(&self) -> u64 {
        1
    }

    fn wants_end_io(&self) -> bool {
        true
    }

    fn end_io(&self, _current: &Task, _range: &TargetRange, _clone: Bio, _status: BlkStatus) -> Ended {
        Ended::Requeue
    }

    fn presuspend(&self, current: &Task) {
        assert!(self.host.noflush_suspending() || self.dev.name() == "a");
        while let Some(bio) = self.held.with(current, VecDeque::pop_front) {
            bio.end(current, BlkStatus::IoErr);
        }
    }

    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        vec![(Arc::clone(&self.dev), Sectors::ZERO, range.len)]
    }

    fn status(&self, _current: &Task, _noflush: bool) -> String {
        String::new()
    }

    fn table(&self, _current: &Task) -> String {
        String::new()
    }
}

/// A disk with a write cache that notes in the kernel log what it gets. Its flushes may fail.
struct Disk {
    fails_flushes: bool,
}

impl Driver for Disk {
    fn submit_bio(&self, current: &Task, dev: &Arc<Device>, bio: Bio) {
        let fua = if bio.flags().contains(BioFlags::FUA) { " fua" } else { "" };
        let text = format!("{}: {} {}+{}{fua}", dev.name(), bio.op().name(), bio.sector, bio.sectors);
        dev.core().log(current, text);
        let fails = self.fails_flushes && bio.op() == BioOp::Flush;
        bio.end(current, if fails { BlkStatus::IoErr } else { BlkStatus::Ok });
    }

    fn has_write_cache(&self) -> bool {
        true
    }

    fn takes(&self, op: BioOp) -> bool {
        op != BioOp::SecureErase
    }
}

struct Rig {
    core: Arc<BlockCore>,
    dm: DmControl,
}

fn rig(current: &Task, variants: Variants) -> Arc<Rig> {
    static TYPES: std::sync::LazyLock<Vec<&'static TargetType>> =
        std::sync::LazyLock::new(|| targets::TYPES.iter().copied().chain([&HOLD]).collect());
    let core = BlockCore::new(current.runtime(), variants, false);
    let devices = Arc::new(DeviceTable::new(current));
    for (minor, name) in ["a", "b", "c"].into_iter().enumerate() {
        let id = DevId { major: 1, minor: minor as u32 };
        let disk = Disk { fails_flushes: name == "c" };
        devices.add(current, Device::new(&core, id, name, Sectors(128), Box::new(disk)));
    }
    let dm = DmControl::new(current, &core, &devices, &TYPES);
    Arc::new(Rig { core, dm })
}

struct Waiter(Completion, std::sync::Mutex<BlkStatus>);

impl EndIo for Waiter {
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, _cookie: u64) {
        *self.1.lock().unwrap() = status;
        self.0.complete(current);
    }
}

impl Waiter {
    fn wait(&self, current: &Task) -> BlkStatus {
        self.0.wait(current);
        *self.1.lock().unwrap()
    }
}

impl Rig {
    fn load(&self, current: &Task, lines: &[&str]) {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        self.dm.load(current, "t", &lines).unwrap();
    }

    fn device(&self, current: &Task, lines: &[&str]) {
        self.dm.create(current, "t").unwrap();
        self.load(current, lines);
        self.dm.resume(current, "t").unwrap();
    }

    fn submit(&self, current: &Task, op: BioOp, flags: BioFlags, (at, sectors): (u64, u64)) -> Arc<Waiter> {
        let dev = self.dm.device(current, "t").unwrap();
        let waiter = Arc::new(Waiter(Completion::new(current.runtime(), "io"), std::sync::Mutex::default()));
        let hook = (Arc::clone(&waiter) as Arc<_>, 0);
        let bio = Bio::new(current, op, dev, (Sectors(at), Sectors(sectors)), None, hook);
        submit_bio(current, bio.with_flags(flags));
        waiter
    }

    fn done(&self, current: &Task, op: BioOp, flags: BioFlags, range: (u64, u64)) -> BlkStatus {
        self.submit(current, op, flags, range).wait(current)
    }

    /// What the disks got since this was asked last.
    fn got(&self, from: &mut usize) -> Vec<String> {
        let log = self.core.kmsg();
        let new = log[*from..].to_vec();
        *from = log.len();
        new
    }

    fn end(&self, current: &Task) {
        self.dm.remove(current, "t").unwrap();
        self.dm.check_at_rest(current).unwrap();
        assert!(self.core.pools().iter().all(|pool| pool.at_rest()));
    }
}

fn on_both(pairs: &[(&str, &str)], model: impl Fn(&Task, Variants) + Send + Copy + 'static) {
    for split in ["loop", "depth-first", "clone-is-remainder", "trim"] {
        let mut variants = Variants::default();
        variants.set("split", split).unwrap();
        pairs.iter().for_each(|(axis, value)| variants.set(axis, value).unwrap());
        let outcomes = support::on_both(|| move |current: &Task| model(current, variants));
        for outcome in outcomes {
            assert!(outcome == Outcome::Finished, "{split} {pairs:?}: {}", support::tell(&outcome));
        }
    }
}

const NONE: BioFlags = BioFlags::empty();
const TABLE: [&str; 3] = ["0 16 linear 1:0 0", "16 16 linear 1:0 32", "32 32 striped 2 8 1:0 64 1:1 0"];

#[test]
fn a_flush_goes_to_every_device_once_or_to_every_target() {
    for duplicates in ["serial", "all-or-nothing"] {
        on_both(&[("flush", "to-devices"), ("duplicates", duplicates)], |current, variants| {
            let rig = rig(current, variants);
            rig.device(current, &TABLE);
            assert_eq!(rig.done(current, BioOp::Flush, NONE, (0, 0)), BlkStatus::Ok);
            // The list of a table's devices has the newest first.
            assert_eq!(rig.got(&mut 0), ["b: flush 0+0", "a: flush 0+0"]);
            rig.end(current);
        });
        on_both(&[("flush", "through-map"), ("duplicates", duplicates)], |current, variants| {
            let rig = rig(current, variants);
            rig.device(current, &TABLE);
            assert_eq!(rig.done(current, BioOp::Flush, NONE, (0, 0)), BlkStatus::Ok);
            assert_eq!(rig.got(&mut 0), ["a: flush 0+0", "a: flush 0+0", "a: flush 0+0", "b: flush 0+0"]);
            rig.end(current);
        });
    }
}

#[test]
fn a_flush_with_data_flushes_first_and_keeps_fua_for_the_data() {
    on_both(&[], |current, variants| {
        let rig = rig(current, variants);
        rig.device(current, &TABLE);
        let flags = BioFlags::PREFLUSH | BioFlags::FUA;
        assert_eq!(rig.done(current, BioOp::Write, flags, (12, 8)), BlkStatus::Ok);
        let writes = ["a: write 12+4 fua", "a: write 32+4 fua"];
        assert_eq!(rig.got(&mut 0), [&["b: flush 0+0", "a: flush 0+0"][..], &writes].concat());
        rig.end(current);
    });
}

#[test]
fn an_error_of_a_flush_is_an_error_but_not_of_the_data_that_come_with_it() {
    on_both(&[], |current, variants| {
        let rig = rig(current, variants);
        rig.device(current, &["0 8 linear 1:2 0"]);
        assert_eq!(rig.done(current, BioOp::Flush, NONE, (0, 0)), BlkStatus::IoErr);
        assert_eq!(rig.done(current, BioOp::Write, BioFlags::PREFLUSH, (0, 8)), BlkStatus::Ok);
        rig.end(current);
    });
}

#[test]
fn each_stripe_gets_its_part_of_a_discard_and_only_if_it_has_one() {
    on_both(&[], |current, variants| {
        let rig = rig(current, variants);
        let mut from = 0;
        rig.device(current, &TABLE);
        assert_eq!(rig.done(current, BioOp::Discard, NONE, (8, 44)), BlkStatus::Ok);
        // 32 + 20: chunks 0 and 2 (half of it) of the first stripe, chunk 1 of the second.
        let parts = ["a: discard 8+8", "a: discard 32+16", "a: discard 64+12", "b: discard 0+8"];
        let mut got = rig.got(&mut from);
        got.sort();
        let mut wanted: Vec<String> = parts.iter().map(ToString::to_string).collect();
        wanted.sort();
        assert_eq!(got, wanted);
        assert_eq!(rig.done(current, BioOp::WriteZeroes, NONE, (34, 4)), BlkStatus::Ok);
        assert_eq!(rig.got(&mut from), ["a: write-zeroes 66+4"]);
        assert_eq!(rig.done(current, BioOp::SecureErase, NONE, (34, 4)), BlkStatus::NotSupp);
        assert!(rig.got(&mut from).is_empty());
        rig.end(current);
    });
}

#[test]
fn what_one_target_does_not_support_the_device_does_not() {
    on_both(&[], |current, variants| {
        let rig = rig(current, variants);
        rig.device(current, &["0 16 linear 1:0 0", "16 16 zero"]);
        assert_eq!(rig.done(current, BioOp::WriteZeroes, NONE, (0, 8)), BlkStatus::NotSupp);
        assert_eq!(rig.done(current, BioOp::Discard, NONE, (8, 16)), BlkStatus::Ok);
        assert_eq!(rig.got(&mut 0), ["a: discard 8+8"]);
        rig.end(current);
    });
}

#[test]
fn a_suspended_device_refuses_who_must_not_wait_and_who_only_reads_ahead() {
    on_both(&[], |current, variants| {
        let rig = rig(current, variants);
        rig.device(current, &["0 16 zero"]);
        rig.dm.suspend(current, "t", SuspendFlags::LOCKFS).unwrap();
        assert_eq!(rig.done(current, BioOp::Read, BioFlags::NOWAIT, (0, 8)), BlkStatus::Again);
        assert_eq!(rig.done(current, BioOp::Read, BioFlags::RAHEAD, (0, 8)), BlkStatus::IoErr);
        let waits = rig.submit(current, BioOp::Read, NONE, (0, 8));
        rig.dm.resume(current, "t").unwrap();
        assert_eq!(waits.wait(current), BlkStatus::Ok);
        assert_eq!(rig.done(current, BioOp::Read, BioFlags::RAHEAD, (0, 8)), BlkStatus::IoErr);
        rig.end(current);
    });
}

/// Two bios, the first of two pieces, are held back and given back by a noflush suspend, then sent elsewhere.
fn pushed_back(current: &Task, variants: Variants) -> (Vec<BlkStatus>, Vec<String>) {
    let rig = rig(current, variants);
    rig.device(current, &["0 8 linear 1:1 0", "8 56 hold 1:1"]);
    let waits = [(12, 8), (40, 8)].map(|range| rig.submit(current, BioOp::Write, NONE, range));
    rig.dm.suspend(current, "t", SuspendFlags::NOFLUSH).unwrap();
    rig.load(current, &["0 64 linear 1:0 0"]);
    rig.dm.resume(current, "t").unwrap();
    let statuses = waits.iter().map(|waiter| waiter.wait(current)).collect();
    let got = rig.got(&mut 0);
    rig.end(current);
    (statuses, got)
}

#[test]
fn what_a_noflush_suspend_pushes_back_is_done_with_the_next_table() {
    on_both(&[], |current, variants| {
        let (statuses, mut got) = pushed_back(current, variants);
        assert_eq!(statuses, [BlkStatus::Ok; 2]);
        got.sort();
        let whole = variants.split.name() != "trim";
        let wanted: &[&str] = if whole && variants.split.name() == "loop" {
            &["a: write 12+8", "a: write 40+8"]
        } else {
            &["a: write 12+4", "a: write 16+4", "a: write 40+8"]
        };
        assert_eq!(got, wanted);
    });
}

#[test]
fn with_one_shared_original_a_pushed_back_piece_is_lost_and_another_done_twice() {
    let mut variants = Variants::default();
    variants.set("requeue", "shared-original").unwrap();
    let outcome = support::explore_once(move |current| {
        let (statuses, mut got) = pushed_back(current, variants);
        assert_eq!(statuses, [BlkStatus::Ok; 2]);
        got.sort();
        assert_eq!(got, ["a: write 16+4", "a: write 16+4", "a: write 40+8"]);
    });
    assert!(outcome.outcome == Outcome::Finished, "{}", support::tell(&outcome.outcome));
}

#[test]
fn outside_a_noflush_suspend_a_push_back_is_an_error() {
    on_both(&[], |current, variants| {
        let rig = rig(current, variants);
        rig.device(current, &["0 64 hold 1:0"]);
        let waits = [(12, 8), (40, 8)].map(|range| rig.submit(current, BioOp::Write, NONE, range));
        rig.dm.suspend(current, "t", SuspendFlags::LOCKFS).unwrap();
        assert_eq!(waits.map(|waiter| waiter.wait(current)), [BlkStatus::IoErr; 2]);
        rig.end(current);
    });
}
