//! [`Registry`]: who is a snapshot of what, in one machine: `_origins`, `_dm_origins` and `_origins_lock`, with the
//! module's parameters.
//!
//! Invariants: the snapshots of an origin stand in the order of their chunk sizes, largest first; an origin without
//! snapshots has no entry; a snapshot is listed from its constructor to its destructor.
//! Not here: what a snapshot does.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use dmlab_units::Sectors;

use super::state::Snapshot;
use super::throttle::COW_THRESHOLD_DEFAULT;
use crate::block::{BlockCore, DevId};
use crate::dm::host::TargetHost;
use crate::kcopyd::Throttle;
use crate::sched::Task;
use crate::sync::{Count, RwSem, Variable, WaitQueue};
use crate::variants::{OriginBoundary, Planted, Variants};

/// Of the registry, in the machine's modules.
const MODULE: &str = "dm_snapshot";

/// What `_origins_lock` guards.
#[derive(Default)]
pub(super) struct Origins {
    /// `_origins`.
    snapshots: BTreeMap<DevId, Vec<Weak<Snapshot>>>,
    /// `_dm_origins`: the active snapshot-origin targets of a device, by the device that each maps.
    dm_origins: BTreeMap<DevId, Vec<Weak<TargetHost>>>,
}

/// The module `dm_snapshot` in one machine.
pub struct Registry {
    /// `_origins_lock`.
    pub(super) origins: RwSem<Origins>,
    /// `snapshot_cow_threshold`.
    pub(super) cow_threshold: Arc<Variable>,
    /// `snapshot_copy_throttle`.
    pub(super) copy_throttle: Arc<Throttle>,
    pub(super) planted: Planted,
    /// `_pending_exceptions_done_count`.
    done: Count,
    done_wait: WaitQueue,
    done_waiting: Count,
}

/// `__find_snapshots_sharing_cow`: the snapshots on one COW device.
#[derive(Default)]
pub(super) struct Sharing {
    /// How many.
    pub(super) count: usize,
    /// The active one, whose exceptions can be handed over.
    pub(super) source: Option<Arc<Snapshot>>,
    /// One that waits for them.
    pub(super) dest: Option<Arc<Snapshot>>,
    /// A merging snapshot of the same origin, on whatever COW device.
    pub(super) merging: Option<Arc<Snapshot>>,
}

impl Registry {
    /// The registry of the machine of `core`.
    pub fn of(current: &Task, core: &Arc<BlockCore>) -> Arc<Self> {
        let runtime = current.runtime();
        core.module(current, MODULE, || Self {
            origins: RwSem::new(runtime, "_origins_lock", Origins::default()),
            cow_threshold: Arc::new(Variable::new(runtime, "snapshot_cow_threshold", COW_THRESHOLD_DEFAULT)),
            copy_throttle: Arc::new(Throttle::new(current, "snapshot_copy_throttle")),
            planted: core.variants().planted,
            done: Count::new(runtime, "_pending_exceptions_done_count"),
            done_wait: WaitQueue::new(runtime, "_pending_exceptions_done"),
            done_waiting: Count::new(runtime, "_pending_exceptions_done.waiting"),
        })
    }

    /// `/sys/module/dm_snapshot/parameters/snapshot_cow_threshold`: chunks that a snapshot copies at once. Live under
    /// `wait`, sampled at the constructor under `semaphore`.
    pub fn set_cow_threshold(&self, chunks: u64) {
        self.cow_threshold.set(chunks);
    }

    /// `/sys/module/dm_snapshot/parameters/snapshot_copy_throttle`: percent of the time that copies may take.
    pub fn set_copy_throttle(&self, percent: u64) {
        self.copy_throttle.set_percent(percent);
    }

    /// Entries in the tables of completed exceptions of all snapshots, and the bytes that they take up.
    pub fn tables(&self, current: &Task) -> (usize, usize) {
        let origins = self.origins.read(current);
        let snapshots = origins.snapshots.values().flatten().filter_map(Weak::upgrade);
        snapshots.map(|snap| snap.slots.size(current)).fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }

    /// `read_pending_exceptions_done_count`.
    pub(super) fn done_count(&self) -> u64 {
        self.done.value()
    }

    /// `increment_pending_exceptions_done_count`: some exception is no longer pending.
    pub(super) fn count_done(&self, current: &Task) {
        self.done.inc();
        if !self.done_waiting.is_zero() {
            self.done_wait.wake_up_all(current);
        }
    }

    /// Waits until some exception more than `known` is done.
    #[track_caller]
    pub(super) fn wait_for_done(&self, current: &Task, known: u64) {
        self.done_waiting.inc();
        self.done_wait.wait_event(current, || self.done_count() != known);
        self.done_waiting.drop_one();
    }
}

impl Origins {
    /// `__lookup_origin`: the snapshots of a device, largest chunks first.
    pub(super) fn snapshots(&self, origin: DevId) -> Option<Vec<Arc<Snapshot>>> {
        let snapshots = self.snapshots.get(&origin)?;
        Some(snapshots.iter().filter_map(Weak::upgrade).collect())
    }

    /// `__lookup_dm_origin`: the device of an active snapshot-origin target.
    pub(super) fn dm_origin(&self, origin: DevId) -> Option<Arc<TargetHost>> {
        self.dm_origins.get(&origin)?.first()?.upgrade()
    }

    /// `__insert_dm_origin`.
    pub(super) fn insert_dm_origin(&mut self, origin: DevId, host: &Arc<TargetHost>) {
        self.dm_origins.entry(origin).or_default().push(Arc::downgrade(host));
    }

    /// `__remove_dm_origin`.
    pub(super) fn remove_dm_origin(&mut self, origin: DevId, host: &Arc<TargetHost>) {
        if let Some(hosts) = self.dm_origins.get_mut(&origin) {
            hosts.retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(host)));
        }
    }

    /// `__insert_snapshot`: in front of the first with smaller chunks.
    pub(super) fn insert(&mut self, current: &Task, snap: &Arc<Snapshot>) {
        let chunk = snap.chunk_size(current);
        let snapshots = self.snapshots.entry(snap.origin.id()).or_default();
        let is_smaller =
            |other: &Weak<Snapshot>| other.upgrade().is_some_and(|other| other.chunk_size(current) < chunk);
        let place = snapshots.iter().position(is_smaller).unwrap_or(snapshots.len());
        snapshots.insert(place, Arc::downgrade(snap));
    }

    /// Takes it out; an origin without snapshots is forgotten.
    pub(super) fn remove(&mut self, snap: &Snapshot) {
        if let Some(snapshots) = self.snapshots.get_mut(&snap.origin.id()) {
            snapshots.retain(|other| !std::ptr::eq(other.as_ptr(), snap));
            if snapshots.is_empty() {
                self.snapshots.remove(&snap.origin.id());
            }
        }
    }

    /// `__find_snapshots_sharing_cow`.
    pub(super) fn sharing_cow(&self, current: &Task, snap: &Snapshot) -> Sharing {
        let mut sharing = Sharing::default();
        for other in self.snapshots(snap.origin.id()).unwrap_or_default() {
            if other.merges {
                sharing.merging = Some(Arc::clone(&other));
            }
            if other.cow.id() != snap.cow.id() {
                continue;
            }
            let active = {
                let _held = other.lock.read(current);
                other.active.get() != 0
            };
            let place = if active { &mut sharing.source } else { &mut sharing.dest };
            *place = Some(other);
            sharing.count += 1;
        }
        sharing
    }

    /// `__minimum_chunk_size`, of what boundaries are made: in sectors.
    pub(super) fn minimum_chunk_size(&self, current: &Task, origin: DevId, variants: &Variants) -> u32 {
        let snapshots = self.snapshots(origin).unwrap_or_default();
        let known = snapshots.iter().map(|snap| snap.chunk_size(current)).filter(|chunk| *chunk > Sectors::ZERO);
        match (known.min(), variants.planted, variants.origin_boundary) {
            (Some(chunk), Planted::OriginSplitsWide, _) => chunk.0 as u32 * 2,
            (Some(chunk), ..) => chunk.0 as u32,
            (None, Planted::OriginSplitsAlone, _) => 8,
            (None, _, OriginBoundary::Zero) => 0,
            (None, _, OriginBoundary::UintMax) => u32::MAX,
            (None, _, OriginBoundary::Pow2) => 1 << 31,
        }
    }
}
