//! A cell's run or runs: one on threads or on the virtual clock, or as many explored schedules as it takes.
//!
//! An exploration ends at the first schedule that tells: one that fails where a pass is expected, or one that fails as
//! expected. Otherwise it goes on to its number of schedules, and its pass is only ever `not found in n schedules`; or
//! it covers all there are, and its pass is `proved`.
//!
//! Invariants: what a pass is worth is said in the record, with its numbers; a schedule that told is one that was
//! performed twice; peaks are the highest of all schedules.
//! Not here: searching (the backend), what counts as failing ([`crate::judge`]).

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dmlab_engine::sched::RunResult;
use dmlab_results::{CellRecord, Exploration, Number, ShardRecord, Strength, Verdict};

use crate::backend::Performance;
use crate::backend::engine::{End, Explored, Note, Schedule, TraceStep, perform_on_threads, perform_virtually};
use crate::backend::kernel::{Detector, Watch, perform};
use crate::judge::{
    Judgement, judge, judge_kernel, lock_order_mismatch, mismatches, proof_of, strength_mismatch, unseen, verdict_of,
};
use crate::plan::{Plan, RunOn};
use crate::script::Trace;
use crate::tally::{Peaks, Tally};
use crate::watch::{OnProgress, unwatched};

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
    run_watched(plan, interrupt, &unwatched)
}

/// Runs `plan`, and tells how far its exploration is.
pub fn run_watched(plan: &Plan, interrupt: &Arc<AtomicBool>, on_progress: OnProgress<'_>) -> CellRun {
    if let Some(reason) = &plan.skip {
        return skipped(plan, reason);
    }
    let started = Instant::now();
    let mut run = match plan.run_on {
        RunOn::Explorer => explore(plan, interrupt, on_progress),
        RunOn::Threads => once(plan, perform_on_threads(plan, interrupt)),
        RunOn::Virtual => once(plan, perform_virtually(plan, interrupt)),
        RunOn::Kernel => return run_on_kernel(plan, &(Arc::new(()) as Arc<dyn Watch>), &mut [], interrupt),
    };
    let elapsed = started.elapsed();
    if plan.run_on == RunOn::Explorer {
        hold_to_budget(plan, elapsed, &mut run);
    }
    run.record.wall_ns = Some(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
    if let Some(exploration) = &mut run.record.exploration {
        let rate = Number::per_second(exploration.schedules, elapsed.as_nanos() as u64);
        exploration.schedules_per_sec = Some(rate);
    }
    run
}

/// Runs a plan of [`RunOn::Kernel`] on its kernel: this is what a guest's `/init` calls for each plan, too. `watch` hears of
/// it while it goes on, `detectors` look at it from outside; the record that comes back says what came of it.
///
/// ```text
/// let kernel = Arc::new(RunningKernel::open(Modules::of_running_kernel())?);
/// let wishes = Wishes { kernel: Some(kernel), ..Wishes::default() };
/// for plan in Plan::of(&document, &wishes)? {
///     let run = campaign::run_on_kernel(&plan, &watch, &mut detectors, &interrupt);   // run.record
/// }
/// ```
///
/// # Panics
/// When the plan is one for the engine.
pub fn run_on_kernel(
    plan: &Plan,
    watch: &Arc<dyn Watch>,
    detectors: &mut [Box<dyn Detector>],
    interrupt: &AtomicBool,
) -> CellRun {
    if let Some(reason) = &plan.skip {
        return skipped(plan, reason);
    }
    let kernel = plan.kernel.as_ref().expect("a plan for a kernel has one");
    let started = Instant::now();
    let (ending, performance) =
        perform(kernel, (&plan.scenario, plan.errand.clone()), plan.seed, watch, detectors, interrupt);
    let mut judgement = judge_kernel(&ending, &performance);
    let mut record = record(plan, &judgement, &performance, &Peaks::default());
    let unseen = unseen(plan);
    if judgement.report.is_none() && !unseen.is_empty() {
        judgement.report = Some(format!("not looked at on a kernel:\n{}", unseen.join("\n")));
        record.report.clone_from(&judgement.report);
    }
    record.wall_ns = Some(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
    CellRun { record, judgement, schedule: None }
}

/// A search that went on for longer than its scenario allows is not finished, whatever it has come to so far, unless it found
/// the schedule that tells.
fn hold_to_budget(plan: &Plan, elapsed: Duration, run: &mut CellRun) {
    let told = run.record.exploration.as_ref().is_none_or(|found| matches!(found.strength, Strength::Found { .. }));
    let Some(wall) = plan.scenario.budget.wall.filter(|wall| elapsed > Duration::from_nanos(wall.0) && !told) else {
        return;
    };
    let complaint = format!("the search was not finished within the {wall} of budget.wall");
    run.judgement = Judgement { verdict: Verdict::Skip, report: Some(complaint.clone()), stuck: None };
    (run.record.verdict, run.record.report) = (Verdict::Skip, Some(complaint.clone()));
    run.record.ok = false;
    run.record.mismatches.push(complaint);
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
    peaks.take_in(performance.pools.clone());
    let mut record = record(plan, &judgement, &performance, &peaks);
    if plan.run_on == RunOn::Virtual {
        record.virtual_ns = Some(result.now.0);
    }
    CellRun { record, judgement, schedule: None }
}

fn explore(plan: &Plan, interrupt: &Arc<AtomicBool>, on_progress: OnProgress<'_>) -> CellRun {
    let tally = Mutex::new(Tally::default());
    let look = |seen: &Schedule| {
        let judgement = judge(&seen.result.outcome, &seen.performance);
        let deadlock = judgement.stuck.as_ref().filter(|_| judgement.verdict == Verdict::Deadlock);
        Note { deadlock: deadlock.map(|stuck| stuck.signature()), tells: tells(plan, &judgement, &seen.performance) }
    };
    let explored = crate::backend::engine::explore(plan, interrupt, &look, &tally, on_progress);
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    finish(plan, explored, &tally)
}

fn finish(plan: &Plan, explored: Explored, tally: &Tally) -> CellRun {
    let exploration = exploration(plan, &explored, tally);
    let (seen, schedule) = match explored.told {
        Some(told) => match told.again {
            Some(found) => (Some(told.seen), Some(found.trace)),
            None => return not_deterministic(plan, told.number, &told.seen, exploration),
        },
        None => (explored.first, None),
    };
    let (judgement, performance) = match seen {
        Some(seen) => (judge(&seen.result.outcome, &seen.performance), seen.performance),
        None => {
            let report = Some("interrupted".to_owned());
            (Judgement { verdict: Verdict::Skip, report, stuck: None }, Performance::default())
        }
    };
    let mut record = record(plan, &judgement, &performance, &tally.peaks);
    record.mismatches.extend(strength_mismatch(plan, &exploration.strength));
    record.mismatches.extend(lock_order_mismatch(plan, &exploration.lock_order));
    record.ok = record.mismatches.is_empty() && judgement.verdict != Verdict::Panic;
    record.exploration = Some(exploration);
    CellRun { record, judgement, schedule }
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

fn not_deterministic(plan: &Plan, schedule: u64, seen: &Schedule, exploration: Exploration) -> CellRun {
    let steps = seen.result.steps;
    let report =
        format!("dmlab itself is at fault: schedule {schedule} ({steps} steps), performed again, is another one");
    let judgement = Judgement { verdict: Verdict::Panic, report: Some(report), stuck: None };
    let mut record = record(plan, &judgement, &seen.performance, &Peaks::default());
    record.exploration = Some(exploration);
    CellRun { record, judgement, schedule: None }
}

/// What the search's verdict is worth.
fn strength(plan: &Plan, explored: &Explored, tally: &Tally) -> Strength {
    let schedules = tally.schedules;
    if let Some(told) = &explored.told {
        let preemptions = told.again.as_ref().map(|found| u32::try_from(found.preemptions).unwrap_or(u32::MAX));
        return Strength::Found { schedule: told.number, preemptions };
    }
    if !plan.explore.strategy.can_prove() {
        return Strength::NotFound { schedules };
    }
    let states = explored.states.unwrap_or(0);
    let given_up = |reason: String| Strength::NotProved { reason, schedules, states };
    match (&explored.end, explored.up_to) {
        (End::Done, None) => Strength::Proved { schedules, states },
        (End::Done, Some(preemptions)) => Strength::ProvedUpTo { preemptions, schedules, states },
        (End::Interrupted, _) => given_up("interrupted".to_owned()),
        (End::Time, _) => given_up("out of time".to_owned()),
        (End::GivenUp(reason), _) => given_up(reason.clone()),
    }
}

fn exploration(plan: &Plan, explored: &Explored, tally: &Tally) -> Exploration {
    Exploration {
        strategy: plan.explore.strategy.name().to_owned(),
        schedules: tally.schedules,
        steps: tally.steps,
        steps_max_seen: tally.steps_max_seen,
        depth_max: explored.depth_max,
        deadlocks: tally.deadlocks,
        strength: strength(plan, explored, tally),
        states: explored.states,
        pruned: explored.pruned,
        signatures: tally.signatures.clone(),
        lock_order: explored.lock_order.clone(),
        shard: plan.explore.shard.map(|shard| ShardRecord { index: shard.index, of: shard.of }),
        learnt: explored.learnt.filter(|_| plan.explore.shard.is_some()).map(|[a, b]| format!("{a:016x}{b:016x}")),
        schedules_per_sec: None,
    }
}

fn json_of(trace: &Trace) -> serde_json::Value {
    serde_json::to_value(trace).expect("a trace is texts and numbers")
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
        backend: plan.run_on.in_records().0.to_owned(),
        runtime: plan.run_on.in_records().1.to_owned(),
        seed: plan.seed.0,
        plan: plan.to_json(),
        expected: verdict_of(plan.expected_verdict()).to_string(),
        expected_strength: plan.explore.wanted.map(proof_of),
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
            RunOn::Threads | RunOn::Virtual | RunOn::Kernel => {
                findings.loads.iter().flat_map(|load| load.to_records(&findings.phases)).collect()
            }
        },
        pools: peaks.records(),
        counters,
        entry_order: performance.entry_order.clone(),
        cycle: None,
        trace: (plan.run_on == RunOn::Kernel).then(|| json_of(&findings.trace)),
    }
}
