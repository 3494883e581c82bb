//! [`junit`]: the record as JUnit XML, which every CI system shows.
//!
//! Invariants: a suite per scenario in the order of their first cells, a case per cell; names of cases are unique in
//! their suite (systems merge equal ones); no time stamps, no random identifiers, so equal records give equal files.
//! Not here: measurements (JUnit has no place for them); escaping, and the removal of what XML cannot carry
//! (quick-junit does both).

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::rows::Judgement;
use crate::{CellRecord, Record, Verdict};

/// The record as a JUnit report.
///
/// # Panics
/// Never: the report is written into memory.
pub fn junit(record: &Record) -> String {
    let mut report = Report::new("dmlab");
    report.set_time(total(&record.cells));
    for cells in by_scenario(&record.cells) {
        report.add_test_suite(suite(record, &cells));
    }
    report.to_string().expect("memory takes any report")
}

/// Cells grouped by scenario. Cells of one scenario need not stand together when several backends took turns.
fn by_scenario(cells: &[CellRecord]) -> Vec<Vec<&CellRecord>> {
    let mut groups: Vec<Vec<&CellRecord>> = Vec::new();
    for cell in cells {
        match groups.iter_mut().find(|group| group[0].scenario == cell.scenario) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups
}

fn suite(record: &Record, cells: &[&CellRecord]) -> TestSuite {
    let mut suite = TestSuite::new(&cells[0].scenario);
    suite.set_time(total(cells.iter().copied()));
    suite.add_property(("dmlab", record.dmlab.as_str()));
    suite.add_property(("seed", record.seed.to_string().as_str()));
    suite.add_property(("clock", record.clock.as_str()));
    let mut names: Vec<String> = Vec::new();
    for cell in cells {
        let name = cell.name_in_scenario();
        let earlier = names.iter().filter(|earlier| **earlier == name).count();
        suite.add_test_case(case(cell, if earlier == 0 { name.clone() } else { format!("{name} #{}", earlier + 1) }));
        names.push(name);
    }
    suite
}

fn case(cell: &CellRecord, name: String) -> TestCase {
    let mut case = TestCase::new(name, status(cell));
    case.set_classname(&cell.scenario);
    case.set_time(elapsed(cell));
    case.add_property(("seed", cell.seed.to_string().as_str()));
    case.add_property(("verdict", cell.verdict.as_str()));
    if let Some(exploration) = &cell.exploration {
        case.add_property(("strength", exploration.strength.to_string().as_str()));
        if let Some(shard) = exploration.shard {
            case.add_property(("shard", shard.to_string().as_str()));
        }
    }
    if let Some(trace) = &cell.trace_file {
        case.add_property(("trace", trace.as_str()));
    }
    // The report of a cell that was to deadlock is worth reading although nothing failed.
    if let (Judgement::Met, Some(report)) = (Judgement::of(cell), &cell.report) {
        case.set_system_out(report);
    }
    case
}

fn status(cell: &CellRecord) -> TestCaseStatus {
    match Judgement::of(cell) {
        Judgement::Met => TestCaseStatus::success(),
        Judgement::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(cell.report.as_deref().unwrap_or("no reason was recorded"));
            status
        }
        Judgement::NotMet => {
            // JUnit: a failure is about what was tested, an error about the test.
            let kind = match cell.verdict {
                Verdict::Error | Verdict::Panic => NonSuccessKind::Error,
                _ => NonSuccessKind::Failure,
            };
            let mut status = TestCaseStatus::non_success(kind);
            let message = match cell.mismatches.first() {
                Some(mismatch) => mismatch.clone(),
                None => format!("expected {}, found {}", cell.expected, cell.verdict),
            };
            let body: Vec<&str> = cell.mismatches.iter().map(String::as_str).chain(cell.report.as_deref()).collect();
            status.set_message(message).set_type(cell.verdict.as_str()).set_description(body.join("\n"));
            status
        }
    }
}

fn elapsed(cell: &CellRecord) -> Duration {
    Duration::from_nanos(cell.elapsed_ns().unwrap_or(0))
}

fn total<'a>(cells: impl IntoIterator<Item = &'a CellRecord>) -> Duration {
    cells.into_iter().map(elapsed).fold(Duration::ZERO, Duration::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_junit_report() {
        assert_eq!(junit(&testing::record()), include_str!("../golden/junit.xml"));
    }

    #[test]
    fn the_report_reads_back_with_the_same_counts() {
        let mut record = testing::record();
        let mut broken = testing::cell();
        (broken.verdict, broken.ok) = (Verdict::Error, false);
        record.cells.push(broken);
        let report = Report::deserialize_from_str(&junit(&record)).unwrap();
        assert_eq!((report.tests, report.failures, report.errors), (5, 1, 1));
        let suites: Vec<_> = report.test_suites.iter().map(|suite| (suite.name.as_str(), suite.tests)).collect();
        assert_eq!(suites, [("snapshot/cow-throttle", 4), ("mpath/failover", 1)]);
        let failed = &report.test_suites[0].test_cases[1];
        let TestCaseStatus::NonSuccess { description: Some(body), ty, .. } = &failed.status else {
            panic!("{failed:?}")
        };
        // What the report said is there again, angle brackets included, without the terminal's escapes.
        assert_eq!(
            body.as_str(),
            "expected pass, found deadlock\nw0 holds <origins_lock> & waits for cow_count\nw1 holds cow_count"
        );
        assert_eq!(ty.as_ref().unwrap().as_str(), "deadlock");
    }

    #[test]
    fn a_cell_that_is_not_ok_always_fails_its_case() {
        for verdict in Verdict::ALL {
            let mut record = testing::record();
            record.cells = vec![testing::cell()];
            record.cells[0].verdict = verdict;
            record.cells[0].ok = false;
            let text = junit(&record);
            let found = format!("message=\"expected pass, found {verdict}\" type=\"{verdict}\"");
            assert!(text.contains(&found), "{text}");
            assert!(!text.contains("<skipped"), "{text}");
        }
    }

    #[test]
    fn an_expected_deadlock_passes_and_shows_its_report() {
        let mut record = testing::record();
        record.cells = vec![testing::deadlocked()];
        record.cells[0].ok = true;
        let text = junit(&record);
        assert!(text.contains("failures=\"0\"") && text.contains("<system-out>w0 holds &lt;origins_lock"), "{text}");
    }

    #[test]
    fn equal_cells_get_different_names() {
        let mut record = testing::record();
        record.cells = vec![testing::cell(); 3];
        let text = junit(&record);
        for name in ["[threads]\"", "[threads] #2\"", "[threads] #3\""] {
            assert_eq!(text.matches(name).count(), 1, "{name} in {text}");
        }
    }
}
