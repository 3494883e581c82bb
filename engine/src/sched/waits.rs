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
    /// Whether one release by any holder would do, so that a waiter is stuck only if all holders are.
    fn any_release_suffices(&self) -> bool;
    /// Whether nobody but the holders could let a waiter go on.
    fn holders_are_certain(&self) -> bool;
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
    /// Whether nobody but the holders could let it go on.
    pub holders_are_certain: bool,
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
    /// Whether this holder is itself one of the tasks that wait for each other.
    pub in_cycle: bool,
}

/// Everything about a run in which some tasks can never go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckReport {
    /// The tasks that wait for each other, in an order that follows the arrows; empty when none are known.
    pub cycle: Vec<Link>,
    /// Stuck tasks outside the cycle.
    pub others: Vec<Link>,
}

impl StuckReport {
    /// Finds out which of the `stuck` tasks wait for each other (see `knot`) and which only stand behind them.
    pub fn new(stuck: &[Stuck<'_>], name_of: &dyn Fn(TaskId) -> String) -> Self {
        let holders: Vec<Vec<Holder>> = stuck.iter().map(|task| task.object.holders(task.task)).collect();
        let position = |task: TaskId| stuck.iter().position(|other| other.task == task);
        let next: Vec<Vec<usize>> =
            holders.iter().map(|holders| holders.iter().filter_map(|holder| position(holder.task)).collect()).collect();
        let any: Vec<bool> = stuck.iter().map(|task| task.object.any_release_suffices()).collect();
        // A holder that is not stuck itself may still give an element back: then nobody is known to be stuck for ever.
        let all_stuck = |index: usize| next[index].len() == holders[index].len();
        let certain: Vec<bool> = (0..stuck.len()).map(|index| !any[index] || all_stuck(index)).collect();
        let members = knot(&next, &any, &certain);
        let link = |index: usize| {
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
                holders_are_certain: task.object.holders_are_certain(),
                held_by: group(&holders[index], name_of, &|task| {
                    position(task).is_some_and(|at| members.contains(&at))
                }),
            }
        };
        let cycle = members.iter().map(|&index| link(index)).collect();
        let others = (0..stuck.len()).filter(|index| !members.contains(index)).map(link).collect();
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
fn group(holders: &[Holder], name_of: &dyn Fn(TaskId) -> String, in_cycle: &dyn Fn(TaskId) -> bool) -> Vec<Hold> {
    let mut holds: Vec<(Hold, usize)> = Vec::new();
    for holder in holders {
        let hold = Hold {
            task: name_of(holder.task),
            what: holder.what.clone(),
            frames: holder.taken.frame.names().collect(),
            at: place(holder.taken.at),
            in_cycle: in_cycle(holder.task),
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

/// The tasks that wait for each other: the smallest set of nodes of `next` that is stuck by itself, in an order that
/// follows the arrows as far as it can; empty when there is none.
///
/// Where any holder could let a waiter go on (`any`), the waiter is stuck only if all of them are: then all belong to
/// the set. Such a set is a strongly connected component that no arrow leaves. Where every holder keeps the waiter for
/// itself, one arrow back is enough: a cycle of such arrows is stuck wherever else they lead.
fn knot(next: &[Vec<usize>], any: &[bool], certain: &[bool]) -> Vec<usize> {
    let reach: Vec<BTreeSet<usize>> = (0..next.len()).map(|start| reachable(next, start)).collect();
    let component = |node: usize| -> Vec<usize> {
        reach[node].iter().copied().filter(|other| reach[*other].contains(&node)).collect()
    };
    let closed = |members: &[usize]| {
        let inside = |node: &usize| members.contains(node);
        members.iter().all(|&node| certain[node] && next[node].iter().all(inside))
    };
    let components = (0..next.len()).map(component).filter(|members| !members.is_empty());
    let best = components.filter(|members| closed(members)).min_by_key(Vec::len);
    let best = best.or_else(|| {
        let each: Vec<Vec<usize>> =
            next.iter().zip(any).map(|(next, any)| if *any { Vec::new() } else { next.clone() }).collect();
        shortest_cycle(&each)
    });
    best.map_or_else(Vec::new, |members| in_order(&members, next))
}

/// What can be reached from `start` by one arrow or more.
fn reachable(next: &[Vec<usize>], start: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        open.extend(next[node].iter().filter(|to| reached.insert(**to)));
    }
    reached
}

/// From the first member along the arrows, then whoever was not met.
fn in_order(members: &[usize], next: &[Vec<usize>]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    let mut at = members.first().copied();
    while let Some(node) = at {
        order.push(node);
        at = next[node].iter().copied().find(|to| members.contains(to) && !order.contains(to));
    }
    order.extend(members.iter().filter(|member| !order.contains(member)).copied().collect::<Vec<_>>());
    order
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
            n => {
                let names: Vec<&str> = self.cycle.iter().map(|link| link.task.as_str()).collect();
                writeln!(f, "deadlock: {n} tasks wait for each other: {}", names.join(" -> "))?;
            }
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

    #[test]
    fn where_any_holder_would_do_all_holders_belong_to_the_knot() {
        // 0 waits for a pool whose elements 1 and 2 hold; both wait for it, too; 3 stands behind 0.
        let next = [vec![1, 2], vec![1, 2], vec![1, 2], vec![0]];
        assert_eq!(knot(&next, &[true; 4], &[true; 4]), [1, 2]);
        // With locks, the smallest circle is enough.
        assert_eq!(knot(&[vec![1, 2], vec![0], vec![3], vec![]], &[false; 4], &[true; 4]), [0, 1]);
        // A pool with a holder that may still run is no deadlock.
        assert!(knot(&[vec![0]], &[true], &[false]).is_empty());
    }
}
