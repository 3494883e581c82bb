//! [`CycleMatch`]: whether the tasks that are stuck in a real kernel are those of the engine's deadlock.
//!
//! The engine names its functions as the kernel does, so a party of its cycle is recognised by its chain of functions: those
//! that say something (`GENERIC` ones do not) have to stand on the task's stack in the same order. Compilers inline, and
//! the engine leaves out what it has no use for, so half of them are enough; each task stands for one party.
//!
//! Invariants: the same cycle is claimed only if every party has a task of its own; tasks that are left over stand behind.
//! Not here: what the kernel's tasks wait for: a stack does not tell which lock.

use std::fmt;

use dmlab_engine::sched::waits::{Link, StuckReport};

use super::tasks::StuckTask;

/// Functions through which every bio or every task goes.
const GENERIC: &[&str] = &[
    "__map_bio",
    "__submit_bio",
    "bio_wait",
    "blk_wait_io",
    "dm_submit_bio",
    "do_work",
    "process_one_work",
    "process_scheduled_works",
    "submit_bio",
    "submit_bio_noacct",
    "submit_bio_noacct_nocheck",
    "submit_bio_wait",
    "worker_thread",
];

/// A party of the engine's cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The engine's task.
    pub task: String,
    /// What it waits for.
    pub object: String,
    /// Its functions, innermost first, without generic ones.
    pub functions: Vec<String>,
}

impl Party {
    fn of(link: &Link) -> Self {
        let said: Vec<&str> = link.frames.iter().copied().filter(|function| !GENERIC.contains(function)).collect();
        let functions = if said.is_empty() { &link.frames } else { &said };
        let functions = functions.iter().map(|function| (*function).to_owned()).collect();
        Self { task: link.task.clone(), object: link.object.clone(), functions }
    }

    /// How many of its functions stand on the stack of `task`, in order; 0 if too few do.
    fn score(&self, task: &StuckTask) -> usize {
        // The longest common subsequence, row by row.
        let mut row = vec![0_usize; task.stack.len() + 1];
        for function in &self.functions {
            let mut diagonal = 0;
            for (index, other) in task.stack.iter().enumerate() {
                let above = row[index + 1];
                row[index + 1] = if function == other { diagonal + 1 } else { above.max(row[index]) };
                diagonal = above;
            }
        }
        let common = row.last().copied().unwrap_or(0);
        if common > 0 && common * 2 >= self.functions.len() { common } else { 0 }
    }
}

/// Who stands for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycleMatch {
    /// The parties of the engine's cycle, each with the kernel's task that stands for it.
    pub parties: Vec<(Party, Option<StuckTask>)>,
    /// The kernel's other stuck tasks.
    pub behind: Vec<StuckTask>,
}

impl CycleMatch {
    /// Looks among the kernel's stuck `tasks` for those of the engine's `report`.
    pub fn of(report: &StuckReport, tasks: &[StuckTask]) -> Self {
        Self::between(report.cycle.iter().map(Party::of).collect(), tasks)
    }

    fn between(parties: Vec<Party>, tasks: &[StuckTask]) -> Self {
        let mut pairs: Vec<(usize, usize, usize)> = Vec::new();
        for (number, party) in parties.iter().enumerate() {
            pairs.extend(tasks.iter().enumerate().map(|(index, task)| (party.score(task), number, index)));
        }
        pairs.retain(|(score, ..)| *score > 0);
        // The surest first; who has the same chain as another is as good as the other.
        pairs.sort_by_key(|(score, number, index)| (std::cmp::Reverse(*score), *number, *index));
        let mut stands: Vec<Option<usize>> = vec![None; parties.len()];
        for (_, number, index) in pairs {
            if stands[number].is_none() && !stands.contains(&Some(index)) {
                stands[number] = Some(index);
            }
        }
        let behind = tasks.iter().enumerate().filter(|(index, _)| !stands.contains(&Some(*index)));
        Self {
            behind: behind.map(|(_, task)| task.clone()).collect(),
            parties: parties
                .into_iter()
                .zip(stands)
                .map(|(party, task)| (party, task.map(|index| tasks[index].clone())))
                .collect(),
        }
    }

    /// Whether it is the same cycle.
    pub fn is_same(&self) -> bool {
        !self.parties.is_empty() && self.parties.iter().all(|(_, task)| task.is_some())
    }
}

impl fmt::Display for CycleMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = match (self.parties.is_empty(), self.is_same()) {
            (true, _) => "the engine knows no cycle to compare with",
            (false, true) => "the same cycle as the engine's",
            (false, false) => "not the engine's cycle",
        };
        f.write_str(head)?;
        let who = |task: &Option<StuckTask>| task.as_ref().map_or_else(|| "nobody".to_owned(), StuckTask::name);
        for (index, (party, task)) in self.parties.iter().enumerate() {
            write!(f, "{}{} is {}", if index == 0 { ": " } else { ", " }, party.task, who(task))?;
        }
        for (party, task) in &self.parties {
            let functions = party.functions.join(" < ");
            write!(f, "\n{} waits for {} in {functions}: ", party.task, party.object)?;
            match task {
                Some(task) => f.write_str(&task.name())?,
                None => f.write_str("no stuck task stands for it")?,
            }
        }
        if !self.behind.is_empty() {
            let names: Vec<String> = self.behind.iter().map(StuckTask::name).collect();
            write!(f, "\nstuck behind them: {}", names.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::kmsg::scan;
    use super::super::tasks::hung_tasks;
    use super::*;

    const HUNG: &str = include_str!("texts/cow-semaphore-hung.txt");

    fn party(task: &str, object: &str, functions: &[&str]) -> Party {
        let functions = functions.iter().map(|function| (*function).to_owned()).collect();
        Party { task: task.to_owned(), object: object.to_owned(), functions }
    }

    /// As the engine reports snapshot/cow-throttle with a semaphore.
    fn cycle() -> Vec<Party> {
        let writer = ["account_start_copy", "start_copy", "__origin_write", "do_origin", "origin_map", "dm_submit_bio"];
        let copier = ["do_origin", "retry_origin_bios", "pending_complete", "complete_exception", "copy_callback"];
        vec![
            party("w1", "snap.cow_count", &writer),
            party("kworker/snap.kcopyd.0", "_origins_lock", &copier),
            party("lv", "_origins_lock", &["register_snapshot", "snapshot_ctr", "table_load"]),
        ]
    }

    #[test]
    fn the_kernels_stuck_tasks_are_recognised_as_the_engines_cycle() {
        let tasks = hung_tasks(&scan(HUNG));
        let found = CycleMatch::between(cycle(), &tasks);
        assert!(found.is_same(), "{found}");
        let pids: Vec<_> = found.parties.iter().map(|(_, task)| task.as_ref().map(|task| task.pid)).collect();
        assert_eq!(pids, [Some(48), Some(31), Some(49)]);
        assert_eq!(found.behind.iter().map(|task| task.pid).collect::<Vec<_>>(), [50]);
        let text = found.to_string();
        assert!(
            text.starts_with(
                "the same cycle as the engine's: w1 is init (pid 48), kworker/snap.kcopyd.0 is kworker/1:1 (pid 31), \
                 lv is init (pid 49)\nw1 waits for snap.cow_count in account_start_copy"
            ),
            "{text}"
        );
        assert!(text.ends_with("stuck behind them: init (pid 50)"), "{text}");
    }

    #[test]
    fn a_cycle_without_one_of_its_parties_is_another_one() {
        let mut tasks = hung_tasks(&scan(HUNG));
        tasks.retain(|task| task.pid != 31);
        let found = CycleMatch::between(cycle(), &tasks);
        assert!(!found.is_same());
        let text = found.to_string();
        assert!(text.starts_with("not the engine's cycle") && text.contains("no stuck task stands for it"), "{text}");
    }

    #[test]
    fn one_task_does_not_stand_for_two_parties() {
        let mut tasks = hung_tasks(&scan(HUNG));
        tasks.retain(|task| task.pid == 50);
        let twice = party("w", "_origins_lock", &["do_origin", "origin_map"]);
        let found = CycleMatch::between(vec![twice.clone(), twice], &tasks);
        assert_eq!(found.parties.iter().filter(|(_, task)| task.is_some()).count(), 1);
    }

    #[test]
    fn tasks_that_are_stuck_elsewhere_are_nobodys() {
        let task = StuckTask {
            pid: 7,
            comm: "x".to_owned(),
            wchan: None,
            work: None,
            stack: ["suspend_wait", "dm_suspend", "submit_bio"].map(str::to_owned).to_vec(),
        };
        let found = CycleMatch::between(cycle(), std::slice::from_ref(&task));
        assert_eq!(found.parties.iter().filter(|(_, task)| task.is_some()).count(), 0);
        assert_eq!(found.behind, [task]);
        assert!(!CycleMatch::between(Vec::new(), &[]).is_same(), "without a cycle there is nothing to be the same as");
    }
}
