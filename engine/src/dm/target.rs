//! [`TargetType`] and [`Target`]: what a target module gives to the core: the kernel's `struct target_type`.
//!
//! Invariants: a target is immutable but for its own statistics; `map` either gives the bio back remapped, or has ended
//! it, or asks for it to be killed.
//! Not here: any particular target (see `targets`), messages, discards, request-based methods.

use std::sync::Arc;

use dmlab_units::Sectors;

use super::errno::Errno;
use crate::block::{Bio, BlkStatus, Device};
use crate::sched::Task;
use crate::variants::Planted;

/// A kind of target.
pub struct TargetType {
    /// Name in table lines.
    pub name: &'static str,
    /// Version, as `dmsetup targets` prints it.
    pub version: [u32; 3],
    /// Builds a target from a table line.
    pub ctr: Ctr,
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
}

/// What a constructor works with.
pub struct TargetArgs<'a> {
    /// Which part of the device it is for.
    pub range: TargetRange,
    /// The words after the type.
    pub argv: Vec<&'a str>,
    /// The machine's planted bug.
    pub planted: Planted,
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
    /// `DM_MAPIO_SUBMITTED`: the target has taken care of it.
    Submitted,
    /// `DM_MAPIO_KILL`: the core ends it with -EIO.
    Kill(Bio),
}

/// A target of a loaded table.
pub trait Target: Send + Sync {
    /// Sends a bio, whose sectors are still those of the mapped device `dev`, on its way.
    fn map(&self, current: &Task, dev: &Device, range: &TargetRange, bio: Bio) -> Mapped;

    /// Bios must not cross multiples of this many sectors of the target's own offset.
    fn max_io_len(&self) -> Option<Sectors> {
        None
    }

    /// How many copies of a flush it needs: one per device that may hold written data in a cache.
    fn num_flush_bios(&self) -> u64;

    /// Whether it wants to know how its bios end.
    fn wants_end_io(&self) -> bool {
        false
    }

    /// A bio that it remapped to `sector` of the mapped device has ended.
    fn end_io(&self, _current: &Task, _range: &TargetRange, _sector: Sectors, _status: BlkStatus) {}

    /// The devices it stands on: device, first sector, sectors used.
    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)>;

    /// `STATUSTYPE_INFO`.
    fn status(&self) -> String;

    /// `STATUSTYPE_TABLE`.
    fn table(&self) -> String;
}
