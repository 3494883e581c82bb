//! The sections of the snapshot bench and what they measure.
//!
//! Reading order: [`machines`] (origins and snapshots on ramdisks), `writes`, `lookups`, `loading`, `creation` (what a row
//! does).
//! Not here: what of it is wanted (the bench itself).

mod creation;
mod loading;
mod lookups;
mod machines;
mod writes;

use crate::support::rounds::{Effort, compared, shown};
use crate::support::tables::print;

/// Rows: their names, and nanoseconds from each round.
type Measured = Vec<(String, Vec<f64>)>;

/// Measures, and prints under a title.
type Show = Box<dyn Fn(&str, Effort)>;

/// A part of the report.
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) show: Show,
}

impl AsRef<str> for Section {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

impl Section {
    /// One that compares its rows with the first of them.
    fn comparing(name: String, measure: impl Fn(Effort) -> Measured + 'static) -> Self {
        let show = move |name: &str, effort| {
            let (names, samples): (Vec<_>, Vec<_>) = measure(effort).into_iter().unzip();
            report(name, names, &samples);
        };
        Self { name, show: Box::new(show) }
    }
}

/// All of them.
pub(crate) fn sections() -> Vec<Section> {
    let mut sections = writes::sections();
    sections.extend(lookups::sections());
    sections.push(loading::section());
    sections.push(creation::section());
    sections
}

fn report(title: &str, names: Vec<String>, samples: &[Vec<f64>]) {
    let head = ["", "median", "of the first", "95 % interval", "fastest", "of the first", "speed, of the first"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let compared = compared(samples);
    let first = compared[0].fastest;
    for (name, row) in names.into_iter().zip(compared) {
        let mut cells = vec![name, shown(row.median)];
        cells.extend(row.ratio);
        cells.extend([shown(row.fastest), format!("{:.2}", row.fastest / first)]);
        cells.push(format!("{:.0} %", 100.0 * first / row.fastest));
        rows.push(cells);
    }
    print(title, rows);
}
