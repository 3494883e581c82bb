//! The simple targets with a fault of their own (delay, dust, flakey) on a machine: what constructors refuse and in which
//! words, messages and their replies, times, bytes.
//!
//! Not here: what the catalogue shows through the harness; the arguments of flakey and the list of dust as such (unit and
//! property tests beside them).

mod support;

use std::sync::Arc;

use dmlab_engine::block::{Bio, BioFlags, BioOp, BioVec, BlkStatus, Buffer, EndIo, SlabFaults, submit_bio};
use dmlab_engine::dm::{Errno, SuspendFlags};
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::explorer::{Explorer, Limits, Random};
use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::sync::{Allocator, Completion};
use dmlab_engine::targets::TYPES;
use dmlab_engine::variants::Variants;
use dmlab_units::{Nanos, Sectors, Seed};
use support::{Fails, explore_once, on_both, tell};

/// A machine with a ramdisk 1:0 of 64 sectors.
fn machine(current: &Task) -> Arc<Machine> {
    let machine = Machine::new(current, Variants::default(), false);
    machine.add_ramdisk(current, "r0", Sectors(64));
    machine
}

fn dm(current: &Task, machine: &Machine, name: &str, line: &str) {
    machine.dm().create(current, name).unwrap();
    machine.dm().load(current, name, &[line.to_owned()]).unwrap();
    machine.dm().resume(current, name).unwrap();
}

struct Waiter(Completion, std::sync::Mutex<BlkStatus>);

impl EndIo for Waiter {
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, _cookie: u64) {
        *self.1.lock().unwrap() = status;
        self.0.complete(current);
    }
}

/// Begins one bio of `name` over the whole of `buffer`.
fn start(current: &Task, machine: &Machine, name: &str, (op, flags): (BioOp, BioFlags), at: u64) -> Arc<Waiter> {
    start_with(current, machine, name, (op, flags), at, &Buffer::zeroed(Sectors(1)))
}

fn start_with(
    current: &Task,
    machine: &Machine,
    name: &str,
    (op, flags): (BioOp, BioFlags),
    at: u64,
    buffer: &Arc<Buffer>,
) -> Arc<Waiter> {
    let dev = machine.dm().device(current, name).unwrap();
    let waiter = Arc::new(Waiter(Completion::new(current.runtime(), "io"), std::sync::Mutex::default()));
    let hook = (Arc::clone(&waiter) as Arc<dyn EndIo>, 0);
    let data = Some(BioVec::new(Arc::clone(buffer)));
    submit_bio(current, Bio::new(current, op, dev, (Sectors(at), Sectors(1)), data, hook).with_flags(flags));
    waiter
}

fn end(current: &Task, waiter: &Waiter) -> BlkStatus {
    waiter.0.wait(current);
    *waiter.1.lock().unwrap()
}

fn io(current: &Task, machine: &Machine, op: BioOp, at: u64, buffer: &Arc<Buffer>) -> BlkStatus {
    end(current, &start_with(current, machine, "t", (op, BioFlags::empty()), at, buffer))
}

#[track_caller]
fn finishes(model: impl Fn(&Task) + Clone + Send + 'static) {
    for outcome in on_both(|| model.clone()) {
        assert!(outcome == Outcome::Finished, "{}", tell(&outcome));
    }
}

#[track_caller]
fn finishes_on_the_explorer(model: impl Fn(&Task) + Send + 'static) {
    let outcome = explore_once(model).outcome;
    assert!(outcome == Outcome::Finished, "{}", tell(&outcome));
}

#[test]
fn constructors_refuse_in_the_kernels_words() {
    const REFUSED: &[(&str, &str)] = &[
        ("delay 1:0 0", "Requires exactly 3, 6 or 9 arguments (-EINVAL)"),
        ("delay 1:0 0 1 1:0", "Requires exactly 3, 6 or 9 arguments (-EINVAL)"),
        ("delay 1:0 x 1", "Invalid device sector (-EINVAL)"),
        ("delay 1:0 0 -1", "Invalid delay (-EINVAL)"),
        ("delay 1:9 0 1", "Device lookup failed (-ENXIO)"),
        ("delay 1:0 0 1 1:0 0 y", "Invalid delay (-EINVAL)"),
        ("dust 1:0 0", "Invalid argument count (-EINVAL)"),
        ("dust 1:0 0 x", "Invalid block size parameter (-EINVAL)"),
        ("dust 1:0 0 65536", "Block size is too large (-EINVAL)"),
        ("dust 1:0 +1 512", "Invalid device offset sector (-EINVAL)"),
        // Whatever the look-up says.
        ("dust 1:9 0 512", "Device lookup failed (-EINVAL)"),
        ("flakey 1:0 0 1", "Invalid argument count (-EINVAL)"),
        ("flakey 1:9 0 1 1 1 no_such", "Unrecognised flakey feature requested (-EINVAL)"),
        ("flakey 1:9 0 1 1", "Device lookup failed (-ENXIO)"),
        ("mirror core", "Insufficient mirror log arguments (-EINVAL)"),
        ("mirror core x 8 2 1:0 0 1:0 32", "Invalid mirror log argument count (-EINVAL)"),
        ("mirror core 9 8 2 1:0 0 1:0 32", "Insufficient mirror log arguments (-EINVAL)"),
        ("mirror core 1 12 2 1:0 0 1:0 32", "Error creating mirror dirty log (-EINVAL)"),
        ("mirror disk 2 1:0 8 2 1:0 0 1:0 32", "Error creating mirror dirty log (-EINVAL)"),
        ("mirror core 1 8 1 1:0 0", "Invalid number of mirrors (-EINVAL)"),
        ("mirror core 1 8 10 1:0 0", "Invalid number of mirrors (-EINVAL)"),
        ("mirror core 1 8", "Invalid number of mirrors (-EINVAL)"),
        ("mirror core 1 8 2 1:0 0 1:0", "Too few mirror arguments (-EINVAL)"),
        ("mirror core 1 8 2 1:0 0 1:0 x", "Invalid offset (-EINVAL)"),
        ("mirror core 1 8 2 1:0 0 1:9 0", "Device lookup failure (-ENXIO)"),
        ("mirror core 1 8 2 1:0 0 1:0 32 1 keep_log", "keep_log feature requires the handle_errors feature (-EINVAL)"),
        ("mirror core 1 8 2 1:0 0 1:0 32 0 x", "Too many mirror arguments (-EINVAL)"),
        ("linear 1:0 +8", "Invalid device sector (-EINVAL)"),
        ("linear 1:0", "Invalid argument count (-EINVAL)"),
        ("error 1:0 x", "Invalid device sector (-EINVAL)"),
        ("zero 1", "No arguments required (-EINVAL)"),
        // Not in a scenario: 6.12 reads memory that it has freed here (dm_get_device takes the device anew, for writing,
        // and frees what s->origin points to), and a kernel that poisons such memory crashes.
        ("snapshot 1:0 1:0 P 8", "COW device cannot be the same as origin device (-EINVAL)"),
        ("snapshot 1:9 1:0 P 8", "Cannot get origin device (-ENXIO)"),
        ("snapshot 1:0 1:9 P 8", "Cannot get COW device (-ENXIO)"),
        ("striped 0 8 1:0 0", "Invalid stripe count (-EINVAL)"),
        ("striped 1 4294967296 1:0 0", "Invalid chunk_size (-EINVAL)"),
        ("striped 1 8 1:0 x", "Couldn't parse stripe destination (-EINVAL)"),
        ("striped 1 8 1:9 0", "Couldn't parse stripe destination (-ENXIO)"),
        ("striped 3 8 1:0 0", "Target length not divisible by number of stripes (-EINVAL)"),
        ("striped 2 8 1:0 0", "Not enough destinations specified (-EINVAL)"),
    ];
    finishes_on_the_explorer(|current| {
        let machine = machine(current);
        machine.dm().create(current, "t").unwrap();
        for (line, message) in REFUSED {
            let name = line.split(' ').next().unwrap();
            machine.dm().load(current, "t", &[format!("0 64 {line}")]).unwrap_err();
            let kmsg = machine.core().kmsg();
            let wanted = format!("device-mapper: table: 254:0: {name}: {message}");
            assert!(kmsg.iter().rev().take(2).any(|said| *said == wanted), "{line}: {wanted} is not in {kmsg:?}");
        }
    });
}

/// Words that mean something to some target, and some that mean nothing to any.
const WORDS: &[&str] = &[
    "1:0",
    "1:1",
    "1:9",
    "0",
    "1",
    "2",
    "3",
    "5",
    "8",
    "11",
    "16",
    "32",
    "64",
    "100",
    "512",
    "1024",
    "4096",
    "65536",
    "4294967295",
    "4294967296",
    "18446744073709551616",
    "-1",
    "+1",
    "x",
    "core",
    "disk",
    "sync",
    "nosync",
    "handle_errors",
    "keep_log",
    "error_reads",
    "drop_writes",
    "error_writes",
    "corrupt_bio_byte",
    "random_read_corrupt",
    "random_write_corrupt",
    "r",
    "w",
    "",
];
/// How many lines are tried.
const LINES: u32 = 20_000;

#[test]
fn whatever_the_words_a_line_is_refused_or_comes_back() {
    let limits = Limits { steps_max: u64::from(LINES) * 1000, interrupt: Arc::default() };
    let outcome = Explorer::new(limits).run(&mut Random::new(Seed(1)), |current: &Task| {
        let (machine, mut rng) = (machine(current), Seed(11).rng());
        machine.add_ramdisk(current, "r1", Sectors(64));
        machine.dm().create(current, "t").unwrap();
        let (mut accepted, mut by_type) = (0, std::collections::BTreeMap::new());
        for _ in 0..LINES {
            let kind = TYPES[rng.below(TYPES.len() as u64) as usize].name;
            let words: Vec<&str> = (0..rng.below(9)).map(|_| WORDS[rng.below(WORDS.len() as u64) as usize]).collect();
            // Half of them begin as many lines do, so that more is looked at than their first words.
            let begin = match (rng.below(2), kind) {
                (0, _) | (_, "zero") => "",
                (_, "mirror") => "core 1 8 2 1:0 0 1:0 32",
                (_, "striped") => "2 8 1:0 0 1:0 32",
                (_, "flakey") => "1:0 0 1 1",
                (_, "delay") => "1:0 0 100",
                (_, "snapshot" | "snapshot-merge") => "1:0 1:1 P 8",
                (_, "snapshot-origin") => "1:0",
                _ => "1:0 0",
            };
            let line = format!("0 32 {kind} {begin} {}", words.join(" "));
            match machine.dm().load(current, "t", std::slice::from_ref(&line)) {
                Ok(()) => {
                    // Areas beyond the end of a device are found when the table becomes the live one.
                    if machine.dm().resume(current, "t").is_err() {
                        continue;
                    }
                    let printed = machine.dm().table(current, "t").unwrap();
                    // While one merge is under way, a second one of the same origin is refused.
                    if kind != "snapshot-merge" {
                        machine
                            .dm()
                            .load(current, "t", &printed)
                            .unwrap_or_else(|errno| panic!("{line} gave {printed:?}: {errno}"));
                        machine.dm().resume(current, "t").unwrap();
                    }
                    assert_eq!(machine.dm().table(current, "t").unwrap(), printed, "{line}");
                    accepted += 1;
                    *by_type.entry(kind).or_insert(0) += 1;
                }
                Err(errno) => assert!(matches!(errno, Errno::EINVAL | Errno::ENXIO | Errno::ENOENT), "{line}: {errno}"),
            }
        }
        println!("{LINES} lines, {accepted} of them accepted: {by_type:?}");
        assert!(by_type.len() == TYPES.len() && accepted > LINES / 50, "{by_type:?}");
        machine.dm().remove(current, "t").unwrap();
    });
    assert!(outcome.outcome == Outcome::Finished, "{}", tell(&outcome.outcome));
}

#[test]
fn table_lines_come_back_as_they_went_in() {
    finishes_on_the_explorer(|current| {
        let machine = machine(current);
        for line in [
            "0 32 delay 1:0 8 100",
            "0 32 delay 1:0 8 100 1:0 32 0",
            "0 32 delay 1:0 8 100 1:0 32 0 1:0 0 7",
            "0 32 dust 1:0 8 4096",
            "0 32 mirror core 1 8 2 1:0 0 1:0 32",
            "0 32 mirror core 2 8 nosync 3 1:0 0 1:0 32 1:0 0 2 handle_errors keep_log",
            "0 32 mirror core 2 32 sync 2 1:0 0 1:0 32 1 handle_errors",
            "0 32 flakey 1:0 8 5 3 2 error_reads error_writes",
        ] {
            dm(current, &machine, "t", line);
            assert_eq!(machine.dm().table(current, "t").unwrap(), [line]);
            machine.dm().remove(current, "t").unwrap();
        }
    });
}

#[test]
fn messages_to_dust_are_answered_as_the_kernel_answers_them() {
    finishes(|current| {
        let machine = machine(current);
        dm(current, &machine, "t", "0 32 dust 1:0 8 1024");
        let say = |text: &str| machine.dm().message(current, "t", Sectors(0), text);
        let log = || machine.core().kmsg().pop().unwrap_or_default();
        let refused = |text: &str, why: &str| {
            assert_eq!(say(text), Err(Errno::EINVAL), "{text}");
            assert_eq!(log(), format!("device-mapper: dust: {why}"), "{text}");
        };
        let replies = |text: &str, reply: &str| assert_eq!(say(text), Ok(Some(reply.to_owned())), "{text}");
        replies("listbadblocks", "No blocks in badblocklist");
        replies("clearbadblocks", "dust_clear_badblocks: no badblocks found");
        assert_eq!(say("addbadblock 9"), Ok(None));
        assert_eq!(log(), "device-mapper: dust: dust_add_block: badblock added at block 9 with write fail count 0");
        assert_eq!(say("AddBadBlock 4 255"), Ok(None));
        // One past the end is let through: 64 sectors are 32 blocks.
        assert_eq!(say("addbadblock 32"), Ok(None));
        refused("addbadblock 33", "selected block value out of range");
        refused("addbadblock 4 256", "selected write fail count out of range");
        refused("addbadblock 9", "dust_add_block: block 9 already in badblocklist");
        refused("removebadblock 8", "dust_remove_block: block 8 not found in badblocklist");
        refused("addbadblock", "addbadblock requires an additional argument");
        refused("fix 1 2", "unrecognized message 'fix' received");
        refused("fix", "unrecognized message 'fix' received");
        refused("a b c d", "invalid number of arguments '4'");
        let before = machine.core().kmsg().len();
        assert_eq!([say("addbadblock x"), say("addbadblock 1 x")], [const { Err(Errno::EINVAL) }; 2]);
        assert_eq!(machine.core().kmsg().len(), before, "numbers are refused without a word");
        replies("queryblock 9", "dust_query_block: block 9 found in badblocklist");
        replies("queryblock 8", "dust_query_block: block 8 not found in badblocklist");
        replies("countbadblocks", "countbadblocks: 3 badblock(s) found");
        replies("listbadblocks", "4\n9\n32\n");
        assert_eq!(machine.dm().status(current, "t", false).unwrap(), ["0 32 dust 1:0 bypass verbose"]);
        assert_eq!([say("quiet"), say("removebadblock 32"), say("enable")], [Ok(None), Ok(None), Ok(None)]);
        assert_eq!(log(), "device-mapper: dust: enabling read failures on bad sectors", "also when it is quiet");
        let status = machine.dm().status(current, "t", false).unwrap();
        assert_eq!(status, ["0 32 dust 1:0 fail_read_on_bad_block quiet"]);
        replies("clearbadblocks", "dust_clear_badblocks: badblocks cleared");
        machine.dm().remove(current, "t").unwrap();
    });
}

#[test]
fn a_bad_block_is_counted_on_the_device_below_and_healed_by_writing() {
    finishes(|current| {
        let machine = machine(current);
        dm(current, &machine, "t", "0 32 dust 1:0 8 1024");
        let (say, buffer) =
            (|text: &str| machine.dm().message(current, "t", Sectors(0), text), Buffer::zeroed(Sectors(1)));
        // Block 9 is sectors 18 and 19 of r0: 10 and 11 of t.
        say("addbadblock 9 1").unwrap();
        assert_eq!(io(current, &machine, BioOp::Read, 10, &buffer), BlkStatus::Ok, "not yet enabled");
        say("enable").unwrap();
        assert_eq!(io(current, &machine, BioOp::Read, 9, &buffer), BlkStatus::Ok);
        assert_eq!(io(current, &machine, BioOp::Read, 11, &buffer), BlkStatus::IoErr);
        assert_eq!(io(current, &machine, BioOp::Write, 10, &buffer), BlkStatus::IoErr);
        assert_eq!(io(current, &machine, BioOp::Write, 10, &buffer), BlkStatus::Ok);
        // The kernel divides the block by its sectors once more when it prints it.
        let said = machine.core().kmsg().pop().unwrap();
        assert_eq!(said, "device-mapper: dust: block 4 removed from badblocklist by write");
        assert_eq!(io(current, &machine, BioOp::Read, 10, &buffer), BlkStatus::Ok);
        machine.dm().remove(current, "t").unwrap();
    });
}

#[test]
fn each_class_is_held_for_its_own_time_and_counted_until_then() {
    finishes_on_the_explorer(|current| {
        let machine = machine(current);
        dm(current, &machine, "t", "0 32 delay 1:0 0 100 1:0 0 30");
        let (read, write) = ((BioOp::Read, BioFlags::empty()), (BioOp::Write, BioFlags::empty()));
        let (first, second) = (start(current, &machine, "t", read, 0), start(current, &machine, "t", write, 1));
        let status = |wanted: &str| assert_eq!(machine.dm().status(current, "t", false).unwrap(), [wanted]);
        status("0 32 delay 1 1 0");
        // A write that comes later is due sooner than the read.
        current.sleep(Nanos::millis(50));
        status("0 32 delay 1 0 0");
        assert_eq!(end(current, &second), BlkStatus::Ok);
        let third = start(current, &machine, "t", write, 3);
        assert_eq!((end(current, &third), current.now()), (BlkStatus::Ok, Nanos::millis(80)));
        assert_eq!((end(current, &first), current.now()), (BlkStatus::Ok, Nanos::millis(100)));
        status("0 32 delay 0 0 0");
        machine.dm().remove(current, "t").unwrap();
        machine.check_at_rest(current).unwrap();
    });
}

#[test]
fn no_suspend_waits_for_a_delay_and_nothing_is_held_until_the_resume() {
    finishes(|current| {
        let machine = machine(current);
        dm(current, &machine, "t", "0 32 delay 1:0 0 3600000");
        let write = (BioOp::Write, BioFlags::empty());
        let held = start(current, &machine, "t", write, 0);
        machine.dm().suspend(current, "t", SuspendFlags::empty()).unwrap();
        assert_eq!(end(current, &held), BlkStatus::Ok);
        machine.dm().resume(current, "t").unwrap();
        let held = start(current, &machine, "t", write, 1);
        assert_eq!(machine.dm().status(current, "t", false).unwrap(), ["0 32 delay 0 1 0"]);
        machine.dm().suspend(current, "t", SuspendFlags::empty()).unwrap();
        assert_eq!(end(current, &held), BlkStatus::Ok);
        machine.dm().remove(current, "t").unwrap();
        machine.check_at_rest(current).unwrap();
    });
}

/// What is on sector 0 of r0.
fn on_disk(current: &Task, machine: &Machine) -> Vec<u8> {
    dm(current, machine, "plain", "0 64 linear 1:0 0");
    let buffer = Buffer::zeroed(Sectors(1));
    let read = start_with(current, machine, "plain", (BioOp::Read, BioFlags::empty()), 0, &buffer);
    assert_eq!(end(current, &read), BlkStatus::Ok);
    machine.dm().remove(current, "plain").unwrap();
    buffer.with(current, |bytes| bytes.clone())
}

fn ones(current: &Task) -> Arc<Buffer> {
    let buffer = Buffer::zeroed(Sectors(1));
    buffer.with(current, |bytes| bytes.fill(1));
    buffer
}

fn all_but(place: usize, value: u8) -> Vec<u8> {
    let mut bytes = vec![1; 512];
    bytes[place] = value;
    bytes
}

#[test]
fn a_corrupted_write_leaves_the_writers_memory_alone_and_reads_are_corrupted_in_it() {
    finishes(|current| {
        let machine = machine(current);
        let buffer = ones(current);
        dm(current, &machine, "t", "0 64 flakey 1:0 0 0 1 5 corrupt_bio_byte 32 w 9 0");
        assert_eq!(io(current, &machine, BioOp::Write, 0, &buffer), BlkStatus::Ok);
        buffer.with(current, |bytes| assert_eq!(*bytes, vec![1; 512]));
        assert_eq!(on_disk(current, &machine), all_but(31, 9));
        machine.dm().remove(current, "t").unwrap();
        dm(current, &machine, "t", "0 64 flakey 1:0 0 0 1 5 corrupt_bio_byte 512 r 7 0");
        assert_eq!(io(current, &machine, BioOp::Read, 0, &buffer), BlkStatus::Ok);
        let mut wanted = all_but(31, 9);
        wanted[511] = 7;
        buffer.with(current, |bytes| assert_eq!(*bytes, wanted));
        assert_eq!(on_disk(current, &machine), all_but(31, 9));
        machine.dm().remove(current, "t").unwrap();
        machine.check_at_rest(current).unwrap();
    });
}

#[test]
fn only_bios_with_the_flags_and_the_length_are_corrupted() {
    finishes_on_the_explorer(|current| {
        let machine = machine(current);
        // 2048 is REQ_SYNC, 1 the bit that makes an operation a write.
        for (feature, flags, hit) in [
            ("corrupt_bio_byte 1 w 9 2049", BioFlags::SYNC, true),
            ("corrupt_bio_byte 1 w 9 2049", BioFlags::NOMERGE, false),
            ("corrupt_bio_byte 1 w 9 1", BioFlags::empty(), true),
            ("corrupt_bio_byte 1 w 9 2", BioFlags::empty(), false),
            ("corrupt_bio_byte 513 w 9 0", BioFlags::empty(), false),
            ("corrupt_bio_byte 1 r 9 0", BioFlags::empty(), false),
        ] {
            dm(current, &machine, "t", &format!("0 64 flakey 1:0 0 0 1 5 {feature}"));
            let write = start_with(current, &machine, "t", (BioOp::Write, flags), 0, &ones(current));
            assert_eq!(end(current, &write), BlkStatus::Ok);
            assert_eq!(on_disk(current, &machine)[0], if hit { 9 } else { 1 }, "{feature} {flags:?}");
            machine.dm().remove(current, "t").unwrap();
        }
    });
}

struct Dead;

impl SlabFaults for Dead {
    fn allocator_of(&self, pool: &str) -> Option<Arc<dyn Allocator>> {
        (pool == "t.flakey").then(Fails::dead).flatten()
    }
}

#[test]
fn without_memory_for_a_copy_a_write_passes_unharmed() {
    finishes_on_the_explorer(|current| {
        let machine = machine(current);
        machine.core().set_slab_faults(current, Some(Arc::new(Dead)));
        dm(current, &machine, "t", "0 64 flakey 1:0 0 0 1 5 corrupt_bio_byte 1 w 9 0");
        assert_eq!(io(current, &machine, BioOp::Write, 0, &ones(current)), BlkStatus::Ok);
        assert_eq!(on_disk(current, &machine), vec![1; 512]);
        machine.dm().remove(current, "t").unwrap();
    });
}

/// How many of 64 writes are damaged.
fn damaged(current: &Task, seed: u64, rate: u32) -> usize {
    let machine = machine(current);
    machine.core().set_random_seed(Seed(seed));
    dm(current, &machine, "t", &format!("0 64 flakey 1:0 0 0 1 2 random_write_corrupt {rate}"));
    let damaged = (0..64).filter(|_| {
        assert_eq!(io(current, &machine, BioOp::Write, 0, &ones(current)), BlkStatus::Ok);
        on_disk(current, &machine) != vec![1; 512]
    });
    let damaged = damaged.count();
    machine.dm().remove(current, "t").unwrap();
    damaged
}

#[test]
fn random_corruption_comes_from_the_seed_and_as_often_as_was_said() {
    finishes_on_the_explorer(|current| {
        assert_eq!(damaged(current, 1, 1_000_000_000), 64);
        let half = damaged(current, 1, 500_000_000);
        assert!((16..48).contains(&half), "{half} of 64");
        assert_eq!(damaged(current, 1, 500_000_000), half);
        assert!((2..9).any(|seed| damaged(current, seed, 500_000_000) != half));
    });
}
