//! The device-mapper core: tables, mapped devices, splitting, suspend and resume, and the typed ioctls.
//!
//! Reading order: [`errno`], [`target`] (what a target type is), [`host`] (what it may ask of its device), [`table`]
//! (dmsetup's syntax, the kernel's refusals), [`mapped_device`] (`struct mapped_device`: submit, suspend, resume),
//! `deferred` (what it puts off), [`split`] (`dm_split_and_process_bio`, variant by variant), `duplicate` (flushes,
//! discards), [`io`] (`struct dm_io`: counting the pieces), `tio` (`struct dm_target_io`: one clone), [`accounting`]
//! (I/O in flight), `limits` (what a table lets through), [`control`] (dm-ioctl), [`io_client`] (dm-io: I/O of the
//! targets' own). Constructors read their words with [`args`].
//!
//! Invariants: a table is immutable once loaded; no target is called between the return of a suspend and the resume
//! (I7); an original bio ends after all its pieces, and in error if any piece did (I12).
//! Not here: any target type; request-based dm.

pub mod accounting;
pub mod args;
pub mod control;
mod deferred;
mod duplicate;
pub mod errno;
pub mod host;
pub mod io;
pub mod io_client;
mod limits;
pub mod mapped_device;
pub mod split;
pub mod table;
pub mod target;
mod tio;

pub use control::{DeviceInfo, DeviceTable, DmControl, Which};
pub use errno::Errno;
pub use host::TargetHost;
pub use mapped_device::{Holder, MappedDevice, SuspendFlags};
pub use table::Table;
pub use target::{Ended, Mapped, Target, TargetArgs, TargetFeatures, TargetRange, TargetType};
