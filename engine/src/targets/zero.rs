//! zero 1.2.0: reads give zeros, writes vanish.
//!
//! Invariant: every bio is ended in `map`. Discards are accepted, as in the kernel since 6.x; readahead is
//! refused.

use std::sync::Arc;

use dmlab_units::Sectors;

use crate::block::{Bio, BioFlags, BioOp, BlkStatus, Device};
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
        match bio.op() {
            // Readahead of zeros would only waste the page cache.
            BioOp::Read if bio.flags().contains(BioFlags::RAHEAD) => return Mapped::Kill(bio),
            BioOp::Read => {
                if let Some(data) = bio.data() {
                    let (from, len) = (data.offset.0 as usize, bio.sectors.bytes().0 as usize);
                    data.buffer.with(current, |memory| memory[from..from + len].fill(0));
                }
            }
            BioOp::Write | BioOp::Discard => {}
            BioOp::Flush | BioOp::SecureErase | BioOp::WriteZeroes => return Mapped::Kill(bio),
        }
        bio.end(current, BlkStatus::Ok);
        Mapped::Submitted
    }

    fn num_flush_bios(&self) -> u64 {
        0
    }

    fn num_discard_bios(&self) -> u64 {
        1
    }

    fn discards_supported(&self) -> bool {
        true
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
