//! Module parameters and other values in sysfs: set for a scenario, and put back.
//!
//! Invariants: the old value is in the journal before the new one is set; values are put back in the opposite order.
//! Not here: which scenario sets what.

use std::fs;
use std::path::{Path, PathBuf};

use super::{KernelError, RunningKernel};

/// Modules whose parameters scenarios may set, by the parameter.
const PARAMETERS: &[(&str, &str)] = &[
    ("reserved_bio_based_ios", "dm_mod"),
    ("kcopyd_subjob_size_kb", "dm_mod"),
    ("snapshot_cow_threshold", "dm_snapshot"),
    ("snapshot_copy_throttle", "dm_snapshot"),
];

/// The module that has a parameter of this name.
pub(super) fn module_of(parameter: &str) -> Option<&'static str> {
    PARAMETERS.iter().find(|(name, _)| *name == parameter).map(|(_, module)| *module)
}

/// Values that were changed, and what they were.
#[derive(Default)]
pub(super) struct Knobs(Vec<(PathBuf, String)>);

impl Knobs {
    /// Sets a module's parameter.
    pub(super) fn set_parameter(&mut self, kernel: &RunningKernel, name: &str, value: u64) -> Result<(), KernelError> {
        let Some(module) = module_of(name) else {
            return Err(KernelError::new(format!("no module is known to have the parameter {name}")));
        };
        kernel.load(module, "")?;
        let path = Path::new("/sys/module").join(module).join("parameters").join(name);
        self.set(kernel, &path, &value.to_string())
    }

    /// Sets a value.
    pub(super) fn set(&mut self, kernel: &RunningKernel, path: &Path, value: &str) -> Result<(), KernelError> {
        let wrong = |error: std::io::Error| KernelError::new(format!("{}: {error}", path.display()));
        let old = fs::read_to_string(path).map_err(wrong)?.trim().to_owned();
        kernel.journal.note("value", &entry(path, &old))?;
        self.0.push((path.to_owned(), old));
        fs::write(path, value).map_err(wrong)
    }

    /// Puts all of them back; says what stays, and why.
    pub(super) fn restore(&mut self, kernel: &RunningKernel) -> Vec<String> {
        let mut stays = Vec::new();
        while let Some((path, old)) = self.0.pop() {
            let entry = entry(&path, &old);
            match restore(&entry) {
                Ok(()) => kernel.journal.undone("value", &entry),
                Err(why) => stays.push(why),
            }
        }
        stays
    }
}

fn entry(path: &Path, old: &str) -> String {
    format!("{}={old}", path.display())
}

/// Puts a value back that a journal tells of.
pub(super) fn restore(entry: &str) -> Result<(), String> {
    let Some((path, old)) = entry.split_once('=') else { return Err(format!("{entry:?} names no value")) };
    if !path.starts_with("/sys/") {
        return Err(format!("{path} is not in sysfs, so that it is left alone"));
    }
    match fs::write(path, old) {
        // The module has gone, and its values with it.
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{path}: {error}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_cannot_have_files_written_outside_of_sysfs() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        fs::write(&file, "kept").unwrap();
        assert!(restore(&entry(&file, "lost")).unwrap_err().contains("left alone"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
        assert!(restore("nonsense").is_err());
        assert_eq!(restore("/sys/module/no_such_module/parameters/x=1"), Ok(()), "gone with its module");
    }
}
