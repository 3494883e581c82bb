//! [`beside`]: backends beside each other: a row per scenario and variant, a column per runtime of the engine and per kernel.
//!
//! Invariants: every cell of the record is in the table; what was not met is marked; reasons of skips are told once each,
//! with how many cells they are the reason of.
//! Not here: the table of one backend (`table`).

use std::collections::BTreeMap;

use tabled::builder::Builder;
use tabled::settings::Style;

use crate::rows::NOTHING;
use crate::{CellRecord, Record};

/// The axis that names a guest's kernel.
const KERNEL: &str = "kernel";

/// Longer reasons are cut, and those that begin alike are counted together.
const REASON_CHARS_MAX: usize = 100;

/// The table of a record in which more than the engine ran, with a newline at the end; `None` for other records.
pub fn beside(record: &Record) -> Option<String> {
    if record.cells.iter().all(|cell| cell.backend == "engine") {
        return None;
    }
    let (mut columns, mut rows): (Vec<String>, Vec<(String, String)>) = (Vec::new(), Vec::new());
    let mut verdicts: BTreeMap<((String, String), String), String> = BTreeMap::new();
    let mut reasons: BTreeMap<(String, String), usize> = BTreeMap::new();
    for cell in &record.cells {
        let (column, row) = (column(cell), (cell.scenario.clone(), variant(cell)));
        if !columns.contains(&column) {
            columns.push(column.clone());
        }
        if !rows.contains(&row) {
            rows.push(row.clone());
        }
        if cell.is_skipped() {
            *reasons.entry((column.clone(), reason(cell))).or_default() += 1;
        }
        let text = if cell.ok { cell.verdict.to_string() } else { format!("{} NOT MET", cell.verdict) };
        verdicts.insert((row, column), text);
    }
    // Scenarios stay together, whichever backend has more cells of them.
    let order: Vec<String> = rows.iter().map(|(scenario, _)| scenario.clone()).collect();
    rows.sort_by_key(|(scenario, _)| order.iter().position(|known| known == scenario));
    let mut builder = Builder::default();
    builder.push_record(["scenario", "variant"].into_iter().map(str::to_owned).chain(columns.iter().cloned()));
    for row in &rows {
        let verdict = |column: &String| {
            verdicts.get(&(row.clone(), column.clone())).cloned().unwrap_or_else(|| NOTHING.to_owned())
        };
        let head = [row.0.clone(), if row.1.is_empty() { NOTHING.to_owned() } else { row.1.clone() }];
        builder.push_record(head.into_iter().chain(columns.iter().map(verdict)));
    }
    let mut table = builder.build();
    table.with(Style::sharp());
    let mut text = format!("{table}\n");
    for ((column, reason), cells) in reasons {
        text.push_str(&format!("skipped on {column}: {cells} × {reason}\n"));
    }
    Some(text)
}

/// Where a cell ran: the runtime on the engine, else the backend and its kernel.
fn column(cell: &CellRecord) -> String {
    if cell.backend == "engine" {
        return cell.runtime.clone();
    }
    let kernel = cell.variant.iter().find(|(axis, _)| axis == KERNEL);
    kernel.map_or_else(|| cell.backend.clone(), |(_, kernel)| format!("{} {kernel}", cell.backend))
}

/// The variant without the kernel.
fn variant(cell: &CellRecord) -> String {
    let own = |axis: &str| cell.backend == "engine" || axis != KERNEL;
    let pairs = cell.variant.iter().filter(|(axis, _)| own(axis)).map(|(axis, value)| format!("{axis}={value}"));
    pairs.collect::<Vec<_>>().join(" ")
}

/// Why a cell was skipped, in a line.
fn reason(cell: &CellRecord) -> String {
    let text: String = cell.report.as_deref().unwrap_or("no reason").lines().next().unwrap_or_default().to_owned();
    // Where in a file a reason stands tells it from no other one.
    let text = match text.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
        Some((_, rest)) => rest.to_owned(),
        None => text,
    };
    let clean: String = text.chars().filter(|c| !c.is_control()).collect();
    match clean.char_indices().nth(REASON_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &clean[..at]),
        None => clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Verdict, testing};

    fn guest(kernel: &str, verdict: Verdict, ok: bool) -> CellRecord {
        let mut cell = testing::cell();
        cell.backend = "guest".to_owned();
        cell.variant.push((KERNEL.to_owned(), kernel.to_owned()));
        (cell.verdict, cell.ok) = (verdict, ok);
        cell
    }

    #[test]
    fn a_record_of_the_engine_alone_has_no_such_table() {
        let mut record = testing::record();
        record.cells.retain(|cell| cell.backend == "engine");
        assert!(record.cells.len() > 1);
        assert_eq!(beside(&record), None);
    }

    #[test]
    fn backends_and_kernels_are_columns_and_variants_are_rows() {
        let mut record = testing::record();
        record.cells = vec![testing::cell(), guest("6.1", Verdict::Pass, true), guest("6.12", Verdict::Hang, false)];
        let mut skipped = guest("6.1", Verdict::Skip, true);
        skipped.variant[0].1 = "none".to_owned();
        skipped.report = Some("line 7: cow_throttle=none is not what 6.1 does".to_owned());
        record.cells.push(skipped);
        let text = beside(&record).unwrap();
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert!(lines.iter().any(|line| line == "│ scenario │ variant │ threads │ guest 6.1 │ guest 6.12 │"), "{text}");
        let row = "│ snapshot/cow-throttle │ cow_throttle=wait snapshots=8 │ pass │ pass │ hang NOT MET │";
        assert!(lines.iter().any(|line| line == row), "{text}");
        let row = "│ snapshot/cow-throttle │ cow_throttle=none snapshots=8 │ - │ skip │ - │";
        assert!(lines.iter().any(|line| line == row), "{text}");
        assert!(text.ends_with("skipped on guest 6.1: 1 × cow_throttle=none is not what 6.1 does\n"), "{text}");
    }
}
