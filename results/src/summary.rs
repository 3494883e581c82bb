//! [`summary`]: the one line that says what came of a run.
//!
//! Invariants: every cell is counted in exactly one of "as expected", "not" and "skipped"; one line, no control
//! characters.
//! Not here: the exit code (`exit`), details (`table` and the reports of the cells).

use std::collections::BTreeMap;

use crate::rows::Judgement;
use crate::{CellRecord, Proof, Record, Strength, human};

/// How many cells are named that did not come out as expected; the rest are counted.
const NAMES_SHOWN: usize = 3;

/// For example `62 cells: 58 as expected, 1 not (snapshot/create wait=off [explorer]), 3 skipped; 21.4 s; 240 k
/// schedules, 0 unexpected deadlocks`, without a newline. With explorations it also says what they are worth, as in `; 40
/// proved, 9 not found`, behind the cells.
///
/// The time is the sum over the cells: real time, or virtual time when the record has no other.
pub fn summary(record: &Record) -> String {
    let of = |judgement| record.cells.iter().filter(move |cell| Judgement::of(cell) == judgement);
    let number = |judgement| of(judgement).count() as u64;

    let mut parts = vec![format!("{} as expected", human::count(number(Judgement::Met)))];
    if number(Judgement::NotMet) > 0 {
        let cells: Vec<_> = of(Judgement::NotMet).collect();
        parts.push(format!("{} not ({})", human::count(cells.len() as u64), names(&cells)));
    }
    if number(Judgement::Skipped) > 0 {
        parts.push(format!("{} skipped", human::count(number(Judgement::Skipped))));
    }
    let mut line = format!("{}: {}", human::plural(record.cells.len() as u64, "cell"), parts.join(", "));
    if record.interrupted {
        line.insert_str(0, "interrupted after ");
    }
    for part in [strengths(record), time(record), schedules(record)].into_iter().flatten() {
        line.push_str("; ");
        line.push_str(&part);
    }
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn names(cells: &[&CellRecord]) -> String {
    let mut names: Vec<_> =
        cells.iter().take(NAMES_SHOWN).map(|cell| format!("{} {}", cell.scenario, cell.name_in_scenario())).collect();
    if cells.len() > NAMES_SHOWN {
        names.push(format!("{} more", human::count((cells.len() - NAMES_SHOWN) as u64)));
    }
    names.join(", ")
}

fn time(record: &Record) -> Option<String> {
    let sum = |ns: fn(&CellRecord) -> Option<u64>| {
        record.cells.iter().filter_map(ns).reduce(u64::saturating_add).map(human::duration)
    };
    sum(|cell| cell.wall_ns).or_else(|| Some(format!("{} of virtual time", sum(|cell| cell.virtual_ns)?)))
}

fn schedules(record: &Record) -> Option<String> {
    let explored: Vec<_> = record.cells.iter().filter_map(|cell| cell.exploration.as_ref()).collect();
    if explored.is_empty() {
        return None;
    }
    let schedules = explored.iter().fold(0_u64, |sum, exploration| sum.saturating_add(exploration.schedules));
    let unexpected = record.cells.iter().filter(|cell| cell.verdict == crate::Verdict::Deadlock && !cell.ok).count();
    Some(format!(
        "{}, {}",
        human::plural(schedules, "schedule"),
        human::plural(unexpected as u64, "unexpected deadlock")
    ))
}

/// How many explorations are worth what, from the strongest; of a shard it is the worth of its part.
fn strengths(record: &Record) -> Option<String> {
    let kind = |strength: &Strength| match strength {
        Strength::Proved { .. } => (0, "proved".to_owned()),
        Strength::ProvedUpTo { preemptions, .. } => (1, Proof::UpTo(*preemptions).to_string()),
        Strength::NotProved { .. } => (2, "not proved".to_owned()),
        Strength::NotFound { .. } => (3, "not found".to_owned()),
        Strength::Found { .. } => (4, "found".to_owned()),
    };
    let mut kinds: BTreeMap<(u8, String), u64> = BTreeMap::new();
    for exploration in record.cells.iter().filter_map(|cell| cell.exploration.as_ref()) {
        *kinds.entry(kind(&exploration.strength)).or_default() += 1;
    }
    let texts: Vec<_> = kinds.iter().map(|((_, kind), number)| format!("{} {kind}", human::count(*number))).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_run_is_summed_up_in_one_line() {
        assert_eq!(
            summary(&testing::record()),
            "4 cells: 2 as expected, 1 not (snapshot/cow-throttle cow_throttle=semaphore [explorer]), 1 skipped; \
             1 proved, 1 found; 21.4 s; 240 k schedules, 1 unexpected deadlock"
        );
    }

    #[test]
    fn an_expected_deadlock_is_as_expected() {
        let mut record = testing::record();
        record.cells[1].ok = true;
        assert_eq!(
            summary(&record),
            "4 cells: 3 as expected, 1 skipped; 1 proved, 1 found; 21.4 s; 240 k schedules, \
             0 unexpected deadlocks"
        );
    }

    #[test]
    fn virtual_time_counts_where_there_is_no_other() {
        let mut record = testing::record();
        record.cells.truncate(1);
        record.cells[0].wall_ns = None;
        assert_eq!(summary(&record), "1 cell: 1 as expected");
        record.cells[0].virtual_ns = Some(5_000_000);
        assert_eq!(summary(&record), "1 cell: 1 as expected; 5.00 ms of virtual time");
    }

    #[test]
    fn many_failures_are_counted_and_not_all_named() {
        let mut record = testing::record();
        record.cells = vec![testing::deadlocked(); 5];
        record.interrupted = true;
        let line = summary(&record);
        assert!(line.starts_with("interrupted after 5 cells: 0 as expected, 5 not ("), "{line}");
        assert_eq!(line.matches("cow_throttle=semaphore").count(), 3);
        assert!(line.contains(", 2 more); 5 found; 101 s; 1.20 M schedules, 5 unexpected deadlocks"), "{line}");
    }

    #[test]
    fn a_run_without_cells_says_so() {
        let mut record = testing::record();
        record.cells.clear();
        assert_eq!(summary(&record), "0 cells: 0 as expected");
    }
}
