//! Looking for a chunk among many exceptions: in the bare table, and by reads of a snapshot.
//!
//! Exceptions and questions are spread at random, and no two rounds ask the same, so that a table which is larger than the
//! CPU's caches is asked from memory. Every table and snapshot is made once, and all of them take turns. A ramdisk below has
//! an index of its own, which grows with the exceptions as the table does; a device that keeps nothing has none.
//! Not here: making stores (`machines`), loading them (`loading`).

use std::sync::Arc;

use dmlab_engine::block::{BioOp, Device};
use dmlab_engine::sched::Task;
use dmlab_engine::stores::Exception;
use dmlab_engine::targets::snapshot::tables::Completed;
use dmlab_units::{Sectors, Seed};

use super::machines::{STORE_CHUNK, Store, bursts, load, spread, store, store_of_metadata};
use super::{Measured, Section};
use crate::support::on_threads;
use crate::support::rounds::{Effort, each};

/// Of one sample: so few that it is over, as a rule, before the CPU is given to somebody else.
const LOOKUPS: u64 = 10_000;
const READS: u64 = 1_000;
/// Samples of each row in a round.
const SAMPLES: usize = 3;

pub(super) fn sections() -> Vec<Section> {
    vec![
        Section::comparing("dm_lookup_exception in the bare table".to_owned(), bare),
        Section::comparing("look-up by a read through a snapshot, no device keeps data".to_owned(), |effort| {
            reads(effort, store_of_metadata)
        }),
        Section::comparing("look-up by a read through a snapshot, the COW device is a ramdisk".to_owned(), |effort| {
            reads(effort, store)
        }),
    ]
}

/// Numbers of exceptions: from 10^3 on.
pub(super) fn sizes(effort: Effort) -> impl Iterator<Item = (u32, u64)> {
    let max = if effort.is_full() { 7 } else { 5 };
    (3..=max).map(|power| (power, 10_u64.pow(power)))
}

/// Chunks at random of those that have an exception.
fn questions(exceptions: u64, count: u64, round: usize) -> Vec<u64> {
    let mut rng = Seed(round as u64).rng();
    (0..count).map(|_| spread(rng.below(exceptions))).collect()
}

/// In turns: `ask` is asked `count` questions about each subject, and says how many nanoseconds one took.
fn in_turns<T>(
    effort: Effort,
    count: u64,
    subjects: Vec<(String, u64, T)>,
    mut ask: impl FnMut(&T, &[u64]) -> f64,
) -> Measured {
    let mut samples = vec![Vec::new(); subjects.len()];
    for round in 0..SAMPLES * effort.rounds {
        for ((_, exceptions, subject), samples) in subjects.iter().zip(&mut samples) {
            samples.push(ask(subject, &questions(*exceptions, effort.of(count), round)));
        }
    }
    subjects.into_iter().map(|(name, ..)| name).zip(samples).collect()
}

fn bare(effort: Effort) -> Measured {
    let tables = sizes(effort).map(|(power, exceptions)| {
        let table = filled(exceptions);
        let bytes = table.size().1 as f64 / exceptions as f64;
        (format!("10^{power} exceptions of {bytes:.1} bytes"), exceptions, table)
    });
    let tables = tables.collect();
    on_threads(move |current| in_turns(effort, LOOKUPS, tables, |table, chunks| look_up(current, table, chunks)))
}

fn filled(exceptions: u64) -> Completed {
    let mut table = Completed::default();
    (0..exceptions).for_each(|n| table.insert(Exception { old_chunk: spread(n), new_chunk: n * 2 + 2 }));
    table
}

fn look_up(current: &Task, table: &Completed, chunks: &[u64]) -> f64 {
    let began = current.now();
    for chunk in chunks {
        assert!(table.lookup(std::hint::black_box(*chunk)).is_some(), "{chunk} has an exception");
    }
    each(current.now().saturating_sub(began), chunks.len() as u64)
}

fn reads(effort: Effort, store: fn(&Task, u64) -> Store) -> Measured {
    on_threads(move |current| {
        let snapshots = sizes(effort).map(|(power, exceptions)| {
            let store = store(current, exceptions);
            let snap = load(current, &store);
            (format!("10^{power} exceptions"), exceptions, (snap, store))
        });
        let snapshots: Vec<(String, u64, (Arc<Device>, Store))> = snapshots.collect();
        in_turns(effort, READS, snapshots, |(snap, _), chunks| {
            let place = |number: u64| chunks[number as usize] * STORE_CHUNK;
            let count = chunks.len() as u64;
            each(bursts(current, snap, (BioOp::Read, Sectors(1)), (0, count), place), count)
        })
    })
}
