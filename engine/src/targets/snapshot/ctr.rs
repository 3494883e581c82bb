//! `snapshot_ctr`: from the words of a table line to a registered snapshot, and every way in which it refuses.
//!
//! Invariants: a snapshot that is refused is not registered; metadata is read by one table at a time, so a destination of
//! a handover reads none.
//! Not here: what the stores refuse (their constructor), becoming active ([`super::handover`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use dmlab_units::Sectors;

use super::drain::Drain;
use super::lock::SnapLock;
use super::map::SnapshotTarget;
use super::merge::Merge;
use super::merge_map::MergeTarget;
use super::registry::Registry;
use super::slots::Slots;
use super::state::{Features, PENDING_RESERVE, Sequence, Snapshot};
use super::throttle::CowThrottle;
use crate::block::Device;
use crate::dm::args::{Arg, ArgSet};
use crate::dm::io_client::IoClient;
use crate::dm::target::CtrError;
use crate::dm::{Target, TargetArgs};
use crate::kcopyd::Client;
use crate::sched::Task;
use crate::sched::cell::Tiny;
use crate::stores::{Create, ExceptionStore, Loaded, create};
use crate::sync::{Confided, Count, Variable, WaitQueue};
use crate::variants::{EmbeddedPools, ZeroChunk};

/// What [`ZeroChunk::Accepted`] leaves behind: it was freed, and the table has it.
const USED_AFTER_FREE: &str = "use after free: the snapshot's constructor has freed it and returned 0";

/// snapshot: `<origin_dev> <COW-dev> <p|po|n> <chunk-size> [<# feature args> [<arg>]*]`
pub(super) fn snapshot(current: &Task, args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    Ok(Box::new(SnapshotTarget(snapshot_ctr(current, args, false)?)))
}

/// snapshot-merge: the same words.
pub(super) fn merge(current: &Task, args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    Ok(Box::new(MergeTarget(snapshot_ctr(current, args, true)?)))
}

fn snapshot_ctr(current: &Task, args: &TargetArgs<'_>, merges: bool) -> Result<Arc<Snapshot>, CtrError> {
    let _frame = current.enter("snapshot_ctr");
    let [origin, cow, store @ ..] = &args.argv[..] else {
        return Err(CtrError::invalid("requires 4 or more arguments"));
    };
    if store.len() < 2 {
        return Err(CtrError::invalid("requires 4 or more arguments"));
    }
    let features = parse_features(&store[2..])?;
    let origin = args.device(origin, "Cannot get origin device")?;
    let cow = args.device(cow, "Cannot get COW device")?;
    if cow.id() == origin.id() {
        return Err(CtrError::invalid("COW device cannot be the same as origin device"));
    }
    let make = Create { core: args.host.core(), name: args.host.name(), cow: &cow };
    let store = create(current, &make, store).map_err(|_| {
        end_pools_never_begun(current, args);
        CtrError::invalid("Couldn't create exception store")
    })?;
    if merges && store.merging().is_none() {
        return Err(CtrError::invalid("Snapshot exception store does not support snapshot-merge."));
    }
    let snap = Snapshot::new(current, args, (origin, cow), store, features, merges);
    if register(current, &snap)? {
        // The chunk size comes with the handover.
        snap.store(current).common().set_chunk_size(0);
        return Ok(snap);
    }
    load(current, &snap).inspect_err(|_| destroy(current, &snap))?;
    Ok(snap)
}

/// `parse_snapshot_features`.
fn parse_features(words: &[&str]) -> Result<Features, CtrError> {
    let mut features = Features::default();
    let mut words = ArgSet::new(words);
    if words.argc() == 0 {
        return Ok(features);
    }
    let count = words.read_group(&Arg { min: 0, max: 2, error: "Invalid number of feature arguments" })?;
    for _ in 0..count {
        match words.shift().unwrap_or_default() {
            word if word.eq_ignore_ascii_case("discard_zeroes_cow") => features.discard_zeroes_cow = true,
            word if word.eq_ignore_ascii_case("discard_passdown_origin") => features.discard_passdown_origin = true,
            _ => return Err(CtrError::invalid("Unrecognised feature requested")),
        }
    }
    if features.discard_passdown_origin && !features.discard_zeroes_cow {
        return Err(CtrError::invalid("discard_passdown_origin feature depends on discard_zeroes_cow"));
    }
    Ok(features)
}

/// The end of a constructor that failed before its pools were made, where it ends them all the same.
fn end_pools_never_begun(current: &Task, args: &TargetArgs<'_>) {
    if args.host.core().variants().embedded_pools == EmbeddedPools::Garbage {
        current.bug("mempool_exit on a pool that was never begun, in a structure that nobody has zeroed");
    }
}

/// `register_snapshot`: whether it is a destination of a handover.
fn register(current: &Task, snap: &Arc<Snapshot>) -> Result<bool, CtrError> {
    let _frame = current.enter("register_snapshot");
    let mut origins = snap.registry.origins.write(current);
    let sharing = origins.sharing_cow(current, snap);
    if sharing.count == 2 || sharing.dest.is_some() {
        return Err(CtrError::invalid("Snapshot cow pairing for exception table handover failed"));
    }
    if let Some(source) = &sharing.source
        && snap.merges
    {
        if sharing.merging.is_some() {
            return Err(CtrError::invalid("A snapshot is already merging."));
        }
        if source.store(current).merging().is_none() {
            return Err(CtrError::invalid("Snapshot exception store does not support snapshot-merge."));
        }
    }
    origins.insert(current, snap);
    Ok(sharing.source.is_some())
}

/// Reads the metadata.
fn load(current: &Task, snap: &Arc<Snapshot>) -> Result<(), CtrError> {
    let store = snap.store(current);
    let loaded = store.read_metadata(current, &mut |exception| snap.add_exception(current, exception));
    match loaded {
        Ok(Loaded::Valid) => {}
        Ok(Loaded::Invalid) => {
            snap.valid.set(0);
            snap.err(current, "Snapshot is marked invalid.");
        }
        Err(errno) => return Err(CtrError { message: "Failed to read snapshot metadata".to_owned(), errno }),
    }
    let chunk = store.common().chunk_size();
    if chunk == Sectors::ZERO && snap.variants.zero_chunk == ZeroChunk::Accepted {
        destroy(current, snap);
        snap.freed.set(1);
        return Ok(());
    }
    if chunk == Sectors::ZERO {
        return Err(CtrError::invalid("Chunk size not set"));
    }
    snap.set_max_io_len(chunk);
    Ok(())
}

/// `bad_read_metadata` and on.
fn destroy(current: &Task, snap: &Snapshot) {
    snap.unregister(current);
    snap.kcopyd.destroy(current);
    snap.store(current).dtr(current);
}

impl Snapshot {
    fn new(
        current: &Task,
        args: &TargetArgs<'_>,
        (origin, cow): (Arc<Device>, Arc<Device>),
        store: Arc<dyn ExceptionStore>,
        features: Features,
        merges: bool,
    ) -> Arc<Self> {
        let (runtime, core, name) = (current.runtime(), args.host.core(), args.host.name());
        let named = |part: &str| format!("{name}.{part}");
        let variable = |part: &str, value| Variable::new(runtime, &named(part), value);
        let variants = *core.variants();
        let registry = Registry::of(current, core);
        let throttle = CowThrottle::new(current, name, variants, &registry.cow_threshold);
        let copy_throttle = Some(Arc::clone(&registry.copy_throttle));
        let snap = Arc::new(Self {
            host: Arc::clone(args.host),
            variants,
            merges,
            size: args.range.begin + args.range.len,
            lock: SnapLock::new(runtime, &named("lock"), variants.snap_lock),
            valid: variable("valid", 1),
            active: variable("active", 0),
            overflowed: variable("snapshot_overflowed", 0),
            freed: variable("freed", 0),
            max_io_len: variable("max_io_len", 0),
            features,
            pending_pool: core.new_pool(current, &named("pending_pool"), PENDING_RESERVE),
            slots: Slots::new(runtime, name, variants.snap_lock),
            tracked: Drain::new(runtime, name),
            store: Confided::new(runtime, &named("store"), store),
            throttle,
            kcopyd: Client::new(current, core, &named("kcopyd"), copy_throttle),
            merge: Merge::new(runtime, name, merges.then(|| IoClient::new(current, core, &named("flush")))),
            sequence: Sequence {
                allocation: Tiny::new(()),
                start: variable("exception_start_sequence", 0),
                complete: variable("exception_complete_sequence", 0),
                early: Confided::new(runtime, &named("out_of_order_tree"), BTreeMap::new()),
            },
            pending_count: Count::new(runtime, &named("pending_exceptions_count")),
            destroying: variable("destroying", 0),
            destroyq: WaitQueue::new(runtime, &named("destroyq")),
            registry,
            origin,
            cow,
        });
        let keeper = Arc::downgrade(&snap);
        core.note_keeper(keeper);
        snap
    }

    /// Everything that is done with a snapshot that its constructor has freed is a `BUG`.
    pub(super) fn check_not_freed(&self, current: &Task) {
        if self.freed.get() != 0 {
            current.bug(USED_AFTER_FREE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::Errno;

    fn refused(words: &[&str]) -> String {
        parse_features(words).unwrap_err().message
    }

    #[test]
    fn features_are_refused_as_the_kernel_refuses_them() {
        assert_eq!(parse_features(&[]).unwrap(), Features::default());
        assert_eq!(refused(&["3", "a", "b", "c"]), "Invalid number of feature arguments");
        assert_eq!(refused(&["2", "discard_zeroes_cow"]), "Invalid number of feature arguments");
        assert_eq!(refused(&["1", "discard"]), "Unrecognised feature requested");
        let passdown = "discard_passdown_origin feature depends on discard_zeroes_cow";
        assert_eq!(refused(&["1", "discard_passdown_origin"]), passdown);
        let both = parse_features(&["2", "DISCARD_PASSDOWN_ORIGIN", "discard_zeroes_cow"]).unwrap();
        assert_eq!(both.num_discard_bios(), 2);
        assert_eq!(Errno::EINVAL, CtrError::invalid("").errno);
    }
}
