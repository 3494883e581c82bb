//! linear 1.4.0: a range of a device, from a start sector on.
//!
//! Invariant: offset n of the target is sector start + n of the device; the last piece of the device may be shorter
//! than the target only if the kernel would not notice either (its size is checked with the queue limits).

use std::sync::Arc;

use dmlab_units::Sectors;

use crate::block::{Bio, Device};
use crate::dm::args::scan_u64;
use crate::dm::target::CtrError;
use crate::dm::{Mapped, Target, TargetArgs, TargetFeatures, TargetRange, TargetType};
use crate::sched::Task;
use crate::variants::Planted;

pub(super) static TYPE: TargetType =
    TargetType { name: "linear", version: [1, 4, 0], features: TargetFeatures::NOWAIT, ctr };

struct Linear {
    dev: Arc<Device>,
    start: Sectors,
    /// The same, but for [`Planted::LinearNoOffset`].
    maps_to: Sectors,
}

/// `<dev> <start>`
fn ctr(_current: &Task, args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    let [dev, start] = args.argv[..] else { return Err(CtrError::invalid("Invalid argument count")) };
    let start = scan_u64(start).map(Sectors).ok_or_else(|| CtrError::invalid("Invalid device sector"))?;
    let dev = args.device(dev, "Device lookup failed")?;
    let maps_to = if args.planted == Planted::LinearNoOffset { Sectors::ZERO } else { start };
    Ok(Box::new(Linear { dev, start, maps_to }))
}

impl Target for Linear {
    #[inline]
    fn map(&self, current: &Task, _dev: &Device, range: &TargetRange, mut bio: Bio) -> Mapped {
        let _frame = current.enter("linear_map");
        if bio.sectors > Sectors::ZERO {
            bio.sector = self.maps_to + range.offset(bio.sector);
        }
        bio.set_dev(Arc::clone(&self.dev));
        Mapped::Remapped(bio)
    }

    fn num_flush_bios(&self) -> u64 {
        1
    }

    fn num_discard_bios(&self) -> u64 {
        1
    }

    fn num_secure_erase_bios(&self) -> u64 {
        1
    }

    fn num_write_zeroes_bios(&self) -> u64 {
        1
    }

    fn flush_bypasses_map(&self) -> bool {
        true
    }

    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        vec![(Arc::clone(&self.dev), self.start, range.len)]
    }

    fn status(&self, _current: &Task, _noflush: bool) -> String {
        String::new()
    }

    fn table(&self, _current: &Task) -> String {
        format!("{} {}", self.dev.id(), self.start)
    }
}
