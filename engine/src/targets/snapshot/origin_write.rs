//! A write to the origin: `do_origin` and `__origin_write`: every snapshot that has not got the chunk copies it first.
//!
//! The bio waits for the first copy that it needs, which is started last, to give the others a head start; when that
//! copy has ended, the snapshots are looked through again.
//!
//! Invariants: a bio is given back only when every active, valid snapshot has its chunk; `_origins_lock` is held for
//! reading while copies are started, but not while somebody waits under `wait`.
//! Not here: the snapshot-origin target, which sends writes here; merging snapshots make no exceptions.

use std::sync::Arc;

use dmlab_units::Sectors;

use super::copy::Copy;
use super::lock::SnapGuard;
use super::pending::Pending;
use super::registry::Registry;
use super::slots::Slot;
use super::state::Snapshot;
use crate::block::{Bio, Device};
use crate::dm::Errno;
use crate::sched::digest::Answer;
use crate::sched::{Digest, Task};
use crate::sync::mempool::Element;
use crate::variants::Planted;

/// What a look at a snapshot's tables gave.
enum Found {
    /// The chunk was copied.
    Completed,
    /// It is being copied; with the copy that is to be started, now or last.
    Pending(Option<(Copy, When)>),
    /// Neither.
    Nothing,
    /// There is no room for it.
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Now,
    Last,
}

impl Answer for Found {
    fn digest(&self, into: &mut Digest<'_>) {
        match self {
            Self::Completed => into.word(0),
            Self::Nothing => into.word(1),
            Self::Full => into.word(2),
            Self::Pending(start) => {
                into.word(3);
                start.as_ref().map(|(copy, when)| (*copy, *when == When::Now)).digest(into);
            }
        }
    }
}

impl Registry {
    /// `do_origin`: gives the bio back when nothing keeps it from being submitted; else it waits for a copy. With `limit`
    /// the caller may be made to wait first.
    pub(super) fn do_origin(&self, current: &Task, origin: &Device, bio: Bio, limit: bool) -> Option<Bio> {
        let _frame = current.enter("do_origin");
        loop {
            let origins = self.origins.read(current);
            let Some(snapshots) = origins.snapshots(origin.id()) else { return Some(bio) };
            if limit && let Some(busy) = snapshots.iter().find(|snap| !snap.throttle.may_pass(current)) {
                let kept = (self.planted == Planted::SnapThrottleWaitsLocked).then_some(origins);
                busy.throttle.wait(current);
                drop(kept);
                continue;
            }
            let sector = bio.sector;
            let mut bio = Some(bio);
            origin_write(current, &snapshots, sector, &mut bio);
            return bio;
        }
    }

    /// `origin_write_extent`: makes every other snapshot copy what a merge is about to overwrite; whether somebody has to
    /// be waited for. `step` is the smallest chunk of them.
    pub(super) fn origin_write_extent(
        &self,
        current: &Task,
        origin: &Device,
        (sector, size): (Sectors, Sectors),
        step: Sectors,
    ) -> bool {
        let _frame = current.enter("origin_write_extent");
        let origins = self.origins.read(current);
        let snapshots = origins.snapshots(origin.id()).unwrap_or_default();
        let mut must_wait = false;
        for number in 0..size.0.div_ceil(step.0) {
            must_wait |= origin_write(current, &snapshots, sector + Sectors(number * step.0), &mut None);
        }
        must_wait
    }
}

/// `__origin_write`: whether any copy is under way; then the bio, if there was one, is in its list.
fn origin_write(current: &Task, snapshots: &[Arc<Snapshot>], sector: Sectors, bio: &mut Option<Bio>) -> bool {
    let _frame = current.enter("__origin_write");
    let mut waits = false;
    let mut last = None;
    // A merging snapshot has effectively been deleted.
    for snap in snapshots.iter().filter(|snap| !snap.merges && sector < snap.size) {
        let chunk = snap.chunk_of(current, sector);
        match snap.find_or_insert(current, chunk, bio) {
            Found::Completed | Found::Nothing | Found::Full => {}
            Found::Pending(start) => {
                waits = true;
                match start {
                    Some((copy, When::Now)) => snap.start_copy(current, copy),
                    Some((copy, When::Last)) => last = Some((snap, copy)),
                    None => {}
                }
            }
        }
    }
    if let Some((snap, copy)) = last {
        snap.start_copy(current, copy);
    }
    waits
}

impl Snapshot {
    /// One snapshot's part of `__origin_write`.
    fn find_or_insert(&self, current: &Task, chunk: u64, bio: &mut Option<Bio>) -> Found {
        let held = self.lock.io(current);
        if !self.is_valid() || self.active.get() == 0 {
            return Found::Nothing;
        }
        let found = self.slots.with(current, chunk, |slot| look(slot, chunk, bio));
        if !matches!(found, Found::Nothing) || self.variants.planted == Planted::SnapForgetsOrigin {
            return found;
        }
        let (held, element) = self.alloc_between(current, held);
        if !self.is_valid() {
            drop(held);
            self.free_pending(current, element);
            return Found::Nothing;
        }
        let (found, unused) = self.insert_unless_there(current, chunk, element, |slot| look(slot, chunk, bio));
        if matches!(found, Found::Full) && self.variants.planted != Planted::SnapIgnoresFull {
            if held.is_exclusive() {
                self.invalidate_locked(current, Errno::ENOMEM);
            } else {
                drop(held);
                self.invalidate(current, Errno::ENOMEM);
            }
        }
        if let Some(element) = unused {
            self.free_pending(current, element);
        }
        found
    }

    /// `alloc_pending_exception` where it may wait: a lock that keeps others out is given back meanwhile; since 5.2 the
    /// lock is kept for reading.
    #[track_caller]
    pub(super) fn alloc_between<'a>(&'a self, current: &'a Task, held: SnapGuard<'a>) -> (SnapGuard<'a>, Element) {
        if !held.is_exclusive() {
            let element = self.alloc_pending(current);
            return (held, element);
        }
        drop(held);
        let element = self.alloc_pending(current);
        (self.lock.io(current), element)
    }

    /// Looks once more, and inserts a new pending exception if there is still nothing. Gives back an element that was not
    /// needed.
    fn insert_unless_there(
        &self,
        current: &Task,
        chunk: u64,
        element: Element,
        mut look: impl FnMut(&mut Slot) -> Found,
    ) -> (Found, Option<Element>) {
        self.slots.with(current, chunk, |slot| {
            let found = look(slot);
            if !matches!(found, Found::Nothing) {
                return (found, Some(element));
            }
            match self.new_pending(current, element) {
                Ok(pending) => {
                    slot.pending.insert(chunk, pending);
                    (look(slot), None)
                }
                Err((_, element)) => (Found::Full, Some(element)),
            }
        })
    }
}

/// What the tables say of a chunk. A pending exception first: it may be in both (`pending_complete`).
fn look(slot: &mut Slot, chunk: u64, bio: &mut Option<Bio>) -> Found {
    if let Some(pending) = slot.pending.get_mut(&chunk) {
        return Found::Pending(wait_for(pending, chunk, bio));
    }
    if slot.lookup(chunk).is_some() { Found::Completed } else { Found::Nothing }
}

/// Queues the bio, if it does not wait for another snapshot already; the copy that is to be started, if it was not.
fn wait_for(pending: &mut Pending, chunk: u64, bio: &mut Option<Bio>) -> Option<(Copy, When)> {
    let when = match bio.take() {
        Some(bio) => {
            pending.origin_bios.push(bio);
            When::Last
        }
        None => When::Now,
    };
    let fresh = !std::mem::replace(&mut pending.started, true);
    fresh.then(|| (Copy::of(chunk, pending), when))
}
