//! striped 1.6.0: chunks dealt out to devices in turn (RAID-0).
//!
//! Invariants: chunk n of the target is chunk n / stripes of device n mod stripes; a bio never crosses a chunk
//! (`max_io_len`); a device that returned an error shows as `D` for ever.
//! A flush goes to every stripe, a discard to every stripe as far as it has a part of it. The first errors of a device
//! raise an event, which a worker does, since bios may end where nobody may sleep.
//! Not here: how the copies of a bio are made (`dm::duplicate`).

use std::sync::Arc;

use dmlab_units::Sectors;

use crate::block::{Bio, BioFlags, BioOp, BlkStatus, Device};
use crate::dm::args::{kstrtouint, scan_u64};
use crate::dm::target::CtrError;
use crate::dm::{Ended, Mapped, Target, TargetArgs, TargetFeatures, TargetRange, TargetType};
use crate::sched::Task;
use crate::sync::{Confided, Work, Workqueue, WqFlags};
use crate::variants::Planted;

pub(super) static TYPE: TargetType =
    TargetType { name: "striped", version: [1, 6, 0], features: TargetFeatures::NOWAIT, ctr };

struct Stripe {
    dev: Arc<Device>,
    physical_start: Sectors,
    errors: Confided<u64>,
}

struct Striped {
    stripes: Vec<Stripe>,
    chunk: Sectors,
    planted: Planted,
    /// `dm_stripe_wq`.
    wq: Workqueue,
    trigger_event: Work,
}

/// `DM_IO_ERROR_THRESHOLD`: errors of a device after which it raises no more events.
const IO_ERROR_THRESHOLD: u64 = 15;

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
        let errors = Confided::new(current.runtime(), "stripe.errors", 0);
        Ok(Stripe { dev: args.device(pair[0], message)?, physical_start, errors })
    };
    let stripes = devices.chunks(2).map(stripe).collect::<Result<_, _>>()?;
    let flags = WqFlags { mem_reclaim: false, ..WqFlags::RECLAIM };
    let wq = Workqueue::new(current.runtime(), &format!("dm_stripe_wq/{}", args.host.name()), flags);
    let host = Arc::clone(args.host);
    let trigger_event = Work::new("trigger_event", move |worker| host.event(worker));
    Ok(Box::new(Striped { stripes, chunk: Sectors(chunk), planted: args.planted, wq, trigger_event }))
}

impl Striped {
    /// `stripe_map_sector`: which stripe, and which sector of its part of the device.
    fn locate(&self, offset: Sectors) -> (usize, Sectors) {
        let (chunk, within) = (offset.0 / self.chunk.0, offset.0 % self.chunk.0);
        let stripes = self.stripes.len() as u64;
        ((chunk % stripes) as usize, Sectors(chunk / stripes * self.chunk.0 + within))
    }

    /// `stripe_map_range_sector`: where on stripe `wanted` what begins (or ends) at `offset` of the target does so.
    fn edge(&self, offset: Sectors, wanted: usize) -> Sectors {
        let (stripe, sector) = self.locate(offset);
        if stripe == wanted {
            return sector;
        }
        let chunk_begins = Sectors(sector.0 - sector.0 % self.chunk.0);
        if wanted < stripe { chunk_begins + self.chunk } else { chunk_begins }
    }

    /// `stripe_map_range`: the part of a bio that lies on one stripe.
    fn map_range(&self, current: &Task, range: &TargetRange, mut bio: Bio, stripe: usize) -> Mapped {
        let offset = range.offset(bio.sector);
        let (begin, end) = (self.edge(offset, stripe), self.edge(offset + bio.sectors, stripe));
        if begin >= end {
            bio.end(current, BlkStatus::Ok);
            return Mapped::Submitted;
        }
        let stripe = &self.stripes[stripe];
        bio.set_dev(Arc::clone(&stripe.dev));
        bio.sector = stripe.physical_start + begin;
        bio.truncate(end - begin);
        Mapped::Remapped(bio)
    }
}

impl Target for Striped {
    fn map(&self, current: &Task, _dev: &Device, range: &TargetRange, mut bio: Bio) -> Mapped {
        let _frame = current.enter("stripe_map");
        if bio.op() == BioOp::Flush {
            bio.set_dev(Arc::clone(&self.stripes[bio.target_bio_nr() as usize].dev));
            return Mapped::Remapped(bio);
        }
        if bio.op().is_abnormal() {
            let stripe = if self.planted == Planted::StripedOneCopy { 0 } else { bio.target_bio_nr() };
            return self.map_range(current, range, bio, stripe as usize);
        }
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

    fn end_io(&self, current: &Task, range: &TargetRange, clone: Bio, status: BlkStatus) -> Ended {
        if status.is_ok() || status == BlkStatus::NotSupp || clone.flags().contains(BioFlags::RAHEAD) {
            return Ended::Done(status);
        }
        // The kernel compares names: every stripe on the failing device counts the error.
        let copies = clone.op() == BioOp::Flush || clone.op().is_abnormal();
        let stripe = if copies { clone.target_bio_nr() as usize } else { self.locate(range.offset(clone.sector)).0 };
        let failed = self.stripes[stripe].dev.id();
        for stripe in self.stripes.iter().filter(|stripe| stripe.dev.id() == failed) {
            let errors = stripe.errors.change(current, |errors| {
                *errors += 1;
                *errors
            });
            if errors < IO_ERROR_THRESHOLD && self.planted != Planted::EventsLost {
                self.wq.queue(current, &self.trigger_event);
            }
        }
        Ended::Done(status)
    }

    fn num_discard_bios(&self) -> u64 {
        self.stripes.len() as u64
    }

    fn num_secure_erase_bios(&self) -> u64 {
        self.stripes.len() as u64
    }

    fn num_write_zeroes_bios(&self) -> u64 {
        self.stripes.len() as u64
    }

    fn flush_bypasses_map(&self) -> bool {
        true
    }

    fn dtr(&self, current: &Task) {
        self.wq.drain(current);
    }

    fn num_flush_bios(&self) -> u64 {
        self.stripes.len() as u64
    }

    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        let len = Sectors(range.len.0 / self.stripes.len() as u64);
        self.stripes.iter().map(|stripe| (Arc::clone(&stripe.dev), stripe.physical_start, len)).collect()
    }

    fn status(&self, current: &Task, _noflush: bool) -> String {
        let devices: Vec<String> = self.stripes.iter().map(|stripe| stripe.dev.id().to_string()).collect();
        let healthy =
            |stripe: &Stripe| self.planted == Planted::StatusLies || stripe.errors.look(current, |errors| *errors == 0);
        let letters: String = self.stripes.iter().map(|stripe| if healthy(stripe) { 'A' } else { 'D' }).collect();
        format!("{} {} 1 {letters}", self.stripes.len(), devices.join(" "))
    }

    fn table(&self, _current: &Task) -> String {
        let head = format!("{} {}", self.stripes.len(), self.chunk);
        self.stripes.iter().fold(head, |line, stripe| format!("{line} {} {}", stripe.dev.id(), stripe.physical_start))
    }
}
