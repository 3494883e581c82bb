//! What is kept of a failure in a guest, and sent to the host: stacks, slabs, tables and status lines, the kernel's log.
//!
//! Invariants: looking never waits for long, because what hangs may hang whoever asks; what cannot be read is left out;
//! texts are bounded.
//! Not here: where the host puts it (`bundle`).

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::line::Line;
use crate::backend::guest::job::Event;
use crate::backend::kernel::{RunningKernel, Which};
use crate::detect::tasks::stuck_tasks;

/// So long may asking device-mapper take.
const ASK: Duration = Duration::from_secs(2);
/// Longer texts are cut.
const TEXT_BYTES_MAX: usize = 512 << 10;

/// What can be told of any failure, after the fact.
pub(super) fn of_any_failure(line: &Line) {
    tell(line, "slabinfo.txt", fs::read_to_string("/proc/slabinfo").unwrap_or_default());
    tell(line, "meminfo.txt", fs::read_to_string("/proc/meminfo").unwrap_or_default());
}

/// What can be told while the devices are there and tasks are stuck in them.
pub(super) fn of_what_is_stuck(line: &Arc<Line>, kernel: &Arc<RunningKernel>) {
    line.tell(&Event::Stuck { tasks: stuck_tasks(Path::new("/proc")) });
    tell(line, "stacks.txt", stacks());
    let (sender, told) = channel();
    let kernel = Arc::clone(kernel);
    thread::spawn(move || {
        // Nobody may be waiting any more.
        let _ = sender.send(tables(&kernel));
    });
    match told.recv_timeout(ASK) {
        Ok((tables, status)) => {
            tell(line, "tables.txt", tables);
            tell(line, "status.txt", status);
        }
        Err(_) => tell(line, "tables.txt", format!("device-mapper did not answer within {} s\n", ASK.as_secs())),
    }
}

fn tell(line: &Line, name: &str, mut text: String) {
    if text.is_empty() {
        return;
    }
    if text.len() > TEXT_BYTES_MAX {
        let cut = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push_str("\n… cut …\n");
    }
    line.tell(&Event::Artefact { name: name.to_owned(), text });
}

/// Every task: its name, its state, what it waits in, and its stack.
fn stacks() -> String {
    let mut text = String::new();
    for process in numbers("/proc") {
        for task in numbers(&format!("/proc/{process}/task")) {
            let file = |name: &str| {
                let text = fs::read_to_string(format!("/proc/{process}/task/{task}/{name}")).unwrap_or_default();
                text.trim_end().to_owned()
            };
            let (comm, stack) = (file("comm"), file("stack"));
            let stat = file("stat");
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('?');
            text.push_str(&format!("{task} {comm} ({state}) {}\n{stack}\n\n", file("wchan")));
        }
    }
    text
}

/// The entries of a folder that are numbers, in order.
fn numbers(folder: &str) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbers: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// Tables and status lines of all devices.
fn tables(kernel: &RunningKernel) -> (String, String) {
    let devices = kernel.dm().list().unwrap_or_default();
    let (mut tables, mut status) = (String::new(), String::new());
    for (name, _) in devices {
        let lines = |found: Result<Vec<String>, _>| found.unwrap_or_default().join("\n");
        tables.push_str(&format!("{name}:\n{}\n", lines(kernel.dm().table(&name, Which::Live))));
        status.push_str(&format!("{name}:\n{}\n", lines(kernel.dm().status(&name, Which::Live))));
    }
    (tables, status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_name_every_task_with_its_state() {
        let text = stacks();
        let own = format!("{} ", std::process::id());
        assert!(text.lines().any(|line| line.starts_with(&own) && line.contains('(')), "{text}");
    }
}
