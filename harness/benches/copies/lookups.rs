//! Looking for a chunk among many exceptions: in the bare table, and by reads of a snapshot; and what loading a store of
//! them takes.
//!
//! Exceptions and questions are spread at random, so that beyond the CPU's caches each answer is a walk through memory.
//! Not here: making stores (`machines`).

use std::sync::{Arc, OnceLock};

use dmlab::cow::inspect;
use dmlab_engine::block::BioOp;
use dmlab_engine::sched::Task;
use dmlab_engine::stores::Exception;
use dmlab_engine::targets::snapshot::Registry;
use dmlab_engine::targets::snapshot::tables::Completed;
use dmlab_units::{Nanos, Sectors, Seed};

use super::machines::{Image, STORE_CHUNK, bursts, load, spread, store};
use crate::support::on_threads;
use crate::support::rounds::{Group, row};

/// Buckets of a snapshot of a large device: 2 MiB of 16 bytes.
const BUCKETS: usize = 1 << 17;
const LOOKUPS: u64 = 100_000;
const READS: u64 = 20_000;

pub(super) fn groups() -> Vec<Group> {
    let sizes = |max| (3..=max).map(|power| (format!("10^{power} exceptions"), 10_u64.pow(power)));
    let bare = sizes(7).map(|(name, exceptions)| {
        let table: OnceLock<Arc<Completed>> = OnceLock::new();
        row(name, LOOKUPS, move |current, count| {
            let table = table.get_or_init(|| Arc::new(filled(exceptions)));
            look_up(current, table, exceptions, count)
        })
    });
    let reads = sizes(6).map(|(name, exceptions)| {
        row(name, READS, move |current, count| {
            let store = store(current, exceptions);
            let snap = load(current, &store);
            let questions = questions(exceptions, count);
            let place = |number: u64| questions[number as usize] * STORE_CHUNK;
            bursts(current, &snap, (BioOp::Read, Sectors(1)), (0, count), place)
        })
    });
    let group = |name: &str, rows| Group { name: name.to_owned(), calibrates: false, rows };
    vec![
        group("dm_lookup_exception in the bare table", bare.collect()),
        group("read of a sector that was copied, through a snapshot", reads.collect()),
    ]
}

fn filled(exceptions: u64) -> Completed {
    let mut table = Completed::new(BUCKETS);
    (0..exceptions).for_each(|n| table.insert(Exception { old_chunk: spread(n), new_chunk: n * 2 + 2 }, 0));
    table
}

/// Chunks at random of those that have an exception.
fn questions(exceptions: u64, count: u64) -> Vec<u64> {
    let mut rng = Seed(7).rng();
    (0..count).map(|_| spread(rng.below(exceptions))).collect()
}

fn look_up(current: &Task, table: &Completed, exceptions: u64, count: u64) -> Nanos {
    let questions = questions(exceptions, count);
    let began = current.now();
    for chunk in questions {
        assert!(table.lookup(std::hint::black_box(chunk), 0).is_some(), "{chunk} has an exception");
    }
    current.now().saturating_sub(began)
}

/// What loading a store came to.
pub(crate) struct Loading {
    /// The time in which the constructor read all of it.
    pub(crate) took: Nanos,
    /// The time in which `dmlab cow inspect` reads and checks all of it.
    pub(crate) inspected: Nanos,
    /// Of the table of completed exceptions.
    pub(crate) bytes: usize,
}

/// Loads a store of so many exceptions as the constructor of a snapshot does: areas read from a ramdisk, every exception put
/// into the table.
pub(crate) fn loading(exceptions: u64) -> Loading {
    on_threads(move |current| {
        let store = store(current, exceptions);
        let began = current.now();
        load(current, &store);
        let took = current.now().saturating_sub(began);
        let (entries, bytes) = Registry::of(current, store.machine.core()).tables(current);
        assert_eq!(entries as u64, exceptions, "no two are neighbours, and none is lost");
        let began = current.now();
        let report = inspect(&mut Image::new(exceptions), 20).expect("an image can be read");
        let inspected = current.now().saturating_sub(began);
        assert_eq!((report.exceptions, &report.problems[..]), (exceptions, &[][..]));
        Loading { took, inspected, bytes }
    })
}
