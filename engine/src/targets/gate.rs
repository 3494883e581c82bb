//! gate 1.0.0: dmlab's own, in no kernel: a linear target in whose map function a bio waits until the one before it, on the
//! same device below, has ended. What snapshot did with its lock and its tracked chunks (dm-spec §4.5), without the rest:
//! a target that blocks in map while an earlier piece of the same bio holds what it waits for.
//!
//! Invariants: between a bio's map and its end no other bio passes any gate target above the same device; bios do not
//! cross chunks.

use std::sync::Arc;

use dmlab_units::Sectors;

use crate::block::{Bio, BlkStatus, Device};
use crate::dm::args::scan_u64;
use crate::dm::target::{CtrError, Ended};
use crate::dm::{Mapped, Target, TargetArgs, TargetFeatures, TargetRange, TargetType};
use crate::sched::Task;
use crate::sync::Semaphore;

pub(super) static TYPE: TargetType =
    TargetType { name: "gate", version: [1, 0, 0], features: TargetFeatures::empty(), ctr };

struct Gate {
    dev: Arc<Device>,
    start: Sectors,
    chunk: Sectors,
    gate: Arc<Semaphore>,
}

/// `<dev> <start> <chunk>`
fn ctr(current: &Task, args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    let [dev, start, chunk] = args.argv[..] else { return Err(CtrError::invalid("Invalid argument count")) };
    let start = scan_u64(start).map(Sectors).ok_or_else(|| CtrError::invalid("Invalid device sector"))?;
    let chunk = scan_u64(chunk).filter(|&chunk| chunk > 0).ok_or_else(|| CtrError::invalid("Invalid chunk_size"))?;
    let dev = args.device(dev, "Device lookup failed")?;
    let gate = dev.gate(current);
    Ok(Box::new(Gate { dev, start, chunk: Sectors(chunk), gate }))
}

impl Target for Gate {
    fn map(&self, current: &Task, _dev: &Device, range: &TargetRange, mut bio: Bio) -> Mapped {
        let _frame = current.enter("gate_map");
        self.gate.down(current);
        bio.sector = self.start + range.offset(bio.sector);
        bio.set_dev(Arc::clone(&self.dev));
        Mapped::Remapped(bio)
    }

    fn max_io_len(&self) -> Option<Sectors> {
        Some(self.chunk)
    }

    fn num_flush_bios(&self) -> u64 {
        0
    }

    fn wants_end_io(&self) -> bool {
        true
    }

    fn end_io(&self, current: &Task, _range: &TargetRange, _clone: Bio, status: BlkStatus) -> Ended {
        self.gate.up(current);
        Ended::Done(status)
    }

    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        vec![(Arc::clone(&self.dev), self.start, range.len)]
    }

    fn status(&self, _current: &Task, _noflush: bool) -> String {
        String::new()
    }

    fn table(&self, _current: &Task) -> String {
        format!("{} {} {}", self.dev.id(), self.start, self.chunk)
    }
}
