//! What the queue limits of a mapped device let through, from the targets of its table and the devices below:
//! `dm_table_set_restrictions`; and the tables that they rule out: `dm_calculate_queue_limits`.
//!
//! Invariants: a device takes flushes if any target wants them, discards and the like only if every target does; its
//! logical block is the largest of the devices below.
//! Not here: the largest I/O of a device, physical block size and other hints, zones.

use dmlab_units::Sectors;

use super::table::{Table, TableTarget};
use super::target::{TargetFeatures, TargetRange};
use crate::block::{BioOp, Device};

/// Bytes of a sector, the smallest block there is.
const SECTOR: u64 = 512;

bitflags::bitflags! {
    /// Operations that `submit_bio_noacct` lets through to a mapped device.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Takes: u64 {
        /// Flushes: it has a write cache.
        const FLUSH = 1;
        /// Discards.
        const DISCARD = 1 << 1;
        /// Secure erases.
        const SECURE_ERASE = 1 << 2;
        /// Write-zeroes.
        const WRITE_ZEROES = 1 << 3;
        /// Bios that must not wait.
        const NOWAIT = 1 << 4;
    }
}

impl Takes {
    /// Of a device with this table.
    pub(super) fn of(table: &Table) -> Self {
        let mut takes = Self::empty();
        takes.set(Self::FLUSH, table.targets().iter().any(flushes));
        let all = |test: &dyn Fn(&TableTarget) -> bool| table.targets().iter().all(test);
        takes.set(Self::DISCARD, all(&discards));
        let erases = |target: &TableTarget| target.target.num_secure_erase_bios() > 0;
        takes.set(
            Self::SECURE_ERASE,
            all(&|target| erases(target) && below(target, |dev| takes_op(dev, BioOp::SecureErase))),
        );
        let zeroes = |target: &TableTarget| target.target.num_write_zeroes_bios() > 0;
        takes.set(
            Self::WRITE_ZEROES,
            all(&|target| zeroes(target) && below(target, |dev| takes_op(dev, BioOp::WriteZeroes))),
        );
        let nowait = |target: &TableTarget| target.kind.features.contains(TargetFeatures::NOWAIT);
        takes.set(Self::NOWAIT, all(&|target| nowait(target) && below(target, |dev| dev.driver().has_nowait())));
        takes
    }
}

/// Whether `test` holds for all devices below a target. (`iterate_devices`; a target without any passes.)
fn below(target: &TableTarget, test: impl Fn(&Device) -> bool) -> bool {
    target.target.devices(&target.range).iter().all(|(dev, _, _)| test(dev))
}

fn takes_op(dev: &Device, op: BioOp) -> bool {
    dev.driver().takes(op)
}

/// `dm_table_supports_flush`, one target's part.
fn flushes(target: &TableTarget) -> bool {
    let wanted = target.target.num_flush_bios() > 0;
    wanted && (target.target.flush_supported() || !below(target, |dev| !dev.driver().has_write_cache()))
}

/// `dm_table_supports_discards`, one target's part.
fn discards(target: &TableTarget) -> bool {
    let wanted = target.target.num_discard_bios() > 0;
    wanted && (target.target.discards_supported() || below(target, |dev| takes_op(dev, BioOp::Discard)))
}

/// `limits->logical_block_size` of a device with this table, in bytes: the largest of those below.
pub(super) fn logical_block_size(table: &Table) -> u64 {
    table.targets().iter().map(block_of).max().unwrap_or(SECTOR)
}

/// `dm_calculate_queue_limits`: why the devices below do not fit the table, in the kernel's words; `None` if they do.
pub(super) fn complaint(table: &Table) -> Option<String> {
    table.targets().iter().find_map(invalid_area).or_else(|| misaligned_line(table))
}

/// What the devices below one target have in common.
fn block_of(target: &TableTarget) -> u64 {
    let devices = target.target.devices(&target.range);
    devices.iter().map(|(dev, _, _)| dev.driver().logical_block_size()).max().unwrap_or(SECTOR)
}

/// `device_area_is_invalid`, for all areas of a target.
fn invalid_area(target: &TableTarget) -> Option<String> {
    let block = block_of(target);
    target.target.devices(&target.range).into_iter().find_map(|(dev, start, len)| {
        let (name, size) = (dev.name(), dev.capacity());
        if size == Sectors::ZERO {
            return None;
        }
        if start.checked_add(len).is_none_or(|end| end > size) {
            return Some(format!("{name} too small for target: start={start}, len={len}, dev_size={size}"));
        }
        let misaligned = |what: &str, at: Sectors| {
            let complaint = || format!("{what}={at} not aligned to h/w logical block size {block} of {name}");
            (!at.0.is_multiple_of(block / SECTOR)).then(complaint)
        };
        misaligned("start", start).or_else(|| misaligned("len", len))
    })
}

/// `validate_hardware_logical_block_alignment`: a bio in whole blocks of the device that crosses the end of a line must
/// leave whole blocks for the line that it goes on in.
fn misaligned_line(table: &Table) -> Option<String> {
    let size = logical_block_size(table);
    let block = size / SECTOR;
    let (mut end, mut remaining, mut last) = (0, 0, None);
    for (index, target) in table.targets().iter().enumerate() {
        if remaining < target.range.len.0 && !u64::is_multiple_of(remaining, block_of(target) / SECTOR) {
            last = Some((index, target.range));
            break;
        }
        end = (end + target.range.len.0) % block;
        remaining = if end == 0 { 0 } else { block - end };
        // As in the kernel, a table that ends within a block is told by the number of its lines.
        last = Some((index + 1, target.range));
    }
    let (index, TargetRange { begin, len }) = last.filter(|_| remaining > 0)?;
    let place = format!("table line {index} (start sect {begin} len {len})");
    Some(format!("{place} not aligned to h/w logical block size {size}"))
}
