//! [`Pending`]: an exception that is under way: its chunk is being copied, and writes wait for that.
//!
//! Invariant: it stands in its slot's table from when it has a place until its copy has ended and nobody reads what was there.
//! Not here: the table (`slots`), copying (`copy`), exceptions that are done ([`super::tables`]).

use crate::block::Bio;
use crate::sched::Digest;
use crate::sched::digest::Answer;
use crate::sync::mempool::Element;

/// What a pending exception takes of its slab: `struct dm_snap_pending_exception` of 6.12 (64 bit, by its members).
pub const PENDING_BYTES: u64 = 128;

/// `struct dm_snap_pending_exception`: a chunk that is being copied.
pub struct Pending {
    /// Where it goes.
    pub(super) new_chunk: u64,
    /// For completion in order.
    pub(super) sequence: u64,
    /// Whether kcopyd has it.
    pub(super) started: bool,
    /// Writes to the origin that wait for it.
    pub(super) origin_bios: Vec<Bio>,
    /// Writes to the snapshot that wait for it, already pointed at the COW device.
    pub(super) snapshot_bios: Vec<Bio>,
    /// A write that stands in for the copy.
    pub(super) full_bio: Option<Bio>,
    /// Its place in the pool.
    pub(super) element: Element,
}

impl Answer for Pending {
    fn digest(&self, into: &mut Digest<'_>) {
        [self.new_chunk, self.sequence, u64::from(self.started)].into_iter().for_each(|word| into.word(word));
        let lists = [&self.origin_bios[..], &self.snapshot_bios, self.full_bio.as_slice()];
        for bios in lists {
            into.word(bios.len() as u64);
            bios.iter().for_each(|bio| into.object(bio.done().id()));
        }
    }
}
