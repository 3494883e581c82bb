//! The barrier device: a stacking driver that lets one bio through at a time, as md's single-flush rule (2011) and the
//! raid1/10 barrier (2012) did. It is the M of the two-bio failure (dm-spec §2.5): the second bio that it is given
//! waits for the first, and under `fifo` the first one's child may stand behind the second in the same task's list.
//!
//! Invariant: between a bio's entry and its end no other bio is passed on.

use std::sync::Arc;

use super::bio::{Bio, Completion, EndIo, bio_endio};
use super::core::BlockCore;
use super::device::{DevId, Device, Driver, MD_MAJOR};
use super::opf::BioOp;
use super::status::BlkStatus;
use super::submit::submit_bio_noacct;
use crate::sched::Task;
use crate::sync::Semaphore;

struct Barrier {
    below: Arc<Device>,
    turn: Arc<Semaphore>,
}

/// A barrier device above `below`, of the same size.
pub fn new_barrier(core: &Arc<BlockCore>, minor: u32, name: &str, below: Arc<Device>) -> Arc<Device> {
    let capacity = below.capacity();
    let turn = Arc::new(Semaphore::new(core.runtime(), &format!("{name}.barrier"), 1));
    below.open();
    Device::new(core, DevId { major: MD_MAJOR, minor }, name, capacity, Box::new(Barrier { below, turn }))
}

impl Driver for Barrier {
    fn submit_bio(&self, current: &Task, _dev: &Arc<Device>, bio: Bio) {
        let _frame = current.enter("md_submit_bio");
        {
            let _frame = current.enter("wait_barrier");
            self.turn.down(current);
        }
        let end = EndBarrier { turn: Arc::clone(&self.turn), parent: Arc::clone(bio.done()) };
        let mut child = bio.clone_of(current, None, Some((Arc::new(end), 0)));
        child.set_dev(Arc::clone(&self.below));
        submit_bio_noacct(current, child);
    }

    fn has_write_cache(&self) -> bool {
        self.below.driver().has_write_cache()
    }

    fn takes(&self, op: BioOp) -> bool {
        self.below.driver().takes(op)
    }

    fn logical_block_size(&self) -> u64 {
        self.below.driver().logical_block_size()
    }
}

struct EndBarrier {
    turn: Arc<Semaphore>,
    parent: Arc<dyn Completion>,
}

impl EndIo for EndBarrier {
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, _cookie: u64) {
        self.turn.up(current);
        bio_endio(current, Arc::clone(&self.parent), status);
    }
}
