//! Rows that are measured in interleaved rounds, and the tables they are shown in: every row once, then every row again, so
//! that a machine that grows slow is slow for all.
//!
//! Invariant: the first row of a group is what its others are compared with.
//! Not here: which rows there are.

use std::io::Write;
use std::sync::Arc;

use dmlab_engine::sched::Task;
use dmlab_units::Nanos;
use tabled::builder::Builder;
use tabled::settings::object::{Columns, Object, Rows};
use tabled::settings::{Alignment, Style};

use super::on_threads;

/// What a row does so often; how long that took.
type Model = Box<dyn Fn(&Task, u64) -> Nanos + Send + Sync>;

/// One row.
pub(crate) struct Row {
    pub(crate) name: String,
    /// Times in one sample.
    pub(crate) count: u64,
    pub(crate) model: Model,
}

/// Rows that are compared with the first of them.
pub(crate) struct Group {
    pub(crate) name: String,
    /// Whether the cost table is fitted to it: one task does nearly all of the work, so that a time is a sum of operations.
    pub(crate) calibrates: bool,
    pub(crate) rows: Vec<Arc<Row>>,
}

/// A row.
pub(crate) fn row(
    name: impl Into<String>,
    count: u64,
    model: impl Fn(&Task, u64) -> Nanos + Send + Sync + 'static,
) -> Arc<Row> {
    Arc::new(Row { name: name.into(), count, model: Box::new(model) })
}

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// Of a row's count.
    share: u64,
}

impl Effort {
    pub(crate) const FULL: Self = Self { rounds: 31, share: 1 };
    /// Enough to see that everything works; the figures are worth little.
    pub(crate) const QUICK: Self = Self { rounds: 5, share: 50 };

    /// No less than a burst of work items.
    pub(crate) fn count(self, row: &Row) -> u64 {
        (row.count / self.share).max(16)
    }
}

/// One sample of a row on this machine.
pub(crate) fn on_this_machine(row: &Arc<Row>, count: u64) -> Nanos {
    let row = Arc::clone(row);
    on_threads(move |current| (row.model)(current, count))
}

pub(crate) fn each(took: Nanos, count: u64) -> f64 {
    took.0 as f64 / count as f64
}

/// A time for people.
pub(crate) fn shown(nanos: f64) -> String {
    if nanos < 10_000.0 { format!("{nanos:.0} ns") } else { format!("{:.1} us", nanos / 1e3) }
}

/// Nanoseconds of each row, once per round.
pub(crate) fn measured(group: &Group, effort: Effort) -> Vec<Vec<f64>> {
    let mut samples = vec![Vec::new(); group.rows.len()];
    for _ in 0..effort.rounds {
        for (row, samples) in group.rows.iter().zip(&mut samples) {
            let count = effort.count(row);
            samples.push(each(on_this_machine(row, count), count));
        }
    }
    samples
}

/// The groups whose names contain one of the texts that are `wanted`; all, without any.
///
/// # Errors
/// A text that no name contains, and the names.
pub(crate) fn selected(mut groups: Vec<Group>, wanted: &[&str]) -> Result<Vec<Group>, String> {
    if let Some(none) = wanted.iter().find(|text| !groups.iter().any(|group| group.name.contains(**text))) {
        let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        return Err(format!("no group has {none:?} in its name; there are:\n  {}\n", names.join("\n  ")));
    }
    groups.retain(|group| wanted.is_empty() || wanted.iter().any(|text| group.name.contains(text)));
    Ok(groups)
}

/// Prints a table, of which the first row is the head.
pub(crate) fn print(title: &str, rows: Vec<Vec<String>>) {
    let mut table = Builder::from_iter(rows).build();
    table.with(Style::markdown());
    table.modify(Columns::new(1..).not(Rows::first()), Alignment::right());
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "\n{title}\n\n{table}").and_then(|()| out.flush());
    written.expect("somebody reads the report");
}
