//! [`Journal`]: what a run has changed in the kernel, so that another process can undo it; and [`cleanup`], which does.
//!
//! A journal is a file of lines `kind value`, written before the thing is made. dm devices, loop devices and null_blk
//! devices are found by their names as well; what has no name of its own (ramdisks, modules, values of parameters) is
//! in the journal only.
//!
//! Invariants: of a run whose process is alive nothing is touched; a journal goes when all that it tells of has gone.
//! Not here: the end of a run that is well (`teardown`).

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use nix::errno::Errno;

use super::dm::DmControl;
use super::injection::TASKS;
use super::session::{PREFIX, is_alive};
use super::stage::locked;
use super::{KernelError, leaves, modules, teardown};

/// Folders for journals, the best first: on a system without `/run` the second.
const FOLDERS: [&str; 2] = ["/run/dmlab", "/tmp/dmlab"];
const ENDING: &str = "journal";

/// The journal of this run.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
    open: Mutex<Vec<(String, String)>>,
}

impl Journal {
    /// A journal for `run`.
    pub(super) fn begin(run: &str) -> Result<Self, KernelError> {
        let mut why = String::new();
        for folder in FOLDERS {
            let path = Path::new(folder).join(format!("{run}.{ENDING}"));
            let made =
                fs::create_dir_all(folder).and_then(|()| OpenOptions::new().create(true).append(true).open(&path));
            match made {
                Ok(file) => return Ok(Self { path, file: Mutex::new(file), open: Mutex::default() }),
                Err(error) => why = format!("{}: {error}", path.display()),
            }
        }
        Err(KernelError::new(format!("no journal can be kept, and without one nothing is changed: {why}")))
    }

    /// Notes something that is about to be made or changed.
    pub(super) fn note(&self, kind: &str, value: &str) -> Result<(), KernelError> {
        let line = format!("{kind} {value}\n");
        let written = locked(&self.file).write_all(line.as_bytes());
        written.map_err(|error| KernelError::new(format!("{}: {error}", self.path.display())))?;
        locked(&self.open).push((kind.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Notes that it is gone or as it was.
    pub(super) fn undone(&self, kind: &str, value: &str) {
        locked(&self.open).retain(|(k, v)| (k.as_str(), v.as_str()) != (kind, value));
        // Cleaning up what is gone already does no harm: a line that is missing here is no mistake.
        let _ = locked(&self.file).write_all(format!("-{kind} {value}\n").as_bytes());
    }

    /// Removes the file if nothing is left to clean up.
    pub(super) fn end_if_nothing_is_left(&self) {
        if locked(&self.open).is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Something that a dead run has left.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Left {
    /// `dm`, `loop`, `null_blk`, `ram`, `scsi_debug`, `module`, `value`, `tasks`.
    pub kind: String,
    /// Its name, or for values the file and what must be in it.
    pub name: String,
    /// Why it could not be removed; `None` when it was, or when nothing was to be removed.
    pub stays: Option<String>,
}

/// What a clean-up found.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Cleanup {
    /// In the order in which it was removed.
    pub left: Vec<Left>,
    /// Runs whose processes are alive, which keep what is theirs.
    pub alive: Vec<String>,
}

/// Finds, and unless it is a `dry_run` removes, what runs have left whose processes are dead.
///
/// # Errors
/// Why nothing could be looked at.
pub fn cleanup(dry_run: bool) -> Result<Cleanup, KernelError> {
    if !nix::unistd::geteuid().is_root() {
        return Err(KernelError::new("only root can look at and remove what a run has left: try sudo".to_owned()));
    }
    let mut found = Cleanup::default();
    let journals: Vec<(String, PathBuf)> = FOLDERS.iter().flat_map(|folder| journals(Path::new(folder))).collect();
    let mut runs: BTreeSet<String> = journals.iter().map(|(run, _)| run.clone()).collect();
    // Without device-mapper nothing of it can be left.
    let dm = DmControl::open().ok();
    let names: Vec<String> = match &dm {
        Some(dm) => {
            let listed = dm.list().map_err(|errno| KernelError::new(format!("listing dm devices: {errno}")))?;
            listed.into_iter().map(|(name, _)| name).collect()
        }
        None => Vec::new(),
    };
    runs.extend(names.iter().chain(&leaves::named()).filter_map(|name| run_of(name)));
    for run in runs {
        if is_alive(&run) {
            found.alive.push(run);
            continue;
        }
        let before = found.left.len();
        let prefix = format!("{PREFIX}{run}-");
        if let Some(dm) = &dm {
            found.left.extend(teardown::remove_devices(dm, &prefix, dry_run));
        }
        found.left.extend(leaves::remove_named(&prefix, dry_run));
        for (_, path) in journals.iter().filter(|(of, _)| *of == run) {
            found.left.extend(undo(path, dry_run));
            if !dry_run && found.left[before..].iter().all(|left| left.stays.is_none()) {
                let _ = fs::remove_file(path);
            }
        }
    }
    Ok(found)
}

/// The run that a name belongs to.
fn run_of(name: &str) -> Option<String> {
    let (run, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let is_run = run.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    (is_run && run.contains('.')).then(|| run.to_owned())
}

fn journals(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let run = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(&format!(".{ENDING}"))?.to_owned();
        Some((name, path))
    };
    let mut found: Vec<_> = entries.flatten().filter_map(|entry| run(entry.path())).collect();
    found.sort();
    found
}

/// What a journal tells of and was not undone, the last first.
fn open_entries(text: &str) -> Vec<(String, String)> {
    let mut open: Vec<(String, String)> = Vec::new();
    for (kind, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        match kind.strip_prefix('-') {
            Some(kind) => open.retain(|(k, v)| (k.as_str(), v.as_str()) != (kind, value)),
            None if open.iter().any(|(k, v)| (k.as_str(), v.as_str()) == (kind, value)) => {}
            None => open.push((kind.to_owned(), value.to_owned())),
        }
    }
    open.reverse();
    open
}

fn undo(path: &Path, dry_run: bool) -> Vec<Left> {
    let mut entries = open_entries(&fs::read_to_string(path).unwrap_or_default());
    // Modules last: what is in them must have gone before.
    entries.sort_by_key(|(kind, _)| kind == "module");
    let mut left = Vec::new();
    for (kind, value) in entries {
        let stays = match kind.as_str() {
            _ if dry_run => None,
            "scsi_debug" => leaves::patiently(|| leaves::undo_scsi(&value)).err(),
            "ram" => leaves::patiently(|| leaves::undo_ram(&value)).err(),
            "value" => super::knobs::restore(&value).err(),
            TASKS => super::tasks::mark(false).err(),
            "module" => leaves::patiently(|| match modules::unload(&value) {
                Ok(()) | Err(Errno::ENOENT) => Ok(()),
                Err(errno) => Err(format!("in use: {errno}")),
            })
            .err(),
            // By their names, above.
            _ => continue,
        };
        left.push(Left { kind, name: value, stays });
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_dmlab_gives_belong_to_a_run() {
        assert_eq!(run_of("dmlab-12.345-t"), Some("12.345".to_owned()));
        assert_eq!(run_of("dmlab-12.345-t-with-more"), Some("12.345".to_owned()));
        for other in ["dmlab", "dmlab-", "dmlab-mine", "dmlab-data-1", "vg-dmlab-1.2-x", "dmlab-1-2", "dmlab-1.-x"] {
            assert_eq!(run_of(other), None, "{other}");
        }
    }

    #[test]
    fn what_was_undone_is_not_undone_again_and_the_last_comes_first() {
        let text = "module brd\nram 0 p1\nvalue /sys/a=1\n-ram 0 p1\nvalue /sys/a=1\nram 1 p1\n";
        let open = open_entries(text);
        let open: Vec<_> = open.iter().map(|(kind, value)| format!("{kind} {value}")).collect();
        assert_eq!(open, ["ram 1 p1", "value /sys/a=1", "module brd"]);
    }
}
