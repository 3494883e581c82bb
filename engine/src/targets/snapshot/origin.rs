//! snapshot-origin: a device whose writes wait until its snapshots have copied what they overwrite.
//!
//! Invariants: reads and flushes pass; a write goes no further than the smallest chunk of any snapshot at a time
//! (`split_boundary`, taken when the device is resumed).
//! Not here: what a write makes the snapshots do ([`super::origin_write`]).

use std::sync::Arc;

use dmlab_units::Sectors;

use super::registry::Registry;
use crate::block::{Bio, BioFlags, BioOp, Device};
use crate::dm::host::TargetHost;
use crate::dm::target::CtrError;
use crate::dm::{Mapped, Target, TargetArgs, TargetRange};
use crate::sched::Task;
use crate::sync::Variable;
use crate::variants::Variants;

/// `struct dm_origin`.
struct Origin {
    dev: Arc<Device>,
    host: Arc<TargetHost>,
    registry: Arc<Registry>,
    variants: Variants,
    /// In sectors. 0 until it is resumed.
    split_boundary: Variable,
}

/// `<dev_path>`
pub(super) fn ctr(current: &Task, args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    let [path] = args.argv[..] else {
        return Err(CtrError::invalid("origin: incorrect number of arguments"));
    };
    let dev = args.device(path, "Cannot get target device")?;
    let host = Arc::clone(args.host);
    let split_boundary = Variable::new(current.runtime(), &format!("{}.split_boundary", host.name()), 0);
    let registry = Registry::of(current, host.core());
    let variants = *host.core().variants();
    Ok(Box::new(Origin { dev, host, registry, variants, split_boundary }))
}

/// Whether a bio changes what the origin holds: `bio_data_dir(bio) == WRITE`.
pub(super) const fn is_write(bio: &Bio) -> bool {
    !matches!(bio.op(), BioOp::Read)
}

/// Whether a bio is a flush, or begins with one.
pub(super) fn is_flush(bio: &Bio) -> bool {
    bio.op() == BioOp::Flush || bio.flags().contains(BioFlags::PREFLUSH)
}

impl Target for Origin {
    /// `origin_map`.
    fn map(&self, current: &Task, _dev: &Device, _range: &TargetRange, mut bio: Bio) -> Mapped {
        let _frame = current.enter("origin_map");
        bio.set_dev(Arc::clone(&self.dev));
        if is_flush(&bio) || !is_write(&bio) {
            return Mapped::Remapped(bio);
        }
        match self.registry.do_origin(current, &self.dev, bio, true) {
            Some(bio) => Mapped::Remapped(bio),
            None => Mapped::Submitted,
        }
    }

    /// Up to the next multiple of the boundary, reckoned in 32 bits as in the kernel.
    fn accepts(&self, bio: &Bio, at: Sectors) -> Option<Sectors> {
        if is_flush(bio) || !is_write(bio) {
            return None;
        }
        let boundary = self.split_boundary.get() as u32;
        let available = boundary.wrapping_sub((bio.sector + at).0 as u32 & boundary.wrapping_sub(1));
        Some(Sectors(u64::from(available)))
    }

    fn num_flush_bios(&self) -> u64 {
        1
    }

    /// `origin_resume`.
    fn resume(&self, current: &Task) {
        let _frame = current.enter("origin_resume");
        let boundary = self.registry.origins.read(current).minimum_chunk_size(current, self.dev.id(), &self.variants);
        self.split_boundary.set(u64::from(boundary));
        self.registry.origins.write(current).insert_dm_origin(self.dev.id(), &self.host);
    }

    /// `origin_postsuspend`.
    fn postsuspend(&self, current: &Task) {
        let _frame = current.enter("origin_postsuspend");
        self.registry.origins.write(current).remove_dm_origin(self.dev.id(), &self.host);
    }

    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        vec![(Arc::clone(&self.dev), Sectors::ZERO, range.len)]
    }

    fn status(&self, _current: &Task, _noflush: bool) -> String {
        String::new()
    }

    fn table(&self, _current: &Task) -> String {
        self.dev.id().to_string()
    }
}
