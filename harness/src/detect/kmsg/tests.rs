//! The scanner on texts that real kernels printed, and on first lines of reports of which there was none at hand.
//!
//! Invariant: each kind of report has a text on which it is seen, and a whole boot is seen to be silent.

use super::super::tasks::hung_tasks;
use super::*;

fn signs(log: &str) -> Vec<Sign> {
    scan(log).iter().map(|report| report.sign).collect()
}

/// The one report of a log.
#[track_caller]
fn only(log: &str, sign: Sign) -> Report {
    let reports = scan(log);
    assert_eq!(reports.iter().map(|report| report.sign).collect::<Vec<_>>(), [sign], "{reports:#?}");
    reports.into_iter().next().unwrap()
}

#[test]
fn a_bug_is_one_report_with_its_trace() {
    let reports = scan(include_str!("../texts/bug.txt"));
    assert_eq!(reports[0].sign, Sign::Bug);
    assert_eq!(reports[0].title(), "kernel BUG at drivers/md/dm-zero.c:34!");
    assert!(reports[0].lines.iter().any(|line| line == " zero_ctr+0x2a/0x2e"));
    assert_eq!(signs(include_str!("../texts/bug.txt")), [Sign::Bug, Sign::Panic]);
}

#[test]
fn an_access_that_traps_is_one_report() {
    let reports = scan(include_str!("../texts/oops.txt"));
    assert_eq!(reports[0].title(), "BUG: kernel NULL pointer dereference, address: 0000000000000008");
    assert_eq!(signs(include_str!("../texts/oops.txt")), [Sign::Bug, Sign::Panic]);
    let reports = scan(include_str!("../texts/general-protection.txt"));
    assert_eq!(reports[0].sign, Sign::Oops);
    assert!(
        reports[0].title().starts_with("Oops: general protection fault, probably for non-canonical address 0x6b6b")
    );
    assert!(reports[0].lines.iter().any(|line| line.contains("dm_swap_table")));
}

#[test]
fn a_panic_is_the_gravest() {
    let reports = scan(include_str!("../texts/bug.txt"));
    let gravest = gravest(&reports).unwrap();
    assert_eq!(gravest.title(), "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b");
    assert_eq!(gravest.sign.verdict(), Verdict::Crash);
}

#[test]
fn a_warning_is_told_and_is_no_crash() {
    let report = only(include_str!("../texts/warning.txt"), Sign::Warning);
    assert!(report.title().starts_with("WARNING: CPU: 0 PID: 1 at drivers/md/dm-zero.c:30"), "{report}");
    assert!(report.lines.last().unwrap().contains("end trace"));
    assert_eq!(report.sign.verdict(), Verdict::Fail);
}

#[test]
fn locks_in_two_orders_are_lockdeps_report() {
    let report = only(include_str!("../texts/lockdep.txt"), Sign::Lockdep);
    assert!(report.lines.iter().any(|line| line.contains("(lock_b)")), "{report}");
}

#[test]
fn sleeping_in_atomic_context_is_a_bug() {
    let reports = scan(include_str!("../texts/atomic.txt"));
    assert_eq!(reports[0].title(), "BUG: scheduling while atomic: init/1/0x00000002");
    assert_eq!((reports[0].sign, reports.len()), (Sign::Bug, 1));
}

#[test]
fn an_object_that_was_written_after_it_was_freed_is_a_bug() {
    let reports = scan(include_str!("../texts/slab.txt"));
    assert_eq!(reports[0].title(), "BUG kmalloc-64 (Not tainted): Object corrupt");
    assert_eq!(reports[0].sign, Sign::Bug);
    assert_eq!(signs("BUG kcopyd_job (Tainted: G    B   ): Poison overwritten\n"), [Sign::Bug]);
}

#[test]
fn soft_lockups_and_workqueue_lockups_are_told_apart() {
    let seen = signs(include_str!("../texts/lockups.txt"));
    assert_eq!(seen[0], Sign::SoftLockup);
    assert!(seen.contains(&Sign::WorkqueueLockup), "{seen:?}");
    assert!(seen.iter().all(|sign| matches!(sign, Sign::SoftLockup | Sign::WorkqueueLockup)), "{seen:?}");
    assert_eq!(seen[0].verdict(), Verdict::Livelock);
}

#[test]
fn hung_tasks_are_a_report_each() {
    let log = include_str!("../texts/cow-semaphore-hung.txt");
    assert_eq!(signs(log), [Sign::HungTask; 4]);
    assert_eq!(hung_tasks(&scan(log)).len(), 4);
    assert_eq!(Sign::HungTask.verdict(), Verdict::Hang);
}

/// Reports of which there was no real kernel at hand: their first lines, as kernel/rcu/tree_stall.h, kernel/watchdog.c
/// and mm/kasan/report.c print them.
#[test]
fn stalls_hard_lockups_and_kasan_are_known_by_their_first_lines() {
    for (line, sign) in [
        ("[  27.1] rcu: INFO: rcu_sched self-detected stall on CPU", Sign::RcuStall),
        ("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", Sign::RcuStall),
        ("NMI watchdog: Watchdog detected hard LOCKUP on cpu 1", Sign::HardLockup),
        ("watchdog: Watchdog detected hard LOCKUP on cpu 0", Sign::HardLockup),
        ("BUG: KASAN: slab-use-after-free in snapshot_map+0x10/0x20", Sign::Kasan),
        ("WARNING: possible recursive locking detected", Sign::Lockdep),
        ("WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected", Sign::Lockdep),
        ("[ BUG: Invalid wait context ]", Sign::Lockdep),
    ] {
        assert_eq!(only(line, sign).lines.len(), 1, "{line}");
    }
}

#[test]
fn a_kernel_that_has_nothing_to_complain_of_is_silent() {
    assert_eq!(scan(include_str!("../texts/quiet.txt")), []);
    for line in [
        "[    0.1] ACPI: BIOS BUG workaround",
        "device-mapper: snapshots: Snapshot is marked invalid.",
        "[  1.0] DEBUG: all is well",
        "IRQ-safe -> a word",
        "random: crng init done",
    ] {
        assert_eq!(scan(line), [], "{line}");
    }
}

#[test]
fn a_report_ends_where_the_kernel_ends_it_and_holds_no_more_than_its_lines() {
    let log = "BUG: x\n Call Trace:\n---[ end trace 0 ]---\nafter it\n";
    assert_eq!(only(log, Sign::Bug).lines.len(), 3);
    let endless = format!("WARNING: x\n{}", "y\n".repeat(1000));
    assert_eq!(only(&endless, Sign::Warning).lines.len(), LINES_MAX);
}
