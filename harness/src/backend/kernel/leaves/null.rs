//! null_blk's devices, through configfs, called after the leaf: without media, or with memory in their place.
//!
//! Invariants: sizes that null_blk has no words for (it counts MiB) are partitions.

use std::fs;
use std::path::{Path, PathBuf};

use dmlab_units::Bytes;
use nix::mount::{MsFlags, mount};

use super::{Leaf, Undo, sized};
use crate::backend::kernel::session::PREFIX;
use crate::backend::kernel::{KernelError, RunningKernel, nodes};

const CONFIGFS: &str = "/sys/kernel/config";
const MIB: u64 = 1 << 20;
/// `DISK_NAME_LEN` without its NUL.
const DISK_NAME_MAX: usize = 31;

fn folder(name: &str) -> PathBuf {
    Path::new(CONFIGFS).join("nullb").join(name)
}

/// A device of `size` for the device `name`, which keeps data or does not.
pub(super) fn make(kernel: &RunningKernel, name: &str, size: Bytes, keeps: bool) -> Result<Leaf, KernelError> {
    let wrong = |what: String| KernelError::new(format!("{name}: no null_blk: {what}"));
    kernel.load("configfs", "")?;
    // No devices of its own: those of configfs are told apart by name.
    kernel.load("null_blk", "nr_devices=0")?;
    if !Path::new(CONFIGFS).join("nullb").exists() {
        let none: Option<&str> = None;
        mount(Some("none"), CONFIGFS, Some("configfs"), MsFlags::empty(), none)
            .map_err(|errno| wrong(format!("{CONFIGFS}: {errno}")))?;
    }
    let called = kernel.name_of(name);
    let place = folder(&called);
    let made = fs::create_dir(&place).and_then(|()| {
        let settings = [
            ("size", size.0.div_ceil(MIB).to_string()),
            ("blocksize", "512".to_owned()),
            ("irqmode", "0".to_owned()),
            // Requests, whatever the module was told: multipath takes nothing else.
            ("queue_mode", "2".to_owned()),
            ("memory_backed", u8::from(keeps).to_string()),
            ("power", "1".to_owned()),
        ];
        settings.iter().try_for_each(|(key, value)| fs::write(place.join(key), value))
    });
    let dev = made.map_err(|error| error.to_string()).and_then(|()| find(&called, &place, size));
    match dev {
        Ok(dev) => Ok(Leaf { dev, undo: Undo::Null(called) }),
        Err(why) => {
            let also = undo(&called).err().map(|also| format!("; {also}")).unwrap_or_default();
            Err(wrong(format!("{why}{also}")))
        }
    }
}

/// The disk is called after its folder (since 6.1, cut off where names end), or by its number.
fn find(called: &str, place: &Path, size: Bytes) -> Result<nodes::Dev, String> {
    let cut: String = called.chars().take(DISK_NAME_MAX).collect();
    let index = fs::read_to_string(place.join("index")).unwrap_or_default();
    let disks = [cut, format!("nullb{}", index.trim())];
    let block = |name: &str| Path::new("/sys/class/block").join(name);
    let disk = disks.iter().find(|name| block(name).exists()).ok_or("its disk is not there")?;
    sized(disk, size)
}

/// Removes the device.
pub(super) fn undo(called: &str) -> Result<(), String> {
    let place = folder(called);
    if !place.exists() {
        return Ok(());
    }
    let wrong = |error: std::io::Error| format!("{}: {error}", place.display());
    fs::write(place.join("power"), "0").map_err(wrong)?;
    fs::remove_dir(&place).map_err(wrong)
}

/// The devices that dmlab has made.
pub(super) fn named() -> Vec<String> {
    let Ok(entries) = fs::read_dir(Path::new(CONFIGFS).join("nullb")) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with(PREFIX)).collect()
}
