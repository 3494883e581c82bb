//! [`Completed`]: the table of a snapshot's exceptions: which chunk of the origin stands where on the COW device; and
//! [`Pending`], one that is under way.
//!
//! Consecutive chunks that went to consecutive places are one entry, of up to 256 chunks (`DM_CHUNK_CONSECUTIVE_BITS`):
//! their number, less one, stands in the top 8 bits of the new chunk. An entry takes 16 bytes; a bucket holds its entries
//! in the order of their chunks, so that a look-up in a long bucket is a binary search.
//!
//! Invariants: a chunk is in one bucket, chosen by its number without the lowest 8 bits, so that a run never leaves its
//! bucket; entries of a bucket are sorted.
//! Differences from the kernel: buckets are arrays instead of linked lists; a run that is full (which only a damaged
//! store can bring about) is not extended instead of being a `BUG`.
//! Not here: locks (`slots`).

use crate::block::Bio;
use crate::sched::Digest;
use crate::sched::digest::{Answer, Content};
use crate::stores::Exception;
use crate::sync::mempool::Element;

/// `DM_CHUNK_CONSECUTIVE_BITS`.
pub const CONSECUTIVE_BITS: u32 = 8;
/// `DM_CHUNK_NUMBER_BITS`.
const NUMBER_BITS: u32 = 64 - CONSECUTIVE_BITS;
/// Chunks of a full run.
const RUN_MAX: u64 = 1 << CONSECUTIVE_BITS;

/// `struct dm_exception` as the table keeps it: a run of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    old_chunk: u64,
    /// With the number of further chunks on top.
    new_chunk: u64,
}

impl Run {
    /// `dm_consecutive_chunk_count`: chunks after the first.
    const fn further(self) -> u64 {
        self.new_chunk >> NUMBER_BITS
    }

    /// `dm_chunk_number`.
    const fn place(self) -> u64 {
        self.new_chunk & ((1 << NUMBER_BITS) - 1)
    }

    const fn end(self) -> u64 {
        self.old_chunk.saturating_add(self.further())
    }

    const fn is_full(self) -> bool {
        self.further() == RUN_MAX - 1
    }

    const fn grow(&mut self) {
        self.new_chunk += 1 << NUMBER_BITS;
    }

    const fn shrink(&mut self) {
        self.new_chunk -= 1 << NUMBER_BITS;
    }
}

/// What a pending exception takes of its slab: `struct dm_snap_pending_exception` of 6.12 (64 bit, by its members).
pub const PENDING_BYTES: u64 = 128;

/// Why a chunk could not be taken out: what the kernel calls corruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveError {
    /// It is not there.
    Missing,
    /// It stands in the middle of a run: first and last chunk.
    Middle(u64, u64),
}

/// The completed exceptions of a part of the chunks.
#[derive(Debug, Default)]
pub struct Completed {
    buckets: Vec<Vec<Run>>,
}

impl Content for Completed {
    fn digest(&self, into: &mut Digest<'_>) {
        for bucket in &self.buckets {
            into.word(bucket.len() as u64);
            for run in bucket {
                into.word(run.old_chunk);
                into.word(run.new_chunk);
            }
        }
    }
}

impl Answer for Completed {
    fn digest(&self, into: &mut Digest<'_>) {
        Content::digest(self, into);
    }
}

impl Answer for RemoveError {
    fn digest(&self, into: &mut Digest<'_>) {
        let (first, last) = match *self {
            Self::Missing => (u64::MAX, 0),
            Self::Middle(first, last) => (first, last),
        };
        into.word(first);
        into.word(last);
    }
}

impl Completed {
    /// Empty, with so many buckets.
    ///
    /// # Panics
    /// When it is not a power of two.
    pub fn new(buckets: usize) -> Self {
        assert!(buckets.is_power_of_two(), "a hash table has a power of two of buckets");
        Self { buckets: vec![Vec::new(); buckets] }
    }

    /// `exception_hash`. The lowest bits choose the slot (see [`super::slots`]), so that those above them are used here.
    fn bucket(&self, chunk: u64, slot_bits: u32) -> usize {
        (chunk >> (CONSECUTIVE_BITS + slot_bits)) as usize & (self.buckets.len() - 1)
    }

    /// `dm_lookup_exception`: the place of a chunk.
    #[inline]
    pub fn lookup(&self, chunk: u64, slot_bits: u32) -> Option<u64> {
        let bucket = &self.buckets[self.bucket(chunk, slot_bits)];
        let run = bucket[..bucket.partition_point(|run| run.old_chunk <= chunk)].last()?;
        (chunk <= run.end()).then(|| run.place() + (chunk - run.old_chunk))
    }

    /// `dm_insert_exception`: joins it to its neighbours where that is possible.
    pub fn insert(&mut self, exception: Exception, slot_bits: u32) {
        let Exception { old_chunk, new_chunk } = exception;
        let bucket = self.bucket(old_chunk, slot_bits);
        let bucket = &mut self.buckets[bucket];
        let after = bucket.partition_point(|run| run.old_chunk <= old_chunk);
        // Behind an existing run?
        if let Some(run) = after.checked_sub(1).map(|before| &mut bucket[before])
            && run.end().checked_add(1) == Some(old_chunk)
            && run.place() + run.further() + 1 == new_chunk
            && !run.is_full()
        {
            return run.grow();
        }
        // In front of one?
        if let Some(run) = bucket.get_mut(after)
            && run.old_chunk == old_chunk.saturating_add(1)
            && run.place().checked_sub(1) == Some(new_chunk)
            && !run.is_full()
        {
            run.grow();
            run.old_chunk -= 1;
            run.new_chunk -= 1;
            return;
        }
        bucket.insert(after, Run { old_chunk, new_chunk });
    }

    /// `__remove_single_exception_chunk`: takes a chunk out. Only the first or the last of a run can be.
    ///
    /// # Errors
    /// [`RemoveError`].
    pub fn remove(&mut self, chunk: u64, slot_bits: u32) -> Result<(), RemoveError> {
        let bucket = self.bucket(chunk, slot_bits);
        let bucket = &mut self.buckets[bucket];
        let place = bucket.partition_point(|run| run.old_chunk <= chunk).checked_sub(1).ok_or(RemoveError::Missing)?;
        let run = &mut bucket[place];
        if chunk > run.end() {
            return Err(RemoveError::Missing);
        }
        if run.further() == 0 {
            bucket.remove(place);
        } else if chunk == run.old_chunk {
            run.old_chunk += 1;
            run.new_chunk += 1;
            run.shrink();
        } else if chunk == run.end() {
            run.shrink();
        } else {
            return Err(RemoveError::Middle(run.old_chunk, run.end()));
        }
        Ok(())
    }

    /// Entries, and bytes that they take up.
    pub fn size(&self) -> (usize, usize) {
        let entries = self.buckets.iter().map(Vec::len).sum();
        let bytes = self.buckets.iter().map(|bucket| bucket.capacity() * size_of::<Run>()).sum::<usize>();
        (entries, bytes + self.buckets.capacity() * size_of::<Vec<Run>>())
    }
}

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const fn exception(old_chunk: u64, new_chunk: u64) -> Exception {
        Exception { old_chunk, new_chunk }
    }

    #[test]
    fn consecutive_chunks_share_an_entry() {
        let mut table = Completed::new(4);
        for chunk in [10, 11, 12, 9, 20] {
            table.insert(exception(chunk, chunk + 100), 0);
        }
        table.insert(exception(13, 5), 0);
        assert_eq!(table.size().0, 3, "9 to 12, 13, 20");
        assert_eq!([9, 12, 13, 20].map(|chunk| table.lookup(chunk, 0)), [Some(109), Some(112), Some(5), Some(120)]);
        assert_eq!(table.remove(11, 0), Err(RemoveError::Middle(9, 12)));
        assert_eq!(table.remove(14, 0), Err(RemoveError::Missing));
        assert_eq!([table.remove(12, 0), table.remove(9, 0)], [Ok(()), Ok(())]);
        assert_eq!([9, 10, 11, 12].map(|chunk| table.lookup(chunk, 0)), [None, Some(110), Some(111), None]);
    }

    proptest! {
        #[test]
        fn a_table_finds_what_was_inserted_and_not_removed(
            steps in prop::collection::vec((0..600_u64, any::<bool>()), 1..400),
            slot_bits in 0..5_u32,
        ) {
            let (mut table, mut model) = (Completed::new(2), BTreeMap::new());
            let mut next = 2;
            for (chunk, insert) in steps {
                match (insert, model.contains_key(&chunk)) {
                    (true, false) => {
                        table.insert(exception(chunk, next), slot_bits);
                        model.insert(chunk, next);
                        next += 1;
                    }
                    (false, true) => match table.remove(chunk, slot_bits) {
                        Ok(()) => drop(model.remove(&chunk)),
                        error => prop_assert!(matches!(error, Err(RemoveError::Middle(..)))),
                    },
                    (false, false) => prop_assert_eq!(table.remove(chunk, slot_bits), Err(RemoveError::Missing)),
                    (true, true) => {}
                }
            }
            for chunk in 0..600 {
                prop_assert_eq!(table.lookup(chunk, slot_bits), model.get(&chunk).copied());
            }
        }

        #[test]
        fn nothing_from_a_damaged_store_panics(list in prop::collection::vec((any::<u64>(), any::<u64>()), 0..300)) {
            let mut table = Completed::new(2);
            for (old, new) in &list {
                table.insert(exception(*old, *new), 4);
                table.insert(exception(old.wrapping_add(1), new.wrapping_add(1)), 4);
            }
            for (old, _) in &list {
                table.lookup(*old, 4);
                let _ = table.remove(*old, 4);
            }
        }
    }
}
