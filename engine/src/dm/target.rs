//! [`TargetType`] and [`Target`]: what a target module gives to the core: the kernel's `struct target_type`.
//!
//! Invariants: a target is immutable but for what it keeps in primitives of its own; `map` either gives the bio back
//! remapped, or has taken care of it, or asks for it to be killed or pushed back; `end_io` is called once for each bio
//! that was remapped or taken care of, and once more for each time that it answered [`Ended::Incomplete`].
//! Not here: any particular target (see `targets`), request-based methods.

use std::sync::Arc;

use dmlab_units::Sectors;

use super::errno::Errno;
use super::host::TargetHost;
use crate::block::{Bio, BlkStatus, Device};
use crate::sched::Task;
use crate::variants::Planted;

/// A kind of target.
pub struct TargetType {
    /// Name in table lines.
    pub name: &'static str,
    /// Version, as `dmsetup targets` prints it.
    pub version: [u32; 3],
    /// What it can and cannot be combined with.
    pub features: TargetFeatures,
    /// Builds a target from a table line.
    pub ctr: Ctr,
}

bitflags::bitflags! {
    /// The kernel's `DM_TARGET_*`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct TargetFeatures: u32 {
        /// A table has this target alone.
        const SINGLETON = 1;
        /// Not in a read-only table.
        const ALWAYS_WRITEABLE = 1 << 1;
        /// A device whose live table has it takes no table without it.
        const IMMUTABLE = 1 << 2;
        /// May replace any target, immutable ones too.
        const WILDCARD = 1 << 3;
        /// Lets a bio pass that must not wait.
        const NOWAIT = 1 << 7;
    }
}

/// A constructor: builds a target for its part of a device, or says why not.
pub type Ctr = fn(&Task, &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError>;

/// Why a constructor refused, as it goes to the kernel log and to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CtrError {
    /// The kernel's `ti->error`.
    pub message: String,
    /// What the ioctl returns.
    pub errno: Errno,
}

impl CtrError {
    /// `ti->error = message; return -EINVAL;`
    pub fn invalid(message: &str) -> Self {
        Self { message: message.to_owned(), errno: Errno::EINVAL }
    }
}

/// The part of a mapped device that a target covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetRange {
    /// First sector.
    pub begin: Sectors,
    /// How many.
    pub len: Sectors,
}

impl TargetRange {
    /// `dm_target_offset`: where `sector` of the mapped device lies in the target.
    pub fn offset(&self, sector: Sectors) -> Sectors {
        sector - self.begin
    }

    /// `bio_set_dev` and `start + dm_target_offset`: what linear does, and most targets beside other things. An empty flush
    /// lies nowhere.
    #[inline]
    pub fn remap(&self, bio: &mut Bio, dev: &Arc<Device>, start: Sectors) {
        if bio.sectors > Sectors::ZERO {
            bio.sector = start + self.offset(bio.sector);
        }
        bio.set_dev(Arc::clone(dev));
    }
}

/// What a constructor works with.
pub struct TargetArgs<'a> {
    /// Which part of the device it is for.
    pub range: TargetRange,
    /// The words after the type.
    pub argv: Vec<&'a str>,
    /// The machine's planted bug.
    pub planted: Planted,
    /// What the target may later ask of its device: events, the log, whether it is being suspended.
    pub host: &'a Arc<TargetHost>,
    /// Finds devices, as `dm_get_device` does.
    pub get_device: &'a dyn Fn(&str) -> Result<Arc<Device>, Errno>,
}

impl TargetArgs<'_> {
    /// `dm_get_device`.
    ///
    /// # Errors
    /// [`CtrError`] with `message` and the error number of the look-up.
    pub fn device(&self, path: &str, message: &str) -> Result<Arc<Device>, CtrError> {
        (self.get_device)(path).map_err(|errno| CtrError { message: message.to_owned(), errno })
    }
}

/// What came of mapping a bio.
pub enum Mapped {
    /// `DM_MAPIO_REMAPPED`: the core submits it.
    Remapped(Bio),
    /// `DM_MAPIO_SUBMITTED`: the target has taken care of it: it has ended it, or will submit or end it.
    Submitted,
    /// `DM_MAPIO_KILL`: the core ends it with -EIO.
    Kill(Bio),
    /// `DM_MAPIO_REQUEUE`: the core keeps it until the resume if a noflush suspend is under way, else ends it with -EIO.
    Requeue(Bio),
}

/// What a target makes of a bio that has ended.
pub enum Ended {
    /// `DM_ENDIO_DONE`: it has ended so.
    Done(BlkStatus),
    /// `DM_ENDIO_INCOMPLETE`: the target has kept the bio and will submit or end it again.
    Incomplete,
    /// `DM_ENDIO_REQUEUE`: as [`Mapped::Requeue`].
    Requeue,
}

/// A target of a loaded table.
///
/// What it knows about one bio from `map` to `end_io` it notes with [`Bio::set_per_bio_data`]; which duplicate of a flush
/// or discard it has in hand says [`Bio::target_bio_nr`].
pub trait Target: Send + Sync {
    /// Sends a bio, whose sectors are still those of the mapped device `dev`, on its way.
    fn map(&self, current: &Task, dev: &Device, range: &TargetRange, bio: Bio) -> Mapped;

    /// Bios must not cross multiples of this many sectors of the target's own offset.
    fn max_io_len(&self) -> Option<Sectors> {
        None
    }

    /// How much of `bio` from its sector `at` on it takes at once (`dm_accept_partial_bio`); `None` is all that is its.
    fn accepts(&self, _bio: &Bio, _at: Sectors) -> Option<Sectors> {
        None
    }

    /// How many copies of a flush it needs: one per device that may hold written data in a cache.
    fn num_flush_bios(&self) -> u64;

    /// How many copies of a discard it needs; 0 if it supports none.
    fn num_discard_bios(&self) -> u64 {
        0
    }

    /// How many copies of a write-zeroes it needs; 0 if it supports none.
    fn num_write_zeroes_bios(&self) -> u64 {
        0
    }

    /// How many copies of a secure erase it needs; 0 if it supports none.
    fn num_secure_erase_bios(&self) -> u64 {
        0
    }

    /// `ti->flush_supported`: it wants flushes even if no device below has a write cache.
    fn flush_supported(&self) -> bool {
        false
    }

    /// `ti->discards_supported`: it takes discards even if no device below does.
    fn discards_supported(&self) -> bool {
        false
    }

    /// `ti->max_discard_granularity`: discards too are split at multiples of [`Self::max_io_len`].
    fn max_discard_granularity(&self) -> bool {
        false
    }

    /// `ti->flush_bypasses_map` (since 6.12): flushes go to the devices of the table without being mapped, if all targets
    /// say so.
    fn flush_bypasses_map(&self) -> bool {
        false
    }

    /// Whether it wants to know how its bios end.
    fn wants_end_io(&self) -> bool {
        false
    }

    /// A bio has ended with `status`. `clone` is as `map` got it: sectors of the mapped device, its memory, no device yet.
    /// Only with [`Self::wants_end_io`]. Must not sleep.
    fn end_io(&self, _current: &Task, _range: &TargetRange, _clone: Bio, status: BlkStatus) -> Ended {
        Ended::Done(status)
    }

    /// A suspend begins; I/O still flows.
    fn presuspend(&self, _current: &Task) {}

    /// The suspend did not succeed after all.
    fn presuspend_undo(&self, _current: &Task) {}

    /// The device is suspended: nothing is in flight.
    fn postsuspend(&self, _current: &Task) {}

    /// A resume begins. If any target refuses, the device stays suspended and no `resume` hook is called.
    ///
    /// # Errors
    /// What the resume returns.
    fn preresume(&self, _current: &Task) -> Result<(), Errno> {
        Ok(())
    }

    /// All targets have agreed to the resume; I/O does not flow yet.
    fn resume(&self, _current: &Task) {}

    /// `dmsetup message`: the reply, if there is one (`DM_DATA_OUT_FLAG`).
    ///
    /// # Errors
    /// What the ioctl returns.
    fn message(&self, current: &Task, host: &TargetHost, _argv: &[&str]) -> Result<Option<String>, Errno> {
        host.log(current, "device-mapper: ioctl: Target type does not support messages");
        Err(Errno::EINVAL)
    }

    /// The devices it stands on: device, first sector, sectors used.
    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)>;

    /// `STATUSTYPE_INFO`. `noflush` (`DM_STATUS_NOFLUSH_FLAG`): not to write anything out for it.
    fn status(&self, current: &Task, noflush: bool) -> String;

    /// `STATUSTYPE_TABLE`.
    fn table(&self, current: &Task) -> String;

    /// `dtr`: the table is destroyed; no bio is under way. For what does not end by being dropped.
    fn dtr(&self, _current: &Task) {}
}
