//! Ramdisks: brd's, by the parameters of the module or those that are there.
//!
//! All disks of brd have one size, so a scenario's is a partition of one where it is smaller.
//!
//! Invariants: a disk that was there before is used only if nobody has it open and it holds nothing but zeros (in a guest, where
//! it is nobody's, only if nobody has it open), and it is zeroed again behind us.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dmlab_units::Bytes;
use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::{Leaf, Undo};
use crate::backend::kernel::session::RAMDISKS;
use crate::backend::kernel::sys::{self, RangeOp};
use crate::backend::kernel::{KernelError, RunningKernel, modules, nodes};
use crate::backend::ring::Aligned;

/// brd's own unit of size.
const KIB: u64 = 1024;
/// The partition that is a leaf.
const PARTITION: i32 = 1;
/// Bytes that are looked at together.
const LOOK_BYTES: usize = 1 << 20;

fn block(name: &str) -> PathBuf {
    Path::new("/sys/class/block").join(name)
}

/// Ramdisks of these sizes.
pub(super) fn make(
    kernel: &RunningKernel,
    wanted: &[(&str, Bytes)],
    leaves: &mut BTreeMap<String, Leaf>,
) -> Result<(), KernelError> {
    let Some(most) = wanted.iter().map(|(_, size)| size.0.div_ceil(KIB)).max() else { return Ok(()) };
    if !modules::is_there(RAMDISKS) {
        // Whole pages.
        let size = most.next_multiple_of(4);
        kernel.load(RAMDISKS, &format!("rd_nr={} rd_size={size} max_part=1", wanted.len()))?;
    }
    // A machine that was booted for this run (dmlab is its first process) has nobody else's disks. Where brd is built in they
    // may be large, and reading all of one takes an emulated machine half a minute.
    let are_ours = kernel.owns(RAMDISKS) || std::process::id() == 1;
    let mut disks = disks().into_iter();
    for (name, size) in wanted {
        let mut why = String::new();
        let found = disks.find_map(|disk| match free(&disk, *size, are_ours) {
            Ok(file) => Some((disk, file)),
            Err(not) => {
                why = format!("; {disk} {not}");
                None
            }
        });
        let Some((disk, file)) = found else {
            return Err(KernelError::new(format!(
                "{name}: no ramdisk of {size} is free{why}: unload brd, or load it with rd_nr={} rd_size={most} or more",
                wanted.len()
            )));
        };
        kernel.journal.note("ram", &disk)?;
        let dev = part(&disk, &file, *size).map_err(|why| KernelError::new(format!("{name}: {disk}: {why}")))?;
        leaves.insert((*name).to_owned(), Leaf { dev, undo: Undo::Ram(disk) });
    }
    Ok(())
}

/// All disks of brd, by number.
fn disks() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/sys/block") else { return Vec::new() };
    let number = |name: String| name.strip_prefix("ram")?.parse::<u32>().ok();
    let mut numbers: Vec<u32> =
        entries.flatten().filter_map(|entry| number(entry.file_name().into_string().ok()?)).collect();
    numbers.sort_unstable();
    numbers.into_iter().map(|number| format!("ram{number}")).collect()
}

/// The disk, if it can be had; why not, if not.
fn free(disk: &str, size: Bytes, is_ours: bool) -> Result<File, String> {
    let dev = nodes::number(&block(disk)).ok_or("is not there")?;
    let has = nodes::sectors(dev).bytes();
    if has < size {
        return Err(format!("has only {has}"));
    }
    let is_empty = |folder: &str| fs::read_dir(block(disk).join(folder)).is_ok_and(|mut found| found.next().is_none());
    if !is_empty("holders") || block(&format!("{disk}p{PARTITION}")).exists() {
        return Err("is in use".to_owned());
    }
    // Fails where somebody has mounted or claimed it.
    drop(nodes::open(dev, OFlag::O_EXCL).map_err(|error| error.to_string())?);
    let file = nodes::open(dev, OFlag::O_DIRECT).map_err(|error| error.to_string())?;
    if !is_ours && !is_zeros(&file, has)? {
        return Err("is somebody's: it holds data".to_owned());
    }
    Ok(file)
}

fn is_zeros(file: &File, size: Bytes) -> Result<bool, String> {
    let mut memory = Aligned::zeroed(LOOK_BYTES);
    let mut at = 0;
    while at < size.0 {
        let here = memory.as_mut();
        let len = (size.0 - at).min(here.len() as u64) as usize;
        file.read_exact_at(&mut here[..len], at).map_err(|error| error.to_string())?;
        if here[..len].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += len as u64;
    }
    Ok(true)
}

/// The first `size` bytes of a disk.
fn part(disk: &str, file: &File, size: Bytes) -> Result<nodes::Dev, String> {
    let whole = nodes::number(&block(disk)).ok_or("is gone")?;
    if nodes::sectors(whole).bytes() == size {
        return Ok(whole);
    }
    let len = i64::try_from(size.0).map_err(|error| error.to_string())?;
    sys::add_partition(file.as_fd(), PARTITION, len).map_err(|errno| format!("no partition of {size}: {errno}"))?;
    nodes::number(&block(&format!("{disk}p{PARTITION}"))).ok_or_else(|| "its partition is not there".to_owned())
}

/// Takes partition and data off a disk.
pub(in crate::backend::kernel) fn undo(disk: &str) -> Result<(), String> {
    let Some(dev) = nodes::number(&block(disk)) else { return Ok(()) };
    let file = nodes::open(dev, OFlag::O_DIRECT).map_err(|error| error.to_string())?;
    // What lies behind the partition was zeros and is; a ramdisk that is written has its pages, also for zeros.
    let part = nodes::number(&block(&format!("{disk}p{PARTITION}"))).map(|part| nodes::sectors(part).bytes());
    let size = part.filter(|size| size.0 > 0).unwrap_or_else(|| nodes::sectors(dev).bytes());
    match sys::remove_partition(file.as_fd(), PARTITION) {
        Ok(()) | Err(Errno::ENXIO) => {}
        Err(errno) => return Err(format!("its partition stays: {errno}")),
    }
    sys::range(file.as_fd(), RangeOp::WriteZeroes, 0, size.0).map_err(|errno| format!("cannot be zeroed: {errno}"))
}
