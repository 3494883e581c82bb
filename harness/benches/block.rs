//! What pools, rescuers, splits, submission and table swaps cost: one report in which every row is compared with a named
//! baseline of the same run, and with what the virtual clock says of it.
//!
//! `cargo bench -p dmlab --bench block` prints the report. Samples are interleaved: every row once, then every row again, so
//! that a machine that grows slow is slow for all. A ratio comes with its 95 % confidence interval. `virtual` is one run
//! under `Fair` with the cost table, the same on every machine; `virtual / measured` is how far that table is from this
//! one, and it is from this column that the table was calibrated. `-- --criterion` gives the same rows to criterion.
//!
//! Invariant: a run that does not finish is a panic: its time would mean nothing.
//! Not here: whole scenarios, and engines of other people (`explorer_peers.rs`).

mod costs;
mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use criterion::Criterion;
use dmlab_engine::sched::Outcome;
use dmlab_engine::sched::explorer::{CostTable, Explorer, Fair, Limits};
use dmlab_results::{BOOTSTRAP_RESAMPLES, median, ratio_of_medians};
use dmlab_units::{Nanos, Seed};
use tabled::builder::Builder;
use tabled::settings::object::{Columns, Object, Rows};
use tabled::settings::{Alignment, Style};

use costs::{Group, Row, groups};
use support::on_threads;

const ROUNDS: usize = 15;
const LEVEL: f64 = 0.95;
/// Longer than any row.
const STEPS_MAX: u64 = 100_000_000;

fn on_this_machine(row: &Arc<Row>, count: u64) -> Nanos {
    let row = Arc::clone(row);
    on_threads(move |current| (row.model)(current, count))
}

fn on_the_virtual_clock(row: &Arc<Row>) -> Nanos {
    let (there, took) = (Arc::clone(row), Arc::new(Mutex::new(Nanos::ZERO)));
    let slot = Arc::clone(&took);
    let limits = Limits { steps_max: STEPS_MAX, interrupt: Arc::default() };
    let run = Explorer::with_cost(limits, CostTable::default()).run(&mut Fair::new(Seed(1)), move |current| {
        *slot.lock().expect("one task writes") = (there.model)(current, there.count);
    });
    assert_eq!(run.outcome, Outcome::Finished, "{}", row.name);
    *took.lock().expect("the run is over")
}

fn each(took: Nanos, count: u64) -> f64 {
    took.0 as f64 / count as f64
}

fn shown(nanos: f64) -> String {
    if nanos < 10_000.0 { format!("{nanos:.0} ns") } else { format!("{:.1} us", nanos / 1e3) }
}

fn report(group: &Group) {
    let rows: Vec<Arc<Row>> = group.rows.iter().map(Arc::clone).collect();
    let mut samples = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for (row, samples) in rows.iter().zip(&mut samples) {
            samples.push(each(on_this_machine(row, row.count), row.count));
        }
    }
    let virtual_times: Vec<f64> = rows.iter().map(|row| each(on_the_virtual_clock(row), row.count)).collect();
    let head = ["", "measured", "of the first", "95 % interval", "virtual", "of the first", "virtual / measured"];
    let mut table = Builder::default();
    table.push_record(head);
    for (place, row) in rows.iter().enumerate() {
        let middle = median(&samples[place]).expect("there are samples");
        let ratio = ratio_of_medians(&samples[0], &samples[place], BOOTSTRAP_RESAMPLES, LEVEL, Seed(1));
        let (ratio, interval) = match ratio {
            Ok(_) if place == 0 => ("1 (baseline)".to_owned(), String::new()),
            Ok(found) => (format!("{:.2}", found.ratio), format!("{:.2} to {:.2}", found.low, found.high)),
            Err(error) => (error.to_string(), String::new()),
        };
        table.push_record([
            row.name.clone(),
            shown(middle),
            ratio,
            interval,
            shown(virtual_times[place]),
            format!("{:.2}", virtual_times[place] / virtual_times[0]),
            format!("{:.2}", virtual_times[place] / middle),
        ]);
    }
    let mut table = table.build();
    table.with(Style::markdown());
    table.modify(Columns::new(1..).not(Rows::first()), Alignment::right());
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "\n{}\n\n{table}", group.name).and_then(|()| out.flush());
    written.expect("somebody reads the report");
}

fn with_criterion(groups: &[Group]) {
    let mut criterion = Criterion::default();
    for group in groups {
        let mut measured = criterion.benchmark_group(group.name);
        for row in &group.rows {
            measured.bench_function(row.name.as_str(), |bencher| {
                bencher.iter_custom(|count| Duration::from(on_this_machine(row, count)));
            });
        }
        measured.finish();
    }
    criterion.final_summary();
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let groups = groups();
    if arguments.iter().any(|argument| argument == "--criterion") {
        with_criterion(&groups);
    } else {
        groups.iter().for_each(report);
    }
}
