//! Who waits for what, who holds it, and the cycle: the deadlock report.
//!
//! Invariants: a report is data, built only from what objects say of their holders and what stuck tasks published;
//! building it changes nothing; the same stuck state gives the same text. It names a *cycle*, so it claims a deadlock;
//! stuck tasks without a cycle are a hang.
//! Verified: holders of every primitive are taken from its state machine. Not verified: that a task which holds a
//! pool element would ever free it (an element in flight at a device counts as held by whoever last took it on).

use std::collections::BTreeSet;
use std::fmt;
use std::panic::Location;

use super::frames::Frame;
use super::op::{ObjectId, OpKind, TaskId};

/// Who did something, where in the source, under which chain of kernel functions.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The task.
    pub task: TaskId,
    /// Its chain of functions.
    pub frame: Frame,
    /// The place in the source.
    pub at: &'static Location<'static>,
}

/// Something that others wait for, in somebody's hands.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Who can give it back.
    pub task: TaskId,
    /// Where it was taken; the task there may be another one (a bio that was handed on).
    pub taken: Site,
    /// What is held: `owner`, `reader`, `1 element`, `queued writer`, …
    pub what: String,
}

/// An object that tasks can wait for, as reports see it.
pub trait Waitable: Send + Sync {
    /// Number within the run.
    fn id(&self) -> ObjectId;
    /// Name.
    fn name(&self) -> &str;
    /// What kind of thing it is, e.g. `mutex`.
    fn label(&self) -> &'static str;
    /// Who could let `waiter` go on.
    fn holders(&self, waiter: TaskId) -> Vec<Holder>;
    /// A few words on its state.
    fn summary(&self) -> String;
}

/// A task that waits, as its driver knows it.
pub struct Stuck<'a> {
    /// Who.
    pub task: TaskId,
    /// Its name.
    pub name: &'a str,
    /// What it does.
    pub kind: OpKind,
    /// On what.
    pub object: &'a dyn Waitable,
    /// From where.
    pub site: Site,
    /// What else it keeps from others while it waits, e.g. undispatched bios on its `current->bio_list`.
    pub keeps: Vec<String>,
}

/// One arrow of the wait-for cycle: a task, what it waits for, and who holds that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Name of the waiting task.
    pub task: String,
    /// What it is doing.
    pub op: OpKind,
    /// Kind of object, e.g. `mempool`.
    pub label: &'static str,
    /// Name of the object.
    pub object: String,
    /// The object's state in words.
    pub summary: String,
    /// The task's chain of functions, innermost first.
    pub frames: Vec<&'static str>,
    /// Where in the source it waits.
    pub at: String,
    /// What it keeps from others meanwhile.
    pub keeps: Vec<String>,
    /// Who holds it: name, what, chain of functions where it was taken, place in the source.
    pub held_by: Vec<Hold>,
}

/// A holder in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Name of the task that can give it back.
    pub task: String,
    /// What it holds.
    pub what: String,
    /// Where it was taken: chain of functions, innermost first.
    pub frames: Vec<&'static str>,
    /// Where it was taken, in the source.
    pub at: String,
    /// Whether this holder is the next task of the cycle.
    pub in_cycle: bool,
}

/// Everything about a run in which some tasks can never go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckReport {
    /// The cycle, each task waiting for the next and the last for the first; empty when none is known.
    pub cycle: Vec<Link>,
    /// Stuck tasks outside the cycle.
    pub others: Vec<Link>,
}

impl StuckReport {
    /// Finds the shortest cycle among `stuck`; ties go to the lowest task.
    pub fn new(stuck: &[Stuck<'_>], name_of: &dyn Fn(TaskId) -> String) -> Self {
        let holders: Vec<Vec<Holder>> = stuck.iter().map(|task| task.object.holders(task.task)).collect();
        let position = |task: TaskId| stuck.iter().position(|other| other.task == task);
        let next: Vec<Vec<usize>> =
            holders.iter().map(|holders| holders.iter().filter_map(|holder| position(holder.task)).collect()).collect();
        let path = shortest_cycle(&next).unwrap_or_default();
        let link = |index: usize, follows: Option<usize>| {
            let task = &stuck[index];
            Link {
                task: task.name.to_owned(),
                op: task.kind,
                label: task.object.label(),
                object: task.object.name().to_owned(),
                summary: task.object.summary(),
                frames: task.site.frame.names().collect(),
                at: place(task.site.at),
                keeps: task.keeps.clone(),
                held_by: group(&holders[index], name_of, follows.map(|next| stuck[next].task)),
            }
        };
        let cycle = (0..path.len()).map(|i| link(path[i], Some(path[(i + 1) % path.len()]))).collect();
        let others = (0..stuck.len()).filter(|index| !path.contains(index)).map(|index| link(index, None)).collect();
        Self { cycle, others }
    }

    /// Every name that takes part in the cycle: objects and tasks.
    pub fn cycle_names(&self) -> BTreeSet<&str> {
        self.cycle.iter().flat_map(|link| [link.task.as_str(), link.object.as_str()]).collect()
    }

    /// The same for every schedule that ends in the same deadlock: the cycle's operations and objects, sorted.
    pub fn signature(&self) -> String {
        let parts: BTreeSet<String> =
            self.cycle.iter().map(|link| format!("{} {}", link.op.name(), link.object)).collect();
        parts.into_iter().collect::<Vec<_>>().join(", ")
    }
}

/// `file:line` with the crate-relative path only: reports must not depend on where the sources lie.
pub fn place(at: &Location<'_>) -> String {
    let file = at.file().rsplit_once("engine/src/").map_or(at.file(), |(_, rest)| rest);
    format!("{file}:{}", at.line())
}

/// Holders with the same task, chain and place are told once, with their number.
fn group(holders: &[Holder], name_of: &dyn Fn(TaskId) -> String, follows: Option<TaskId>) -> Vec<Hold> {
    let mut holds: Vec<(Hold, usize)> = Vec::new();
    for holder in holders {
        let hold = Hold {
            task: name_of(holder.task),
            what: holder.what.clone(),
            frames: holder.taken.frame.names().collect(),
            at: place(holder.taken.at),
            in_cycle: follows == Some(holder.task),
        };
        match holds.iter_mut().find(|(known, _)| *known == hold) {
            Some((_, count)) => *count += 1,
            None => holds.push((hold, 1)),
        }
    }
    holds
        .into_iter()
        .map(|(hold, count)| if count == 1 { hold } else { Hold { what: format!("{count} × {}", hold.what), ..hold } })
        .collect()
}

/// The shortest cycle of the graph `next`, as node indexes, or `None`.
fn shortest_cycle(next: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut best: Option<Vec<usize>> = None;
    for start in 0..next.len() {
        // Breadth first from `start` back to `start`.
        let mut from = vec![usize::MAX; next.len()];
        let mut queue = std::collections::VecDeque::from([start]);
        'search: while let Some(node) = queue.pop_front() {
            for &to in &next[node] {
                if to == start {
                    let mut path = vec![node];
                    while *path.last().expect("the path starts with a node") != start {
                        path.push(from[*path.last().expect("likewise")]);
                    }
                    path.reverse();
                    if best.as_ref().is_none_or(|best| path.len() < best.len()) {
                        best = Some(path);
                    }
                    break 'search;
                }
                if from[to] == usize::MAX {
                    from[to] = node;
                    queue.push_back(to);
                }
            }
        }
    }
    best
}

impl fmt::Display for StuckReport {
    /// Reads like a hung-task dump with the missing part, who holds it, filled in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cycle.len() {
            0 => writeln!(f, "{} task(s) can never go on; no wait-for cycle is known", self.others.len())?,
            1 => writeln!(f, "deadlock: {} waits for itself", self.cycle[0].task)?,
            n => writeln!(f, "deadlock: a cycle of {n} tasks")?,
        }
        for link in &self.cycle {
            write_link(f, link)?;
        }
        if !self.others.is_empty() && !self.cycle.is_empty() {
            writeln!(f, "\n{} more task(s) behind it:", self.others.len())?;
        }
        for link in &self.others {
            write_link(f, link)?;
        }
        Ok(())
    }
}

fn write_link(f: &mut fmt::Formatter<'_>, link: &Link) -> fmt::Result {
    writeln!(
        f,
        "\ntask {} waits in {} for {} \"{}\" ({})",
        link.task,
        link.op.name(),
        link.label,
        link.object,
        link.summary
    )?;
    write_stack(f, &link.frames, &link.at)?;
    for keeps in &link.keeps {
        writeln!(f, "  meanwhile it keeps {keeps}")?;
    }
    for hold in &link.held_by {
        let arrow = if hold.in_cycle { "=> held" } else { "   held" };
        writeln!(f, "  {arrow} by {}: {}, taken in", hold.task, hold.what)?;
        write_stack(f, &hold.frames, &hold.at)?;
    }
    Ok(())
}

fn write_stack(f: &mut fmt::Formatter<'_>, frames: &[&str], at: &str) -> fmt::Result {
    match frames.split_first() {
        None => writeln!(f, "      [<{at}>]"),
        Some((innermost, callers)) => {
            writeln!(f, "      {innermost} [<{at}>]")?;
            callers.iter().try_for_each(|caller| writeln!(f, "      {caller}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_cycle_is_found() {
        assert_eq!(shortest_cycle(&[vec![1], vec![2], vec![0]]), Some(vec![0, 1, 2]));
        assert_eq!(shortest_cycle(&[vec![1], vec![2, 1], vec![0]]), Some(vec![1]));
        assert_eq!(shortest_cycle(&[vec![1], vec![2], vec![]]), None);
        assert_eq!(shortest_cycle(&[vec![1, 2], vec![0], vec![1]]), Some(vec![0, 1]));
    }
}
