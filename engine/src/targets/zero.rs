//! zero 1.2.0: reads give zeros, writes vanish.
//!
//! Invariant: every bio is ended in `map`. Not here: discards (accepted by the kernel since 6.x), readahead (refused).

use std::sync::Arc;

use dmlab_units::Sectors;

use crate::block::{Bio, BioOp, BlkStatus, Device};
use crate::dm::target::CtrError;
use crate::dm::{Mapped, Target, TargetArgs, TargetFeatures, TargetRange, TargetType};
use crate::sched::Task;

pub(super) static TYPE: TargetType =
    TargetType { name: "zero", version: [1, 2, 0], features: TargetFeatures::NOWAIT, ctr };

struct Zero;

fn ctr(_current: &Task, args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    if args.argv.is_empty() { Ok(Box::new(Zero)) } else { Err(CtrError::invalid("No arguments required")) }
}

impl Target for Zero {
    fn map(&self, current: &Task, _dev: &Device, _range: &TargetRange, bio: Bio) -> Mapped {
        let _frame = current.enter("zero_map");
        if bio.op() == BioOp::Read
            && let Some(data) = bio.data()
        {
            let (from, len) = (data.offset.0 as usize, bio.sectors.bytes().0 as usize);
            data.buffer.with(current, |memory| memory[from..from + len].fill(0));
        }
        bio.end(current, BlkStatus::Ok);
        Mapped::Submitted
    }

    fn num_flush_bios(&self) -> u64 {
        0
    }

    fn devices(&self, _range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        Vec::new()
    }

    fn status(&self, _current: &Task, _noflush: bool) -> String {
        String::new()
    }

    fn table(&self, _current: &Task) -> String {
        String::new()
    }
}
