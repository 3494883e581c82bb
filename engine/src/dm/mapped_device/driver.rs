//! [`DmDriver`]: the driver of a mapped device's disk: what the block core asks of dm.
//!
//! Not here: what becomes of a bio (`super`), removal (`control`).

use std::sync::Arc;

use super::super::control::DeferredRemoval;
use super::super::limits::Takes;
use super::MappedDevice;
use crate::block::{Bio, BioOp, Device, Driver};
use crate::sched::Task;
use crate::variants::Planted;

/// The driver of a mapped device's disk.
pub(in crate::dm) struct DmDriver {
    pub(in crate::dm) md: Arc<MappedDevice>,
    pub(in crate::dm) removal: Arc<DeferredRemoval>,
}

impl Driver for DmDriver {
    #[inline]
    fn submit_bio(&self, current: &Task, dev: &Arc<Device>, bio: Bio) {
        self.md.submit(current, dev, bio);
    }

    fn has_write_cache(&self) -> bool {
        self.md.takes(Takes::FLUSH)
    }

    fn takes(&self, op: BioOp) -> bool {
        match op {
            BioOp::Read | BioOp::Write | BioOp::Flush => true,
            BioOp::Discard => self.md.takes(Takes::DISCARD),
            BioOp::SecureErase => self.md.takes(Takes::SECURE_ERASE),
            BioOp::WriteZeroes => self.md.takes(Takes::WRITE_ZEROES),
        }
    }

    fn logical_block_size(&self) -> u64 {
        self.md.logical_block_size.get()
    }

    fn wants_last_close(&self) -> bool {
        self.md.is_to_be_removed()
    }

    fn last_close(&self, current: &Task) {
        if self.md.planted() != Planted::ForgetsRemoval {
            self.removal.kick(current);
        }
    }

    fn has_nowait(&self) -> bool {
        self.md.takes(Takes::NOWAIT)
    }
}
