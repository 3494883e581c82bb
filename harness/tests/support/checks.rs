//! Scenarios of a few lines, around the step or expectation that a test is about.
//!
//! Not here: the tests.

use dmlab_results::CellRecord;

use super::{complaints, parsed, records};

/// What every scenario here is made of: a linear device of pieces of 8 sectors, and a striped one.
pub(crate) const HEAD: &str = "\
scenario: t/checker
about: one checker
explore: { schedules: 1000 }
devices:
  d: { ram: 64KiB }
  a: { ram: 64KiB }
  b: { ram: 64KiB }
  t: { dm: [\"0 8 linear $d 0\", \"8 8 linear $d 8\", \"16 8 linear $d 16\", \"24 8 linear $d 24\"] }
  s: { dm: [\"0 64 striped 2 8 $a 0 $b 0\"] }
";

pub(crate) const DEAD_POOLS: &str = "fault: { slab: { pool: \"t.*\", fail: always } }";
pub(crate) const STAMP: &str = "stamp: { on: t, at: 0, sectors: 32 }";

pub(crate) fn list(name: &str, items: &[&str]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let items: Vec<String> = items.iter().map(|item| format!("  - {item}\n")).collect();
    format!("{name}:\n{}", items.concat())
}

/// All cells of a scenario with these axes (`axis: value, …`), steps and expectations.
pub(crate) fn outcome(axes: &str, steps: &[&str], expect: &[&str]) -> Vec<CellRecord> {
    let text = format!("{HEAD}variants: {{ {axes} }}\n{}{}", list("steps", steps), list("expect", expect));
    records(&parsed("checker.yaml", &text), &[])
}

#[track_caller]
pub(crate) fn assert_content(records: &[CellRecord]) {
    for record in records {
        assert!(record.ok, "{}", complaints(record));
    }
}

/// Every cell fails, and says `complaint` in its mismatches or in its report.
#[track_caller]
pub(crate) fn assert_complains(records: &[CellRecord], complaint: &str) {
    for record in records {
        assert!(!record.ok, "nobody complained of {complaint:?}: {}", complaints(record));
        assert!(complaints(record).contains(complaint), "{}", complaints(record));
    }
}

/// As [`assert_complains`], for what not every schedule shows: on the explorer.
#[track_caller]
pub(crate) fn assert_explorer_complains(records: &[CellRecord], complaint: &str) {
    let explored: Vec<_> = records.iter().filter(|record| record.runtime == "explorer").cloned().collect();
    assert_eq!(explored.len(), 1);
    assert_complains(&explored, complaint);
}
