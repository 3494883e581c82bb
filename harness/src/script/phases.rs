//! [`Phases`]: which part of a performance it is, as the scenario names its parts.
//!
//! Nothing decides anything by it: it is written down for results, and explored schedules, which have none, never read it.
//!
//! Invariant: marks come in the order of the clock.
//! Not here: results of a phase (`load::tally`).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use dmlab_units::Nanos;

/// The phases so far.
#[derive(Default)]
pub(super) struct Phases {
    marks: Mutex<Vec<Mark>>,
    /// How many marks there are: who has seen as many need not look.
    count: AtomicUsize,
}

/// From here on it is this phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its name.
    pub name: String,
    /// Since when.
    pub begin: Nanos,
}

impl Phases {
    /// From `now` on it is this phase.
    pub(super) fn begin(&self, name: &str, now: Nanos) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have looked at the clock later and come first.
        let begin = marks.last().map_or(now, |last| last.begin.max(now));
        marks.push(Mark { name: name.to_owned(), begin });
        self.count.store(marks.len(), Ordering::Release);
    }

    /// Brings what is known of the marks up to date.
    pub(super) fn refresh(&self, known: &mut Vec<Mark>) {
        if self.count.load(Ordering::Acquire) != known.len() {
            known.clone_from(&self.marks.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// The phase at a time; `None` is before the first.
pub(super) fn phase_at(marks: &[Mark], time: Nanos) -> Option<&str> {
    let begun = marks.partition_point(|mark| mark.begin <= time);
    Some(&marks[begun.checked_sub(1)?].name)
}

/// How much of `span` lies in the phase of this name.
pub(super) fn time_in(marks: &[Mark], name: Option<&str>, span: (Nanos, Nanos)) -> Nanos {
    let ends = marks.iter().map(|mark| mark.begin).chain([Nanos(u64::MAX)]);
    let begins = [(None, Nanos::ZERO)].into_iter().chain(marks.iter().map(|mark| (Some(&*mark.name), mark.begin)));
    let overlaps = begins
        .zip(ends)
        .filter(|((phase, _), _)| *phase == name)
        .map(|((_, begin), end)| end.min(span.1).saturating_sub(begin.max(span.0)).0);
    Nanos(overlaps.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_phase_that_began_last() {
        let phases = Phases::default();
        let mut marks = Vec::new();
        for (name, begin) in [("a", 10), ("b", 20), ("a", 40)] {
            phases.begin(name, Nanos(begin));
        }
        phases.refresh(&mut marks);
        let at = |time| phase_at(&marks, Nanos(time));
        assert_eq!([at(9), at(10), at(19), at(20), at(50)], [None, Some("a"), Some("a"), Some("b"), Some("a")]);
        let within = |name| time_in(&marks, name, (Nanos(5), Nanos(45))).0;
        assert_eq!([within(None), within(Some("a")), within(Some("b"))], [5, 15, 20]);
        assert_eq!(time_in(&[], None, (Nanos(5), Nanos(45))), Nanos(40));
    }
}
