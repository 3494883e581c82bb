//! How a snapshot becomes active, takes over the exceptions of another table, and goes: `snapshot_preresume`,
//! `snapshot_resume`, `snapshot_dtr`.
//!
//! A table with the COW device of an active snapshot is a *destination*: it reads no metadata, and gets tables and store
//! of the other, its *source*, when it is resumed, while nothing is mapped by the origin's device.
//!
//! Invariants: exceptions belong to one snapshot at a time; the source is suspended when it gives them away, and invalid
//! afterwards; a snapshot that goes has no copy under way.
//! Not here: whether a destination is allowed ([`super::ctr`]).

use std::sync::Arc;

use dmlab_units::Sectors;

use super::registry::Sharing;
use super::state::Snapshot;
use crate::dm::Errno;
use crate::dm::host::TargetHost;
use crate::sched::Task;
use crate::sync::RwSem;

impl Snapshot {
    fn sharing(&self, current: &Task) -> Sharing {
        self.registry.origins.read(current).sharing_cow(current, self)
    }

    /// `snapshot_preresume`.
    pub(super) fn preresume(&self, current: &Task) -> Result<(), Errno> {
        let _frame = current.enter("snapshot_preresume");
        self.check_not_freed(current);
        let origins = self.registry.origins.read(current);
        let sharing = origins.sharing_cow(current, self);
        let (Some(source), Some(_)) = (sharing.source, sharing.dest) else { return Ok(()) };
        let _held = source.lock.read(current);
        if std::ptr::eq(&*source, self) {
            self.err(current, "Unable to resume snapshot source until handover completes.");
            return Err(Errno::EINVAL);
        }
        if !source.host.is_suspended() {
            self.err(current, "Unable to perform snapshot handover until source is suspended.");
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    /// `snapshot_resume`.
    pub(super) fn resume(self: &Arc<Self>, current: &Task) {
        let _frame = current.enter("snapshot_resume");
        let (origin_host, merging) = self.origin_device(current);
        match origin_host {
            None => self.hand_over(current),
            Some(host) => {
                let must_restart = std::cell::Cell::new(false);
                host.internal_suspend_fast(current, || {
                    let merging = merging.as_ref().filter(|merging| merging.merge.is_running());
                    if let Some(merging) = merging {
                        must_restart.set(true);
                        merging.stop_merge(current);
                    }
                    self.hand_over(current);
                    if let Some(merging) = merging.filter(|_| must_restart.get()) {
                        merging.start_merge(current);
                    }
                });
            }
        }
        // Now the chunk size is known.
        self.reregister(current);
        let _held = self.lock.write(current);
        self.active.set(1);
    }

    /// The device that maps the origin, unless it is this one: to be quiet during a handover. Without an active
    /// snapshot-origin target it is that of a merging snapshot.
    fn origin_device(&self, current: &Task) -> (Option<Arc<TargetHost>>, Option<Arc<Self>>) {
        let origins = self.registry.origins.read(current);
        let mut merging = None;
        let host = origins.dm_origin(self.origin.id()).or_else(|| {
            merging = origins.sharing_cow(current, self).merging;
            merging.as_ref().map(|merging| Arc::clone(&merging.host))
        });
        (host.filter(|host| host.dev() != self.host.dev()), merging)
    }

    /// `__handover_exceptions`, if there is a source.
    fn hand_over(&self, current: &Task) {
        let origins = self.registry.origins.read(current);
        let sharing = origins.sharing_cow(current, self);
        let (Some(source), Some(dest)) = (sharing.source, sharing.dest) else { return };
        let _frame = current.enter("__handover_exceptions");
        let _source_held = source.lock.write(current);
        let _dest_held = dest.lock.write(current);
        dest.slots.swap_completed(current, &source.slots);
        let (theirs, mine) = (source.store(current), dest.store(current));
        theirs.common().set_overflow(mine.common().overflow());
        dest.store.change(current, |store| *store = Arc::clone(&theirs));
        source.store.change(current, |store| *store = mine);
        dest.set_max_io_len(theirs.common().chunk_size());
        dest.valid.set(source.valid.get());
        dest.overflowed.set(source.overflowed.get());
        // The source gets no further I/O.
        source.valid.set(0);
    }

    /// `reregister_snapshot`: to its place by chunk size.
    fn reregister(self: &Arc<Self>, current: &Task) {
        let _frame = current.enter("reregister_snapshot");
        let mut origins = self.registry.origins.write(current);
        origins.remove(self);
        origins.insert(current, self);
    }

    /// `get_origin_minimum_chunksize`, which a merging snapshot keeps as its boundary: it acts as an origin.
    pub(super) fn take_origin_boundary(&self, current: &Task) {
        let origins: &RwSem<_> = &self.registry.origins;
        let boundary = origins.read(current).minimum_chunk_size(current, self.origin.id(), &self.variants);
        self.set_max_io_len(Sectors(u64::from(boundary)));
    }

    /// `snapshot_dtr`, but for stopping a merge.
    pub(super) fn dtr(&self, current: &Task) {
        let _frame = current.enter("snapshot_dtr");
        self.check_not_freed(current);
        let sharing = self.sharing(current);
        if let (Some(source), Some(dest)) = (sharing.source, sharing.dest)
            && std::ptr::eq(&*source, self)
        {
            let _held = dest.lock.write(current);
            dest.valid.set(0);
            self.err(current, "Cancelling snapshot handover.");
        }
        self.unregister(current);
        // The kernel looks every millisecond.
        self.destroying.set(1);
        self.destroyq.wait_event(current, || self.pending_count.is_zero());
        self.kcopyd.destroy(current);
        self.store(current).dtr(current);
        if self.throttle.is_busy() {
            self.err(current, "copies are still accounted for");
        }
    }

    /// `unregister_snapshot`.
    pub(super) fn unregister(&self, current: &Task) {
        let _frame = current.enter("unregister_snapshot");
        self.registry.origins.write(current).remove(self);
    }
}
