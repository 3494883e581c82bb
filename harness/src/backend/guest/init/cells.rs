//! Runs cells in a guest, on the kernel backend, and tells the host of each.
//!
//! Invariants: the host is told of a cell before it begins, so that it knows whose end the guest's end was; after a cell
//! that leaves stuck tasks or a broken kernel behind no other one is run.
//! Not here: the performance (`backend::kernel`), another boot for the cells that are left (`run`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dmlab_results::{CellRecord, Verdict};

use super::evidence;
use super::line::Line;
use crate::backend::guest::job::{Cells, Event, Named};
use crate::backend::kernel::modules::Modules;
use crate::backend::kernel::{Ending, RunningKernel, Watch};
use crate::campaign;
use crate::judge::verdict_of;
use crate::plan::Plan;

/// Runs the cells of a job.
///
/// # Errors
/// The kernel backend cannot be used, or a scenario cannot be read.
pub(super) fn run(cells: &Cells, line: &Arc<Line>, progress: &Arc<AtomicU64>) -> Result<(), String> {
    let kernel = RunningKernel::open(Modules::of_running_kernel()).map_err(|error| error.to_string())?;
    let kernel = Arc::new(kernel);
    let plans = cells.plans(Arc::clone(&kernel))?;
    line.tell(&Event::Cells { cells: plans.iter().map(named).collect() });
    let witness = Witness { line: Arc::clone(line), progress: Arc::clone(progress), kernel };
    let watch: Arc<dyn Watch> = Arc::new(witness);
    for (cell, plan) in plans.iter().enumerate().skip(cells.from) {
        if plan.skip.is_none() {
            line.tell(&Event::Begin { cell });
        }
        let run = campaign::run_on_kernel(plan, &watch, &mut [], &AtomicBool::new(false));
        let record = run.record;
        let spoiled = spoils(&record);
        if !record.ok {
            evidence::of_any_failure(line);
        }
        line.tell(&Event::End { cell, record: Box::new(record), spoiled });
        if spoiled {
            break;
        }
    }
    Ok(())
}

fn named(plan: &Plan) -> Named {
    Named {
        scenario: plan.scenario.id.clone(),
        variant: plan.cell.iter().map(|(axis, value)| (axis.to_owned(), value.to_owned())).collect(),
        expected: verdict_of(plan.expected_verdict()).to_string(),
        seed: plan.seed.0,
    }
}

/// Whether a kernel that did this should do nothing more.
fn spoils(record: &CellRecord) -> bool {
    record.verdict.is_stuck() || matches!(record.verdict, Verdict::Crash | Verdict::Panic | Verdict::Leak)
}

/// Hears of performances: what moves is progress, and what ends badly is looked at before it is removed.
struct Witness {
    line: Arc<Line>,
    progress: Arc<AtomicU64>,
    kernel: Arc<RunningKernel>,
}

impl Watch for Witness {
    fn begins(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    fn step_begins(&self, _flow: &str, _line: u32) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    fn tears_down(&self, ending: &Ending) {
        self.progress.fetch_add(1, Ordering::Relaxed);
        if !matches!(ending, Ending::Finished) {
            evidence::of_what_is_stuck(&self.line, &self.kernel);
        }
    }
}
