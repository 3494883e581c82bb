//! Known-bad variants on real threads, each in a process of its own under a timeout: the verdict is a deadlock, the
//! report names what one needs to know, no thread of the run is left behind, and the good twin passes.
//!
//! Not here: bad variants that need an adversarial schedule (the explorer's), golden reports (`reports.rs`).

mod support;

use std::time::{Duration, Instant};

use dmlab::campaign::CellRun;
use dmlab::plan::RunOn;
use dmlab_engine::sched::waits::{Link, StuckReport};
use dmlab_results::Verdict;
use rusty_fork::rusty_fork_test;
use support::{Overrides, complaints, one_cell};

/// How long threads that have been told to end may take to vanish from /proc.
const VANISH: Duration = Duration::from_secs(5);

fn threads_now() -> usize {
    std::fs::read_dir("/proc/self/task").expect("this is Linux").count()
}

/// Runs the one cell on threads and sees to it that none of them is left.
fn run(scenario: &str, overrides: Overrides<'_>) -> CellRun {
    let before = threads_now();
    let run = one_cell(scenario, overrides, RunOn::Threads);
    let waited = Instant::now();
    while threads_now() > before && waited.elapsed() < VANISH {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(threads_now(), before, "threads of the run are left");
    run
}

/// The deadlock's report; the cell must be as its scenario expects.
fn deadlock(scenario: &str, overrides: Overrides<'_>) -> StuckReport {
    let run = run(scenario, overrides);
    assert_eq!(run.record.verdict, Verdict::Deadlock, "{}", complaints(&run.record));
    assert!(run.record.ok, "{}", complaints(&run.record));
    let report = run.judgement.stuck.expect("a deadlock has stuck tasks");
    let text = run.record.report.expect("a deadlock has a report");
    for link in &report.cycle {
        for name in [&link.task, &link.object, link.op.name()] {
            assert!(text.contains(name), "{name:?} is not in {text}");
        }
        for frame in link.frames.iter().chain(link.held_by.iter().flat_map(|hold| &hold.frames)) {
            assert!(text.contains(frame), "{frame:?} is not in {text}");
        }
    }
    report
}

/// The link of the cycle in which somebody waits for `object`, which must name `holder`, and the dm functions at both
/// ends.
fn assert_told<'r>(report: &'r StuckReport, object: &str, holder: &str, waits_in: &str, taken_in: &str) -> &'r Link {
    let link = report.cycle.iter().find(|link| link.object == object);
    let link = link.unwrap_or_else(|| panic!("nobody in the cycle waits for {object}: {report}"));
    assert!(link.frames.contains(&waits_in), "nobody waits in {waits_in}: {report}");
    let hold = link.held_by.iter().find(|hold| hold.task == holder);
    let hold = hold.unwrap_or_else(|| panic!("{holder} is not named as a holder of {object}: {report}"));
    assert!(hold.in_cycle, "{report}");
    assert!(hold.frames.contains(&taken_in), "nothing was taken in {taken_in}: {report}");
    link
}

fn passes(scenario: &str, overrides: Overrides<'_>) {
    let run = run(scenario, overrides);
    assert_eq!(run.record.verdict, Verdict::Pass, "{}", complaints(&run.record));
    assert!(run.record.ok, "{}", complaints(&run.record));
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 20000)]

    #[test]
    fn s2_four_pieces_with_the_clone_as_the_remainder_deadlock() {
        let cell = [("split", "clone-is-remainder"), ("sectors", "32")];
        let report = deadlock("bio/split-head-or-remainder", &cell);
        let link = assert_told(&report, "t.bio_split", "main", "__split_and_process_bio", "__split_and_process_bio");
        assert_eq!((&*link.task, link.op.name(), link.label), ("main", "mempool_alloc", "mempool"));
        assert!(link.keeps[0].contains("current->bio_list"), "{report}");
    }

    #[test]
    fn s2_four_pieces_with_the_head_as_the_clone_pass() {
        passes("bio/split-head-or-remainder", &[("split", "depth-first"), ("sectors", "32")]);
    }

    #[test]
    fn s2_three_pieces_pass_even_with_the_clone_as_the_remainder() {
        passes("bio/split-head-or-remainder", &[("split", "clone-is-remainder"), ("sectors", "24")]);
    }

    #[test]
    fn s8_a_one_piece_more_than_the_reserve_deadlocks_without_a_rescuer() {
        for gmr in ["fifo", "sorted"] {
            let report = deadlock("bio/rescuer-one-task", &[("rescue", "none"), ("gmr", gmr)]);
            let link = assert_told(&report, "t.bs", "main", "alloc_tio", "alloc_tio");
            assert!(link.frames.contains(&"__split_and_process_bio"), "{report}");
            assert!(link.keeps[0].contains("2 undispatched bio(s)"), "{report}");
        }
    }

    #[test]
    fn s8_a_one_piece_more_than_the_reserve_passes_with_a_rescuer() {
        passes("bio/rescuer-one-task", &[("rescue", "punt-own"), ("gmr", "fifo")]);
    }

    #[test]
    fn s8_a_rescuer_that_takes_all_bios_deadlocks_on_the_set_that_it_is_to_refill() {
        let report = deadlock("bio/rescuer-punt-all-or-own", &[("rescue", "punt-all")]);
        let link = report.cycle.iter().find(|link| link.frames.contains(&"bio_alloc_rescue"));
        let link = link.unwrap_or_else(|| panic!("the rescuer is not in the cycle: {report}"));
        assert_eq!(link.object, "d.bs");
        assert!(link.frames.contains(&"__split_and_process_bio"), "{report}");
        assert!(link.task.contains("bioset/"), "the rescuer's thread is called by its workqueue: {report}");
        assert!(link.held_by.iter().any(|hold| hold.in_cycle && hold.frames.contains(&"alloc_tio")), "{report}");
    }

    #[test]
    fn s8_a_rescuer_that_takes_its_own_bios_only_passes() {
        passes("bio/rescuer-punt-all-or-own", &[("rescue", "punt-own")]);
    }

    #[test]
    fn two_bios_at_one_barrier_deadlock_under_fifo_with_the_loop() {
        let report = deadlock("bio/two-bios-one-barrier", &[("gmr", "fifo"), ("split", "loop")]);
        let link = assert_told(&report, "m.barrier", "main", "wait_barrier", "wait_barrier");
        assert!(link.keeps[0].contains("leaf"), "the first bio's child stands undispatched: {report}");
    }

    #[test]
    fn two_bios_at_one_barrier_pass_when_sorted() {
        passes("bio/two-bios-one-barrier", &[("gmr", "sorted"), ("split", "loop")]);
    }

    #[test]
    fn a_starved_stack_deadlocks_with_the_loop_and_a_reserve_of_one() {
        for depth in ["2", "6"] {
            let cell = [("split", "loop"), ("rescue", "none"), ("reserve", "1"), ("depth", depth)];
            let report = deadlock("mempool/starve-stack", &cell);
            let link = report.cycle.iter().find(|link| link.object == "top.bs");
            let link = link.unwrap_or_else(|| panic!("nobody waits for top.bs: {report}"));
            assert!(["low", "high"].contains(&&*link.task), "{report}");
            assert!(link.frames.contains(&"__split_and_process_bio"), "{report}");
        }
    }

    #[test]
    fn a_starved_stack_passes_with_trim_and_a_reserve_of_one() {
        passes("mempool/starve-stack", &[("split", "trim"), ("rescue", "none"), ("reserve", "1"), ("depth", "6")]);
    }

    #[test]
    fn a_depth_first_split_over_two_levels_deadlocks_under_fifo() {
        let report = deadlock("bio/split-stacked-fifo", &[("gmr", "fifo"), ("depth", "2")]);
        let link = assert_told(&report, "t.bio_split", "main", "__split_and_process_bio", "__split_and_process_bio");
        assert!(link.frames.contains(&"bio_split"), "{report}");
    }

    #[test]
    fn a_depth_first_split_over_two_levels_passes_when_sorted() {
        passes("bio/split-stacked-fifo", &[("gmr", "sorted"), ("depth", "2")]);
    }

    #[test]
    fn a_device_that_was_removed_has_let_go_of_those_below_when_remove_returns() {
        // Whoever ended the last bio may still be on its way out of the end_io when the device above is removed: which
        // it takes a few hundred tries to see.
        let cell = [("split", "loop"), ("rescue", "punt-own"), ("reserve", "1"), ("depth", "6")];
        for _ in 0..300 {
            let run = one_cell("mempool/starve-stack", &cell, RunOn::Threads);
            assert!(run.record.ok, "{}", complaints(&run.record));
        }
    }
}
