//! [`Accel`]: how a guest's instructions are carried out, found out by booting a guest and not by looking at files.
//!
//! `/dev/kvm` may be there and still be of no use: guests then die at once or spin in the firmware. So a guest that only
//! says hello is booted with it, with a deadline; where that fails, guests are emulated. The answer is kept until the
//! machine is booted again or the emulator changes.
//!
//! Invariants: a machine without `/dev/kvm` is not asked; an answer that cannot be kept is asked for again.
//! Not here: the boot (`supervisor`).

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a guest's instructions are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accel {
    /// By the processor.
    Kvm,
    /// By the emulator.
    Tcg,
}

impl Accel {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// How long a guest may take to say hello with the processor's help: it takes two seconds where that works.
pub(super) const PROBE: Duration = Duration::from_secs(20);

/// Where the answer is kept.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// Of which boot of which machine, and which emulator.
    of: String,
    accel: Accel,
}

/// What came of looking for acceleration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// What to use.
    pub accel: Accel,
    /// What to tell people about it, if it is news.
    pub note: Option<String>,
}

/// What works here. `probe` boots a guest with kvm and says why it did not come up, if so.
pub(super) fn choose(
    device: &Path,
    memory: &Path,
    emulator: &Path,
    probe: impl FnOnce() -> Result<(), String>,
) -> Chosen {
    if let Err(error) = File::options().read(true).write(true).open(device) {
        let note = format!("guests are emulated (tcg), since {} cannot be used: {error}", device.display());
        return Chosen { accel: Accel::Tcg, note: Some(note) };
    }
    let of = identity(emulator);
    let kept = fs::read_to_string(memory).ok().and_then(|text| serde_json::from_str::<Kept>(&text).ok());
    if let Some(kept) = kept.filter(|kept| kept.of == of) {
        let note = (kept.accel == Accel::Tcg)
            .then(|| format!("guests are emulated (tcg): none booted with {} when it was tried", device.display()));
        return Chosen { accel: kept.accel, note };
    }
    let (accel, note) = match probe() {
        Ok(()) => (Accel::Kvm, None),
        Err(why) => {
            let note = format!("guests are emulated (tcg): with {} one did not boot, {why}", device.display());
            (Accel::Tcg, Some(note))
        }
    };
    if let Ok(text) = serde_json::to_string(&Kept { of, accel }) {
        // Where it cannot be kept, it is asked again.
        let _ = memory.parent().map(fs::create_dir_all);
        let _ = fs::write(memory, text);
    }
    Chosen { accel, note }
}

/// This boot of this machine, and this file as the emulator.
fn identity(emulator: &Path) -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let facts = fs::metadata(emulator).map(|facts| (facts.len(), facts.modified().ok())).ok();
    format!("{} {} {facts:?}", boot.trim(), emulator.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_device_nothing_is_booted() {
        let folder = tempfile::tempdir().unwrap();
        let chosen = choose(&folder.path().join("kvm"), &folder.path().join("kept"), Path::new("/bin/sh"), || {
            panic!("nothing is to be booted")
        });
        assert_eq!(chosen.accel, Accel::Tcg);
        assert!(chosen.note.unwrap().contains("cannot be used"));
    }

    #[test]
    fn a_device_that_is_there_and_of_no_use_is_found_out_once() {
        let folder = tempfile::tempdir().unwrap();
        let (device, memory) = (folder.path().join("kvm"), folder.path().join("cache/kept"));
        fs::write(&device, "").unwrap();
        let mut boots = 0;
        for _ in 0..2 {
            let chosen = choose(&device, &memory, Path::new("/bin/sh"), || {
                boots += 1;
                Err("it was silent for 20 s".to_owned())
            });
            assert_eq!(chosen.accel, Accel::Tcg);
            assert!(chosen.note.unwrap().starts_with("guests are emulated (tcg)"));
        }
        assert_eq!(boots, 1);
        fs::write(&memory, "{}").unwrap();
        let chosen = choose(&device, &memory, Path::new("/bin/sh"), || Ok(()));
        assert_eq!(chosen, Chosen { accel: Accel::Kvm, note: None });
    }
}
