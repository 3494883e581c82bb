//! SCSI disks in memory: an adapter of scsi_debug for each, with a disk of its own.
//!
//! All of its disks have one size, so a leaf is a partition of one where it is smaller. Adapters are numbered as they come
//! and go in the opposite order; what was in the memory of one that has gone is in the next one's, so it is zeroed.
//!
//! Invariants: only the last adapter is ever removed, only if it is the one that was made here, and nobody has its disk open.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dmlab_units::Bytes;
use nix::fcntl::OFlag;

use super::{Leaf, Undo, sized};
use crate::backend::kernel::sys::{self, RangeOp};
use crate::backend::kernel::{KernelError, RunningKernel, modules, nodes};

/// How the journal calls it.
pub(in crate::backend::kernel) const KIND: &str = "scsi_debug";
const MODULE: &str = "scsi_debug";
/// There once the driver that makes disks of SCSI devices is, as a module or built in.
const DISKS: &str = "/sys/bus/scsi/drivers/sd";
const ADD_HOST: &str = "/sys/bus/pseudo/drivers/scsi_debug/add_host";
const ADAPTERS: &str = "/sys/bus/pseudo/devices";
const PARAMETERS: &str = "/sys/module/scsi_debug/parameters";
const MIB: u64 = 1 << 20;
/// So long may a disk take to appear: it is looked for in the background.
const APPEARS: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// A disk of `size` for the device `name`, where the largest such disk of the scenario has `largest`.
pub(super) fn make(kernel: &RunningKernel, name: &str, size: Bytes, largest: Bytes) -> Result<Leaf, KernelError> {
    let wrong = |what: String| KernelError::new(format!("{name}: no disk of {MODULE}: {what}"));
    if !Path::new(DISKS).is_dir() {
        kernel.load("sd_mod", "")?;
    }
    if !modules::is_there(MODULE) {
        let mib = largest.0.div_ceil(MIB);
        kernel.load(MODULE, &format!("add_host=0 per_host_store=1 dev_size_mb={mib} delay=0"))?;
    }
    let has = number(&Path::new(PARAMETERS).join("dev_size_mb")).unwrap_or(0);
    if has * MIB < size.0 {
        return Err(wrong(format!("its disks have {has} MiB: load it with dev_size_mb={}", size.0.div_ceil(MIB))));
    }
    let adapter = u32::try_from(adapters().len()).map_err(|error| wrong(error.to_string()))?;
    kernel.journal.note(KIND, &adapter.to_string())?;
    let made = per_host_store()
        .and_then(|()| fs::write(ADD_HOST, "1").map_err(|error| format!("{ADD_HOST}: {error}")))
        .and_then(|()| appeared(adapter))
        .and_then(|disk| zero(&disk).and_then(|()| sized(&disk, size)));
    match made {
        Ok(dev) => Ok(Leaf { dev, undo: Undo::Scsi(adapter) }),
        Err(why) => {
            let also = undo(&adapter.to_string()).err().map(|also| format!("; {also}")).unwrap_or_default();
            Err(wrong(format!("{why}{also}")))
        }
    }
}

/// Memory of its own for each adapter that comes; one that was there keeps what it has.
fn per_host_store() -> Result<(), String> {
    let path = Path::new(PARAMETERS).join("per_host_store");
    fs::write(&path, "1").map_err(|error| format!("{}: {error}", path.display()))
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The numbers of all adapters.
fn adapters() -> Vec<u32> {
    let entries = fs::read_dir(ADAPTERS).into_iter().flatten().flatten();
    let mut found: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("adapter")?.parse().ok()).collect();
    found.sort_unstable();
    found
}

/// The disk of an adapter, as soon as it is there with all of its size.
fn appeared(adapter: u32) -> Result<String, String> {
    let begun = Instant::now();
    loop {
        let disk = disk_of(&Path::new(ADAPTERS).join(format!("adapter{adapter}")));
        if let Some(disk) = disk.filter(|disk| is_whole(disk)) {
            return Ok(disk);
        }
        if begun.elapsed() > APPEARS {
            return Err(format!("no disk of adapter{adapter} after {} s", APPEARS.as_secs()));
        }
        std::thread::sleep(LOOK);
    }
}

/// A disk has its size in sysfs a little before it can be opened.
fn is_whole(disk: &str) -> bool {
    let folder = Path::new("/sys/class/block").join(disk);
    number(&folder.join("size")).is_some_and(|size| size > 0)
        && nodes::number(&folder).is_some_and(|dev| nodes::open(dev, OFlag::empty()).is_ok())
}

/// `adapter0/host2/target2:0:0/2:0:0:0/block/sda`.
fn disk_of(adapter: &Path) -> Option<String> {
    let below = |folder: &Path, begin: &str| -> Option<PathBuf> {
        let mut found: Vec<PathBuf> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
        found.sort();
        found.into_iter().find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begin)))
    };
    let target = below(&below(adapter, "host")?, "target")?;
    let address = target.file_name()?.to_str()?.strip_prefix("target")?.to_owned();
    let disk = below(&below(&target, &address)?.join("block"), "")?;
    Some(disk.file_name()?.to_str()?.to_owned())
}

fn zero(disk: &str) -> Result<(), String> {
    let dev = nodes::number(&Path::new("/sys/class/block").join(disk)).ok_or("its disk has no number")?;
    let file = nodes::open(dev, OFlag::O_DIRECT).map_err(|error| error.to_string())?;
    let size = nodes::sectors(dev).bytes();
    sys::range(file.as_fd(), RangeOp::WriteZeroes, 0, size.0)
        .map_err(|errno| format!("{disk} cannot be zeroed: {errno}"))
}

/// Removes an adapter, by its number.
pub(in crate::backend::kernel) fn undo(adapter: &str) -> Result<(), String> {
    let wanted: u32 = adapter.parse().map_err(|_| format!("{adapter:?} is no number of an adapter"))?;
    let Some(last) = adapters().last().copied().filter(|last| *last >= wanted) else { return Ok(()) };
    if last > wanted {
        return Err(format!("adapter{last} came after adapter{wanted}, and goes before it"));
    }
    if let Some(disk) = disk_of(&Path::new(ADAPTERS).join(format!("adapter{wanted}")))
        && let Some(dev) = nodes::number(&Path::new("/sys/class/block").join(&disk))
    {
        drop(nodes::open(dev, OFlag::O_EXCL).map_err(|error| format!("{disk} of adapter{wanted} is in use: {error}"))?);
    }
    fs::write(ADD_HOST, "-1").map_err(|error| format!("{ADD_HOST}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_of_an_adapter_is_found_below_its_host() {
        let root = tempfile::tempdir().unwrap();
        let adapter = root.path().join("adapter1");
        assert_eq!(disk_of(&adapter), None);
        fs::create_dir_all(adapter.join("power")).unwrap();
        fs::create_dir_all(adapter.join("host2/target2:0:0/power")).unwrap();
        assert_eq!(disk_of(&adapter), None, "the host is there, the disk is not yet");
        fs::create_dir_all(adapter.join("host2/target2:0:0/2:0:0:0/block/sdb")).unwrap();
        assert_eq!(disk_of(&adapter), Some("sdb".to_owned()));
    }

    #[test]
    fn nonsense_in_a_journal_removes_nothing() {
        assert!(undo("x").unwrap_err().contains("no number"));
        assert_eq!(undo("4000000000"), Ok(()), "gone");
    }
}
