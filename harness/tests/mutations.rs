//! The mutation check: every scenario of the catalogue fails on a broken variant and passes without it, every planted
//! bug is caught by some scenario.
//!
//! Invariant: a scenario without a row in [`MUTATIONS`] fails a test, so that none gets in that cannot fail.
//! Not here: the single checkers (`checkers.rs`), the command line.

mod support;

use std::collections::BTreeSet;

use dmlab_engine::variants::Planted;
use dmlab_results::CellRecord;
use dmlab_scenarios::catalog;
use support::{Overrides, catalogued, complaints, plans, records, run};

/// A change under which a scenario must fail, and the complaint that must be among those that catch it.
struct Mutation {
    scenario: &'static str,
    /// Replaces the values of the axes, also of those that the scenario has.
    overrides: Overrides<'static>,
    caught_by: &'static str,
}

const fn mutation(scenario: &'static str, overrides: Overrides<'static>, caught_by: &'static str) -> Mutation {
    Mutation { scenario, overrides, caught_by }
}

/// Planted bugs, and historic variants on which a scenario's expectation no longer holds.
const MUTATIONS: &[Mutation] = &[
    mutation("bio/bioset-question", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("bio/bioset-question", &[("split", "loop"), ("rescue", "none"), ("gmr", "recurse")], "expected deadlock"),
    mutation("bio/chain-status", &[("planted", "drops-error")], "verdict fail, expected pass"),
    mutation("bio/discarded-data", &[("planted", "linear-no-offset")], "verdict corruption, expected pass"),
    mutation("bio/flags-keep-the-op", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("bio/hidden-list", &[("offload", "none")], "verdict deadlock, expected pass"),
    mutation(
        "bio/hidden-list",
        &[("planted", "linear-no-offset"), ("split", "trim")],
        "verdict pass, expected deadlock",
    ),
    mutation("bio/offload-on-schedule", &[("rescue", "none")], "verdict deadlock, expected pass"),
    mutation("bio/offload-on-schedule", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("bio/rescue-gated", &[("planted", "ungated-rescue")], "verdict crash, expected pass"),
    mutation("bio/rescuer-bvec-pool", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("bio/rescuer-bvec-pool", &[("split", "trim")], "verdict pass, expected deadlock"),
    mutation("bio/rescuer-threads", &[("bio_split", "present")], "rescuer_threads is 2, expected == 1"),
    mutation("bio/rescuer-threads", &[("rescue", "punt-own")], "rescuer_threads is 1, expected == 0"),
    mutation("bio/split-set-freed", &[("planted", "linear-no-offset")], "verdict corruption, expected pass"),
    mutation("bio/split-set-freed", &[("split", "clone-is-remainder")], "verdict crash, expected pass"),
    mutation("bio/operations-and-flags", &[("planted", "flags-clobber-op")], "verdict crash, expected pass"),
    mutation("bio/operations-and-flags", &[("planted", "drops-error")], "verdict fail, expected pass"),
    mutation("bio/operations-and-flags", &[("planted", "linear-no-offset")], "verdict fail, expected pass"),
    mutation("bio/rescuer-many-tasks", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    // A split that dispatches before it allocates again needs no rescuer: the expected deadlock must be missed.
    mutation("bio/rescuer-many-tasks", &[("split", "trim")], "verdict pass, expected deadlock"),
    mutation("bio/rescuer-one-task", &[("planted", "linear-no-offset")], "verdict corruption, expected pass"),
    mutation("bio/rescuer-one-task", &[("split", "depth-first")], "verdict pass, expected deadlock"),
    mutation("bio/rescuer-one-task", &[("split", "depth-first")], "punted_bios is 0, expected >= 2"),
    mutation("bio/rescuer-punt-all-or-own", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    // Without any rescuer it is interleaving A.
    mutation("bio/rescuer-punt-all-or-own", &[("rescue", "none")], "verdict deadlock, expected pass"),
    mutation("bio/split-completes-head", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("bio/split-completes-head", &[("split", "clone-is-remainder")], "verdict pass, expected leak"),
    mutation("bio/split-entry-order", &[("planted", "unsorted-lists")], "bios entered drivers in the order"),
    mutation("bio/split-entry-order", &[("planted", "linear-no-offset")], "bios entered drivers in the order"),
    mutation("bio/split-head-or-remainder", &[("planted", "unsorted-lists")], "verdict deadlock, expected pass"),
    mutation("bio/split-head-or-remainder", &[("planted", "unsorted-lists")], "peak use of t.bio_split is 2"),
    mutation("bio/split-stacked-fifo", &[("planted", "unsorted-lists")], "verdict deadlock, expected pass"),
    mutation("bio/split-stacked-fifo", &[("split", "trim")], "verdict pass, expected deadlock"),
    mutation("bio/two-bios-one-barrier", &[("planted", "completes-original")], "verdict leak, expected pass"),
    mutation("dm/deferred-from-workqueue", &[("planted", "splits-in-worker")], "bios entered drivers in the order"),
    mutation("dm/deferred-from-workqueue", &[("planted", "maps-while-suspended")], "verdict crash, expected pass"),
    // Under trim each task needs one clone of the set only.
    mutation("dm/deferred-remove", &[("planted", "forgets-removal")], "verdict fail, expected pass"),
    mutation("dm/duplicate-bios", &[("split", "trim")], "verdict pass, expected deadlock"),
    mutation("dm/error-target-swap-midio", &[("planted", "drops-error")], "verdict fail, expected pass"),
    mutation("dm/error-target-swap-midio", &[("planted", "suspend-no-wait")], "verdict crash, expected pass"),
    mutation("dm/error-target-swap-one-io", &[("planted", "suspend-no-wait")], "verdict crash, expected pass"),
    mutation("dm/errors-surface", &[("planted", "drops-error")], "verdict fail, expected pass"),
    mutation("dm/errors-surface", &[("planted", "drops-error")], "expected ios == 3 * io_errors"),
    mutation("dm/flush-durability", &[("planted", "flush-first-only")], "verdict corruption, expected pass"),
    mutation("dm/flush-durability-striped", &[("planted", "flush-one-copy")], "verdict corruption, expected pass"),
    mutation("dm/hanging-device", &[("planted", "suspend-no-wait")], "verdict crash, expected pass"),
    mutation("dm/hot-remove-under-io", &[("planted", "unplug-keeps-held")], "verdict hang, expected pass"),
    mutation("dm/io-waits-for-resume", &[("planted", "maps-while-suspended")], "verdict crash, expected pass"),
    mutation("dm/linear-layout", &[("planted", "linear-no-offset")], "verdict corruption, expected pass"),
    mutation("dm/lockfs", &[("planted", "freezes-late")], "verdict hang, expected pass"),
    mutation("dm/lockfs-bottom-up", &[("planted", "freezes-late")], "verdict hang, expected pass"),
    mutation("dm/lockfs-bottom-up", &[("planted", "maps-while-suspended")], "verdict crash, expected hang"),
    mutation("dm/names-and-tables", &[("planted", "linear-no-offset")], "verdict corruption, expected pass"),
    mutation("dm/striped-events", &[("planted", "events-lost")], "verdict hang, expected pass"),
    mutation("dm/striped-events", &[("planted", "status-lies")], "verdict fail, expected pass"),
    mutation("dm/table-swap-legal-illegal", &[("planted", "accepts-gaps")], "verdict fail, expected pass"),
    mutation("dm/table-swap-legal-illegal", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("dm/striped-discard", &[("planted", "striped-one-copy")], "verdict pass, expected corruption"),
    mutation("dm/linear-over-drivers", &[("planted", "linear-no-offset")], "verdict corruption, expected pass"),
    mutation("dm/linear-over-file", &[("planted", "linear-no-offset")], "verdict corruption, expected pass"),
    mutation("dm/slow-device", &[("planted", "suspend-no-wait")], "verdict crash, expected pass"),
    mutation("dm/striped-layout", &[("planted", "striped-rotated")], "verdict corruption, expected pass"),
    mutation("dm/striped-layout", &[("planted", "striped-no-boundary")], "verdict corruption, expected pass"),
    mutation("dm/striped-layout", &[("planted", "status-lies")], "verdict fail, expected pass"),
    mutation("dm/load-shapes", &[("planted", "loses-writes")], "verdict corruption, expected pass"),
    mutation("dm/lock-order", &[("planted", "locks-backwards")], "possible circular locking dependency"),
    mutation("dm/suspend-noflush-order", &[("planted", "pushed-back-last")], "verdict corruption, expected pass"),
    mutation("dm/suspend-noflush-order", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("dm/suspend-noflush-vs-io", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    // Where every piece comes from the whole bio, none shares its original: the expected corruption must be missed.
    mutation("dm/suspend-noflush-vs-io", &[("split", "depth-first")], "verdict pass, expected corruption"),
    mutation("dm/suspend-wait-then-complete", &[("planted", "suspend-no-wait")], "verdict crash, expected pass"),
    mutation("dm/suspend-wait-then-complete", &[("planted", "maps-while-suspended")], "verdict crash, expected pass"),
    mutation("dm/suspend-vs-one-io", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("dm/suspend-under-io", &[("planted", "maps-while-suspended")], "verdict crash, expected pass"),
    mutation("dm/suspend-under-io", &[("planted", "suspend-no-wait")], "verdict crash, expected pass"),
    mutation("dm/table-on-itself", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("dm/table-refusals", &[("planted", "accepts-gaps")], "verdict fail, expected pass"),
    mutation("mempool/any-allocation-fails", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("mempool/starve-stack", &[("planted", "unsorted-lists")], "verdict deadlock, expected pass"),
    mutation("mempool/starve-stack", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("bio/bioset-question-locks", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation(
        "bio/bioset-question-locks",
        &[("split", "loop"), ("offload", "none"), ("gmr", "recurse")],
        "expected deadlock",
    ),
    mutation("perf/bioset-question", &[("planted", "loses-writes")], "verdict corruption, expected pass"),
    mutation("perf/cow-throttle", &[("cow_throttle", "none")], "peak use of s4d.kcopyd.jobs is 32, expected <= 6"),
    mutation("perf/cow-throttle", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("perf/cow-unthrottled", &[("cow_throttle", "wait")], "peak use of s1a.kcopyd.jobs is 5, expected == 16"),
    mutation("perf/depth-pays", &[("planted", "one-channel")], "load many: iops is"),
    mutation("perf/depth-pays", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("perf/in-time", &[("depth", "64"), ("planted", "one-channel")], "verdict fail, expected pass"),
    mutation("perf/in-time", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("perf/ramdisk-overhead-ladder", &[("planted", "loses-writes")], "verdict corruption, expected pass"),
    mutation("perf/suspend-stall", &[("planted", "maps-while-suspended")], "verdict crash, expected pass"),
    mutation("perf/timed-depth-ladder", &[("planted", "loses-writes")], "verdict corruption, expected pass"),
    mutation("perf/timed-queue-depth", &[("planted", "one-channel")], "verdict fail, expected pass"),
    mutation("snapshot/cow-throttle", &[("planted", "snap-throttle-waits-locked")], "verdict hang, expected pass"),
    mutation("snapshot/cow-throttle", &[("planted", "snap-throttle-off-by-one")], "verdict pass, expected deadlock"),
    mutation(
        "snapshot/cow-throttle-orders",
        &[("planted", "snap-throttle-waits-locked")],
        "verdict hang, expected pass",
    ),
    mutation(
        "snapshot/cow-throttle-orders",
        &[("planted", "snap-throttle-off-by-one")],
        "verdict pass, expected deadlock",
    ),
    mutation("snapshot/cow-throttle-register", &[("planted", "snap-throttles-worker")], "verdict hang, expected pass"),
    mutation("snapshot/cow-throttle-worker", &[("planted", "snap-throttles-worker")], "verdict hang, expected pass"),
    mutation("snapshot/cow-throttle-worker", &[("planted", "snap-throttle-leaks")], "verdict hang, expected deadlock"),
    mutation(
        "snapshot/cow-throttle-worker-proved",
        &[("planted", "snap-throttle-off-by-one")],
        "verdict pass, expected deadlock",
    ),
    mutation(
        "snapshot/cow-throttle-worker-proved",
        &[("planted", "snap-throttle-leaks")],
        "verdict hang, expected pass",
    ),
    mutation("snapshot/cow-throttle-writers", &[("planted", "snap-throttle-leaks")], "verdict hang, expected pass"),
    mutation("snapshot/cow-throttle-writers", &[("planted", "snap-throttles-worker")], "verdict hang, expected pass"),
    mutation(
        "snapshot/cow-throttle-self",
        &[("planted", "snap-throttle-off-by-one")],
        "verdict pass, expected deadlock",
    ),
    mutation("snapshot/cow-throttle-self", &[("planted", "snap-throttle-off-by-one")], "verdict pass, expected hang"),
    mutation("snapshot/copy-throttle", &[("percent", "100")], "verdict fail, expected pass"),
    mutation("snapshot/embedded-pools", &[("planted", "leaks-clone")], "verdict leak, expected pass"),
    mutation("snapshot/split-throughput", &[("planted", "one-channel")], "load whole: bw_bytes is"),
    mutation("snapshot/split-throughput", &[("planted", "one-channel")], "load writers: bw_bytes is"),
    mutation("snapshot/throttle-accounts", &[("planted", "snap-throttle-leaks")], "verdict hang, expected pass"),
    mutation("snapshot/throttle-accounts", &[("planted", "snap-throttle-leaks")], "bios entered drivers in the order"),
    mutation(
        "snapshot/throttle-bounds-proved",
        &[("planted", "snap-throttle-off-by-one")],
        "peak use of snap.kcopyd.jobs is 2, expected == 1",
    ),
    mutation("snapshot/breaking-throughput", &[("planted", "snap-usage-lies")], "verdict fail, expected pass"),
    mutation("snapshot/breaking-throughput", &[("planted", "snap-forgets-origin")], "verdict fail, expected pass"),
    mutation("snapshot/chunk-limits", &[("planted", "snap-forgets-origin")], "verdict corruption, expected pass"),
    mutation("snapshot/cow-exact", &[("planted", "snap-ignores-full")], "verdict corruption, expected fail"),
    mutation("snapshot/cow-exact", &[("planted", "store-keeps-next-area")], "verdict pass, expected fail"),
    mutation("snapshot/cow-full", &[("planted", "snap-ignores-full")], "verdict fail, expected pass"),
    mutation("snapshot/create-storm", &[("planted", "snap-forgets-origin")], "verdict corruption, expected pass"),
    mutation("snapshot/fio-matrix", &[("planted", "snap-forgets-origin")], "verdict corruption, expected pass"),
    mutation("snapshot/isolation-stomp", &[("planted", "snap-forgets-origin")], "verdict corruption, expected pass"),
    mutation("snapshot/many-of-one-volume", &[("planted", "snap-forgets-origin")], "verdict fail, expected pass"),
    mutation("snapshot/parallel-io-many", &[("planted", "snap-forgets-origin")], "verdict corruption, expected pass"),
    mutation("snapshot/parallel-io-many", &[("cow_throttle", "wait-uninit")], "verdict hang, expected pass"),
    mutation("snapshot/rolling-drop", &[("planted", "snap-keeps-pending")], "verdict leak, expected pass"),
    mutation("snapshot/stale-boundary", &[("planted", "origin-splits-wide")], "verdict corruption, expected pass"),
    mutation("snapshot/throttle-bounds", &[("planted", "snap-forgets-origin")], "verdict corruption, expected pass"),
    mutation(
        "snapshot/throttle-bounds",
        &[("planted", "snap-throttle-off-by-one")],
        "peak use of snap.kcopyd.jobs is 2, expected == 1",
    ),
    mutation("snapshot/errors-invalidate", &[("planted", "kcopyd-drops-error")], "verdict fail, expected pass"),
    mutation("snapshot/discards", &[("planted", "snap-discards-unsplit")], "verdict corruption, expected pass"),
    mutation("snapshot/merge-errors", &[("planted", "kcopyd-drops-error")], "verdict fail, expected pass"),
    mutation("snapshot/merge", &[("planted", "snap-forgets-origin")], "verdict corruption, expected pass"),
    mutation("snapshot/origin-alone", &[("planted", "origin-splits-alone")], "bios entered drivers in the order"),
    mutation("snapshot/overflow", &[("planted", "snap-ignores-full")], "verdict fail, expected pass"),
    mutation("snapshot/point-in-time", &[("planted", "snap-forgets-origin")], "verdict corruption, expected pass"),
    mutation("snapshot/read-overtaken", &[("planted", "snap-no-drain")], "verdict corruption, expected pass"),
    mutation("snapshot/power-cut", &[("planted", "snap-forgets-origin")], "verdict corruption, expected pass"),
    mutation("snapshot/power-cut", &[("planted", "store-no-flush")], "verdict corruption, expected pass"),
    mutation(
        "snapshot/power-cut-forgets-invalid",
        &[("planted", "snap-forgets-origin")],
        "verdict fail, expected corruption",
    ),
    mutation("snapshot/power-cut-one-write", &[("planted", "store-no-flush")], "verdict corruption, expected pass"),
    mutation("snapshot/power-cut-one-write", &[("planted", "store-tells-early")], "verdict corruption, expected pass"),
    // Without exceptions of an old snapshot there is nothing to come alive: the expected corruption must be missed.
    mutation(
        "snapshot/power-cut-reused-cow",
        &[("planted", "snap-forgets-origin")],
        "verdict pass, expected corruption",
    ),
    mutation("snapshot/power-cut-space-leak", &[("planted", "store-tells-early")], "verdict corruption, expected pass"),
    mutation("snapshot/read-vs-copy", &[("planted", "snap-no-drain")], "verdict corruption, expected pass"),
    // A split that dispatches before it maps again needs nobody's help: the expected deadlock must be missed.
    mutation("snapshot/split-read-offload", &[("split", "depth-first")], "verdict pass, expected deadlock"),
    // Under buckets the lock that is kept lets other I/O pass: the expected deadlock must be missed.
    mutation("snapshot/split-read-vs-copy", &[("snap_lock", "buckets")], "verdict pass, expected deadlock"),
    mutation("snapshot/status-and-refusals", &[("planted", "snap-usage-lies")], "verdict fail, expected pass"),
    mutation("snapshot/store-survives", &[("planted", "store-keeps-next-area")], "verdict fail, expected pass"),
    mutation("targets/delay-vs-suspend", &[("planted", "delay-drops-held")], "verdict hang, expected pass"),
    mutation("targets/dust-badblocks", &[("planted", "dust-keeps-bad")], "verdict fail, expected pass"),
    mutation("targets/flakey-corrupt", &[("planted", "flakey-off-by-one")], "verdict pass, expected corruption"),
    mutation("targets/flakey-random-corrupt", &[("planted", "flakey-off-by-one")], "verdict pass, expected corruption"),
    mutation(
        "targets/mirror-flush-durability",
        &[("planted", "mirror-acks-early")],
        "verdict corruption, expected pass",
    ),
    mutation("targets/mirror-holds", &[("planted", "mirror-acks-early")], "verdict corruption, expected pass"),
    mutation("targets/mirror-leg-fails", &[("planted", "mirror-acks-early")], "verdict fail, expected pass"),
    mutation("targets/mirror-legs", &[("planted", "mirror-acks-early")], "verdict corruption, expected pass"),
    mutation("targets/mirror-resync", &[("planted", "mirror-skips-resync")], "verdict corruption, expected pass"),
    mutation("targets/mirror-resync-fails", &[("planted", "kcopyd-drops-error")], "verdict fail, expected pass"),
    mutation("targets/flakey-windows", &[("planted", "flakey-off-by-one")], "verdict fail, expected pass"),
];

/// Planted bugs that no scenario can show, each with the test of the engine that catches it. kcopyd copies in sequence to
/// zoned devices (dm-zoned asks for it); mirrors and snapshots, which refuse those, never do.
const ENGINE_ONLY: &[(Planted, &str)] =
    &[(Planted::KcopydUnordered, "a_sequential_job_writes_in_order_however_its_reads_end")];

fn is_caught(mutation: &Mutation, record: &CellRecord) -> bool {
    !record.ok && record.mismatches.iter().any(|mismatch| mismatch.contains(mutation.caught_by))
}

#[test]
fn every_scenario_of_the_catalogue_has_a_mutation_and_every_mutation_a_scenario() {
    let with_a_row: BTreeSet<&str> = MUTATIONS.iter().map(|mutation| mutation.scenario).collect();
    let shipped: BTreeSet<&str> = catalog().iter().map(|entry| entry.id()).collect();
    assert_eq!(with_a_row, shipped);
}

#[test]
fn every_mutation_is_caught_by_the_expectation_that_is_there_for_it() {
    let mut missed = Vec::new();
    for mutation in MUTATIONS {
        let records = records(&catalogued(mutation.scenario), mutation.overrides);
        if !records.iter().any(|record| is_caught(mutation, record)) {
            let found: Vec<String> = records.iter().filter(|record| !record.ok).map(complaints).collect();
            let (scenario, overrides, caught_by) = (mutation.scenario, mutation.overrides, mutation.caught_by);
            missed.push(format!("{scenario} {overrides:?}: nothing said {caught_by:?}, but {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn every_scenario_is_ok_without_its_mutation() {
    let records = catalog().iter().flat_map(|entry| records(&catalogued(entry.id()), &[]));
    let not_ok: Vec<String> = records.filter(|record| !record.ok).map(|record| complaints(&record)).collect();
    assert!(not_ok.is_empty(), "{not_ok:#?}");
}

#[test]
fn every_planted_bug_is_caught_by_a_scenario_of_the_catalogue() {
    let caught = |planted: Planted, id: &str| {
        let plans = plans(&catalogued(id), &[("planted", planted.name())], None);
        plans.iter().any(|plan| !run(plan).record.ok)
    };
    let engine_only = |planted: &Planted| ENGINE_ONLY.iter().any(|(known, _)| known == planted);
    let bugs = Planted::ALL.iter().filter(|planted| **planted != Planted::None && !engine_only(planted));
    // Those that have a row first: they are likely to catch it, and the search ends at the first catch.
    let likely = |planted: Planted| {
        let rows = MUTATIONS.iter().filter(move |row| row.overrides == [("planted", planted.name())].as_slice());
        rows.map(|row| row.scenario).chain(catalog().iter().map(|entry| entry.id()))
    };
    let missed: Vec<&str> = bugs
        .filter(|planted| !likely(**planted).any(|id| caught(**planted, id)))
        .map(|planted| planted.name())
        .collect();
    assert!(missed.is_empty(), "no scenario fails with {missed:?}");
}

#[test]
fn the_honest_engine_is_not_a_mutation() {
    for entry in catalog() {
        let without_planted = catalogued(entry.id()).axes().iter().all(|axis| axis.name != "planted");
        if without_planted && !entry.id().starts_with("perf/") {
            let records = records(&catalogued(entry.id()), &[("planted", "none")]);
            assert!(records.iter().all(|record| record.ok), "{}", entry.id());
        }
    }
}
