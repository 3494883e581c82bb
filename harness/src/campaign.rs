//! A cell's run or runs: one on threads or on the virtual clock, or as many explored schedules as it takes.
//!
//! An exploration ends at the first schedule that tells: one that fails where a pass is expected, or one that fails as
//! expected. Otherwise it goes on to its number of schedules, and its pass is only ever `not found in n schedules`.
//!
//! Invariants: the schedule that told is performed a second time from its recorded choices and must end in the same way
//! (the double-run check; the first schedule and every [`DOUBLE_RUN_EVERY`]-th are checked too); peaks are the highest
//! of all schedules.
//! Not here: what counts as failing ([`crate::judge`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dmlab_engine::sched::{Outcome, RunResult};
use dmlab_results::{CellRecord, Exploration, Number, PoolRecord, Verdict};

use crate::backend::engine::{ExplorerStage, Performance, TraceStep, perform_on_threads, perform_virtually, same_end};
use crate::judge::{Judgement, judge, mismatches, verdict_of};
use crate::plan::{Plan, RunOn};
use crate::script::LoadFinding;

/// Every n-th explored schedule is performed twice, to see whether it is deterministic.
pub const DOUBLE_RUN_EVERY: u64 = 1000;

/// A cell that was run.
pub struct CellRun {
    /// What goes into the record.
    pub record: CellRecord,
    /// How the run that told was judged.
    pub judgement: Judgement,
    /// The schedule that told, for the explorer.
    pub schedule: Option<Vec<TraceStep>>,
}

/// Runs `plan`.
pub fn run(plan: &Plan, interrupt: &Arc<AtomicBool>) -> CellRun {
    if let Some(reason) = plan.skip {
        return skipped(plan, reason);
    }
    let started = Instant::now();
    let mut run = match plan.run_on {
        RunOn::Explorer => explore(plan, interrupt),
        RunOn::Threads => once(plan, perform_on_threads(plan, interrupt)),
        RunOn::Virtual => once(plan, perform_virtually(plan, interrupt)),
    };
    let elapsed = started.elapsed();
    run.record.wall_ns = Some(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
    if let Some(exploration) = &mut run.record.exploration {
        let rate = Number::per_second(exploration.schedules, elapsed.as_nanos() as u64);
        exploration.schedules_per_sec = Some(rate);
    }
    run
}

/// A cell that this run leaves out, and says so.
fn skipped(plan: &Plan, reason: &str) -> CellRun {
    let judgement = Judgement { verdict: Verdict::Skip, report: Some(reason.to_owned()), stuck: None };
    let mut record = record(plan, &judgement, &Performance::default(), &Peaks::default());
    (record.ok, record.mismatches) = (true, Vec::new());
    CellRun { record, judgement, schedule: None }
}

fn once(plan: &Plan, (result, performance): (RunResult, Performance)) -> CellRun {
    let judgement = judge(&result.outcome, &performance);
    let mut peaks = Peaks::default();
    peaks.take_in(&performance);
    let mut record = record(plan, &judgement, &performance, &peaks);
    if plan.run_on == RunOn::Virtual {
        record.virtual_ns = Some(result.now.0);
    }
    CellRun { record, judgement, schedule: None }
}

fn explore(plan: &Plan, interrupt: &Arc<AtomicBool>) -> CellRun {
    let mut stage = ExplorerStage::new(plan, interrupt);
    let (mut peaks, mut tally) = (Peaks::default(), Tally::default());
    loop {
        let (result, performance) = stage.perform();
        let judgement = judge(&result.outcome, &performance);
        peaks.take_in(&performance);
        tally.take_in(&result, &judgement);
        let interrupted = result.outcome == Outcome::Interrupted || interrupt.load(Ordering::Relaxed);
        let tells = !interrupted && tells(plan, &judgement, &performance);
        let last = tells || interrupted || tally.schedules >= plan.schedules;
        let mut schedule = None;
        if tells || tally.schedules % DOUBLE_RUN_EVERY == 1 {
            let again = stage.again();
            let same = again
                .filter(|found| same_end(&result.outcome, &found.result.outcome) && result.steps == found.result.steps);
            let Some(found) = same else {
                return not_deterministic(plan, &result, &performance, tally);
            };
            schedule = tells.then_some(found.trace);
        }
        if last {
            let mut record = record(plan, &judgement, &performance, &peaks);
            record.exploration = Some(tally.exploration(tells));
            return CellRun { record, judgement, schedule };
        }
    }
}

/// Whether this schedule ends the exploration: it fails (in the expected way or another), or breaks an expectation.
fn tells(plan: &Plan, judgement: &Judgement, performance: &Performance) -> bool {
    if judgement.verdict != Verdict::Pass {
        return true;
    }
    // Where a failure is expected, a schedule that passes only says: not yet.
    let expects_pass = verdict_of(plan.expected_verdict()) == Verdict::Pass;
    expects_pass && !mismatches(plan, judgement, performance).is_empty()
}

fn not_deterministic(plan: &Plan, first: &RunResult, performance: &Performance, tally: Tally) -> CellRun {
    let (schedule, steps) = (tally.schedules, first.steps);
    let report =
        format!("dmlab itself is at fault: schedule {schedule} ({steps} steps), performed again, is another one");
    let judgement = Judgement { verdict: Verdict::Panic, report: Some(report), stuck: None };
    let mut record = record(plan, &judgement, performance, &Peaks::default());
    record.exploration = Some(tally.exploration(true));
    CellRun { record, judgement, schedule: None }
}

/// Pools over all schedules of a cell.
#[derive(Default)]
struct Peaks {
    order: Vec<String>,
    pools: BTreeMap<String, PoolRecord>,
}

impl Peaks {
    fn take_in(&mut self, performance: &Performance) {
        for pool in &performance.pools {
            if !self.pools.contains_key(&pool.name) {
                self.order.push(pool.name.clone());
            }
            let stats = pool.stats;
            let known = self.pools.entry(pool.name.clone()).or_insert_with(|| PoolRecord {
                name: pool.name.clone(),
                reserve: stats.reserve,
                peak_in_use: 0,
                slab_failures: 0,
                waits: 0,
                rescued: 0,
            });
            known.peak_in_use = known.peak_in_use.max(stats.peak);
            known.slab_failures = known.slab_failures.max(stats.slab_failures);
            known.waits = known.waits.max(stats.waits);
            known.rescued = known.rescued.max(stats.rescued);
        }
    }

    fn records(&self) -> Vec<PoolRecord> {
        self.order.iter().map(|name| self.pools[name].clone()).collect()
    }
}

/// Counts over all schedules of a cell.
#[derive(Default)]
struct Tally {
    schedules: u64,
    steps: u64,
    steps_max_seen: u64,
    deadlocks: u64,
}

impl Tally {
    fn take_in(&mut self, result: &RunResult, judgement: &Judgement) {
        self.schedules += 1;
        self.steps += result.steps;
        self.steps_max_seen = self.steps_max_seen.max(result.steps);
        self.deadlocks += u64::from(judgement.verdict == Verdict::Deadlock);
    }

    fn exploration(&self, found: bool) -> Exploration {
        let strength = match found {
            true => format!("found in schedule {}", self.schedules),
            false => format!("not found in {} schedules", self.schedules),
        };
        Exploration {
            schedules: self.schedules,
            steps: self.steps,
            steps_max_seen: self.steps_max_seen,
            deadlocks: self.deadlocks,
            strength,
            schedules_per_sec: None,
        }
    }
}

fn record(plan: &Plan, judgement: &Judgement, performance: &Performance, peaks: &Peaks) -> CellRecord {
    let mismatches = mismatches(plan, judgement, performance);
    let findings = &performance.findings;
    let mut counters = performance.counters.clone();
    counters.insert("ios".to_owned(), findings.ios);
    counters.insert("io_errors".to_owned(), findings.io_errors);
    CellRecord {
        scenario: plan.scenario.id.clone(),
        variant: plan.cell.iter().map(|(axis, value)| (axis.to_owned(), value.to_owned())).collect(),
        backend: "engine".to_owned(),
        runtime: plan.run_on.name().to_owned(),
        seed: plan.seed.0,
        plan: plan.to_json(),
        expected: verdict_of(plan.expected_verdict()).to_string(),
        verdict: judgement.verdict,
        ok: mismatches.is_empty() && judgement.verdict != Verdict::Panic,
        mismatches,
        report: judgement.report.clone(),
        trace_file: None,
        wall_ns: None,
        virtual_ns: None,
        exploration: None,
        // Explored schedules have no speed: their clock moves only when everybody sleeps.
        loads: match plan.run_on {
            RunOn::Explorer => Vec::new(),
            RunOn::Threads | RunOn::Virtual => findings.loads.iter().map(LoadFinding::to_record).collect(),
        },
        pools: peaks.records(),
        counters,
        entry_order: performance.entry_order.clone(),
    }
}
