//! Rows that are measured in interleaved rounds, and how they compare: every row once, then every row again, so that a
//! machine that grows slow is slow for all.
//!
//! Invariant: the first row of a group is what its others are compared with.
//! Not here: which rows there are, the tables that they are shown in ([`super::tables`]).

use std::sync::Arc;

use dmlab_engine::sched::Task;
use dmlab_results::{BOOTSTRAP_RESAMPLES, median, ratio_of_medians};
use dmlab_units::{Nanos, Seed};

use super::on_threads;

/// Of the intervals around ratios.
const LEVEL: f64 = 0.95;

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

impl AsRef<str> for Group {
    fn as_ref(&self) -> &str {
        &self.name
    }
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
        self.of(row.count)
    }

    /// How often what is done `count` times where everything is measured.
    pub(crate) fn of(self, count: u64) -> u64 {
        (count / self.share).max(16)
    }

    pub(crate) const fn is_full(self) -> bool {
        self.share == 1
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

/// The groups, or whatever is called so, whose names contain one of the texts that are `wanted`; all, without any.
///
/// # Errors
/// A text that no name contains, and the names.
pub(crate) fn selected<G: AsRef<str>>(mut groups: Vec<G>, wanted: &[&str]) -> Result<Vec<G>, String> {
    if let Some(none) = wanted.iter().find(|text| !groups.iter().any(|group| group.as_ref().contains(**text))) {
        let names: Vec<&str> = groups.iter().map(AsRef::as_ref).collect();
        return Err(format!("no group has {none:?} in its name; there are:\n  {}\n", names.join("\n  ")));
    }
    groups.retain(|group| wanted.is_empty() || wanted.iter().any(|text| group.as_ref().contains(text)));
    Ok(groups)
}

/// What the samples of a row come to, beside those of the first row.
pub(crate) struct Compared {
    pub(crate) median: f64,
    /// What else the machine does only ever adds.
    pub(crate) fastest: f64,
    /// Of the medians, and its interval, in words.
    pub(crate) ratio: [String; 2],
}

/// Each row beside the first.
pub(crate) fn compared(samples: &[Vec<f64>]) -> Vec<Compared> {
    let row = |(place, row): (usize, &Vec<f64>)| {
        let ratio = match ratio_of_medians(&samples[0], row, BOOTSTRAP_RESAMPLES, LEVEL, Seed(1)) {
            Ok(_) if place == 0 => ["1 (baseline)".to_owned(), String::new()],
            Ok(found) => [format!("{:.2}", found.ratio), format!("{:.2} to {:.2}", found.low, found.high)],
            Err(error) => [error.to_string(), String::new()],
        };
        let fastest = row.iter().copied().fold(f64::INFINITY, f64::min);
        Compared { median: median(row).expect("there are samples"), fastest, ratio }
    };
    samples.iter().enumerate().map(row).collect()
}
