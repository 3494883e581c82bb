//! [`rows`]: which steps are shown, and which are told in one line.
//!
//! The first steps of the root task, before a second task appears, are set-up and become one row, but never what the
//! wait-for cycle points at and never a wait without end. Of a trace that is still too long the beginning, the end and the cycle stay.
//!
//! Invariants: every step is in exactly one row, in order; there are at most about as many rows as asked for, plus two
//! for each arrow and stuck task; nothing is left out without a row that says how much.
//! Not here: tasks and objects (`lanes`).

use std::collections::BTreeSet;

use super::lanes::Lanes;

/// A row of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// This step.
    Step(usize),
    /// Steps from the first to before the second number, in words.
    Gap(usize, usize, String),
}

/// Fewer steps than this are not worth a row that stands for them.
const SET_UP_STEPS_MIN: usize = 3;

/// The rows of a picture, at most about `most` of them.
pub(super) fn rows(lanes: &Lanes, most: usize) -> Vec<Row> {
    let steps = lanes.steps.len();
    let set_up = set_up(lanes);
    let mut shown: BTreeSet<usize> = (set_up..steps).collect();
    if shown.len() > most {
        let (head, tail) = (most / 4, most - most / 4);
        shown = (set_up..set_up + head).chain(steps - tail..steps).collect();
        let stuck = (0..lanes.lanes.len()).filter(|lane| lanes.stuck(*lane).is_some());
        shown.extend(stuck.map(|lane| lanes.lanes[lane].last));
        shown.extend(lanes.arrows.iter().flat_map(|arrow| [arrow.from, arrow.to]));
    }
    let mut rows = Vec::new();
    let mut next = 0;
    for step in shown.into_iter().chain([steps]) {
        match step - next {
            0 => {}
            // A row for one step may as well be the step.
            1 => rows.push(Row::Step(next)),
            // The set-up may be followed by what was left out.
            _ if next < set_up => {
                rows.push(Row::Gap(next, set_up, format!("… {set_up} steps of {}: set-up …", lanes.lanes[0].name)));
                if step > set_up {
                    rows.push(Row::Gap(set_up, step, left_out(step - set_up)));
                }
            }
            count => rows.push(Row::Gap(next, step, left_out(count))),
        }
        if step < steps {
            rows.push(Row::Step(step));
        }
        next = step + 1;
    }
    rows
}

fn left_out(count: usize) -> String {
    format!("… {count} steps left out …")
}

/// How many steps at the start are set-up.
fn set_up(lanes: &Lanes) -> usize {
    let pointed_at = lanes.arrows.iter().map(|arrow| arrow.to).min();
    let stuck_at = lanes.waits.iter().filter(|wait| wait.for_ever.is_some()).map(|wait| wait.from).min();
    let other = lanes.steps.iter().position(|step| step.lane != 0);
    let end = [pointed_at, stuck_at, other].into_iter().flatten().min().unwrap_or(0);
    if end < SET_UP_STEPS_MIN { 0 } else { end }
}

/// The row in which each step is: the inverse of [`rows`].
pub(super) fn row_of(rows: &[Row], step: usize) -> usize {
    let first = |row: &Row| match row {
        Row::Step(step) | Row::Gap(step, ..) => *step,
    };
    rows.partition_point(|row| first(row) <= step).saturating_sub(1)
}

/// The lanes with a step in `rows`.
pub(super) fn lanes_in(lanes: &Lanes, rows: &[Row]) -> Vec<usize> {
    let shown: BTreeSet<usize> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Step(step) => Some(lanes.steps[*step].lane),
            // Set-up is told in the lane of its task.
            Row::Gap(0, ..) => Some(0),
            Row::Gap(..) => None,
        })
        .collect();
    shown.into_iter().collect()
}

/// What is to be said of lanes without a step in the rows; `None` when there is none.
pub(super) fn lanes_left_out(lanes: &Lanes, shown: &[usize]) -> Option<String> {
    let missing = lanes.lanes.len() - shown.len();
    (missing > 0).then(|| format!("{missing} tasks have all their steps among those left out"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{lanes, opposite};
    use super::*;

    /// That every step is in one row, in order.
    #[track_caller]
    fn assert_whole(rows: &[Row], steps: usize) {
        let mut next = 0;
        for (index, row) in rows.iter().enumerate() {
            let end = match row {
                Row::Step(step) => {
                    assert_eq!(*step, next);
                    step + 1
                }
                Row::Gap(from, to, _) => {
                    assert_eq!(*from, next);
                    assert!(to > from);
                    *to
                }
            };
            assert!((next..end).all(|step| row_of(rows, step) == index));
            next = end;
        }
        assert_eq!(next, steps);
    }

    #[test]
    fn the_set_up_of_the_root_task_is_one_row() {
        let lanes = opposite();
        let rows = rows(&lanes, 100);
        assert_eq!(rows[0], Row::Gap(0, 3, "… 3 steps of main: set-up …".to_owned()));
        assert_eq!(rows[1..], [3, 4, 5, 6].map(Row::Step));
        assert_whole(&rows, 7);
    }

    #[test]
    fn what_the_cycle_points_at_is_no_set_up() {
        let text = "m mutex_lock a\nm cond_resched\nm cond_resched\nm cond_resched\nx mutex_lock b\nm mutex_lock b\nx mutex_lock a";
        let link = |task, object, holder| {
            super::super::testing::link(task, dmlab_engine::sched::OpKind::MutexLock, object, &[(holder, "owner")])
        };
        let plain = lanes(text, Vec::new());
        assert!(matches!(rows(&plain, 100)[0], Row::Gap(0, 4, _)));
        let stuck = lanes(text, vec![link("m", "b", "x"), link("x", "a", "m")]);
        assert_eq!(rows(&stuck, 100), (0..7).map(Row::Step).collect::<Vec<_>>());
    }

    #[test]
    fn a_single_task_without_a_cycle_is_all_shown() {
        let lanes = lanes(&"m cond_resched\n".repeat(10), Vec::new());
        assert_eq!(rows(&lanes, 100).len(), 10);
    }

    #[test]
    fn a_long_trace_keeps_its_two_ends_and_its_cycle_and_says_what_is_left_out() {
        let middle = "x cond_resched\n".repeat(1000);
        let text = format!("m cond_resched\nm cond_resched\nm cond_resched\n{middle}m mutex_lock a\n{middle}");
        let link = super::super::testing::link("m", dmlab_engine::sched::OpKind::MutexLock, "a", &[("m", "owner")]);
        let lanes = lanes(&text, vec![link]);
        for most in 4..40 {
            let rows = rows(&lanes, most);
            assert_whole(&rows, 2004);
            assert!(rows.contains(&Row::Step(1003)), "{most}");
            assert!(rows.len() <= most + 4, "{most}: {}", rows.len());
            assert!(rows.iter().any(|row| matches!(row, Row::Gap(_, _, text) if text.contains("steps left out"))));
        }
    }
}
