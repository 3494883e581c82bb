//! [`Snapshot`]: `struct dm_snapshot`: what a snapshot is made of, and the small things that everything else does to it.
//!
//! Invariants: `valid` and `overflowed` change only under the lock held for writing, but are looked at without it where
//! the kernel does; an exception is pending from [`Snapshot::alloc_pending`] to [`Snapshot::free_pending`], and the
//! destructor waits for all of them.
//! Not here: any path that I/O takes.

use std::sync::Arc;

use dmlab_units::Sectors;

use super::drain::Drain;
use super::lock::SnapLock;
use super::merge::Merge;
use super::pending::Pending;
use super::registry::Registry;
use super::slots::Slots;
use super::throttle::CowThrottle;
use crate::block::core::KeepsBios;
use crate::block::{Bio, Device};
use crate::dm::Errno;
use crate::dm::host::TargetHost;
use crate::kcopyd::Client;
use crate::sched::Task;
use crate::sched::cell::Tiny;
use crate::stores::{Exception, ExceptionStore, NoSpace};
use crate::sync::mempool::Element;
use crate::sync::{Confided, Count, Gfp, Mempool, Variable, WaitQueue};
use crate::variants::Variants;

/// `MIN_IOS`: reserve of pending exceptions.
pub(super) const PENDING_RESERVE: u64 = 256;

/// A snapshot.
pub(super) struct Snapshot {
    pub(super) host: Arc<TargetHost>,
    pub(super) registry: Arc<Registry>,
    pub(super) variants: Variants,
    /// Whether it is a snapshot-merge target's.
    pub(super) merges: bool,
    pub(super) origin: Arc<Device>,
    pub(super) cow: Arc<Device>,
    /// Sectors of its table.
    pub(super) size: Sectors,
    pub(super) lock: SnapLock,
    pub(super) valid: Variable,
    pub(super) active: Variable,
    pub(super) overflowed: Variable,
    /// Whether the constructor has freed it ([`crate::variants::ZeroChunk::Accepted`]).
    pub(super) freed: Variable,
    /// `ti->max_io_len`; 0 until it is known.
    pub(super) max_io_len: Variable,
    /// `discard_zeroes_cow`, `discard_passdown_origin`.
    pub(super) features: Features,
    pub(super) pending_pool: Arc<Mempool>,
    pub(super) slots: Slots,
    pub(super) tracked: Drain,
    /// The store. Changed by a handover only.
    pub(super) store: Confided<Arc<dyn ExceptionStore>>,
    pub(super) throttle: CowThrottle,
    pub(super) kcopyd: Client,
    pub(super) merge: Merge,
    pub(super) sequence: Sequence,
    /// `pending_exceptions_count`, and the destructor that waits for it.
    pub(super) pending_count: Count,
    pub(super) destroying: Variable,
    pub(super) destroyq: WaitQueue,
}

/// The features of a table line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) discard_zeroes_cow: bool,
    pub(super) discard_passdown_origin: bool,
}

/// In which order copies are committed.
pub(super) struct Sequence {
    /// `pe_allocation_lock`: with it, places and numbers are handed out together.
    pub(super) allocation: Tiny<()>,
    /// `exception_start_sequence`.
    pub(super) start: Variable,
    /// `exception_complete_sequence`. In the kcopyd worker only.
    pub(super) complete: Variable,
    /// `out_of_order_tree`: copies that ended before their turn, by number. In the kcopyd worker only.
    pub(super) early: Confided<std::collections::BTreeMap<u64, super::copy::Copied>>,
}

impl KeepsBios for Snapshot {
    fn abandon(&self) {
        self.slots.abandon();
        drop(self.merge.window.take_away());
    }
}

impl Snapshot {
    /// `s->valid`.
    pub(super) fn is_valid(&self) -> bool {
        self.valid.get() != 0
    }

    /// Bios stay within multiples of this.
    pub(super) fn max_io_len(&self) -> Option<Sectors> {
        Some(Sectors(self.max_io_len.get())).filter(|len| *len > Sectors::ZERO)
    }

    pub(super) fn set_max_io_len(&self, len: Sectors) {
        self.max_io_len.set(len.0);
    }

    /// The store.
    pub(super) fn store(&self, current: &Task) -> Arc<dyn ExceptionStore> {
        self.store.look(current, Arc::clone)
    }

    /// Sectors of a chunk; 0 for a destination of a handover that has not come.
    pub(super) fn chunk_size(&self, current: &Task) -> Sectors {
        self.store.look(current, |store| store.common().chunk_size())
    }

    /// `sector_to_chunk`. Only a snapshot that is not valid, or not active, has no chunk size.
    pub(super) fn chunk_of(&self, current: &Task, sector: Sectors) -> u64 {
        sector.0 / self.chunk_size(current).0.max(1)
    }

    /// `remap_exception`: sends a bio to where its chunk stands on the COW device.
    pub(super) fn remap(&self, current: &Task, bio: &mut Bio, place: u64) {
        let chunk = self.chunk_size(current).0;
        bio.set_dev(Arc::clone(&self.cow));
        // A place from a damaged store may be beyond all numbers, and then is beyond the end of the device.
        bio.sector = Sectors(place.saturating_mul(chunk).saturating_add(bio.sector.0 % chunk));
    }

    /// `alloc_pending_exception`: may wait.
    #[track_caller]
    pub(super) fn alloc_pending(&self, current: &Task) -> Element {
        let _frame = current.enter("alloc_pending_exception");
        let element = self.pending_pool.alloc(current, Gfp::NoIo).expect("an allocation that may wait succeeds");
        self.pending_count.inc();
        element
    }

    /// `free_pending_exception`.
    pub(super) fn free_pending(&self, current: &Task, element: Element) {
        self.pending_pool.free(current, element);
        self.pending_count.dec(current);
        // Only the destructor waits here, and says so before it looks at the count.
        if self.destroying.get() != 0 && self.pending_count.is_zero() {
            self.destroyq.wake_up_all(current);
        }
    }

    /// `__insert_pending_exception`, up to the insertion: a place and a number for a new exception. No operation: the
    /// caller is in a section of its slot.
    ///
    /// # Errors
    /// [`NoSpace`]; the element is still the caller's then.
    pub(super) fn new_pending(&self, current: &Task, element: Element) -> Result<Pending, (NoSpace, Element)> {
        let store = self.store(current);
        let _held = self.sequence.allocation.lock_for(current);
        let new_chunk = match store.prepare(current) {
            Ok(new_chunk) => new_chunk,
            Err(full) => return Err((full, element)),
        };
        let sequence = self.sequence.start.get();
        self.sequence.start.set(sequence + 1);
        let (origin_bios, snapshot_bios) = (Vec::new(), Vec::new());
        Ok(Pending { new_chunk, sequence, started: false, origin_bios, snapshot_bios, full_bio: None, element })
    }

    /// `__invalidate_snapshot`: with the lock held for writing.
    pub(super) fn invalidate_locked(&self, current: &Task, errno: Errno) {
        let _frame = current.enter("__invalidate_snapshot");
        if !self.is_valid() {
            return;
        }
        match errno {
            Errno::EIO => self.err(current, "Invalidating snapshot: Error reading/writing."),
            _ => self.err(current, "Invalidating snapshot: Unable to allocate exception."),
        }
        self.store(current).drop_snapshot(current);
        self.valid.set(0);
        self.host.event(current);
    }

    /// `invalidate_snapshot`.
    pub(super) fn invalidate(&self, current: &Task, errno: Errno) {
        let _held = self.lock.write(current);
        self.invalidate_locked(current, errno);
    }

    /// `DMERR` and `DMWARN`.
    pub(super) fn err(&self, current: &Task, message: &str) {
        self.host.log(current, format!("device-mapper: snapshots: {message}"));
    }

    /// Puts an exception that was found in the store into the table (`dm_add_exception`).
    pub(super) fn add_exception(&self, current: &Task, exception: Exception) {
        let old_chunk = exception.old_chunk;
        self.slots.with(current, old_chunk, |slot| slot.completed.insert(exception));
    }
}
