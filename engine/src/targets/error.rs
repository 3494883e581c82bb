//! error 1.7.0: everything fails with -EIO.
//!
//! Invariant: no bio reaches a device. With exactly two arguments it holds a device, for its limits, as the kernel does
//! since 6.x; any other number of arguments is ignored.

use std::sync::Arc;

use dmlab_units::Sectors;

use crate::block::{Bio, Device};
use crate::dm::args::scan_u64;
use crate::dm::target::CtrError;
use crate::dm::{Mapped, Target, TargetArgs, TargetFeatures, TargetRange, TargetType};
use crate::sched::Task;

pub(super) static TYPE: TargetType =
    TargetType { name: "error", version: [1, 7, 0], features: TargetFeatures::WILDCARD, ctr };

struct ErrorTarget {
    limits_of: Option<(Arc<Device>, Sectors)>,
}

/// `[<dev> <start>]`
fn ctr(_current: &Task, args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    let limits_of = match args.argv[..] {
        [dev, start] => {
            let start = scan_u64(start).map(Sectors).ok_or_else(|| CtrError::invalid("Invalid device sector"))?;
            Some((args.device(dev, "Device lookup failed")?, start))
        }
        _ => None,
    };
    Ok(Box::new(ErrorTarget { limits_of }))
}

impl Target for ErrorTarget {
    fn map(&self, current: &Task, _dev: &Device, _range: &TargetRange, bio: Bio) -> Mapped {
        let _frame = current.enter("io_err_map");
        Mapped::Kill(bio)
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

    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        self.limits_of.iter().map(|(dev, start)| (Arc::clone(dev), *start, range.len)).collect()
    }

    fn status(&self, _current: &Task, _noflush: bool) -> String {
        String::new()
    }

    fn table(&self, _current: &Task) -> String {
        String::new()
    }
}
