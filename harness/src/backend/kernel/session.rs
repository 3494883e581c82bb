//! [`RunningKernel`]: the kernel that this runs on, opened for a run.
//!
//! Invariants: all that a run makes is called `dmlab-<run>-…`, and the run's name says which process it is, so that
//! leftovers of dead processes can be told from what is in use; one process opens it once at a time.
//! Not here: performances (`stage`).

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;

use dmlab_engine::variants::{Kernel, Variants};

use super::dm::DmControl;
use super::journal::Journal;
use super::modules::{Loaded, Modules};
use super::{KernelError, modules};
use crate::kernels::mutation_of_release;

/// Begins the name of everything that dmlab makes in a kernel.
pub(super) const PREFIX: &str = "dmlab-";
/// The module of the ramdisks.
pub(super) const RAMDISKS: &str = "brd";
/// Modules whose parameters are the size of all their devices.
pub(super) const SIZED_MODULES: [&str; 2] = [RAMDISKS, "scsi_debug"];

/// The running kernel.
pub struct RunningKernel {
    dm: DmControl,
    modules: Modules,
    release: String,
    run: String,
    pub(super) journal: Journal,
    /// Modules that were loaded here.
    ours: Mutex<BTreeSet<String>>,
}

impl RunningKernel {
    /// Opens the running kernel; loads `dm_mod` from `modules` if it has no device-mapper yet.
    ///
    /// # Errors
    /// Why it cannot be used: no root, no device-mapper. What would help is said, too.
    pub fn open(modules: Modules) -> Result<Self, KernelError> {
        let elsewhere = "see `dmlab doctor`; `--backend guest` needs neither root nor this kernel's dm";
        if !nix::unistd::geteuid().is_root() {
            return Err(KernelError::new(format!("the kernel backend needs root: try sudo, or {elsewhere}")));
        }
        let release = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
        let release = release.unwrap_or_default();
        let loaded = modules.load("dm_mod", "");
        let dm = DmControl::open().map_err(|error| {
            let why = loaded.as_ref().err().map(|why| format!(" ({why})")).unwrap_or_default();
            KernelError::new(format!("no device-mapper in kernel {release}: {error}{why}; {elsewhere}"))
        })?;
        let run = run_name(std::process::id()).unwrap_or_else(|| "0.0".to_owned());
        let journal = Journal::begin(&run)?;
        Ok(Self { dm, modules, release, run, journal, ours: Mutex::default() })
    }

    /// Its device-mapper.
    pub fn dm(&self) -> &DmControl {
        &self.dm
    }

    /// Its modules.
    pub fn modules(&self) -> &Modules {
        &self.modules
    }

    /// `uname -r`.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The release of the engine's catalogue that it is: the newest that is not newer than it.
    pub fn as_of(&self) -> Kernel {
        as_of(&self.release)
    }

    /// The algorithms that it has: those of its release, and the old ones that were put back (`kernels::edits`).
    pub fn variants(&self) -> Variants {
        variants(&self.release)
    }

    /// How a device of the scenario is called in the kernel.
    pub fn name_of(&self, device: &str) -> String {
        format!("{}{device}", self.prefix())
    }

    /// Begins the names of all that this run makes.
    pub fn prefix(&self) -> String {
        format!("{PREFIX}{}-", self.run)
    }

    /// Loads a module, if it is not there. Modules stay loaded, but for `SIZED_MODULES`, which take their memory along.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub fn load(&self, module: &str, parameters: &str) -> Result<Loaded, KernelError> {
        let is_to_go = SIZED_MODULES.contains(&module) && !modules::is_there(module);
        if is_to_go {
            self.journal.note("module", module)?;
        }
        let loaded = self.modules.load(module, parameters);
        match &loaded {
            Ok(Loaded::Now(names)) => super::stage::locked(&self.ours).extend(names.iter().cloned()),
            _ if is_to_go => self.journal.undone("module", module),
            _ => {}
        }
        loaded
    }

    /// Whether this run has loaded the module.
    pub(super) fn owns(&self, module: &str) -> bool {
        super::stage::locked(&self.ours).contains(module)
    }

    /// Unloads a module that this run has loaded.
    ///
    /// # Errors
    /// Why it stays.
    pub(super) fn unload(&self, module: &str) -> Result<(), KernelError> {
        assert!(self.owns(module), "{module} was not loaded by this run");
        modules::unload(module).map_err(|errno| KernelError::new(format!("module {module} stays: {errno}")))?;
        super::stage::locked(&self.ours).remove(module);
        Ok(())
    }
}

/// The algorithms of a release; the end of its name tells which old ones were put back.
fn variants(release: &str) -> Variants {
    let mut variants = Variants::as_of(as_of(release));
    for (axis, value) in mutation_of_release(release).map(|edits| edits.variants).unwrap_or_default() {
        variants.set(&axis, &value).expect("tested: mutations name values of the engine");
    }
    variants
}

/// Wishes and plans hold one, and are printed when a test fails.
impl std::fmt::Debug for RunningKernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RunningKernel({})", self.release)
    }
}

impl Drop for RunningKernel {
    fn drop(&mut self) {
        // What is gone needs no cleaning up; what is left stays in the journal for `dmlab cleanup`.
        self.journal.end_if_nothing_is_left();
    }
}

/// The name of a run of process `pid`: its number and when it began, which together no other process has until a reboot.
pub(super) fn run_name(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command is in parentheses and may contain anything, so the fields are counted from its end.
    let fields = stat.rsplit_once(')')?.1;
    let begun: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    Some(format!("{pid}.{begun}"))
}

/// Whether the process of a run is still there, and not on its way out: one that was killed may wait for I/O that only
/// ends when what it has left is removed.
pub(super) fn is_alive(run: &str) -> bool {
    let pid: Option<u32> = run.split('.').next().and_then(|pid| pid.parse().ok());
    pid.is_some_and(|pid| run_name(pid).is_some_and(|name| name == run) && !is_dying(pid))
}

fn is_dying(pid: u32) -> bool {
    /// `PF_EXITING`.
    const EXITING: u64 = 4;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some((_, fields)) = stat.rsplit_once(')') else { return true };
    let mut fields = fields.split_whitespace();
    let state = fields.next().unwrap_or("X");
    let flags: u64 = fields.nth(5).and_then(|flags| flags.parse().ok()).unwrap_or(0);
    matches!(state, "Z" | "X") || flags & EXITING != 0
}

/// The newest release of the catalogue that is not newer than `release`.
pub fn as_of(release: &str) -> Kernel {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    let mut part = || parts.next().and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    let found = (part(), part());
    let number = |kernel: &Kernel| {
        let text = kernel.to_string();
        let mut parts = text.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    };
    let all = Kernel::all();
    let fits = |kernel: &&Kernel| !kernel.to_string().contains('-') && number(kernel) <= found;
    *all.iter().rev().find(fits).unwrap_or(&all[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_the_newest_of_the_catalogue_that_it_is_not_older_than() {
        let name = |release: &str| as_of(release).to_string();
        assert_eq!(name("6.1.0-56-cloud-amd64"), "6.1");
        assert_eq!(name("6.12.117+deb12-cloud-amd64"), "6.12");
        assert_eq!(name("6.17.3"), "6.12", "newer than all that the catalogue knows");
        assert_eq!(name("4.9.337"), "4.9");
        assert_eq!(name("4.16.0-rc1"), "4.16");
    }

    #[test]
    fn a_run_is_alive_as_long_as_its_process() {
        let own = run_name(std::process::id()).unwrap();
        assert!(is_alive(&own));
        assert!(!is_alive(&format!("{own}9")), "the same number, begun at another time");
        assert!(!is_alive("4194305.1") && !is_alive("") && !is_alive("x"));
    }
}
