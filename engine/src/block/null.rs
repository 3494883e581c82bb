//! The null device: ends every bio at once and keeps no data. What is above it is all that is measured.
//!
//! Invariant: reads leave the bio's memory as it was; an I/O fault ends a bio like anywhere else. It takes every operation.

use std::sync::Arc;

use dmlab_units::Sectors;

use super::bio::Bio;
use super::core::BlockCore;
use super::device::{DevId, Device, Driver, NULL_MAJOR};
use super::opf::BioOp;
use super::status::BlkStatus;
use crate::sched::Task;

struct Null;

/// A null device of `capacity` sectors.
pub fn new_null(core: &Arc<BlockCore>, minor: u32, name: &str, capacity: Sectors) -> Arc<Device> {
    Device::new(core, DevId { major: NULL_MAJOR, minor }, name, capacity, Box::new(Null))
}

impl Driver for Null {
    #[inline]
    fn submit_bio(&self, current: &Task, dev: &Arc<Device>, bio: Bio) {
        if let Some(bio) = dev.core().admit(current, dev, bio) {
            self.carry_out(current, dev, bio);
        }
    }

    #[inline]
    fn carry_out(&self, current: &Task, _dev: &Arc<Device>, bio: Bio) {
        bio.end(current, BlkStatus::Ok);
    }

    fn takes(&self, _op: BioOp) -> bool {
        true
    }

    fn has_nowait(&self) -> bool {
        true
    }
}
