//! Whether the tasks that are stuck in a kernel are those of the engine's deadlock in the same scenario: runs the engine,
//! takes the cycles that it meets, and looks for their parties among the kernel's tasks.
//!
//! The engine runs the kernel's own cell with the algorithms of its release (those put back into it included), and after it
//! the cells of the scenario of which a deadlock or a hang is expected: a kernel that hangs where its release should not
//! may do what an older one did.
//!
//! Invariants: each search keeps within the scenario's own number of schedules and `SEARCH`; the first cell whose cycle is
//! the same is the answer, else the one most of whose parties were found.
//! Not here: who stands for whom (`detect::cycle`), where the kernel's tasks come from (`backend`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dmlab_engine::sched::waits::StuckReport;
use dmlab_engine::variants::Variants;
use dmlab_results::{CycleParty, CycleRecord};
use dmlab_scenarios::{Document, Verdict};

use crate::backend::engine::{Note, Schedule, explore, perform_virtually};
use crate::backend::kernel::release_of;
use crate::detect::cycle::CycleMatch;
use crate::detect::tasks::StuckTask;
use crate::judge::judge;
use crate::kernels::mutation_of_release;
use crate::plan::{Clock, Plan, RunOn, Wishes};
use crate::tally::Tally;
use crate::watch::unwatched;

/// So long may one cell be searched.
const SEARCH: Duration = Duration::from_secs(5);

/// Distinct cycles of one cell that are looked at.
const CYCLES_MAX: usize = 16;

/// What came of a comparison.
pub struct Compared {
    /// The engine's cell, e.g. `cow_throttle=semaphore threshold=1`.
    pub cell: String,
    /// Who stands for whom.
    pub found: CycleMatch,
}

impl Compared {
    /// For a report: whether it is the same, who is who, and who stands behind.
    pub fn in_words(&self) -> String {
        let at = if self.cell.is_empty() { String::new() } else { format!("(the engine ran {})\n", self.cell) };
        format!("{at}{}", self.found)
    }

    /// For a record.
    pub fn to_record(&self) -> CycleRecord {
        let party = |(party, task): &(crate::detect::cycle::Party, Option<StuckTask>)| CycleParty {
            task: party.task.clone(),
            waits_for: party.object.clone(),
            functions: party.functions.clone(),
            stands_for_it: task.as_ref().map(StuckTask::name),
        };
        CycleRecord {
            same: self.found.is_same(),
            cell: self.cell.clone(),
            parties: self.found.parties.iter().map(party).collect(),
            behind: self.found.behind.iter().map(StuckTask::name).collect(),
        }
    }
}

/// Looks among the stuck `tasks` of a kernel of this `release` for the engine's cycle in `cell` of `document`. `None` if there
/// are no tasks to look at, or the engine has no such cell.
pub fn compare(
    document: &Arc<Document>,
    cell: &[(String, String)],
    release: &str,
    tasks: &[StuckTask],
    interrupt: &Arc<AtomicBool>,
) -> Option<Compared> {
    if tasks.is_empty() {
        return None;
    }
    let mut best: Option<Compared> = None;
    for plan in plans(document, cell, release) {
        let name = plan.cell.to_string();
        let mut reports = cycles(&plan, interrupt);
        if reports.is_empty() {
            reports.push(StuckReport { cycle: Vec::new(), others: Vec::new() });
        }
        for report in reports {
            let compared = Compared { cell: name.clone(), found: CycleMatch::of(&report, tasks) };
            if compared.found.is_same() {
                return Some(compared);
            }
            let met = |compared: &Compared| compared.found.parties.iter().filter(|(_, task)| task.is_some()).count();
            if best.as_ref().is_none_or(|best| met(&compared) > met(best)) {
                best = Some(compared);
            }
        }
        if interrupt.load(Ordering::Relaxed) {
            break;
        }
    }
    best
}

/// The engine's plans: of the kernel's own cell, then of those that are expected to get stuck, the likest first.
fn plans(document: &Arc<Document>, cell: &[(String, String)], release: &str) -> Vec<Plan> {
    let put_back = mutation_of_release(release).map(|edits| edits.variants).unwrap_or_default();
    let is_given = |axis: &str| cell.iter().any(|(given, _)| given == axis);
    let more = put_back.into_iter().filter(|(axis, _)| !is_given(axis));
    let overrides: Vec<(String, String)> = cell.iter().cloned().chain(more).collect();
    let clock = Clock::Virtual;
    let own = Wishes { overrides, as_of: Some(release_of(release)), clock, ..Wishes::default() };
    // The document was checked before a guest got it; a cell that the engine has not is none.
    let of = |wishes: &Wishes| Plan::of(document, wishes).unwrap_or_default();
    let mut bad = of(&Wishes { clock, ..Wishes::default() });
    bad.retain(|plan| matches!(plan.expected_verdict(), Verdict::Deadlock | Verdict::Hang));
    let other = |plan: &Plan| {
        let is_other = |(axis, value): (&str, &str)| !cell.iter().any(|(own, its)| own == axis && its == value);
        let differ = plan.cell.iter().filter(|pair| is_other(*pair));
        // What is no algorithm is a size or a number: the kernel ran with these.
        differ.map(|(axis, _)| if Variants::axis(axis).is_none() { FAR } else { 1 }).sum::<u32>()
    };
    bad.sort_by_key(other);
    let mut plans = of(&own);
    plans.extend(bad);
    plans.retain(|plan| plan.skip.is_none());
    let explored = plans.iter().any(|plan| plan.run_on == RunOn::Explorer);
    plans.retain(|plan| !explored || plan.run_on == RunOn::Explorer);
    plans
}

/// Another size counts as so many other algorithms.
const FAR: u32 = 100;

/// The distinct cycles that the engine meets in this plan's cell.
fn cycles(plan: &Plan, interrupt: &Arc<AtomicBool>) -> Vec<StuckReport> {
    if plan.run_on != RunOn::Explorer {
        let (result, performance) = perform_virtually(plan, interrupt);
        return judge(&result.outcome, &performance).stuck.into_iter().collect();
    }
    let mut plan = plan.clone();
    plan.explore.time = Some(SEARCH);
    let found: Mutex<BTreeMap<String, StuckReport>> = Mutex::default();
    let look = |seen: &Schedule| {
        if let Some(report) = judge(&seen.result.outcome, &seen.performance).stuck {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            if found.len() < CYCLES_MAX {
                found.entry(report.signature()).or_insert(report);
            }
        }
        // No schedule ends the search: another one may have another cycle.
        Note::default()
    };
    explore(&plan, interrupt, &look, &Mutex::new(Tally::default()), &unwatched);
    found.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::kmsg::scan;
    use crate::detect::tasks::hung_tasks;

    /// The kernel's report of snapshot/cow-throttle on 6.12 with the semaphore put back.
    const HUNG: &str = include_str!("detect/texts/cow-semaphore-hung.txt");

    const MUTATED: &str = "6.12.117-cow-semaphore";
    const UNCHANGED: &str = "6.12.117-debug";

    fn document(id: &str) -> Arc<Document> {
        let entry = dmlab_scenarios::catalog().iter().find(|entry| entry.id() == id).expect("it is in the catalogue");
        Arc::new(Document::parse(entry.path, entry.text).unwrap_or_else(|found| panic!("{found}")))
    }

    fn cell(cow_throttle: &str) -> Vec<(String, String)> {
        [("cow_throttle", cow_throttle), ("threshold", "1")].map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec()
    }

    fn compared(cow_throttle: &str, release: &str, tasks: &[StuckTask]) -> Compared {
        let document = document("snapshot/cow-throttle");
        compare(&document, &cell(cow_throttle), release, tasks, &Arc::default()).expect("there are tasks and a cell")
    }

    #[test]
    fn the_stuck_tasks_of_the_mutated_kernel_are_the_engines_cycle() {
        let found = compared("semaphore", MUTATED, &hung_tasks(&scan(HUNG)));
        let record = found.to_record();
        assert!(record.same, "{}", found.in_words());
        assert_eq!(record.cell, "cow_throttle=semaphore threshold=1 as_of=6.12");
        let of = |object: &str| record.parties.iter().filter(|party| party.waits_for.contains(object)).count();
        assert!(of("_origins_lock") >= 1 && of("cow_count") >= 1, "{record:?}");
        let words = found.in_words();
        assert!(
            words.contains("the same cycle as the engine's: ") && words.contains("kworker/1:1 (pid 31)"),
            "{words}"
        );
    }

    #[test]
    fn tasks_without_one_of_the_parties_are_another_cycle() {
        let mut tasks = hung_tasks(&scan(HUNG));
        tasks.retain(|task| task.work.is_none());
        let found = compared("semaphore", MUTATED, &tasks);
        assert!(!found.to_record().same && found.in_words().contains("not the engine's cycle"), "{}", found.in_words());
    }

    #[test]
    fn a_kernel_that_does_what_an_older_one_did_is_told_by_the_cell_of_the_older_one() {
        let found = compared("wait", UNCHANGED, &hung_tasks(&scan(HUNG)));
        assert!(found.to_record().same, "{}", found.in_words());
        assert_eq!(found.cell, "cow_throttle=semaphore threshold=1");
    }

    #[test]
    fn without_a_cycle_in_the_engine_nothing_is_the_same() {
        let document = document("snapshot/read-overtaken");
        let cell = [("chunk_tracking".to_owned(), "on".to_owned())];
        let tasks = hung_tasks(&scan(HUNG));
        let found = compare(&document, &cell, UNCHANGED, &tasks, &Arc::default()).expect("there is such a cell");
        assert!(!found.to_record().same);
        assert!(found.in_words().contains("the engine knows no cycle to compare with"), "{}", found.in_words());
        assert!(compare(&document, &cell, UNCHANGED, &[], &Arc::default()).is_none(), "nobody is stuck");
    }
}
