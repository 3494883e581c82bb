//! [`StuckTask`]: a task that sleeps uninterruptibly, with its kernel stack: from `/proc`, or from the kernel's own report
//! of hung tasks.
//!
//! Invariants: a stack has its innermost function first; frames that the kernel itself doubts (`? f`) are left out; a task
//! that ends while it is looked at is left out.
//! Not here: whether sleeping so is wrong (`progress` says whether anything moves, `cycle` what it means).

use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::kmsg::{Report, Sign};

/// A task in state D.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StuckTask {
    /// The thread's number.
    pub pid: u32,
    /// What it is called.
    pub comm: String,
    /// The function in which it sleeps, as `wchan` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wchan: Option<String>,
    /// What it runs for a workqueue: `kcopyd do_work`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<String>,
    /// Functions, innermost first, without offsets.
    pub stack: Vec<String>,
}

impl StuckTask {
    /// What it is called, with its number.
    pub fn name(&self) -> String {
        format!("{} (pid {})", self.comm, self.pid)
    }

    /// Whether these functions stand on its stack in this order, perhaps with others between them; innermost first.
    pub fn is_in(&self, functions: &[&str]) -> bool {
        let mut rest = self.stack.iter();
        functions.iter().all(|wanted| rest.any(|function| function == wanted))
    }
}

/// As the kernel reports hung tasks.
impl fmt::Display for StuckTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task:{} state:D pid:{}", self.comm, self.pid)?;
        if let Some(wchan) = &self.wchan {
            write!(f, " wchan:{wchan}")?;
        }
        if let Some(work) = &self.work {
            write!(f, "\n  Workqueue: {work}")?;
        }
        write!(f, "\n  Call Trace:")?;
        self.stack.iter().try_for_each(|function| write!(f, "\n    {function}"))
    }
}

/// A line of `/proc/<pid>/stat`: number, name and state. The name may hold anything, parentheses too.
pub fn parse_stat(line: &str) -> Option<(u32, &str, char)> {
    let (begin, end) = (line.find('(')?, line.rfind(')')?);
    let pid = line[..begin].trim().parse().ok()?;
    let state = line[end + 1..].trim_start().chars().next()?;
    Some((pid, line.get(begin + 1..end)?, state))
}

/// The functions in `/proc/<pid>/stack`: lines `[<0>] do_origin+0x1f/0x83`, perhaps with a module behind.
pub fn parse_stack(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| function_of(line.split_once("] ").map_or(line, |(_, rest)| rest))).collect()
}

/// The function in `name+0x1f/0x83 [module]`; `None` for what is no frame, or one in doubt.
fn function_of(frame: &str) -> Option<String> {
    let frame = frame.trim();
    let (name, rest) = frame.split_once("+0x")?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte));
    let offset = rest.split(['/', ' ']).next()?;
    (is_name && offset.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| plain_name(name).to_owned())
}

/// A function's name as in the source: compilers append `.isra.0`, `.part.0`, `.constprop.0`, `.cold`.
fn plain_name(name: &str) -> &str {
    name.split_once('.').map_or(name, |(plain, _)| plain)
}

/// All tasks in state D below `proc` (which is `/proc`, but for tests), by number.
pub fn stuck_tasks(proc: &Path) -> Vec<StuckTask> {
    let mut tasks: Vec<StuckTask> = numbers_in(proc)
        .into_iter()
        .flat_map(|pid| {
            let threads = proc.join(pid.to_string()).join("task");
            numbers_in(&threads).into_iter().filter_map(move |tid| stuck_task(&threads.join(tid.to_string())))
        })
        .collect();
    tasks.sort_by_key(|task| task.pid);
    tasks
}

/// The task in this folder, if it is in state D.
fn stuck_task(folder: &Path) -> Option<StuckTask> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let stat = read("stat")?;
    let (pid, comm, _) = parse_stat(&stat).filter(|(_, _, state)| *state == 'D')?;
    let comm = read("comm").map_or_else(|| comm.to_owned(), |comm| comm.trim_end().to_owned());
    let wchan = read("wchan").filter(|wchan| !wchan.is_empty() && wchan != "0");
    let stack = parse_stack(&read("stack").unwrap_or_default());
    Some(StuckTask { pid, comm, wchan, work: None, stack })
}

fn numbers_in(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The tasks of the kernel's reports of hung tasks, each once, by number.
pub fn hung_tasks(reports: &[Report]) -> Vec<StuckTask> {
    let mut tasks: Vec<StuckTask> =
        reports.iter().filter(|report| report.sign == Sign::HungTask).filter_map(hung_task).collect();
    tasks.sort_by_key(|task| task.pid);
    tasks.dedup_by_key(|task| task.pid);
    tasks
}

fn hung_task(report: &Report) -> Option<StuckTask> {
    // INFO: task kworker/1:1:31 blocked for more than 11 seconds.
    let (_, rest) = report.title().split_once("task ")?;
    let (comm, pid) = rest.split_once(" blocked for")?.0.rsplit_once(':')?;
    let work = report.lines.iter().find_map(|line| line.strip_prefix("Workqueue: "));
    let frames = report.lines.iter().skip_while(|line| line.trim() != "<TASK>");
    let stack: Vec<String> = frames.filter_map(|line| function_of(line)).collect();
    // What /proc leaves out, too: the scheduler and the primitive in which the task sleeps.
    let asleep = stack.iter().position(|function| !is_sleeping(function)).unwrap_or(0);
    let stack = stack.into_iter().skip(asleep).collect();
    Some(StuckTask {
        pid: pid.parse().ok()?,
        comm: comm.to_owned(),
        wchan: None,
        work: work.map(|work| work.trim().to_owned()),
        stack,
    })
}

/// Functions in which whoever sleeps stands innermost, and which say nothing of why.
fn is_sleeping(function: &str) -> bool {
    const INNERMOST: &[&str] = &[
        "__down",
        "__down_common",
        "__mutex_lock",
        "__mutex_lock_slowpath",
        "__schedule",
        "__wait_for_common",
        "bit_wait_io",
        "down",
        "down_read",
        "down_write",
        "io_schedule",
        "io_schedule_timeout",
        "mutex_lock",
        "mutex_lock_nested",
        "rwsem_down_read_slowpath",
        "rwsem_down_write_slowpath",
        "schedule",
        "schedule_preempt_disabled",
        "schedule_timeout",
        "wait_for_completion",
        "wait_for_completion_io",
    ];
    INNERMOST.binary_search(&function).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::kmsg::scan;
    use super::*;

    const STACKS: &str = include_str!("texts/cow-semaphore-proc.txt");
    const HUNG: &str = include_str!("texts/cow-semaphore-hung.txt");

    /// A `/proc` of the tasks in [`STACKS`] and one that is not stuck.
    fn proc(folder: &Path) {
        for task in STACKS.split("== stat ").skip(1) {
            let (stat, rest) = task.split_once('\n').unwrap();
            let (wchan, stack) = rest.split_once("\n-- stack\n").unwrap();
            let (comm, wchan) = wchan.split_once("\n-- wchan ").unwrap();
            let pid = stat.split(' ').next().unwrap();
            let place = folder.join(pid).join("task").join(pid);
            fs::create_dir_all(&place).unwrap();
            for (name, text) in
                [("stat", stat), ("comm", comm.trim_start_matches("-- comm ")), ("wchan", wchan), ("stack", stack)]
            {
                fs::write(place.join(name), text).unwrap();
            }
        }
        fs::create_dir_all(folder.join("1/task/1")).unwrap();
        fs::write(folder.join("1/task/1/stat"), "1 (init) S 0 0").unwrap();
        fs::write(folder.join("uptime"), "1 1").unwrap();
    }

    #[test]
    fn tasks_in_state_d_are_found_with_their_stacks_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        proc(folder.path());
        let tasks = stuck_tasks(folder.path());
        assert_eq!(tasks.iter().map(|task| task.pid).collect::<Vec<_>>(), [31, 47, 48, 49, 50]);
        assert_eq!((&*tasks[0].comm, tasks[0].wchan.as_deref()), ("kworker/1:1+kcopyd", Some("do_origin")));
        assert!(tasks[0].is_in(&["do_origin", "pending_complete", "copy_callback"]));
        assert!(tasks[2].is_in(&["start_copy", "__origin_write", "do_origin"]));
        assert!(tasks[3].is_in(&["snapshot_ctr"]));
        assert!(!tasks[3].is_in(&["do_origin"]));
    }

    #[test]
    fn a_machine_in_which_nobody_is_stuck_has_no_stuck_tasks() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("1/task/1")).unwrap();
        fs::write(folder.path().join("1/task/1/stat"), "1 (init) S 0 0").unwrap();
        assert_eq!(stuck_tasks(folder.path()), []);
        assert_eq!(stuck_tasks(&folder.path().join("nowhere")), []);
    }

    #[test]
    fn the_kernels_own_reports_give_the_same_tasks() {
        let tasks = hung_tasks(&scan(HUNG));
        assert_eq!(tasks.iter().map(|task| task.pid).collect::<Vec<_>>(), [31, 48, 49, 50]);
        assert_eq!(tasks[0].work.as_deref(), Some("kcopyd do_work"));
        assert!(tasks[0].is_in(&["do_origin", "pending_complete", "copy_callback"]));
        assert_eq!(tasks[2].stack[0], "snapshot_ctr", "where it sleeps is left out, as in /proc: {:?}", tasks[2].stack);
        assert_eq!(hung_tasks(&scan("all is well\n")), []);
    }

    #[test]
    fn the_name_of_a_task_may_hold_parentheses() {
        assert_eq!(parse_stat("7 (a) b (c) D 1"), Some((7, "a) b (c", 'D')));
        assert_eq!(parse_stat("7 a D"), None);
    }

    #[test]
    fn a_frame_is_a_name_with_an_offset_and_one_in_doubt_is_none() {
        assert_eq!(function_of(" process_jobs.isra.0+0x115/0x1a1 [dm_mod]").as_deref(), Some("process_jobs"));
        for other in ["? lock_is_held+0xc/0xe", "RIP: 0033:0x447b47", "<TASK>", "a+0xzz/0x1"] {
            assert_eq!(function_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_stuck_task_is_shown_as_the_kernel_shows_hung_ones() {
        let task = StuckTask {
            pid: 31,
            comm: "kworker/1:1".to_owned(),
            wchan: Some("do_origin".to_owned()),
            work: Some("kcopyd do_work".to_owned()),
            stack: vec!["do_origin".to_owned(), "pending_complete".to_owned()],
        };
        let text = "task:kworker/1:1 state:D pid:31 wchan:do_origin\n  Workqueue: kcopyd do_work\n  Call Trace:\n    \
                    do_origin\n    pending_complete";
        assert_eq!(task.to_string(), text);
    }
}
