//! Whose allocations the kernel's fault injection strikes: this process's and the kernel's own threads', and nobody else's
//! (`task-filter` and `/proc/<pid>/make-it-fail`).
//!
//! Invariants: other processes are never marked; whoever is marked later is so by inheritance, because a new task has the
//! mark of the one that made it.
//! Not here: what fails (`injection`).

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// `PF_KTHREAD`.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// Lets allocations of these tasks fail, or spares them again.
///
/// # Errors
/// The kernel has no such mark, or does not let it be set.
pub(super) fn mark(fails: bool) -> Result<(), String> {
    let mark = if fails { "1" } else { "0" };
    for path in marks() {
        match fs::write(&path, mark) {
            Ok(()) => {}
            // It has ended in the meantime.
            Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(nix::libc::ESRCH) => {}
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
    }
    Ok(())
}

/// Whether the kernel can tell tasks apart.
pub(super) fn can_be_marked() -> bool {
    Path::new("/proc/self/make-it-fail").exists()
}

/// The files of all tasks that may fail.
fn marks() -> Vec<PathBuf> {
    let own = std::process::id();
    let mut paths = Vec::new();
    for process in numbers(Path::new("/proc")) {
        let folder = PathBuf::from(format!("/proc/{process}"));
        if process == own {
            let tasks = folder.join("task");
            paths.extend(numbers(&tasks).into_iter().map(|task| tasks.join(task.to_string()).join("make-it-fail")));
        } else if is_kernel_thread(&fs::read_to_string(folder.join("stat")).unwrap_or_default()) {
            paths.push(folder.join("make-it-fail"));
        }
    }
    paths
}

fn numbers(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// By `/proc/<pid>/stat`: the command is in parentheses and may hold anything, so fields are counted from its end.
fn is_kernel_thread(stat: &str) -> bool {
    let flags = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(6)?.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & KERNEL_THREAD != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_the_kernel_are_told_from_processes() {
        assert!(is_kernel_thread("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0"));
        assert!(is_kernel_thread("9 (kworker/0:0H) x) I 2 0 0 0 -1 69238880 0 0"));
        assert!(!is_kernel_thread("1 (init) S 0 1 1 0 -1 4194560 100 0"));
        assert!(!is_kernel_thread("") && !is_kernel_thread("nonsense"));
    }

    #[test]
    fn no_other_process_is_marked() {
        let own = format!("/proc/{}/task/", std::process::id());
        let parent = format!("/proc/{}/make-it-fail", nix::unistd::getppid());
        let marks = marks();
        assert!(marks.iter().any(|path| path.starts_with(own.trim_end_matches('/'))), "{marks:?}");
        assert!(!marks.contains(&PathBuf::from(parent)), "{marks:?}");
    }
}
