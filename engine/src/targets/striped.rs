//! striped 1.6.0: chunks dealt out to devices in turn (RAID-0).
//!
//! Invariants: chunk n of the target is chunk n / stripes of device n mod stripes; a bio never crosses a chunk
//! (`max_io_len`); a device that returned an error shows as `D` for ever.
//! Not here: flush and discard fan-out, the event that the kernel raises on the first errors.

use std::sync::Arc;

use dmlab_units::Sectors;

use crate::block::{Bio, BlkStatus, Device};
use crate::dm::args::{kstrtouint, scan_u64};
use crate::dm::target::CtrError;
use crate::dm::{Ended, Mapped, Target, TargetArgs, TargetFeatures, TargetRange, TargetType};
use crate::sched::Task;
use crate::sync::Count;
use crate::variants::Planted;

pub(super) static TYPE: TargetType =
    TargetType { name: "striped", version: [1, 6, 0], features: TargetFeatures::NOWAIT, ctr };

struct Stripe {
    dev: Arc<Device>,
    physical_start: Sectors,
    errors: Count,
}

struct Striped {
    stripes: Vec<Stripe>,
    chunk: Sectors,
    planted: Planted,
}

/// `<stripes> <chunk> [<dev> <start>]+`
fn ctr(current: &Task, args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    let [stripes, chunk, ref devices @ ..] = args.argv[..] else {
        return Err(CtrError::invalid("Not enough arguments"));
    };
    let stripes = kstrtouint(stripes).filter(|&n| n > 0).ok_or_else(|| CtrError::invalid("Invalid stripe count"))?;
    let chunk = kstrtouint(chunk).filter(|&n| n > 0).ok_or_else(|| CtrError::invalid("Invalid chunk_size"))?;
    let (stripes, chunk) = (u64::from(stripes), u64::from(chunk));
    if !args.range.len.0.is_multiple_of(stripes) {
        return Err(CtrError::invalid("Target length not divisible by number of stripes"));
    }
    if !(args.range.len.0 / stripes).is_multiple_of(chunk) {
        return Err(CtrError::invalid("Target length not divisible by chunk size"));
    }
    if devices.len() as u64 != 2 * stripes {
        return Err(CtrError::invalid("Not enough destinations specified"));
    }
    let stripe = |pair: &[&str]| {
        let message = "Couldn't parse stripe destination";
        let physical_start = scan_u64(pair[1]).map(Sectors).ok_or_else(|| CtrError::invalid(message))?;
        let errors = Count::new(current.runtime(), "stripe.errors");
        Ok(Stripe { dev: args.device(pair[0], message)?, physical_start, errors })
    };
    let stripes = devices.chunks(2).map(stripe).collect::<Result<_, _>>()?;
    Ok(Box::new(Striped { stripes, chunk: Sectors(chunk), planted: args.planted }))
}

impl Striped {
    /// `stripe_map_sector`: which stripe, and which sector of its part of the device.
    fn locate(&self, offset: Sectors) -> (usize, Sectors) {
        let (chunk, within) = (offset.0 / self.chunk.0, offset.0 % self.chunk.0);
        let stripes = self.stripes.len() as u64;
        ((chunk % stripes) as usize, Sectors(chunk / stripes * self.chunk.0 + within))
    }
}

impl Target for Striped {
    fn map(&self, current: &Task, _dev: &Device, range: &TargetRange, mut bio: Bio) -> Mapped {
        let _frame = current.enter("stripe_map");
        let (mut stripe, sector) = self.locate(range.offset(bio.sector));
        if self.planted == Planted::StripedRotated {
            stripe = (stripe + 1) % self.stripes.len();
        }
        let stripe = &self.stripes[stripe];
        bio.sector = stripe.physical_start + sector;
        bio.set_dev(Arc::clone(&stripe.dev));
        Mapped::Remapped(bio)
    }

    fn max_io_len(&self) -> Option<Sectors> {
        Some(self.chunk)
    }

    fn wants_end_io(&self) -> bool {
        true
    }

    fn end_io(&self, _current: &Task, range: &TargetRange, clone: Bio, status: BlkStatus) -> Ended {
        if !status.is_ok() && status != BlkStatus::NotSupp {
            // The kernel compares names: every stripe on the failing device counts the error.
            let failed = self.stripes[self.locate(range.offset(clone.sector)).0].dev.id();
            self.stripes.iter().filter(|stripe| stripe.dev.id() == failed).for_each(|stripe| stripe.errors.inc());
        }
        Ended::Done(status)
    }

    fn num_flush_bios(&self) -> u64 {
        self.stripes.len() as u64
    }

    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        let len = Sectors(range.len.0 / self.stripes.len() as u64);
        self.stripes.iter().map(|stripe| (Arc::clone(&stripe.dev), stripe.physical_start, len)).collect()
    }

    fn status(&self, _current: &Task, _noflush: bool) -> String {
        let devices: Vec<String> = self.stripes.iter().map(|stripe| stripe.dev.id().to_string()).collect();
        let healthy = |stripe: &Stripe| self.planted == Planted::StatusLies || stripe.errors.is_zero();
        let letters: String = self.stripes.iter().map(|stripe| if healthy(stripe) { 'A' } else { 'D' }).collect();
        format!("{} {} 1 {letters}", self.stripes.len(), devices.join(" "))
    }

    fn table(&self, _current: &Task) -> String {
        let head = format!("{} {}", self.stripes.len(), self.chunk);
        self.stripes.iter().fold(head, |line, stripe| format!("{line} {} {}", stripe.dev.id(), stripe.physical_start))
    }
}
