//! Every checker fails on what it is there for, and is content with the good twin: a broken variant, or an expectation
//! that is wrong on purpose, in a scenario of a few lines.
//!
//! Verified: I1 (a bio ends twice, or never), I2 (leak), I3 (deadlock), hang, I7 (both halves), I9 (sleeping under a
//! spinlock), I12 (a dropped error), the data oracle, layout, entry order, status and table lines, refusals, peaks,
//! counters, step limit, cycle names, message, an expectation's verdict.
//! Not here: the steps and loads of the language (`steps.rs`), the catalogue (`mutations.rs`).

mod support;

use std::sync::Arc;

use dmlab::backend::Performance;
use dmlab::judge::judge;
use dmlab_engine::block::bio::bio_endio;
use dmlab_engine::block::{Bio, BioOp, BlkStatus, DevId, Device, Driver, EndIo, submit_bio};
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::explorer::{Explorer, Fair, Limits};
use dmlab_engine::sched::{Outcome, RunResult, Task};
use dmlab_engine::sync::{Completion, Mutex};
use dmlab_engine::variants::Variants;
use dmlab_results::Verdict;
use dmlab_units::{Sectors, Seed};
use support::checks::{
    DEAD_POOLS, HEAD, STAMP, assert_complains, assert_content, assert_explorer_complains, list, outcome,
};
use support::{complaints, parsed, records};

const VERIFY: &str = "verify: { on: t, at: 0, sectors: 32 }";
const STUCK: &[&str] = &[DEAD_POOLS, STAMP];

/// A run of a model of the engine's own, for bugs that no scenario can be made to have.
fn perform(model: impl FnOnce(&Task) + Send + 'static) -> RunResult {
    let limits = Limits { steps_max: 10_000, interrupt: Arc::default() };
    Explorer::new(limits).run(&mut Fair::new(Seed(1)), model)
}

/// What a performance found out in which nothing was amiss.
fn nothing_found() -> Performance {
    Performance::default()
}

/// A driver that ends each bio so often.
struct Ends(u32);

impl Driver for Ends {
    fn submit_bio(&self, current: &Task, _dev: &Arc<Device>, bio: Bio) {
        for _ in 0..self.0 {
            bio_endio(current, Arc::clone(bio.done()), BlkStatus::Ok);
        }
    }
}

struct Tell(Completion);

impl EndIo for Tell {
    fn end_io(self: Arc<Self>, current: &Task, _status: BlkStatus, _cookie: u64) {
        self.0.complete(current);
    }
}

/// One bio to a device whose driver ends it `times` times, waited for.
fn bio_that_ends(times: u32) -> RunResult {
    perform(move |current| {
        let machine = Machine::new(current, Variants::default(), false);
        let id = DevId { major: 250, minor: 9 };
        let device = Device::new(machine.core(), id, "broken", Sectors(8), Box::new(Ends(times)));
        let told = Arc::new(Tell(Completion::new(current.runtime(), "the bio")));
        let (range, hook) = ((Sectors(0), Sectors(8)), (Arc::clone(&told) as Arc<dyn EndIo>, 0));
        let bio = Bio::new(current, BioOp::Write, device, range, None, hook);
        submit_bio(current, bio);
        told.0.wait(current);
    })
}

#[test]
fn i1_a_bio_that_ends_twice_is_a_crash() {
    assert_eq!(judge(&bio_that_ends(1).outcome, &nothing_found()).verdict, Verdict::Pass);
    let judgement = judge(&bio_that_ends(2).outcome, &nothing_found());
    assert_eq!(judgement.verdict, Verdict::Crash);
    let report = judgement.report.unwrap();
    assert!(report.contains("bio_endio on a bio that has ended"), "{report}");
}

#[test]
fn i1_a_bio_that_never_ends_is_a_hang() {
    let judgement = judge(&bio_that_ends(0).outcome, &nothing_found());
    assert_eq!(judgement.verdict, Verdict::Hang);
    assert!(judgement.report.unwrap().contains("the bio"));
}

#[test]
fn i1_an_original_that_ends_before_its_pieces_is_found_out() {
    let steps = ["submit: { on: t, op: write, at: 0, sectors: 32 }"];
    assert_content(&outcome("split: [depth-first]", &steps, &[]));
    let broken = outcome("split: [depth-first], planted: [completes-original]", &steps, &[]);
    assert_complains(&broken, "verdict leak, expected pass");
    assert_complains(&broken, "t.bio_split");
}

#[test]
fn i2_an_element_that_never_comes_back_is_a_leak() {
    for split in ["loop", "depth-first", "clone-is-remainder", "trim"] {
        assert_content(&outcome(&format!("split: [{split}], planted: [none]"), &[STAMP], &[]));
        let broken = outcome(&format!("split: [{split}], planted: [leaks-clone]"), &[STAMP], &[]);
        assert_complains(&broken, "verdict leak, expected pass");
        assert_complains(&broken, "t.bs: 4 element(s) never came back");
    }
}

#[test]
fn i3_tasks_that_wait_for_each_other_are_a_deadlock() {
    assert_content(&outcome("split: [trim]", STUCK, &[]));
    let broken = outcome("split: [clone-is-remainder]", STUCK, &[]);
    assert_complains(&broken, "verdict deadlock, expected pass");
    assert_complains(&broken, "deadlock: main waits for itself");
}

#[test]
fn a_task_that_waits_for_nobody_is_a_hang_and_no_deadlock() {
    let steps = ["suspend: t", "submit: { on: t, op: write, at: 0, sectors: 8 }"];
    let broken = outcome("split: [trim]", &steps, &[]);
    assert_complains(&broken, "verdict hang, expected pass");
    assert_complains(&broken, "no wait-for cycle is known");
    assert_content(&outcome("split: [trim]", &steps, &["{ verdict: hang }"]));
    assert_complains(&outcome("split: [trim]", &steps, &["{ verdict: deadlock }"]), "verdict hang, expected deadlock");
}

#[test]
fn i7_a_bio_that_is_mapped_while_suspended_is_a_crash() {
    let steps = [
        "suspend: t",
        "parallel: { io: { submit: { on: t, op: write, at: 0, sectors: 8 } }, \
         admin: [ { sleep: 20ms }, { resume: t } ] }",
    ];
    assert_content(&outcome("planted: [none]", &steps, &[]));
    let broken = outcome("planted: [maps-while-suspended]", &steps, &[]);
    assert_complains(&broken, "verdict crash, expected pass");
    assert_complains(&broken, "t: a bio is mapped while the device is suspended");
}

#[test]
fn i7_a_suspend_that_returns_over_bios_in_flight_is_a_crash() {
    let steps = ["parallel: { io: { submit: { on: t, op: write, at: 0, sectors: 32 } }, \
                  admin: [ { suspend: t }, { resume: t } ] }"];
    assert_content(&outcome("split: [loop], planted: [none]", &steps, &[]));
    let broken = outcome("split: [loop], planted: [suspend-no-wait]", &steps, &[]);
    assert_explorer_complains(&broken, "t: suspend returns with 1 bio(s) in flight");
}

#[test]
fn i9_sleeping_under_a_spinlock_is_a_crash() {
    for split in ["loop", "trim"] {
        let broken = outcome(&format!("split: [{split}], planted: [sleeps-atomic]"), &[STAMP], &[]);
        assert_complains(&broken, "verdict crash, expected pass");
        assert_complains(&broken, "BUG: ");
        assert_complains(&broken, "atomic");
    }
}

#[test]
fn i12_an_error_that_is_dropped_is_a_failure() {
    let steps = [
        "fault: { io: { on: d, op: write, sectors: \"16..24\", fail: always } }",
        "submit: { on: t, op: write, at: 0, sectors: 32, expect: EIO }",
    ];
    for split in ["loop", "depth-first", "clone-is-remainder", "trim"] {
        assert_content(&outcome(&format!("split: [{split}], planted: [none]"), &steps, &[]));
        let broken = outcome(&format!("split: [{split}], planted: [drops-error]"), &steps, &[]);
        assert_complains(&broken, "write of t 0+32: success, expected EIO");
    }
}

#[test]
fn an_error_that_nobody_expects_is_a_failure() {
    let fault = "fault: { io: { on: d, op: write, sectors: \"16..24\", fail: always } }";
    let submit = outcome("split: [trim]", &[fault, "submit: { on: t, op: write, at: 0, sectors: 32 }"], &[]);
    assert_complains(&submit, "write of t 0+32: EIO, expected success");
    let load = "load: { on: t, rw: write, bs: 4k, size: 16KiB }";
    assert_complains(&outcome("split: [trim]", &[fault, load], &[]), "1 I/O(s) failed with EIO, expected none to fail");
    let load = "load: { on: t, rw: write, bs: 4k, size: 16KiB, expect: EIO }";
    assert_content(&outcome("split: [trim]", &[fault, load], &[]));
    assert_complains(&outcome("split: [trim]", &[load], &[]), "no I/O failed, expected EIO");
}

#[test]
fn a_write_that_is_lost_is_corruption_to_verify_and_to_a_verifying_load() {
    // Whichever write a ramdisk loses, one of the first eight is among them.
    let steps = [
        STAMP,
        "repeat: { times: 1, do: [ { stamp: { on: d, at: 32, sectors: 8 } }, \
        { stamp: { on: d, at: 40, sectors: 8 } }, { stamp: { on: d, at: 48, sectors: 8 } }, \
        { stamp: { on: d, at: 56, sectors: 8 } } ] }",
        VERIFY,
        "verify: { on: d, at: 32, sectors: 32 }",
    ];
    assert_content(&outcome("planted: [none]", &steps, &[]));
    let broken = outcome("planted: [loses-writes]", &steps, &[]);
    assert_complains(&broken, "verdict corruption, expected pass");
    assert_complains(&broken, " holds zeros (read back)");
    let load = ["load: { on: d, rw: randwrite, bs: 4k, iodepth: 2, size: 32KiB, io_size: 64KiB, verify: true }"];
    assert_content(&outcome("planted: [none]", &load, &[]));
    assert_complains(&outcome("planted: [loses-writes]", &load, &[]), "verdict corruption, expected pass");
}

#[test]
fn data_that_came_to_the_wrong_sector_is_corruption() {
    assert_content(&outcome("planted: [none]", &[STAMP, VERIFY], &[]));
    let broken = outcome("planted: [linear-no-offset]", &[STAMP, VERIFY], &[]);
    assert_complains(&broken, "sector 0 of t holds what belongs to sector 24 (read back)");
}

#[test]
fn layout_sees_what_reading_back_cannot() {
    let (stamp, verify) = ("stamp: { on: s, at: 0, sectors: 64 }", "verify: { on: s, at: 0, sectors: 64 }");
    let layout = "layout: { of: s, at: 8, sectors: 8, is: { on: b, at: 0 } }";
    assert_content(&outcome("planted: [striped-rotated]", &[stamp, verify], &[]));
    assert_content(&outcome("planted: [none]", &[stamp, verify, layout], &[]));
    let broken = outcome("planted: [striped-rotated]", &[stamp, verify, layout], &[]);
    assert_complains(&broken, "sector 8 of s holds what belongs to sector 0 (looked for on b from sector 0)");
    let wrong = "layout: { of: s, at: 8, sectors: 8, is: { on: b, at: 8 } }";
    assert_complains(
        &outcome("planted: [none]", &[stamp, wrong], &[]),
        "sector 8 of s holds what belongs to sector 24",
    );
}

#[test]
fn a_wrong_entry_order_is_told_from_the_right_one() {
    let steps = ["submit: { on: t, op: write, at: 0, sectors: 16 }"];
    let right = "{ entry_order: [\"t 0+16\", \"d 0+8\", \"t 8+8\", \"d 8+8\"] }";
    assert_content(&outcome("split: [trim]", &steps, &[right]));
    for wrong in [
        "{ entry_order: [\"t 0+16\", \"t 8+8\", \"d 0+8\", \"d 8+8\"] }",
        "{ entry_order: [\"t 0+16\", \"d 0+8\", \"t 8+8\"] }",
    ] {
        let complaint = "in the order [t 0+16, d 0+8, t 8+8, d 8+8], expected [t 0+16";
        assert_complains(&outcome("split: [trim]", &steps, &[wrong]), complaint);
    }
    assert_complains(&outcome("split: [trim], planted: [unsorted-lists]", &steps, &[right]), "bios entered drivers");
}

#[test]
fn status_and_table_lines_are_compared_to_the_byte() {
    let right = [
        "status: { of: s, is: \"0 64 striped 2 $a $b 1 AA\" }",
        "table: { of: s, is: \"0 64 striped 2 8 $a 0 $b 0\" }",
        "reload: { device: t, table: [\"0 8 linear $d 0\"] }",
        "suspend: t",
        "resume: t",
        "status: { of: t, is: \"0 8 linear \" }",
    ];
    assert_content(&outcome("planted: [none]", &right, &[]));
    for wrong in [
        "status: { of: s, is: \"0 64 striped 2 $a $b 1 AD\" }",
        "status: { of: s, is: [\"0 64 striped 2 $a $b 1 AA\", \"64 8 zero \"] }",
        "status: { of: t, is: \"0 8 linear\" }",
        "table: { of: s, is: \"0 64 striped 2 8 $b 0 $a 0\" }",
    ] {
        assert_complains(&outcome("planted: [none]", &[wrong], &[]), "verdict fail, expected pass");
    }
    let failed = [
        "fault: { io: { on: b, op: write, fail: always } }",
        "submit: { on: s, op: write, at: 8, sectors: 8, expect: EIO }",
        "status: { of: s, is: \"0 64 striped 2 $a $b 1 AD\" }",
    ];
    assert_content(&outcome("planted: [none]", &failed, &[]));
    assert_complains(
        &outcome("planted: [status-lies]", &failed, &[]),
        "1 AA\"], expected [\"0 64 striped 2 1:1 1:2 1 AD",
    );
}

#[test]
fn a_table_that_should_be_refused_and_is_not_is_a_failure() {
    let gap = "reload: { device: t, table: [\"0 8 linear $d 0\", \"16 8 linear $d 0\"], expect: EINVAL }";
    assert_content(&outcome("planted: [none]", &[gap], &[]));
    let broken = outcome("planted: [accepts-gaps]", &[gap], &[]);
    assert_complains(&broken, "table load of t: success, expected EINVAL");
    let other = "reload: { device: t, table: [\"0 8 liner $d 0\"], expect: EBUSY }";
    assert_complains(&outcome("planted: [none]", &[other], &[]), "table load of t: EINVAL, expected EBUSY");
    let none = "reload: { device: t, table: [\"0 8 linear $d\"] }";
    let refused = outcome("planted: [none]", &[none], &[]);
    assert_complains(&refused, "table load of t: EINVAL, expected success");
    assert_complains(&refused, "kmsg: device-mapper: table:");
}

#[test]
fn a_peak_beyond_its_bound_is_a_failure() {
    let axes = "split: [depth-first]";
    assert_content(&outcome(axes, &[STAMP], &["{ peak: { t.bio_split: \"== 1\", t.io_pool: \">= 1\" } }"]));
    for (bound, complaint) in [
        ("== 2", "peak use of t.bio_split is 1, expected == 2"),
        ("< 1", "peak use of t.bio_split is 1, expected < 1"),
        ("<= 0", "peak use of t.bio_split is 1, expected <= 0"),
        ("> 1", "peak use of t.bio_split is 1, expected > 1"),
        (">= 2", "peak use of t.bio_split is 1, expected >= 2"),
        ("!= 1", "peak use of t.bio_split is 1, expected != 1"),
    ] {
        let expect = format!("{{ peak: {{ t.bio_split: \"{bound}\" }} }}");
        assert_complains(&outcome(axes, &[STAMP], &[&expect]), complaint);
    }
    assert_complains(&outcome(axes, &[STAMP], &["{ peak: { t.io_bs: \"== 0\" } }"]), "no pool is called t.io_bs");
}

#[test]
fn a_counter_beyond_its_bound_is_a_failure() {
    assert_content(&outcome(
        "split: [trim]",
        STUCK,
        &["{ counters: { slab_failures: \"> 0\", io_errors: \"== 0\" } }"],
    ));
    let wrong = outcome("split: [trim]", STUCK, &["{ counters: { slab_failures: \"== 0\" } }"]);
    assert_complains(&wrong, "expected == 0");
    let submit = ["submit: { on: t, op: write, at: 0, sectors: 8 }"];
    let wrong = outcome("split: [trim]", &submit, &["{ counters: { ios: \"== 2\" } }"]);
    assert_complains(&wrong, "ios is 1, expected == 2");
    let unknown = outcome("split: [trim]", &submit, &["{ counters: { iops: \"== 1\" } }"]);
    assert_complains(&unknown, "there is no counter iops; there are: ios, io_errors");
}

#[test]
fn a_run_without_end_is_a_step_limit() {
    let text = |steps: u64| {
        let head = HEAD.replace("{ schedules: 1000 }", &format!("{{ schedules: 10, steps: {steps} }}\nruns: explorer"));
        format!("{head}{}", list("steps", &[STAMP]))
    };
    assert_content(&records(&parsed("checker.yaml", &text(10_000)), &[]));
    let limited = records(&parsed("checker.yaml", &text(30)), &[]);
    assert_complains(&limited, "verdict step-limit, expected pass");
    assert_complains(&limited, "no end after 30 operations");
}

#[test]
fn a_run_that_only_waits_in_a_loop_is_a_livelock_and_one_that_works_is_not() {
    let waits = perform(|current| {
        loop {
            current.yield_now();
        }
    });
    assert_eq!(judge(&waits.outcome, &nothing_found()).verdict, Verdict::Livelock);
    let works = perform(|current| {
        let lock = Mutex::new(current.runtime(), "lock", 0_u64);
        loop {
            *lock.lock(current) += 1;
        }
    });
    assert_eq!(judge(&works.outcome, &nothing_found()).verdict, Verdict::StepLimit);
}

#[test]
fn a_deadlock_with_other_names_is_not_the_expected_one() {
    let axes = "split: [clone-is-remainder]";
    assert_content(&outcome(axes, STUCK, &["{ verdict: deadlock, cycle: [t.bio_split, main] }"]));
    let wrong = outcome(axes, STUCK, &["{ verdict: deadlock, cycle: [t.bio_split, t.bs] }"]);
    assert_complains(&wrong, "t.bs not in the wait-for cycle [main, t.bio_split]");
    let none = outcome("split: [trim]", STUCK, &["{ cycle: [t.bio_split] }"]);
    assert_complains(&none, "t.bio_split not in the wait-for cycle []");
}

#[test]
fn a_report_without_the_expected_message_is_a_failure() {
    let axes = "split: [clone-is-remainder]";
    assert_content(&outcome(axes, STUCK, &["{ verdict: deadlock, message: __split_and_process_bio }"]));
    let wrong = outcome(axes, STUCK, &["{ verdict: deadlock, message: md_submit_bio }"]);
    assert_complains(&wrong, "the report does not contain \"md_submit_bio\"");
    assert_complains(&outcome("split: [trim]", STUCK, &["{ message: anything }"]), "the report does not contain");
}

#[test]
fn a_verdict_other_than_the_expected_one_is_a_failure() {
    for wanted in ["fail", "deadlock", "hang", "livelock", "crash", "corruption", "leak"] {
        let wrong = outcome("split: [trim]", &[STAMP], &[&format!("{{ verdict: {wanted} }}")]);
        assert_complains(&wrong, &format!("verdict pass, expected {wanted}"));
    }
}

#[test]
fn an_expectation_for_one_runtime_does_not_excuse_the_other() {
    let axes = "split: [clone-is-remainder]";
    for (on, other) in [("threads", "explorer"), ("explorer", "threads")] {
        let records = outcome(axes, STUCK, &[&format!("{{ on: {on}, verdict: deadlock }}")]);
        for record in records {
            // Of the other runtime nothing is said, so it is expected to pass, and does not.
            assert_eq!(record.ok, record.runtime == on, "{}", complaints(&record));
            assert_eq!(record.expected, if record.runtime == other { "pass" } else { "deadlock" });
        }
    }
}

#[test]
fn a_panic_of_dmlab_itself_is_never_taken_for_a_finding() {
    let result = perform(|_| panic!("a bug of the model"));
    assert!(matches!(result.outcome, Outcome::Panic(_)));
    let judgement = judge(&result.outcome, &nothing_found());
    assert_eq!(judgement.verdict, Verdict::Panic);
    assert!(judgement.report.unwrap().contains("a bug of the model"));
}

#[test]
fn the_gravest_finding_is_the_verdict() {
    let mut performance = nothing_found();
    performance.leak = Some("a pool".to_owned());
    assert_eq!(judge(&Outcome::Finished, &performance).verdict, Verdict::Leak);
    performance.findings.failures.push("a step".to_owned());
    assert_eq!(judge(&Outcome::Finished, &performance).verdict, Verdict::Fail);
    performance.findings.corruption.push("a sector".to_owned());
    assert_eq!(judge(&Outcome::Finished, &performance).verdict, Verdict::Corruption);
    assert_eq!(judge(&Outcome::StepLimit { steps: 1 }, &performance).verdict, Verdict::StepLimit);
    assert_eq!(judge(&Outcome::Livelock { steps: 1 }, &performance).verdict, Verdict::Livelock);
}
