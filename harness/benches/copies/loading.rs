//! Loading a store: by the constructor of a snapshot, and by `dmlab cow inspect`.
//!
//! Not here: making stores (`machines`).

use dmlab::cow::inspect;
use dmlab_engine::targets::snapshot::Registry;
use dmlab_units::Nanos;

use super::Section;
use super::lookups::sizes;
use super::machines::{Image, load, store};
use crate::support::on_threads;
use crate::support::rounds::{Effort, shown};
use crate::support::tables::print;

/// Problems that a report of `inspect` lists.
const PROBLEMS_MAX: u64 = 20;

/// What loading a store came to.
struct Loading {
    /// The time in which the constructor read all of it.
    took: Nanos,
    /// The time in which `dmlab cow inspect` reads and checks all of it.
    inspected: Nanos,
    /// Of the table of completed exceptions.
    bytes: usize,
}

pub(super) fn section() -> Section {
    Section { name: "loading a store".to_owned(), show: Box::new(show) }
}

/// Each store is loaded a few times: the fastest counts.
fn show(title: &str, effort: Effort) {
    let head = ["exceptions", "loaded in", "each", "inspected in", "each", "bytes of the table, each"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (_, exceptions) in sizes(effort) {
        let loadings: Vec<Loading> = (0..if effort.is_full() { 3 } else { 1 }).map(|_| loading(exceptions)).collect();
        let fastest = |of: fn(&Loading) -> Nanos| {
            let nanos = loadings.iter().map(of).min().expect("it is loaded at least once").0 as f64;
            [format!("{:.3} s", nanos / 1e9), shown(nanos / exceptions as f64)]
        };
        let bytes = loadings[0].bytes as f64 / exceptions as f64;
        let mut row = vec![exceptions.to_string()];
        row.extend(fastest(|loading| loading.took));
        row.extend(fastest(|loading| loading.inspected));
        row.push(format!("{bytes:.1}"));
        rows.push(row);
    }
    print(title, rows);
}

/// Loads a store of so many exceptions as the constructor of a snapshot does: areas read from a ramdisk, every exception put
/// into the table.
fn loading(exceptions: u64) -> Loading {
    on_threads(move |current| {
        let store = store(current, exceptions);
        let began = current.now();
        load(current, &store);
        let took = current.now().saturating_sub(began);
        let (entries, bytes) = Registry::of(current, store.machine.core()).tables(current);
        assert_eq!(entries as u64, exceptions, "no two are neighbours, and none is lost");
        let began = current.now();
        let report = inspect(&mut Image::new(exceptions), PROBLEMS_MAX).expect("an image can be read");
        let inspected = current.now().saturating_sub(began);
        assert_eq!((report.exceptions, &report.problems[..]), (exceptions, &[][..]));
        Loading { took, inspected, bytes }
    })
}
