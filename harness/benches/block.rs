//! What pools, rescuers, splits, submission and table swaps cost: one report in which every row is compared with a named
//! baseline of the same run, and with what the virtual clock says of it.
//!
//! `cargo bench -p dmlab --bench block -- [--quick] [--calibrate | --criterion] [GROUP …]` prints the report, of the groups
//! whose name contains one of these texts. Samples are interleaved: every row once, then every row again, so that a machine
//! that grows slow is slow for all. A ratio comes with its 95 % confidence interval. `virtual` is one run under `Fair` with
//! the cost table, the same on every machine; `virtual / measured` is how far that table is from this one.
//! `--calibrate` prints how often each row pays each cost, and the cost table that fits the fastest samples best
//! (`costs::fit`); `--criterion` gives the same rows to criterion.
//!
//! Invariant: a run that does not finish is a panic: its time would mean nothing.
//! Not here: whole scenarios, and engines of other people (`explorer_peers.rs`).

mod costs;
mod support;

use std::process::exit;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use criterion::Criterion;
use dmlab_engine::sched::Outcome;
use dmlab_engine::sched::explorer::{CostTable, Explorer, Fair, Limits};
use dmlab_units::{Nanos, Seed};

use costs::fit::{KINDS, NAMES, Point, costs, fit, only, table};
use costs::groups;
use support::rounds::{Effort, Group, Row, compared, each, measured, on_this_machine, selected, shown};
use support::tables::print;

/// Longer than any row.
const STEPS_MAX: u64 = 100_000_000;

/// What is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    Report,
    Calibration,
    Criterion,
}

fn on_the_virtual_clock(row: &Arc<Row>, count: u64, cost: CostTable) -> Nanos {
    let (there, took) = (Arc::clone(row), Arc::new(Mutex::new(Nanos::ZERO)));
    let slot = Arc::clone(&took);
    let limits = Limits { steps_max: STEPS_MAX, interrupt: Arc::default() };
    let run = Explorer::with_cost(limits, cost).run(&mut Fair::new(Seed(1)), move |current| {
        *slot.lock().expect("one task writes") = (there.model)(current, count);
    });
    assert_eq!(run.outcome, Outcome::Finished, "{}", row.name);
    *took.lock().expect("the run is over")
}

fn report(group: &Group, effort: Effort) {
    let samples = measured(group, effort);
    let virtual_time = |row: &Arc<Row>| {
        let count = effort.count(row);
        each(on_the_virtual_clock(row, count, CostTable::default()), count)
    };
    let virtual_times: Vec<f64> = group.rows.iter().map(virtual_time).collect();
    let head = ["", "measured", "of the first", "95 % interval", "virtual", "of the first", "virtual / measured"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for ((row, compared), virtual_time) in group.rows.iter().zip(compared(&samples)).zip(&virtual_times) {
        let mut cells = vec![row.name.clone(), shown(compared.median)];
        cells.extend(compared.ratio);
        cells.push(shown(*virtual_time));
        cells.extend([virtual_times[0], compared.median].map(|other| format!("{:.2}", virtual_time / other)));
        rows.push(cells);
    }
    print(&group.name, rows);
}

/// Prints what each row pays and takes, and the costs that fit best, in all that take part.
fn calibrate(groups: &[Group], effort: Effort) {
    let (mut points, mut names) = (Vec::new(), Vec::new());
    for group in groups.iter().filter(|group| group.calibrates) {
        for (row, samples) in group.rows.iter().zip(measured(group, effort)) {
            let count = effort.count(row);
            let mut paid = [0.0; KINDS];
            for (kind, paid) in paid.iter_mut().enumerate() {
                *paid = each(on_the_virtual_clock(row, count, only(kind)), count);
            }
            // What else the machine does only ever adds.
            let measured = samples.iter().copied().fold(f64::INFINITY, f64::min);
            points.push(Point { paid, measured, weight: 1.0 / group.rows.len() as f64 });
            names.push(format!("{}: {}", group.name, row.name));
        }
    }
    let (now, best) = (costs(&CostTable::default()), fit(&points, costs(&CostTable::default())));
    let rounded = costs(&table(&best));
    let mut rows = vec![["row", "fastest"].map(str::to_owned).to_vec()];
    rows[0].extend(NAMES.map(str::to_owned));
    rows[0].extend(["as it is / measured", "fitted / measured"].map(str::to_owned));
    for (point, name) in points.iter().zip(names) {
        let mut row = vec![name, shown(point.measured)];
        row.extend(point.paid.map(|paid| format!("{paid:.2}")));
        row.extend([now, rounded].map(|costs| format!("{:.2}", point.under(&costs) / point.measured)));
        rows.push(row);
    }
    print("What a row pays each time, and its time by the table as it is and as it would fit", rows);
    let cost = |kind: usize| vec![NAMES[kind].to_owned(), format!("{} ns", now[kind]), format!("{:.1} ns", best[kind])];
    let head = ["cost", "as it is", "fitted"].map(str::to_owned).to_vec();
    print("The cost table", std::iter::once(head).chain((0..KINDS).map(cost)).collect());
}

fn with_criterion(groups: &[Group]) {
    let mut criterion = Criterion::default();
    for group in groups {
        let mut measured = criterion.benchmark_group(group.name.as_str());
        for row in &group.rows {
            measured.bench_function(row.name.as_str(), |bencher| {
                bencher.iter_custom(|count| Duration::from(on_this_machine(row, count)));
            });
        }
        measured.finish();
    }
    criterion.final_summary();
}

/// What is asked for: what is shown, how much is measured, of which groups.
fn asked(arguments: &[String]) -> Result<(Show, Effort, Vec<Group>), String> {
    let (mut show, mut effort, mut wanted) = (Show::Report, Effort::FULL, Vec::new());
    for argument in arguments {
        match argument.as_str() {
            // `--test` is how criterion's benches are told to run once.
            "--quick" | "--test" => effort = Effort::QUICK,
            "--calibrate" => show = Show::Calibration,
            "--criterion" => show = Show::Criterion,
            // From cargo.
            "--bench" => {}
            other if other.starts_with('-') => return Err(format!("unknown argument {other:?}")),
            text => wanted.push(text),
        }
    }
    let groups = selected(groups(), &wanted)?;
    if show == Show::Calibration && !groups.iter().any(|group| group.calibrates) {
        return Err("none of these groups is calibrated by".to_owned());
    }
    Ok((show, effort, groups))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (show, effort, groups) = asked(&arguments).unwrap_or_else(|wrong| {
        eprintln!("block: {wrong}; usage: [--quick] [--calibrate | --criterion] [GROUP …]");
        exit(2);
    });
    match show {
        Show::Report => groups.iter().for_each(|group| report(group, effort)),
        Show::Calibration => calibrate(&groups, effort),
        Show::Criterion => with_criterion(&groups),
    }
}
