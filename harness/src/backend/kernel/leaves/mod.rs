//! The devices below dm's: ramdisks (brd), files (loop), null_blk's with and without memory, SCSI disks (scsi_debug).
//!
//! Invariants: a leaf has the size of the scenario to the sector; nobody else has it open when it is taken; a ramdisk
//! begins as zeros. What was made is taken back in the opposite order.
//! Not here: devices that only the engine has (`can`).

mod files;
mod null;
mod ram;
mod scsi;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use dmlab_scenarios::{DeviceKind, Driver, Scenario};
use dmlab_units::Bytes;
use nix::fcntl::OFlag;

pub(super) use ram::undo as undo_ram;
pub(super) use scsi::undo as undo_scsi;

use super::journal::Left;
use super::nodes::Dev;
use super::session::SIZED_MODULES;
use super::{KernelError, RunningKernel, nodes, sys};

/// The partition that is a leaf where a disk is too large.
const PARTITION: i32 = 1;

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
    /// The number of an adapter.
    Scsi(u32),
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
            DeviceKind::Ram(size) if device.driver == Driver::Brd => Some((device.name.as_str(), *size)),
            _ => None,
        })
        .collect();
    ram::make(kernel, &rams, leaves)?;
    let of_scsi = scenario.devices.iter().filter(|device| device.driver == Driver::ScsiDebug);
    let largest = of_scsi.filter_map(|device| ram_size(&device.kind)).max();
    for device in &scenario.devices {
        let leaf = match &device.kind {
            DeviceKind::Ram(size) => match device.driver {
                Driver::Brd => continue,
                Driver::Loop => files::make(kernel, &device.name, *size)?,
                Driver::NullBlk => null::make(kernel, &device.name, *size, true)?,
                Driver::ScsiDebug => scsi::make(kernel, &device.name, *size, largest.unwrap_or(*size))?,
            },
            DeviceKind::Null(size) => null::make(kernel, &device.name, *size, false)?,
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
    let mut leaves: Vec<(String, Leaf)> = leaves.into_iter().collect();
    // The adapter that came last goes first.
    leaves.sort_by_key(|(_, leaf)| match leaf.undo {
        Undo::Scsi(number) => std::cmp::Reverse(number),
        _ => std::cmp::Reverse(0),
    });
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
            Undo::Scsi(number) => {
                let adapter = number.to_string();
                let undone = patiently(|| scsi::undo(&adapter));
                if undone.is_ok() {
                    kernel.journal.undone(scsi::KIND, &adapter);
                }
                undone
            }
        };
        stays.extend(undone.err().map(|why| format!("{name}: {why}")));
    }
    // Their memory comes back, and the next scenario has sizes of its own.
    for module in SIZED_MODULES {
        if !kernel.owns(module) || !stays.is_empty() {
            continue;
        }
        match patiently(|| kernel.unload(module)) {
            Ok(()) => kernel.journal.undone("module", module),
            Err(error) => stays.push(error.to_string()),
        }
    }
    stays
}

fn ram_size(kind: &DeviceKind) -> Option<Bytes> {
    match kind {
        DeviceKind::Ram(size) => Some(*size),
        _ => None,
    }
}

/// The disk, if it has this size, or a partition of it that has.
fn sized(disk: &str, size: Bytes) -> Result<Dev, String> {
    let block = |name: &str| Path::new("/sys/class/block").join(name);
    let whole = nodes::number(&block(disk)).ok_or("its disk has no number")?;
    if nodes::sectors(whole).bytes() == size {
        return Ok(whole);
    }
    let file = nodes::open(whole, OFlag::empty()).map_err(|error| error.to_string())?;
    let len = i64::try_from(size.0).map_err(|error| error.to_string())?;
    sys::add_partition(file.as_fd(), PARTITION, len).map_err(|errno| format!("no partition of {size}: {errno}"))?;
    // A name that ends in a digit has a `p` before the partition's number.
    let names = [format!("{disk}p{PARTITION}"), format!("{disk}{PARTITION}")];
    let part = names.iter().find_map(|name| nodes::number(&block(disk).join(name)));
    part.ok_or_else(|| "its partition is not there".to_owned())
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
