//! [`DmControl`]: device-mapper's commands, as the running kernel carries them out (dm-spec §8).
//!
//! Invariants: what the kernel answers is passed on as it is; an answer that does not fit is asked for again with a larger
//! buffer, up to [`ROOM_MAX`]; no command tells udev to wait for anything (no cookie).
//! Not here: the layout (`wire`), names of runs (`actor`), whom a device belongs to (`journal`).

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::wire::{self, Buffer, Spec};
use super::{KernelError, sys};

/// Where the kernel is spoken to.
const CONTROL: &str = "/dev/mapper/control";
/// Major number of misc devices.
const MISC_MAJOR: u64 = 10;
/// Bytes of the first try of an answer.
const ROOM: usize = 16 * 1024;
/// Bytes of the last try: a table of a hundred thousand lines has less.
const ROOM_MAX: usize = 64 << 20;
/// Between two looks at whether a wait for an event is to end.
const LOOK: Duration = Duration::from_millis(100);

/// Commands by number (kernel: `enum` in `dm-ioctl.h`).
mod nr {
    pub(super) const VERSION: u8 = 0;
    pub(super) const LIST_DEVICES: u8 = 2;
    pub(super) const DEV_CREATE: u8 = 3;
    pub(super) const DEV_REMOVE: u8 = 4;
    pub(super) const DEV_RENAME: u8 = 5;
    pub(super) const DEV_SUSPEND: u8 = 6;
    pub(super) const DEV_STATUS: u8 = 7;
    pub(super) const DEV_WAIT: u8 = 8;
    pub(super) const TABLE_LOAD: u8 = 9;
    pub(super) const TABLE_CLEAR: u8 = 10;
    pub(super) const TABLE_DEPS: u8 = 11;
    pub(super) const TABLE_STATUS: u8 = 12;
    pub(super) const LIST_VERSIONS: u8 = 13;
    pub(super) const TARGET_MSG: u8 = 14;
    pub(super) const DEV_ARM_POLL: u8 = 16;
}

/// A device's name, and its major and minor number.
pub type Named = (String, (u32, u32));

/// What the kernel says of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevInfo {
    /// `DM_*_FLAG`s.
    pub flags: u32,
    /// Who has it open.
    pub open_count: u32,
    /// Lines of the live table.
    pub target_count: u32,
    /// Number of the last event.
    pub event_nr: u32,
    /// Major and minor number.
    pub dev: (u32, u32),
}

impl DevInfo {
    /// Whether it is suspended by somebody.
    pub const fn is_suspended(&self) -> bool {
        self.flags & wire::SUSPEND != 0
    }

    /// Whether a table is in the inactive slot.
    pub const fn has_inactive(&self) -> bool {
        self.flags & wire::INACTIVE_PRESENT != 0
    }

    fn of(answer: &Buffer) -> Self {
        Self {
            flags: answer.flags(),
            open_count: answer.open_count(),
            target_count: answer.target_count(),
            event_nr: answer.event_nr(),
            dev: answer.dev(),
        }
    }
}

/// How a device is suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SuspendHow {
    /// Hold I/O back instead of waiting for it.
    pub noflush: bool,
    /// Leave file systems alone.
    pub nolockfs: bool,
}

/// Which table is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that I/O goes through.
    Live,
    /// The one that a resume would take.
    Inactive,
}

/// The kernel's device-mapper.
#[derive(Debug)]
pub struct DmControl {
    control: File,
    version: [u32; 3],
}

impl DmControl {
    /// Opens `/dev/mapper/control`, which is made if the kernel has device-mapper and nobody has made it.
    ///
    /// # Errors
    /// Why this kernel's device-mapper cannot be used.
    pub fn open() -> Result<Self, KernelError> {
        let path = Path::new(CONTROL);
        if !path.exists() {
            make_control(path)?;
        }
        let wrong = |error: &dyn std::fmt::Display| KernelError::new(format!("{CONTROL}: {error}"));
        let control = OpenOptions::new().read(true).write(true).open(path).map_err(|error| wrong(&error))?;
        let mut dm = Self { control, version: [0; 3] };
        let answer = dm.call(nr::VERSION, 0, "", 0, &[]).map_err(|errno| wrong(&errno))?;
        dm.version = answer.version();
        match dm.version[0] {
            4 => Ok(dm),
            other => Err(wrong(&format!("interface version {other}, dmlab speaks 4"))),
        }
    }

    /// A second handle, with events of its own.
    fn again(&self) -> Result<File, Errno> {
        let opened = OpenOptions::new().read(true).write(true).open(CONTROL);
        opened.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO)))
    }

    /// The version of the interface.
    pub const fn version(&self) -> [u32; 3] {
        self.version
    }

    fn call(&self, nr: u8, flags: u32, name: &str, event_nr: u32, payload: &[u8]) -> Result<Buffer, Errno> {
        self.call_with(nr, flags, name, event_nr, payload, &|_| {})
    }

    fn call_with(
        &self,
        nr: u8,
        flags: u32,
        name: &str,
        event_nr: u32,
        payload: &[u8],
        prepare: &dyn Fn(&mut Buffer),
    ) -> Result<Buffer, Errno> {
        if name.len() >= wire::NAME_LEN || name.contains('\0') {
            return Err(Errno::EINVAL);
        }
        let mut room = ROOM;
        loop {
            let mut buffer = Buffer::new(flags, name, event_nr, payload, room);
            prepare(&mut buffer);
            sys::dm_ioctl(&self.control, nr, &mut buffer)?;
            if buffer.flags() & wire::BUFFER_FULL == 0 {
                return Ok(buffer);
            }
            room *= 4;
            if room > ROOM_MAX {
                return Err(Errno::ENOSPC);
            }
        }
    }

    /// All dm devices: names and numbers.
    ///
    /// # Errors
    /// What dm answered; so of all below.
    pub fn list(&self) -> Result<Vec<Named>, Errno> {
        self.call(nr::LIST_DEVICES, 0, "", 0, &[]).map(|answer| answer.names())
    }

    /// All target types that are loaded, with their versions.
    #[allow(missing_docs)] // as above
    pub fn targets(&self) -> Result<Vec<(String, [u32; 3])>, Errno> {
        self.call(nr::LIST_VERSIONS, 0, "", 0, &[]).map(|answer| answer.versions())
    }

    /// `DM_DEV_CREATE`.
    pub fn create(&self, name: &str, uuid: &str) -> Result<DevInfo, Errno> {
        if uuid.len() >= wire::UUID_LEN {
            return Err(Errno::EINVAL);
        }
        let answer = self.call_with(nr::DEV_CREATE, 0, name, 0, &[], &|buffer| buffer.set_uuid(uuid))?;
        Ok(DevInfo::of(&answer))
    }

    /// `DM_DEV_REMOVE`, or as soon as nobody has it open.
    pub fn remove(&self, name: &str, deferred: bool) -> Result<(), Errno> {
        let flags = if deferred { wire::DEFERRED_REMOVE } else { 0 };
        self.call(nr::DEV_REMOVE, flags, name, 0, &[]).map(drop)
    }

    /// `DM_DEV_RENAME`.
    pub fn rename(&self, name: &str, to: &str) -> Result<(), Errno> {
        self.call(nr::DEV_RENAME, 0, name, 0, &[to.as_bytes(), &[0]].concat()).map(drop)
    }

    /// `DM_DEV_RENAME` with `DM_UUID_FLAG`.
    pub fn set_uuid(&self, name: &str, uuid: &str) -> Result<(), Errno> {
        self.call(nr::DEV_RENAME, wire::UUID, name, 0, &[uuid.as_bytes(), &[0]].concat()).map(drop)
    }

    /// `DM_DEV_SUSPEND`.
    pub fn suspend(&self, name: &str, how: SuspendHow) -> Result<(), Errno> {
        let noflush = if how.noflush { wire::NOFLUSH } else { 0 };
        let nolockfs = if how.nolockfs { wire::SKIP_LOCKFS } else { 0 };
        self.call(nr::DEV_SUSPEND, wire::SUSPEND | noflush | nolockfs, name, 0, &[]).map(drop)
    }

    /// `DM_DEV_SUSPEND` without its flag: takes the inactive table, if there is one. What has to be suspended for that is
    /// suspended as `how` says.
    pub fn resume(&self, name: &str, how: SuspendHow) -> Result<(), Errno> {
        let noflush = if how.noflush { wire::NOFLUSH } else { 0 };
        let nolockfs = if how.nolockfs { wire::SKIP_LOCKFS } else { 0 };
        self.call(nr::DEV_SUSPEND, noflush | nolockfs, name, 0, &[]).map(drop)
    }

    /// `DM_TABLE_LOAD` of lines in dmsetup's syntax.
    pub fn load(&self, name: &str, lines: &[String]) -> Result<(), Errno> {
        let specs = lines.iter().map(|line| Spec::parse(line)).collect::<Option<Vec<_>>>().ok_or(Errno::EINVAL)?;
        let prepare = |buffer: &mut Buffer| buffer.set_target_count(specs.len());
        self.call_with(nr::TABLE_LOAD, 0, name, 0, &wire::encode_table(&specs), &prepare).map(drop)
    }

    /// `DM_TABLE_CLEAR`.
    pub fn clear(&self, name: &str) -> Result<(), Errno> {
        self.call(nr::TABLE_CLEAR, 0, name, 0, &[]).map(drop)
    }

    /// `DM_DEV_STATUS`.
    pub fn info(&self, name: &str) -> Result<DevInfo, Errno> {
        self.call(nr::DEV_STATUS, 0, name, 0, &[]).map(|answer| DevInfo::of(&answer))
    }

    /// `DM_TABLE_STATUS`: lines as dmsetup prints them.
    pub fn status(&self, name: &str, which: Which) -> Result<Vec<String>, Errno> {
        self.lines(name, which, 0)
    }

    /// The same with `DM_STATUS_TABLE_FLAG`.
    pub fn table(&self, name: &str, which: Which) -> Result<Vec<String>, Errno> {
        self.lines(name, which, wire::STATUS_TABLE)
    }

    fn lines(&self, name: &str, which: Which, flags: u32) -> Result<Vec<String>, Errno> {
        let answer = self.call(nr::TABLE_STATUS, flags | query(which), name, 0, &[])?;
        Ok(answer.specs().iter().map(Spec::line).collect())
    }

    /// `DM_TABLE_DEPS`.
    pub fn deps(&self, name: &str, which: Which) -> Result<Vec<(u32, u32)>, Errno> {
        self.call(nr::TABLE_DEPS, query(which), name, 0, &[]).map(|answer| answer.deps())
    }

    /// `DM_TARGET_MSG`: the reply, if there is one.
    pub fn message(&self, name: &str, sector: u64, text: &str) -> Result<Option<String>, Errno> {
        let answer = self.call(nr::TARGET_MSG, 0, name, 0, &wire::encode_message(sector, text))?;
        Ok((answer.flags() & wire::DATA_OUT != 0).then(|| answer.data()))
    }

    /// `DM_DEV_WAIT`: until the number of the last event is another than `after`; then the status. `None` when `timeout` was
    /// over first, or when `is_to_end` said so.
    ///
    /// The kernel's own wait ends by a signal at best. So this polls for events of any device, looks at the number, and asks
    /// the kernel to wait when that will not take any time.
    pub fn wait_event(
        &self,
        name: &str,
        after: u32,
        timeout: Option<Duration>,
        is_to_end: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<String>>, Errno> {
        let begin = Instant::now();
        let events = self.again()?;
        let mut seen = false;
        loop {
            // Armed before the look, so that what happens behind it ends the poll.
            sys::dm_ioctl(&events, nr::DEV_ARM_POLL, &mut Buffer::new(0, "", 0, &[], 0))?;
            match self.info(name) {
                Ok(info) if info.event_nr != after => break,
                Ok(_) => seen = true,
                // Removed while it was waited for, which is an event; without a table there is nothing to tell.
                Err(Errno::ENXIO) if seen => return Ok(Some(Vec::new())),
                Err(errno) => return Err(errno),
            }
            if is_to_end() || timeout.is_some_and(|timeout| begin.elapsed() >= timeout) {
                return Ok(None);
            }
            let mut fds = [PollFd::new(events.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::from(LOOK.as_millis() as u16)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        match self.call(nr::DEV_WAIT, 0, name, after, &[]) {
            Ok(answer) => Ok(Some(answer.specs().iter().map(Spec::line).collect())),
            Err(Errno::ENXIO) => Ok(Some(Vec::new())),
            Err(errno) => Err(errno),
        }
    }
}

const fn query(which: Which) -> u32 {
    match which {
        Which::Live => 0,
        Which::Inactive => wire::QUERY_INACTIVE,
    }
}

/// Makes the node of the control device, by the number that the kernel gave it.
fn make_control(path: &Path) -> Result<(), KernelError> {
    let misc = fs::read_to_string("/proc/misc").unwrap_or_default();
    let minor = misc.lines().find_map(|line| {
        let (minor, name) = line.trim().split_once(' ')?;
        (name == "device-mapper").then(|| minor.parse::<u64>().ok())?
    });
    let Some(minor) = minor else {
        return Err(KernelError::new("the running kernel has no device-mapper, or it is not loaded".to_owned()));
    };
    let wrong = |error: &dyn std::fmt::Display| KernelError::new(format!("{CONTROL} cannot be made: {error}"));
    let folder = path.parent().expect("it is in a folder");
    fs::create_dir_all(folder).map_err(|error| wrong(&error))?;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    mknod(path, SFlag::S_IFCHR, mode, makedev(MISC_MAJOR, minor)).map_err(|errno| wrong(&errno))
}
