//! The steps of the language do what the reference says, and fail where they must: flow, waiting, what is printed,
//! outcomes, loads.
//!
//! Not here: checkers of the engine (`checkers.rs`), the catalogue (`mutations.rs`), what the language accepts
//! (dmlab-scenarios).

mod support;

use dmlab::plan::{Clock, Plan, Wishes};
use dmlab_results::{CellRecord, Verdict};
use support::checks::{DEAD_POOLS, HEAD, STAMP, assert_complains, assert_content, list, outcome};
use support::{complaints, parsed, run};

#[test]
fn steps_that_must_block_are_held_against_their_bounds() {
    assert_content(&outcome("", &["must_block: { min: 1ms, do: { sleep: 2ms } }"], &[]));
    let fast = outcome("", &["must_block: { min: 5ms, do: { sleep: 1ms } }"], &[]);
    assert_complains(&fast, "the steps of must_block took");
    assert_complains(&fast, "expected at least 5ms");
    let slow = outcome("", &["must_block: { max: 5ms, do: { sleep: 20ms } }"], &[]);
    assert_complains(&slow, "expected at most 5ms");
}

#[test]
fn a_wait_ends_when_its_condition_comes_true_and_fails_when_it_does_not() {
    let later = "background: { admin: [ { sleep: 5ms }, { suspend: t }, \
                 { reload: { device: t, table: 0 32 linear $a 0 } }, { resume: t } ] }";
    let wait = "wait: { table: { of: t, matches: ^0 32 linear }, within: 5s }";
    assert_content(&outcome("", &[later, wait], &[]));
    let never = outcome("", &["wait: { status: { of: t, matches: striped }, within: 5ms }"], &[]);
    assert_complains(&never, "line 12: waited 5ms for the status of t: found [");
    assert_complains(&never, "expected lines like [/striped/]");
}

#[test]
fn status_is_compared_by_pattern_by_word_and_by_error() {
    let good = [
        "status: { of: s, matches: '^0 64 striped 2 .* 1 AA$' }",
        "status: { of: s, fields: { 3: striped, 4: '== 2', 5: $a } }",
        "table: { of: t, line: 2, fields: { 1: '== 8', 4: $d } }",
        "remove: s",
        "status: { of: s, expect: ENXIO }",
        "table: { of: s, expect: refused }",
    ];
    assert_content(&outcome("", &good, &[]));
    for (step, complaint) in [
        ("status: { of: s, matches: [striped, striped] }", "expected lines like [/striped/, /striped/]"),
        ("status: { of: s, matches: ' 1 AD$' }", "expected lines like [/ 1 AD$/]"),
        ("status: { of: s, fields: { 4: '> 2' } }", "word 4 of [\"0\", \"64\", \"striped\", \"2\", "),
        ("status: { of: s, fields: { 5: $b } }", "word 5 of "),
        ("status: { of: s, fields: { 9: AA } }", "word 9 of "),
        ("table: { of: s, line: 2, fields: { 1: '== 8' } }", "expected a line 2"),
        ("status: { of: s, expect: ENXIO }", "expected ENXIO"),
    ] {
        assert_complains(&outcome("", &[step], &[]), complaint);
    }
}

#[test]
fn stamps_and_checks_end_in_what_is_expected_of_them() {
    let bad = "fault: { io: { on: d, op: any, sectors: '8..16', fail: always } }";
    let good = [
        STAMP,
        bad,
        "stamp: { on: t, sectors: 32, expect: EIO }",
        "stamp: { on: t, sectors: 8, expect: any }",
        "verify: { on: t, sectors: 32, expect: refused }",
        "verify: { on: t, sectors: 32, expect: ok or EIO }",
        "verify: { on: t, sectors: 8 }",
    ];
    assert_content(&outcome("", &good, &[]));
    for (step, complaint) in [
        ("stamp: { on: t, sectors: 32 }", "write of t 0+32: EIO, expected success"),
        ("stamp: { on: t, sectors: 32, expect: ENOSPC }", "write of t 0+32: EIO, expected ENOSPC"),
        ("stamp: { on: t, sectors: 8, expect: EIO }", "write of t 0+8: success, expected EIO"),
        ("verify: { on: t, sectors: 32, expect: ok or ENOSPC }", "read of t 0+32: EIO, expected success or ENOSPC"),
        ("verify: { on: t, sectors: 8, expect: refused }", "read of t 0+8: success, expected an error"),
    ] {
        assert_complains(&outcome("", &[STAMP, bad, step], &[]), complaint);
    }
    // What can be read must be right, whatever may fail.
    assert_complains(&outcome("", &["verify: { on: t, sectors: 32, expect: any }"], &[]), "corruption");
}

#[test]
fn a_cell_without_what_it_requires_is_skipped_and_says_why() {
    let text = |requires: &str| format!("{HEAD}requires: {requires}\n{}", list("steps", &[STAMP]));
    let verdicts = |requires: &str| {
        let records = support::records(&parsed("requires.yaml", &text(requires)), &[]);
        records.into_iter().map(|record| (record.verdict, record.report)).collect::<Vec<_>>()
    };
    for (verdict, why) in verdicts("{ targets: [linear, thin-pool] }") {
        assert_eq!(verdict, Verdict::Skip);
        assert!(why.is_some_and(|why| why.starts_with("requires the target thin-pool; the engine has ")));
    }
    for (verdict, why) in verdicts("{ targets: linear, kernel: '>= 4.18', module: dm_mod, root: true }") {
        assert_eq!((verdict, why), (Verdict::Pass, None));
    }
}

#[test]
fn counters_are_held_against_each_other() {
    let bad = "fault: { io: { on: d, op: read, fail: { nth: [1] } } }";
    let fails = "submit: { on: t, op: read, sectors: 8, expect: EIO }";
    let steps = [bad, fails, "submit: { on: t, op: read, sectors: 8 }"];
    let good = "{ relations: ['ios == 2 * io_errors', 'io_errors + 1 <= ios', 'pool_waits < ios'] }";
    assert_content(&outcome("", &steps, &[good]));
    for (relation, complaint) in [
        ("ios <= io_errors", "2 and 1, expected ios <= io_errors"),
        ("2 * ios + 1 == 4 * io_errors", "5 and 4, expected 2 * ios + 1 == 4 * io_errors"),
        ("ios <= punted", "there is no counter punted; there are: ios, io_errors, "),
    ] {
        assert_complains(&outcome("", &steps, &[&format!("{{ relations: '{relation}' }}")]), complaint);
    }
}

/// The records of some sleeps under this budget, by runtime: explored, and on the virtual clock.
fn under_budget(budget: &str) -> Vec<CellRecord> {
    let steps = list("steps", &["sleep: 3ms", "repeat: { times: 2, do: { sleep: 4ms } }"]);
    let text = format!("{HEAD}budget: {budget}\n{steps}");
    let wishes = Wishes { clock: Clock::Virtual, ..Wishes::default() };
    let plans = Plan::of(&parsed("budget.yaml", &text), &wishes).unwrap_or_else(|found| panic!("{found}"));
    plans.iter().map(|plan| run(plan).record).collect()
}

#[test]
fn steps_and_cells_are_held_to_their_budgets() {
    assert_content(&under_budget("{ wall: 60m, per_step: 5ms }"));
    let [explored, virtually] = &under_budget("{ per_step: 3500us }")[..] else { panic!() };
    assert!(explored.ok, "explored schedules have no time: {}", complaints(explored));
    assert_complains(std::slice::from_ref(virtually), "line 13: the step took 4");
    assert_complains(std::slice::from_ref(virtually), "of budget.per_step");
    let [explored, virtually] = &under_budget("{ wall: 1ns }")[..] else { panic!() };
    assert_eq!((explored.ok, explored.verdict), (false, Verdict::Skip));
    assert_complains(std::slice::from_ref(explored), "the search was not finished within the 1ns of budget.wall");
    assert_complains(std::slice::from_ref(virtually), "more than the 1ns of budget.wall");
}

#[test]
fn an_outcome_may_be_any_error_or_one_of_two() {
    let broken = "fault: { io: { on: d, fail: always, errno: ENOSPC } }";
    let write = |expect: &str| format!("submit: {{ on: t, op: write, sectors: 8, expect: {expect} }}");
    for good in ["refused", "any", "ok or ENOSPC"] {
        assert_content(&outcome("", &[broken, &write(good)], &[]));
    }
    assert_complains(&outcome("", &[broken, &write("ok or EIO")], &[]), "ENOSPC, expected success or EIO");
    assert_complains(&outcome("", &[&write("refused")], &[]), "success, expected an error");
    assert_content(&outcome("", &[&write("any")], &[]));
    let load = |expect: &str| format!("load: {{ on: t, rw: write, bs: 4k, size: 8k, expect: {expect} }}");
    assert_content(&outcome("", &[broken, &load("refused")], &[]));
    assert_complains(&outcome("", &[&load("refused")], &[]), "no I/O failed, expected an error");
}

#[test]
fn a_list_that_fails_stops_its_background_tasks_and_its_failure_is_told() {
    // A thousand seconds, and more operations than a run may have: who does not stop is a hang or a step limit.
    let endless = "background: { beside: { repeat: { times: 1000000, do: { sleep: 1ms } } } }";
    let failing = "status: { of: t, is: nothing }";
    let found = outcome("", &[endless, failing], &["{ verdict: fail }"]);
    assert_content(&found);
    let load = "background: { io: { load: { on: d, rw: randwrite, size: 8k, io_size: 16GiB } } }";
    assert_content(&outcome("", &[load, failing], &["{ verdict: fail }"]));
}

#[test]
fn a_failure_before_a_deadlock_is_told_with_it() {
    let stuck = format!("parallel: {{ a: [ {DEAD_POOLS}, {STAMP} ], b: {{ status: {{ of: s, is: nothing }} }} }}");
    let axes = "split: [clone-is-remainder]";
    let deadlocks =
        ["{ on: explorer, verdict: deadlock, message: 'before that: line' }", "{ on: threads, verdict: deadlock }"];
    assert_content(&outcome(axes, &[&stuck], &deadlocks));
}

/// One run on the virtual clock of these steps on a null device `n`.
fn virtual_record(steps: &[&str], expect: &[&str]) -> CellRecord {
    let head = "scenario: t/load\nabout: loads\nruns: [threads]\ndevices: { n: { null: 64MiB }, d: { ram: 1MiB } }\n";
    let document = parsed("load.yaml", &format!("{head}{}{}", list("steps", steps), list("expect", expect)));
    let wishes = Wishes { clock: Clock::Virtual, ..Wishes::default() };
    let plans = Plan::of(&document, &wishes).unwrap_or_else(|found| panic!("{found}"));
    run(&plans[0]).record
}

#[test]
fn a_rate_is_kept_and_latency_counts_from_the_due_time() {
    let load = "load: { name: paced, on: n, rw: randread, rate_iops: 10_000, runtime: 100ms, time_based: true }";
    let record = virtual_record(&[load], &[]);
    let paced = &record.loads[0];
    assert_eq!(paced.jobname, "paced");
    assert_eq!(paced.read.total_ios, 1000);
    let due = paced.read.lat_ns.as_ref().expect("a load with a rate has latencies from the due time");
    assert!(due.max < 10_000 && paced.read.clat_ns.max <= due.max, "{due:?}");
    // A device that cannot keep up: one I/O costs more than there is time for.
    let record = virtual_record(&["load: { on: d, rw: read, bs: 512k, rate_iops: 1_000_000, io_size: 64MiB }"], &[]);
    let late = record.loads[0].read.lat_ns.as_ref().unwrap();
    assert!(late.max > 10 * record.loads[0].read.clat_ns.max, "{late:?}");
}

#[test]
fn a_poisson_process_has_its_rate_on_the_virtual_clock() {
    let load =
        "load: { on: n, rw: randread, rate_iops: 10_000, rate_process: poisson, runtime: 500ms, time_based: true }";
    let found = virtual_record(&[load], &[]).loads[0].read.total_ios;
    assert!((4800..5200).contains(&found), "{found}");
}

#[test]
fn ramp_time_is_not_counted_and_pauses_take_their_time() {
    let load = |words: &str| virtual_record(&[&format!("load: {{ on: n, rw: read, rate_iops: 1000, {words} }}")], &[]);
    let ramped = load("ramp_time: 50ms, runtime: 100ms, time_based: true");
    assert_eq!((ramped.loads[0].read.total_ios, ramped.loads[0].runtime_ns / 1_000_000), (100, 100));
    let paused = virtual_record(&["load: { on: n, rw: read, size: 40k, thinktime: 1ms, thinktime_blocks: 2 }"], &[]);
    assert!((5_000_000..5_100_000).contains(&paused.loads[0].runtime_ns), "{}", paused.loads[0].runtime_ns);
}

#[test]
fn flushes_trims_and_percentiles_are_told_apart() {
    let sync = virtual_record(&["load: { on: n, rw: write, size: 64k, fsync: 4, percentile_list: [50, 99.9] }"], &[]);
    let load = &sync.loads[0];
    assert_eq!((load.write.total_ios, load.sync.as_ref().unwrap().total_ios), (16, 4));
    assert!(load.write.clat_ns.percentile.keys().eq(["50.000000", "99.900000"]));
    let trim = virtual_record(&["load: { on: n, rw: trimwrite, size: 64k, iodepth: 4 }"], &[]);
    assert_eq!((trim.loads[0].write.total_ios, trim.loads[0].trim.as_ref().unwrap().total_ios), (16, 16));
}

#[test]
fn results_of_phases_are_told_apart() {
    let steps = [
        "background: { io: { load: { name: io, on: n, rw: read, rate_iops: 1000, runtime: 30ms, time_based: true } } }",
        "sleep: 9500us",
        "phase: later",
        "sleep: 10ms",
        "phase: last",
    ];
    let record = virtual_record(&steps, &[]);
    let found: Vec<_> = record.loads.iter().map(|load| (load.phase.as_deref(), load.read.total_ios)).collect();
    assert_eq!(found, [(None, 10), (Some("later"), 10), (Some("last"), 10)]);
    assert!(record.loads.iter().all(|load| (9_400_000..10_600_000).contains(&load.runtime_ns)));
}

#[test]
fn a_stall_is_told_and_held_against_its_bound() {
    let steps = |most: &str| {
        let load =
            format!("load: {{ on: t, rw: read, rate_iops: 1000, runtime: 30ms, time_based: true, max_stall: {most} }}");
        let admin =
            "background: { admin: [ { sleep: 10ms }, { suspend: t }, { sleep: 10ms }, { resume: t } ] }".to_owned();
        [admin, load]
    };
    let head = "scenario: t/stall\nabout: x\ndevices: { n: { null: 1MiB }, t: { dm: 0 2048 linear $n 0 } }\n";
    let records = |most: &str| {
        let steps = steps(most);
        let text = format!("{head}{}", list("steps", &[&steps[0], &steps[1]]));
        let wishes = Wishes { clock: Clock::Virtual, ..Wishes::default() };
        let plans = Plan::of(&parsed("stall.yaml", &text), &wishes).unwrap_or_else(|found| panic!("{found}"));
        plans.iter().map(|plan| run(plan).record).find(|record| record.runtime == "virtual").unwrap()
    };
    let content = records("15ms");
    assert!(content.ok, "{}", complaints(&content));
    let [stall] = &content.loads[0].stalls[..] else { panic!("{:?}", content.loads[0].stalls) };
    assert!((9_000_000..10_100_000).contains(&stall.length_ns), "{stall:?}");
    assert!(content.loads[0].oldest_inflight_ns.unwrap() >= stall.length_ns);
    assert_complains(&[records("5ms")], "while some were in flight, expected at most 5ms");
}

#[test]
fn verified_loads_of_all_shapes_see_what_is_lost() {
    for words in [
        "rw: randwrite, bssplit: 512/50:4k/50, iodepth: 4, verify_backlog: 5",
        "rw: randrw, bsrange: 1k-8k, iodepth: 4, iodepth_batch_submit: 2, iodepth_batch_complete: 3",
        "rw: randrw, random_distribution: zipf:1.2, iodepth: 4, io_size: 64k",
        "rw: trimwrite, iodepth: 4, fsync: 3",
        "rw: write, numjobs: 2, size: 16k, offset_increment: 16k",
    ] {
        let size = if words.contains("size: 16k") { "" } else { ", size: 32k" };
        let load = format!("load: {{ on: d, {words}{size}, verify: true }}");
        assert_content(&outcome("", &[&load], &[]));
        assert_complains(&outcome("planted: [loses-writes]", &[&load], &[]), "corruption");
    }
}
