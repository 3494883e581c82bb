//! Block devices by their numbers: nodes, sizes, names in sysfs. udev is neither needed nor waited for.
//!
//! Invariants: a node that is opened has the number that was asked for, whatever its name says; a node that had to be
//! made is gone as soon as it is open.
//! Not here: whose device it is (`journal`).

use std::fs::{self, File, OpenOptions, remove_file};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use dmlab_units::Sectors;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

/// Major and minor number of a block device.
pub(super) type Dev = (u32, u32);

/// Nodes that this process has made, so that no two of its threads make the same.
static NODES: AtomicU32 = AtomicU32::new(0);

/// The device's folder in sysfs.
pub(super) fn sysfs(dev: Dev) -> PathBuf {
    PathBuf::from(format!("/sys/dev/block/{}:{}", dev.0, dev.1))
}

/// How many sectors it has; none, if it is not there.
pub(super) fn sectors(dev: Dev) -> Sectors {
    let text = fs::read_to_string(sysfs(dev).join("size")).unwrap_or_default();
    Sectors(text.trim().parse().unwrap_or(0))
}

/// The number of the disk or partition in this folder of sysfs.
pub(super) fn number(folder: &Path) -> Option<Dev> {
    let text = fs::read_to_string(folder.join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Opens it for reading and writing, with more flags.
///
/// # Errors
/// What the system answered; `ENXIO` when there is no such device.
pub(super) fn open(dev: Dev, flags: OFlag) -> io::Result<File> {
    let uevent = fs::read_to_string(sysfs(dev).join("uevent")).unwrap_or_default();
    let named = uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="));
    let wanted = makedev(u64::from(dev.0), u64::from(dev.1));
    let options = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(flags.bits());
        options
    };
    if let Some(name) = named {
        let path = Path::new("/dev").join(name);
        if fs::metadata(&path).is_ok_and(|found| found.rdev() == wanted) {
            return options().open(path);
        }
    }
    let number = NODES.fetch_add(1, Ordering::Relaxed);
    let path = PathBuf::from(format!("/dev/.dmlab-{}-{number}", std::process::id()));
    mknod(&path, SFlag::S_IFBLK, Mode::S_IRUSR | Mode::S_IWUSR, wanted)?;
    let opened = options().open(&path);
    remove_file(&path)?;
    opened
}
