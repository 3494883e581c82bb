//! The figure `cow-throttle`: copies in flight, their memory, and the time to finish, by throttle and number of snapshots:
//! the headline of 721b1d98fb51 ("dm snapshot: Fix excessive memory usage and workqueue stalls").
//!
//! The scenario is made here, because it has an origin for each number of snapshots: 31 snapshots in all, on disks of
//! their own. A small one of the same shape, which can fail, is in the catalogue (`perf/cow-throttle`).
//!
//! Invariant: all disks serve one I/O at a time and are slower than the virtual CPU, so that it is copies that writers are
//! ahead of.
//! Not here: what page and picture look like (`dmlab_results::figure`).

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dmlab_engine::kcopyd::client::STEPS_PER_RUN_MAX;
use dmlab_engine::kcopyd::job::JOB_BYTES;
use dmlab_engine::targets::snapshot::pending::PENDING_BYTES;
use dmlab_results::figure::cow_throttle::{CowThrottle, Row, Series, Sizes};
use dmlab_results::{CellRecord, Verdict};
use dmlab_scenarios::Document;

use crate::campaign;
use crate::plan::{Clock, Plan, Wishes};

/// What makes the figure.
pub const COMMAND: &str = "cargo run --release -- figure cow-throttle";
/// Numbers of snapshots.
const SNAPSHOTS: [u64; 5] = [1, 2, 4, 8, 16];
/// Tasks that write.
const WRITERS: u64 = 4;
/// `snapshot_cow_threshold`.
const THRESHOLD: u64 = 64;
/// Chunks that are written, and half of them.
const DIRTY_CHUNKS: u64 = 512;
/// Sectors of a chunk: 4 KiB.
const CHUNK_SECTORS: u64 = 8;
/// What a page of the kernel holds.
const PAGE_BYTES: u64 = 4096;
const DISKS: &str =
    "Every device is a disk of its own that serves one I/O at a time, a read in 80 us and a write in 30 us";
/// The series of the figure: `cow_throttle`, dirty chunks, whether allocators fail, and a colour.
const SERIES: [(&str, u64, bool, &str); 5] = [
    ("none", DIRTY_CHUNKS / 2, false, "#f4a582"),
    ("none", DIRTY_CHUNKS, false, "#b2182b"),
    ("semaphore", DIRTY_CHUNKS, false, "#7b3294"),
    ("wait", DIRTY_CHUNKS, false, "#2166ac"),
    ("none", DIRTY_CHUNKS, true, "#4d9221"),
];

/// Runs of a figure.
pub const CELLS: usize = SERIES.len() * SNAPSHOTS.len();

/// Runs everything that the figure shows; `on_cell` is told what comes next.
///
/// # Errors
/// Why there is no figure: a run that did not pass, or the interrupt.
pub fn measure(interrupt: &Arc<AtomicBool>, on_cell: &dyn Fn(&str)) -> Result<CowThrottle, String> {
    let series = SERIES.map(|(throttle, dirty_chunks, fails, color)| {
        let rows = SNAPSHOTS.map(|snapshots| {
            on_cell(&format!("cow_throttle={throttle}, {dirty_chunks} dirty chunks, {snapshots} snapshot(s)"));
            row(&scenario(throttle, snapshots, dirty_chunks, fails), interrupt)
        });
        let name = if fails { format!("{throttle}, reserves only") } else { throttle.to_owned() };
        let rows = rows.into_iter().collect::<Result<Vec<_>, String>>()?;
        Ok(Series { name, color, dirty_chunks, is_bounded: throttle != "none", rows })
    });
    Ok(CowThrottle {
        command: COMMAND,
        snapshots: SNAPSHOTS.to_vec(),
        writers: WRITERS,
        threshold: THRESHOLD,
        disks: DISKS,
        sizes: Sizes { job: JOB_BYTES, pending: PENDING_BYTES, page: PAGE_BYTES },
        series: series.into_iter().collect::<Result<_, String>>()?,
        scenario: scenario("wait", 2, DIRTY_CHUNKS, false),
    })
}

/// The scenario of one row, as text.
fn scenario(throttle: &str, snapshots: u64, dirty_chunks: u64, fails: bool) -> String {
    let sectors = dirty_chunks * CHUNK_SECTORS;
    let disk = format!("{{ timed: {{ size: {}k, depth: 1, read: 80us, write: 30us }} }}", sectors / 2);
    let mut text = format!(
        "scenario: figure/cow-throttle\nabout: A write-back to an origin with {snapshots} snapshot(s).\nruns: [threads]\n\
         variants: {{ cow_throttle: {throttle} }}\nparams: {{ snapshot_cow_threshold: {THRESHOLD} }}\ndevices:\n  \
         origin: {disk}\n"
    );
    // Writing to a string cannot fail.
    for number in 0..snapshots {
        let _ = writeln!(text, "  cow{number}: {disk}");
    }
    for number in 0..snapshots {
        let line = format!("0 {sectors} snapshot $origin $cow{number} N {CHUNK_SECTORS}");
        let _ = writeln!(text, "  snap{number}: {{ dm: [\"{line}\"] }}");
    }
    let _ = writeln!(text, "  base: {{ dm: [\"0 {sectors} snapshot-origin $origin\"] }}\nsteps:");
    if fails {
        text.push_str("  - fault: { slab: { pool: \"*.*\", fail: always } }\n");
    }
    let share = dirty_chunks / WRITERS * CHUNK_SECTORS / 2;
    let _ = writeln!(
        text,
        "  - load: {{ on: base, rw: write, bs: 64k, iodepth: 1024, numjobs: {WRITERS}, size: {share}k, \
         offset_increment: {share}k }}"
    );
    text
}

fn row(text: &str, interrupt: &Arc<AtomicBool>) -> Result<Row, String> {
    let render = |found: dmlab_scenarios::Diagnostics| found.render(text, false);
    let document = Arc::new(Document::parse("figure/cow-throttle", text).map_err(render)?);
    let wishes = Wishes { clock: Clock::Virtual, ..Wishes::default() };
    let plans = Plan::of(&document, &wishes).map_err(render)?;
    let [plan] = &plans[..] else { return Err(format!("{} plans in place of one", plans.len())) };
    let record = campaign::run(plan, interrupt).record;
    if interrupt.load(Ordering::Relaxed) {
        return Err("interrupted".to_owned());
    }
    if record.verdict != Verdict::Pass {
        return Err(format!("{} {}: {}", plan.title(), record.verdict, record.report.unwrap_or_default()));
    }
    let runtime_ns = record.loads.iter().map(|load| load.runtime_ns).sum();
    let steps_per_run_max = record.counters.get(STEPS_PER_RUN_MAX).copied().unwrap_or(0);
    let peaks = |pool: &str| peaks(&record, pool);
    let (jobs, pages, pending) = (peaks(".kcopyd.jobs"), peaks(".kcopyd.pages"), peaks(".pending_pool"));
    Ok(Row { jobs, pages, pending, runtime_ns, steps_per_run_max })
}

/// The peaks of all pools of this name, added up.
fn peaks(record: &CellRecord, pool: &str) -> u64 {
    record.pools.iter().filter(|found| found.name.ends_with(pool)).map(|found| found.peak_in_use).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_does_not_pass_is_no_row() {
        let text = scenario("wait-uninit", 1, 64, false);
        let error = row(&text, &Arc::default()).unwrap_err();
        assert!(error.contains("hang"), "{error}");
    }
}
