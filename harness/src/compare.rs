//! Variants beside each other: each explored once, and measured in interleaved rounds.
//!
//! A row is one variant: a value for every axis that all compared scenarios have. Cells that run on the explorer give
//! its verdicts; cells that run on threads, with a load, its throughput. In every round each row is measured once, and
//! every second round goes through the rows in the opposite order, so that neither a machine that slows down nor the
//! place in a round favours a row.
//!
//! Invariants: a row has at most one cell of each scenario and runtime; a figure is taken from a run that passed, and a
//! row in which a run did not pass has no ratio and says so; the last load of a run is the one that counts, since the
//! ones before it warm up and verify.
//! Not here: the statistics and the table (`dmlab-results`), printing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dmlab_results::{ComparisonRow, Found, LoadRecord, RatioInterval, Throughput, Verdict, median, ratio_of_rounds};

use crate::campaign::{self, CellRun};
use crate::plan::{Plan, RunOn};
use crate::watch::OnProgress;

/// What is compared: the rows, and for each the cells that say something about it.
#[derive(Debug)]
pub struct Rows<'p> {
    /// Scenarios with cells on the explorer.
    pub explored: Vec<&'p str>,
    /// Scenarios with cells on threads.
    pub measured: Vec<&'p str>,
    rows: Vec<Row<'p>>,
}

#[derive(Debug)]
struct Row<'p> {
    values: Vec<(&'p str, &'p str)>,
    explore: Vec<Option<&'p Plan>>,
    measure: Vec<Option<&'p Plan>>,
}

impl Row<'_> {
    fn name(&self) -> String {
        let values: Vec<String> = self.values.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
        if values.is_empty() { "the only variant".to_owned() } else { values.join(" ") }
    }
}

impl<'p> Rows<'p> {
    /// The rows of `plans`, in their order.
    ///
    /// # Errors
    /// When a scenario has several cells for one row: the text says which axis to set.
    pub fn of(plans: &'p [Plan]) -> Result<Self, String> {
        let mut rows = Self {
            explored: scenarios(plans, RunOn::Explorer),
            measured: scenarios(plans, RunOn::Threads),
            rows: Vec::new(),
        };
        let has = |plan: &Plan, axis: &str| plan.cell.get(axis).is_some();
        for plan in plans {
            let values: Vec<(&str, &str)> =
                plan.cell.iter().filter(|(axis, _)| plans.iter().all(|other| has(other, axis))).collect();
            let row = match rows.rows.iter().position(|row| same(&row.values, &values)) {
                Some(known) => &mut rows.rows[known],
                None => {
                    let (explore, measure) = (vec![None; rows.explored.len()], vec![None; rows.measured.len()]);
                    rows.rows.push(Row { values: values.clone(), explore, measure });
                    rows.rows.last_mut().expect("one was added")
                }
            };
            let (scenarios, cells) = match plan.run_on {
                RunOn::Explorer => (&rows.explored, &mut row.explore),
                RunOn::Threads => (&rows.measured, &mut row.measure),
                RunOn::Virtual | RunOn::Kernel => continue,
            };
            let column = scenarios.iter().position(|id| *id == plan.scenario.id).expect("every scenario has a column");
            if cells[column].replace(plan).is_some() {
                let own: Vec<&str> = plan
                    .cell
                    .iter()
                    .map(|(axis, _)| axis)
                    .filter(|axis| !values.iter().any(|(common, _)| common == axis))
                    .collect();
                return Err(format!(
                    "{} has several cells for one row: not all compared scenarios have the axis {}; set it with --variant",
                    plan.scenario.id,
                    own.join(", ")
                ));
            }
        }
        Ok(rows)
    }

    /// The number of the row that has these values.
    ///
    /// # Errors
    /// When no row has them, or several: the text lists the rows.
    pub fn find(&self, values: &[(String, String)]) -> Result<usize, String> {
        let fits =
            |row: &Row<'_>| values.iter().all(|(axis, value)| row.values.contains(&(axis.as_str(), value.as_str())));
        let found: Vec<usize> = (0..self.rows.len()).filter(|&index| fits(&self.rows[index])).collect();
        match found[..] {
            [one] => Ok(one),
            _ => {
                let count = if found.is_empty() { "no row is".to_owned() } else { format!("{} rows are", found.len()) };
                let wanted: Vec<String> = values.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
                let rows: Vec<String> = self.rows.iter().map(|row| format!("\n  {}", row.name())).collect();
                Err(format!("{count} {}; the rows are:{}", wanted.join(","), rows.concat()))
            }
        }
    }

    /// The name of a row.
    pub fn name(&self, row: usize) -> String {
        self.rows[row].name()
    }

    /// Explores and measures everything. `on_cell` is told what comes next.
    pub fn compare(
        &self,
        baseline: usize,
        rounds: usize,
        interrupt: &Arc<AtomicBool>,
        on_cell: &dyn Fn(&str),
        on_progress: OnProgress<'_>,
    ) -> Vec<ComparisonRow> {
        let stopped = || interrupt.load(Ordering::Relaxed);
        let mut found: Vec<Vec<Option<Found>>> = Vec::new();
        for row in &self.rows {
            let explore = |plan: &Option<&Plan>| {
                let plan = plan.filter(|_| !stopped())?;
                on_cell(&plan.title());
                Some(found_by(&campaign::run_watched(plan, interrupt, on_progress)))
            };
            found.push(row.explore.iter().map(explore).collect());
        }
        let mut figures: Vec<Vec<Figures>> =
            self.rows.iter().map(|row| row.measure.iter().map(|_| Figures::default()).collect()).collect();
        'rounds: for round in 0..rounds {
            for turn in 0..self.rows.len() {
                let index = if round % 2 == 0 { turn } else { self.rows.len() - 1 - turn };
                for (column, plan) in self.rows[index].measure.iter().enumerate() {
                    let Some(plan) = plan.filter(|_| figures[index][column].wrong.is_none()) else { continue };
                    if stopped() {
                        break 'rounds;
                    }
                    on_cell(&format!("round {} of {rounds}: {}", round + 1, plan.title()));
                    let run = campaign::run(plan, interrupt);
                    figures[index][column].take_in(&run, round, stopped());
                }
            }
        }
        let throughput = |row: &Row<'_>, own: &[Figures]| -> Vec<Option<Throughput>> {
            let columns = row.measure.iter().zip(own).zip(&figures[baseline]);
            columns.map(|((plan, own), base)| plan.map(|_| own.compared_with(base))).collect()
        };
        let rows = self.rows.iter().zip(found).zip(&figures);
        rows.map(|((row, found), own)| ComparisonRow { variant: row.name(), found, throughput: throughput(row, own) })
            .collect()
    }
}

fn scenarios(plans: &[Plan], run_on: RunOn) -> Vec<&str> {
    let mut ids: Vec<&str> = Vec::new();
    for plan in plans.iter().filter(|plan| plan.run_on == run_on) {
        if !ids.contains(&plan.scenario.id.as_str()) {
            ids.push(&plan.scenario.id);
        }
    }
    ids
}

/// Whether two rows have the same values, in whatever order their scenarios name the axes.
fn same(a: &[(&str, &str)], b: &[(&str, &str)]) -> bool {
    a.len() == b.len() && a.iter().all(|pair| b.contains(pair))
}

fn found_by(run: &CellRun) -> Found {
    let strength = run.record.exploration.as_ref().map(|exploration| exploration.strength.clone());
    Found { verdict: run.record.verdict, strength, ok: run.record.ok }
}

/// What was measured of one row.
#[derive(Default)]
struct Figures {
    iops: Vec<f64>,
    /// Why a run gave none.
    wrong: Option<String>,
}

impl Figures {
    fn take_in(&mut self, run: &CellRun, round: usize, interrupted: bool) {
        if interrupted {
            return;
        }
        let record = &run.record;
        match record.loads.last().and_then(iops) {
            _ if record.verdict != Verdict::Pass => {
                self.wrong = Some(format!("{} in round {}", record.verdict, round + 1))
            }
            Some(iops) => self.iops.push(iops),
            None => self.wrong = Some("it has no load to measure".to_owned()),
        }
    }

    fn compared_with(&self, baseline: &Self) -> Throughput {
        // After an interrupt, only rounds in which both were measured are pairs.
        let pairs = self.iops.len().min(baseline.iops.len());
        let ratio: Result<RatioInterval, String> = match (&self.wrong, &baseline.wrong) {
            (Some(wrong), _) => Err(wrong.clone()),
            (None, Some(wrong)) => Err(format!("the baseline: {wrong}")),
            (None, None) => {
                ratio_of_rounds(&baseline.iops[..pairs], &self.iops[..pairs]).map_err(|error| error.to_string())
            }
        };
        Throughput {
            iops: median(&self.iops),
            rounds: self.iops.clone(),
            why_not: ratio.as_ref().err().cloned(),
            ratio: ratio.ok(),
        }
    }
}

/// I/Os per second of a load; `None` if it took no time or did nothing.
fn iops(load: &LoadRecord) -> Option<f64> {
    (load.runtime_ns > 0 && load.total_ios() > 0).then(|| load.total_ios() as f64 * 1e9 / load.runtime_ns as f64)
}
