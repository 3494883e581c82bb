//! What snapshots cost: writes that copy and writes that do not by lock and throttle, beside two memcpys of the same bytes;
//! looking up an exception among many; loading a store; creating a snapshot under load.
//!
//! `cargo bench -p dmlab --bench snapshot -- [--quick] [GROUP …]` prints the report, of the groups whose name contains one
//! of these texts. Samples are interleaved; a ratio of medians comes with its 95 % confidence interval, and beside it
//! stands the ratio of the fastest samples, since what else the machine does only ever adds.
//!
//! Invariant: everything runs on OS threads, on ramdisks whose pages are there before the clock starts.
//! Not here: the virtual clock (`block.rs` holds it against threads).

mod copies;
mod support;

use std::process::exit;

use dmlab_results::{BOOTSTRAP_RESAMPLES, median, ratio_of_medians};
use dmlab_units::Seed;

use copies::{groups, lookups::loading};
use support::rounds::{Effort, Group, measured, print, selected, shown};

const LEVEL: f64 = 0.95;
/// What the table of loaded stores is called.
const LOADING: &str = "loading a store";

fn report(group: &Group, effort: Effort) {
    let samples = measured(group, effort);
    let fastest = |place: usize| samples[place].iter().copied().fold(f64::INFINITY, f64::min);
    let head = ["", "median", "of the first", "95 % interval", "fastest", "of the first", "speed, of the first"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (place, row) in group.rows.iter().enumerate() {
        let middle = median(&samples[place]).expect("there are samples");
        let ratio = ratio_of_medians(&samples[0], &samples[place], BOOTSTRAP_RESAMPLES, LEVEL, Seed(1));
        let (ratio, interval) = match ratio {
            Ok(_) if place == 0 => ("1 (baseline)".to_owned(), String::new()),
            Ok(found) => (format!("{:.2}", found.ratio), format!("{:.2} to {:.2}", found.low, found.high)),
            Err(error) => (error.to_string(), String::new()),
        };
        rows.push(vec![
            row.name.clone(),
            shown(middle),
            ratio,
            interval,
            shown(fastest(place)),
            format!("{:.2}", fastest(place) / fastest(0)),
            format!("{:.0} %", 100.0 * fastest(0) / fastest(place)),
        ]);
    }
    print(&group.name, rows);
}

/// Each store is loaded a few times: the fastest counts.
fn report_loading(powers: std::ops::RangeInclusive<u32>, times: u32) {
    let head = ["exceptions", "loaded in", "each", "inspected in", "bytes of the table, each"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for exceptions in powers.map(|power| 10_u64.pow(power)) {
        let fastest = (0..times).map(|_| loading(exceptions)).min_by_key(|loading| loading.took);
        let loading = fastest.expect("it is loaded at least once");
        rows.push(vec![
            exceptions.to_string(),
            format!("{:.3} s", loading.took.0 as f64 / 1e9),
            shown(loading.took.0 as f64 / exceptions as f64),
            format!("{:.3} s", loading.inspected.0 as f64 / 1e9),
            format!("{:.1}", loading.bytes as f64 / exceptions as f64),
        ]);
    }
    print(LOADING, rows);
}

fn main() {
    let (mut effort, mut wanted) = (Effort::FULL, Vec::new());
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for argument in &arguments {
        match argument.as_str() {
            // `--test` is how criterion's benches are told to run once.
            "--quick" | "--test" => effort = Effort::QUICK,
            // From cargo.
            "--bench" => {}
            other if other.starts_with('-') => {
                eprintln!("snapshot: unknown argument {other:?}; usage: [--quick] [GROUP …]");
                exit(2);
            }
            text => wanted.push(text),
        }
    }
    let (loading, others): (Vec<&str>, Vec<&str>) = wanted.iter().partition(|text| LOADING.contains(**text));
    let only_loading = others.is_empty() && !loading.is_empty();
    let groups = if only_loading { Ok(Vec::new()) } else { selected(groups(), &others) };
    let groups = groups.unwrap_or_else(|wrong| {
        eprintln!("snapshot: {wrong}");
        exit(2);
    });
    groups.iter().for_each(|group| report(group, effort));
    if others.is_empty() || !loading.is_empty() {
        let (max, times) = if effort.rounds == Effort::FULL.rounds { (7, 3) } else { (5, 1) };
        report_loading(3..=max, times);
    }
}
