//! The devices below dm's: ramdisks (brd), files (loop), devices without media (null_blk).
//!
//! Invariants: a leaf has the size of the scenario to the sector; nobody else has it open when it is taken; a ramdisk
//! begins as zeros. What was made is taken back in the opposite order.
//! Not here: devices that only the engine has (`can`).

mod files;
mod null;
mod ram;

use std::collections::BTreeMap;
use std::fs::File;
use std::time::Duration;

use dmlab_scenarios::{DeviceKind, Scenario};
use dmlab_units::Bytes;

pub(super) use ram::undo as undo_ram;

use super::journal::Left;
use super::nodes::Dev;
use super::session::RAMDISKS;
use super::{KernelError, RunningKernel};

/// A device below dm's.
pub(super) struct Leaf {
    /// Its number.
    pub dev: Dev,
    undo: Undo,
}

/// How it is taken back.
enum Undo {
    /// A partition of a ramdisk, or the whole.
    Ram(String),
    /// A loop device: goes with its last user.
    Loop(File),
    /// A folder of configfs.
    Null(String),
}

/// All leaves of a scenario, by name; what was made before something could not be is taken back.
pub(super) fn make(kernel: &RunningKernel, scenario: &Scenario) -> Result<BTreeMap<String, Leaf>, KernelError> {
    let mut leaves = BTreeMap::new();
    match add_all(kernel, scenario, &mut leaves) {
        Ok(()) => Ok(leaves),
        Err(error) => {
            let also: Vec<String> = take_back(kernel, leaves);
            let also = also.iter().map(|why| format!("; and {why}")).collect::<String>();
            Err(KernelError::new(format!("{error}{also}")))
        }
    }
}

fn add_all(
    kernel: &RunningKernel,
    scenario: &Scenario,
    leaves: &mut BTreeMap<String, Leaf>,
) -> Result<(), KernelError> {
    let rams: Vec<(&str, Bytes)> = scenario
        .devices
        .iter()
        .filter_map(|device| match &device.kind {
            DeviceKind::Ram(size) => Some((device.name.as_str(), *size)),
            _ => None,
        })
        .collect();
    ram::make(kernel, &rams, leaves)?;
    for device in &scenario.devices {
        let leaf = match &device.kind {
            DeviceKind::Null(size) => null::make(kernel, &device.name, *size)?,
            DeviceKind::File(file) => files::make(kernel, &device.name, file.size)?,
            _ => continue,
        };
        leaves.insert(device.name.clone(), leaf);
    }
    Ok(())
}

/// Takes all of them back; says what stays, and why.
pub(super) fn take_back(kernel: &RunningKernel, leaves: BTreeMap<String, Leaf>) -> Vec<String> {
    let mut stays = Vec::new();
    for (name, leaf) in leaves {
        let undone = match leaf.undo {
            Undo::Ram(disk) => {
                let undone = patiently(|| ram::undo(&disk));
                if undone.is_ok() {
                    kernel.journal.undone("ram", &disk);
                }
                undone
            }
            Undo::Loop(device) => files::undo(&device),
            Undo::Null(folder) => patiently(|| null::undo(&folder)),
        };
        stays.extend(undone.err().map(|why| format!("{name}: {why}")));
    }
    if kernel.owns(RAMDISKS) && stays.is_empty() {
        // Its memory comes back, and the next scenario has sizes of its own.
        let unloaded = patiently(|| kernel.unload(RAMDISKS));
        stays.extend(unloaded.err().map(|error| error.to_string()));
        if stays.is_empty() {
            kernel.journal.undone("module", RAMDISKS);
        }
    }
    stays
}

/// Tries again for a while: who closes a device last may do so a little later (a removal that was deferred, udev).
pub(super) fn patiently<T, E>(mut attempt: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    const TRIES: u32 = 100;
    const PAUSE: Duration = Duration::from_millis(20);
    for _ in 1..TRIES {
        if let Ok(done) = attempt() {
            return Ok(done);
        }
        std::thread::sleep(PAUSE);
    }
    attempt()
}

/// The names of all leaves that dmlab has made and that bear their names in the kernel.
pub(super) fn named() -> Vec<String> {
    [null::named(), files::named().into_iter().map(|(name, _)| name).collect()].concat()
}

/// Removes the leaves of a run that bear their names in the kernel.
pub(super) fn remove_named(prefix: &str, dry_run: bool) -> Vec<Left> {
    let mut left = Vec::new();
    for name in null::named().into_iter().filter(|name| name.starts_with(prefix)) {
        let stays = if dry_run { None } else { null::undo(&name).err() };
        left.push(Left { kind: "null_blk".to_owned(), name, stays });
    }
    for (name, number) in files::named().into_iter().filter(|(name, _)| name.starts_with(prefix)) {
        let stays = if dry_run { None } else { files::clear(number).err() };
        left.push(Left { kind: "loop".to_owned(), name, stays });
    }
    left
}
