//! Files as disks: loop devices over memory that bears the leaf's name.
//!
//! Invariants: a loop device that is made here lets its file go with its last user, so that a killed process leaves
//! none behind once the dm devices above have gone.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use dmlab_units::Bytes;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::{Leaf, Undo};
use crate::backend::kernel::{KernelError, RunningKernel, nodes, sys};

/// Somebody else may take the number first; so often it is tried again.
const TRIES: u32 = 16;
/// How `/sys/block/loop*/loop/backing_file` shows such memory.
const SHOWN: &str = "/memfd:";

/// A loop device of `size` for the device `name`.
pub(super) fn make(kernel: &RunningKernel, name: &str, size: Bytes) -> Result<Leaf, KernelError> {
    let wrong = |what: &dyn std::fmt::Display| KernelError::new(format!("{name}: no loop device: {what}"));
    kernel.load("loop", "")?;
    let called = kernel.name_of(name);
    let memory = memfd_create(called.as_str(), MFdFlags::MFD_CLOEXEC).map_err(|errno| wrong(&errno))?;
    let memory = File::from(memory);
    memory.set_len(size.0).map_err(|error| wrong(&error))?;
    let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control");
    let control = control.map_err(|error| wrong(&format!("/dev/loop-control: {error}")))?;
    for _ in 0..TRIES {
        let number = sys::loop_free(control.as_fd()).map_err(|errno| wrong(&errno))?;
        let dev = nodes::number(&disk(number)).ok_or_else(|| wrong(&format!("loop{number} is not there")))?;
        let device = nodes::open(dev, OFlag::empty()).map_err(|error| wrong(&error))?;
        match sys::loop_set_fd(device.as_fd(), memory.as_fd()) {
            Ok(()) => {}
            Err(Errno::EBUSY) => continue,
            Err(errno) => return Err(wrong(&errno)),
        }
        sys::loop_name(device.as_fd(), &called).map_err(|errno| wrong(&errno))?;
        return Ok(Leaf { dev, undo: Undo::Loop(device) });
    }
    Err(wrong(&format!("others were faster {TRIES} times")))
}

fn disk(number: u32) -> PathBuf {
    Path::new("/sys/block").join(format!("loop{number}"))
}

/// Lets the file go.
pub(super) fn undo(device: &File) -> Result<(), String> {
    match sys::loop_clear(device.as_fd()) {
        Ok(()) | Err(Errno::ENXIO) => Ok(()),
        Err(errno) => Err(format!("its loop device stays: {errno}")),
    }
}

/// The loop devices that dmlab has made: leaf's name and number.
pub(super) fn named() -> Vec<(String, u32)> {
    let Ok(entries) = fs::read_dir("/sys/block") else { return Vec::new() };
    let found = |entry: fs::DirEntry| {
        let number: u32 = entry.file_name().to_str()?.strip_prefix("loop")?.parse().ok()?;
        let file = fs::read_to_string(entry.path().join("loop/backing_file")).ok()?;
        let name = file.trim().strip_prefix(SHOWN)?.trim_end_matches(" (deleted)").to_owned();
        Some((name, number))
    };
    entries.flatten().filter_map(found).collect()
}

/// Lets the file of loop device `number` go.
pub(super) fn clear(number: u32) -> Result<(), String> {
    let Some(dev) = nodes::number(&disk(number)) else { return Ok(()) };
    let device = nodes::open(dev, OFlag::empty()).map_err(|error| error.to_string())?;
    undo(&device)
}
