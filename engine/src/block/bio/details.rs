//! [`BioDetails`]: the kernel's `struct dm_bio_details` (dm-bio-record.h): what a bio was before somebody worked on it.
//!
//! Invariant: a bio that is restored is over the same sectors and memory, and ends where its new owner says.
//! Not here: who keeps details (`dm::io`), and what for (targets).

use std::sync::Arc;

use dmlab_units::Sectors;

use super::super::buffer::BioVec;
use super::{Bio, Completion, Opf};

/// The descriptor of a bio, without its completion and its device.
#[derive(Clone)]
pub(crate) struct BioDetails {
    opf: Opf,
    sector: Sectors,
    sectors: Sectors,
    data: Option<BioVec>,
}

impl Bio {
    /// `dm_bio_record`, of the first `sectors`.
    pub(crate) fn record(&self, sectors: Sectors) -> BioDetails {
        let (opf, sector, data) = (self.opf, self.sector, self.data.clone());
        BioDetails { opf, sector, sectors, data }
    }
}

impl BioDetails {
    /// `dm_bio_restore`: the bio as it was, on no device yet, ending in `done`.
    pub(crate) fn restore(&self, done: Arc<dyn Completion>) -> Bio {
        let Self { opf, sector, sectors, ref data } = *self;
        Bio { opf, dev: None, sector, sectors, data: data.clone(), done }
    }
}
