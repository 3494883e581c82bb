//! What the queue limits of a mapped device let through, from the targets of its table and the devices below:
//! `dm_table_set_restrictions`.
//!
//! Invariants: a device takes flushes if any target wants them, discards and the like only if every target does.
//! Not here: sizes.

use super::table::{Table, TableTarget};
use super::target::TargetFeatures;
use crate::block::{BioOp, Device};

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
