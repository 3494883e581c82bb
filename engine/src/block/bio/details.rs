//! [`BioDetails`]: the kernel's `struct dm_bio_details` (dm-bio-record.h): what a bio was before somebody worked on it.
//!
//! Invariant: a bio that is restored is over the same sectors and memory, and ends where its new owner says.
//! Not here: who keeps details (`dm::io`), and what for (targets).

use std::sync::Arc;

use dmlab_units::Sectors;

use super::super::buffer::BioVec;
use super::{Bio, BioDone, BioFlags, BioOp, Completion, Hook, Opf, PooledBio};
use crate::sched::Task;

/// The descriptor of a bio, without its completion and its device.
#[derive(Clone)]
pub(crate) struct BioDetails {
    opf: Opf,
    sector: Sectors,
    sectors: Sectors,
    data: Option<BioVec>,
}

impl Bio {
    /// A bio without sectors and data that ends where this one does, and is to do `op`.
    pub(crate) fn emptied(&self, op: BioOp) -> Self {
        let opf = Opf::new(op, BioFlags::empty());
        let (sector, sectors, done) = (Sectors::ZERO, Sectors::ZERO, Arc::clone(&self.done));
        Self { opf, dev: None, sector, sectors, data: None, done }
    }

    /// `dm_bio_record`, of the first `sectors`.
    pub(crate) fn record(&self, sectors: Sectors) -> BioDetails {
        let (opf, sector, data) = (self.opf, self.sector, self.data.clone());
        BioDetails { opf, sector, sectors, data }
    }
}

impl BioDetails {
    /// The same, from another sector on.
    pub(crate) fn at(self, sector: Sectors) -> Self {
        Self { sector, ..self }
    }

    /// The bio as it was, from a set, ending into `parent` in place of a share that the caller gives up for it.
    pub(crate) fn restore_into(&self, current: &Task, parent: Arc<dyn Completion>, pooled: PooledBio) -> Bio {
        self.restore(BioDone::new(current, Some(pooled), Hook::Chain(parent)))
    }

    /// `dm_bio_restore`: the bio as it was, on no device yet, ending in `done`.
    pub(crate) fn restore(&self, done: Arc<dyn Completion>) -> Bio {
        let Self { opf, sector, sectors, ref data } = *self;
        Bio { opf, dev: None, sector, sectors, data: data.clone(), done }
    }
}
