//! What the tests of pictures share: traces written as text, and reports for them.
//!
//! Not here: traces of real runs (`tests/picture.rs`).

use dmlab_engine::sched::waits::{Hold, Link, StuckReport};
use dmlab_engine::sched::{OpKind, TaskId};

use super::lanes::Lanes;
use crate::backend::engine::TraceStep;

/// Steps from lines of `task operation object argument`, the latter two as far as there are some. Tasks are numbered
/// in the order of appearance.
pub(super) fn steps(text: &str) -> Vec<TraceStep> {
    let mut names: Vec<&str> = Vec::new();
    let step = |line| {
        let words: Vec<&str> = str::split_whitespace(line).collect();
        let [name, op] = [words[0], words[1]];
        let task = names.iter().position(|known| *known == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
        TraceStep {
            task: TaskId(task as u32),
            name: name.to_owned(),
            op: OpKind::from_name(op).unwrap_or_else(|| panic!("there is no operation {op}")),
            object: words.get(2).copied().unwrap_or_default().to_owned(),
            arg: words.get(3).map_or(0, |arg| arg.parse().expect("the argument is a number")),
            taken: None,
        }
    };
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(step).collect()
}

/// The lanes of such steps, with these tasks stuck in a cycle.
pub(super) fn lanes(text: &str, cycle: Vec<Link>) -> Lanes {
    let report = StuckReport { cycle, others: Vec::new() };
    Lanes::of(&steps(text), (!report.cycle.is_empty()).then_some(&report))
}

/// `task` waits in `op` for `object`, which each of `holders` holds as something.
pub(super) fn link(task: &str, op: OpKind, object: &str, holders: &[(&str, &str)]) -> Link {
    let hold = |(task, what): &(&str, &str)| Hold {
        task: (*task).to_owned(),
        what: (*what).to_owned(),
        frames: vec!["dm_submit_bio"],
        at: "dm/split.rs:1".to_owned(),
        in_cycle: true,
    };
    Link {
        task: task.to_owned(),
        op,
        label: "lock",
        object: object.to_owned(),
        summary: "held".to_owned(),
        frames: vec!["dm_submit_bio"],
        at: "dm/split.rs:1".to_owned(),
        keeps: Vec::new(),
        holders_are_certain: true,
        held_by: holders.iter().map(hold).collect(),
    }
}

/// Two tasks that take two mutexes in opposite order.
pub(super) const OPPOSITE: &str = "
    main mutex_lock s
    main mutex_unlock s
    main queue_work wq
    one mutex_lock a
    two mutex_lock b
    one mutex_lock b
    two mutex_lock a
";

/// The lanes of [`OPPOSITE`].
pub(super) fn opposite() -> Lanes {
    let links = [("one", "b", "two"), ("two", "a", "one")];
    let link = |(task, object, holder)| link(task, OpKind::MutexLock, object, &[(holder, "owner")]);
    lanes(OPPOSITE, links.map(link).to_vec())
}
