//! The deadlock reports of S2, S3, S8 and S19, as people read them: pool, holder and both chains of functions, to the letter but
//! for line numbers of the source, on both drivers.
//!
//! Golden: a change of the report's form changes these texts, and should be looked at with a reader's eyes.
//! Not here: how a report is found (`engine/src/sched/waits.rs`).

mod support;

use dmlab::plan::RunOn;
use dmlab_results::Verdict;
use support::{Overrides, one_cell};

/// `[<dm/split.rs:168>]` becomes `[<dm/split.rs:N>]`.
fn without_line_numbers(report: &str) -> String {
    let line = |line: &str| match line.rsplit_once(':') {
        Some((before, number)) if before.contains("[<") && number.ends_with(">]") => format!("{before}:N>]"),
        _ => line.trim_end().to_owned(),
    };
    report.trim_end().lines().map(line).collect::<Vec<_>>().join("\n")
}

fn report(scenario: &str, overrides: Overrides<'_>, run_on: RunOn) -> String {
    let run = one_cell(scenario, overrides, run_on);
    assert_eq!(run.record.verdict, Verdict::Deadlock);
    without_line_numbers(&run.record.report.expect("a deadlock has a report"))
}

#[track_caller]
fn assert_reads(found: &str, golden: &str) {
    let differs = found.lines().zip(golden.lines()).position(|(found, golden)| found != golden);
    assert!(found == golden.trim_end(), "line {differs:?} differs; the report now reads:\n{found}\n");
}

const S2: &str = r#"deadlock: main waits for itself

task main waits in mempool_alloc for mempool "t.bio_split" (2 out, reserve 0 of 2, 1 waiting, allocator failing for good)
      bio_alloc_bioset [<dm/split.rs:N>]
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio
  meanwhile it keeps 1 undispatched bio(s) on its current->bio_list: write d 16+8
  => held by main: 2 × 1 element, taken in
      bio_alloc_bioset [<dm/split.rs:N>]
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio
"#;

const S8_A: &str = r#"deadlock: main waits for itself

task main waits in mempool_alloc for mempool "t.bs" (2 out, reserve 0 of 2, 1 waiting, allocator failing for good)
      bio_alloc_bioset [<dm/split.rs:N>]
      alloc_tio
      __split_and_process_non_flush
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio
  meanwhile it keeps 2 undispatched bio(s) on its current->bio_list: write d 0+8, write d 8+8
  => held by main: 2 × 1 element, taken in
      bio_alloc_bioset [<dm/split.rs:N>]
      alloc_tio
      __split_and_process_non_flush
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio
"#;

const S8_B: &str = r#"deadlock: 2 tasks wait for each other: low -> high

task low waits in mempool_alloc for mempool "t.bs" (2 out, reserve 0 of 2, 2 waiting, allocator failing for good)
      bio_alloc_bioset [<dm/split.rs:N>]
      alloc_tio
      __split_and_process_non_flush
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio
  meanwhile it keeps 1 undispatched bio(s) on its current->bio_list: write d 0+8
  => held by high: 1 element, taken in
      bio_alloc_bioset [<dm/split.rs:N>]
      alloc_tio
      __split_and_process_non_flush
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio
  => held by low: 1 element, taken in
      bio_alloc_bioset [<dm/split.rs:N>]
      alloc_tio
      __split_and_process_non_flush
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio

task high waits in mempool_alloc for mempool "t.bs" (2 out, reserve 0 of 2, 2 waiting, allocator failing for good)
      bio_alloc_bioset [<dm/split.rs:N>]
      alloc_tio
      __split_and_process_non_flush
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio
  meanwhile it keeps 1 undispatched bio(s) on its current->bio_list: write d 16+8
  => held by high: 1 element, taken in
      bio_alloc_bioset [<dm/split.rs:N>]
      alloc_tio
      __split_and_process_non_flush
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio
  => held by low: 1 element, taken in
      bio_alloc_bioset [<dm/split.rs:N>]
      alloc_tio
      __split_and_process_non_flush
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio

1 more task(s) behind it:

task main waits in wait_for_completion for completion "low to end" (1 waiting)
      [<harness/src/backend/engine/actor.rs:N>]
  => held by low: to complete it, taken in
      [<harness/src/backend/engine/actor.rs:N>]
"#;

const S8_PUNT_ALL: &str = r#"deadlock: kworker/bioset/d.bs.0 waits for itself

task kworker/bioset/d.bs.0 waits in mempool_alloc for mempool "d.bs" (1 out, reserve 0 of 1, 2 waiting, allocator failing for good)
      bio_alloc_bioset [<dm/split.rs:N>]
      alloc_tio
      __split_and_process_non_flush
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      bio_alloc_rescue
      process_one_work
      worker_thread
  => held by kworker/bioset/d.bs.0: 1 element, its bio is on the rescue_list, taken in
      bio_alloc_bioset [<dm/split.rs:N>]
      alloc_tio
      __split_and_process_non_flush
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio

1 more task(s) behind it:

task main waits in mempool_alloc for mempool "d.bs" (1 out, reserve 0 of 1, 2 waiting, allocator failing for good)
      bio_alloc_bioset [<dm/split.rs:N>]
      alloc_tio
      __split_and_process_non_flush
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio
  => held by kworker/bioset/d.bs.0: 1 element, its bio is on the rescue_list, taken in
      bio_alloc_bioset [<dm/split.rs:N>]
      alloc_tio
      __split_and_process_non_flush
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio
"#;

const S19: &str = r#"deadlock: 3 tasks wait for each other: w2 -> kworker/snap.kcopyd.0 -> lv

task w2 waits in down for semaphore "snap.cow_count" (0 left, 1 out, 1 waiting)
      account_start_copy [<targets/snapshot/origin_write.rs:N>]
      start_copy
      __origin_write
      do_origin
      origin_map
      __map_bio
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio
  => held by kworker/snap.kcopyd.0: 1 unit, taken in
      account_start_copy [<targets/snapshot/origin_write.rs:N>]
      start_copy
      __origin_write
      do_origin
      origin_map
      __map_bio
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio

task kworker/snap.kcopyd.0 waits in down_read for rw_semaphore "_origins_lock" (held by 1 reader(s), 1 writer(s) and 2 reader(s) waiting)
      do_origin [<targets/snapshot/origin_write.rs:N>]
      retry_origin_bios
      pending_complete
      complete_exception
      copy_callback
      run_complete_job
      process_jobs
      do_work
      process_one_work
      worker_thread
  => held by lv: queued writer, bars later readers, taken in
      register_snapshot [<targets/snapshot/ctr.rs:N>]
      snapshot_ctr
      table_load

task lv waits in down_write for rw_semaphore "_origins_lock" (held by 1 reader(s), 1 writer(s) and 2 reader(s) waiting)
      register_snapshot [<targets/snapshot/ctr.rs:N>]
      snapshot_ctr
      table_load
  => held by w2: reader, taken in
      do_origin [<targets/snapshot/origin_write.rs:N>]
      origin_map
      __map_bio
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio

3 more task(s) behind it:

task main waits in wait_for_completion for completion "w1 to end" (1 waiting)
      [<harness/src/backend/engine/actor.rs:N>]
     held by w1: to complete it, taken in
      [<harness/src/backend/engine/actor.rs:N>]

task w1 waits in wait_for_completion for completion "base I/O" (1 waiting)
      [<harness/src/backend/engine/io.rs:N>]

task w3 waits in down_read for rw_semaphore "_origins_lock" (held by 1 reader(s), 1 writer(s) and 2 reader(s) waiting)
      do_origin [<targets/snapshot/origin_write.rs:N>]
      origin_map
      __map_bio
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio
  => held by lv: queued writer, bars later readers, taken in
      register_snapshot [<targets/snapshot/ctr.rs:N>]
      snapshot_ctr
      table_load
"#;

const S3: &str = r#"deadlock: 2 tasks wait for each other: reader -> kworker/snap.kcopyd.0

task reader waits in mutex_lock for mutex "snap.lock" (owned, 1 waiting)
      snapshot_map [<targets/snapshot/map.rs:N>]
      __map_bio
      __split_and_process_non_flush
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio
  meanwhile it keeps 1 undispatched bio(s) on its current->bio_list: read o 0+8
  => held by kworker/snap.kcopyd.0: owner, taken in
      pending_complete [<targets/snapshot/copy.rs:N>]
      complete_exception
      copy_callback
      run_complete_job
      process_jobs
      do_work
      process_one_work
      worker_thread

task kworker/snap.kcopyd.0 waits in schedule for wait queue "snap.tracked_chunk_wait" (1 waiting)
      __check_for_conflicting_io [<targets/snapshot/copy.rs:N>]
      pending_complete
      complete_exception
      copy_callback
      run_complete_job
      process_jobs
      do_work
      process_one_work
      worker_thread
  => held by reader: its bio of the chunk is in flight, taken in
      snapshot_map [<targets/snapshot/map.rs:N>]
      __map_bio
      __split_and_process_non_flush
      __split_and_process_bio
      dm_submit_bio
      submit_bio_noacct
      submit_bio

2 more task(s) behind it:

task main waits in wait_for_completion for completion "writer to end" (1 waiting)
      [<harness/src/backend/engine/actor.rs:N>]
     held by writer: to complete it, taken in
      [<harness/src/backend/engine/actor.rs:N>]

task writer waits in wait_for_completion for completion "base I/O" (1 waiting)
      [<harness/src/backend/engine/io.rs:N>]
"#;

#[test]
fn s2_reads_as_it_should_on_both_drivers() {
    let cell = [("split", "clone-is-remainder"), ("sectors", "32")];
    for run_on in [RunOn::Explorer, RunOn::Threads] {
        assert_reads(&report("bio/split-head-or-remainder", &cell, run_on), S2);
    }
}

#[test]
fn s8_interleaving_a_reads_as_it_should_on_both_drivers() {
    for run_on in [RunOn::Explorer, RunOn::Threads] {
        assert_reads(&report("bio/rescuer-one-task", &[("rescue", "none"), ("gmr", "fifo")], run_on), S8_A);
    }
}

#[test]
fn s8_interleaving_b_names_both_tasks_as_holders_of_what_the_other_waits_for() {
    assert_reads(&report("bio/rescuer-many-tasks", &[("rescue", "none")], RunOn::Explorer), S8_B);
}

#[test]
fn s8_with_a_rescuer_that_takes_all_names_the_rescuer_and_what_it_waits_for() {
    assert_reads(&report("bio/rescuer-punt-all-or-own", &[("rescue", "punt-all")], RunOn::Explorer), S8_PUNT_ALL);
}

#[test]
fn a_reader_finds_pool_holder_and_both_dm_functions_without_the_source() {
    for (scenario, cell, pool) in [
        ("bio/split-head-or-remainder", &[("split", "clone-is-remainder"), ("sectors", "32")][..], "t.bio_split"),
        ("bio/rescuer-one-task", &[("rescue", "none"), ("gmr", "sorted")][..], "t.bs"),
        ("bio/rescuer-many-tasks", &[("rescue", "none")][..], "t.bs"),
        ("bio/rescuer-punt-all-or-own", &[("rescue", "punt-all")][..], "d.bs"),
    ] {
        let report = report(scenario, cell, RunOn::Explorer);
        let (waits, holds) = report.split_once("  => held by ").expect("somebody in the cycle holds it");
        assert!(waits.contains(&format!("waits in mempool_alloc for mempool \"{pool}\" (")), "{report}");
        for chain in [waits, holds] {
            assert!(chain.contains("__split_and_process_bio"), "{report}");
            assert!(chain.contains("dm_submit_bio"), "{report}");
        }
        assert!(holds.contains("element"), "{report}");
    }
}

#[test]
fn s19_names_the_writer_that_waits_for_its_turn_the_worker_and_who_registers() {
    let cell = [("cow_throttle", "semaphore"), ("threshold", "1")];
    assert_reads(&report("snapshot/cow-throttle", &cell, RunOn::Explorer), S19);
}

#[test]
fn s3_names_the_reader_that_keeps_its_read_and_the_worker_that_waits_for_it() {
    let cell =
        [("split", "loop"), ("gmr", "sorted"), ("snap_lock", "mutex"), ("pending_poll", "locked"), ("real", "o")];
    assert_reads(&report("snapshot/split-read-vs-copy", &cell, RunOn::Explorer), S3);
}
