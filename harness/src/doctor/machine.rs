//! [`Machine`]: the files of a machine below a root, and its probes.
//!
//! Invariants: no file outside of the root is read; what cannot be read is not there, and at most [`READ_BYTES_MAX`] of
//! a file are read.
//! Not here: what the files mean.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::Probes;

/// No file that is looked at is larger; `modules.dep` is the largest.
const READ_BYTES_MAX: u64 = 16 << 20;

/// A machine to look at.
pub struct Machine<'a> {
    /// `/`, or a folder that stands for it.
    pub root: PathBuf,
    /// The folders of `PATH`, as absolute paths below the root.
    pub path: Vec<PathBuf>,
    /// Where results are written.
    pub results: PathBuf,
    /// What only asking tells.
    pub probes: &'a dyn Probes,
}

/// Where something of the kernel's lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Module {
    /// It is in the kernel, or loaded.
    Present,
    /// It can be loaded.
    Loadable,
    /// The kernel was built without it, or its modules are not installed.
    Missing,
    /// This kernel's list of modules is not there.
    Unknown,
}

impl Machine<'_> {
    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    /// A text file, trimmed.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let mut bytes = Vec::new();
        File::open(self.at(path)).ok()?.take(READ_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// A number in a file.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// The value of `name:` or `name` at the beginning of a line.
    pub(super) fn field(&self, path: &str, name: &str) -> Option<String> {
        let text = self.text(path)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))?;
        Some(value.trim().to_owned())
    }

    /// Names in a folder, sorted.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(path)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The first folder of `PATH` that has one of these programs.
    pub(super) fn program(&self, names: &[&str]) -> Option<PathBuf> {
        let places = names.iter().flat_map(|name| self.path.iter().map(move |folder| folder.join(name)));
        places.into_iter().find(|place| self.at(&place.display().to_string()).is_file())
    }

    /// Release of the kernel.
    pub(super) fn release(&self) -> Option<String> {
        self.text("/proc/sys/kernel/osrelease")
    }

    /// The kernel's configuration, from wherever this machine keeps it.
    pub(super) fn kernel_config(&self) -> Option<String> {
        let mut unpacked = String::new();
        let packed = File::open(self.at("/proc/config.gz")).ok();
        if let Some(packed) = packed
            && GzDecoder::new(packed).take(READ_BYTES_MAX).read_to_string(&mut unpacked).is_ok()
        {
            return Some(unpacked);
        }
        let release = self.release()?;
        self.text(&format!("/boot/config-{release}")).or_else(|| self.text(&format!("/lib/modules/{release}/config")))
    }

    /// Where a module is. `name` with underscores, as in `/sys/module`; `option` is what the configuration calls it.
    pub(super) fn module(&self, name: &str, option: &str) -> Module {
        if self.exists(&format!("/sys/module/{name}")) {
            return Module::Present;
        }
        // What is built in and takes no parameters has no folder.
        if let Some(config) = self.kernel_config() {
            let set_to = config.lines().find_map(|line| line.strip_prefix(option)?.strip_prefix('='));
            match set_to {
                Some("y") => return Module::Present,
                None => return Module::Missing,
                Some(_) => {}
            }
        }
        let Some(release) = self.release() else { return Module::Unknown };
        let folder = format!("/lib/modules/{release}");
        let listed = |list: &str| -> Option<bool> {
            let text = self.text(&format!("{folder}/{list}"))?;
            let paths = text.lines().map(|line| line.split(':').next().unwrap_or(line));
            let bare = |path: &str| {
                let file = Path::new(path).file_name()?.to_str()?;
                Some(file.split(".ko").next()?.replace('-', "_"))
            };
            Some(paths.into_iter().any(|path| bare(path).as_deref() == Some(name)))
        };
        match (listed("modules.builtin"), listed("modules.dep")) {
            (Some(true), _) => Module::Present,
            (_, Some(true)) => Module::Loadable,
            (None, None) => Module::Unknown,
            _ => Module::Missing,
        }
    }
}
