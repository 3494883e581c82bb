//! Writes to an origin: the first to a chunk, which is copied, and later ones; by lock and throttle, beside two memcpys of
//! the same bytes.
//!
//! A first write moves its bytes three times: origin to memory, memory to the COW device, and the write itself; a later
//! one moves them once. One origin takes both, in each round.
//! Not here: the machines (`machines`); the throttle `wait-uninit`, whose counter begins above every threshold, so that no
//! write ever ends.

use std::hint::black_box;
use std::time::Instant;

use dmlab_units::Sectors;

use super::machines::Origin;
use super::{Measured, Section};
use crate::support::rounds::{Effort, each};
use crate::support::{on_threads, variants};

/// Bytes that one sample moves.
const SAMPLE_BYTES: u64 = 8 << 20;
/// Fewer make no confidence interval.
const ROUNDS_MIN: usize = 5;
const LOCKS: [&str; 3] = ["rwsem", "mutex", "buckets"];
const THROTTLES: [&str; 3] = ["none", "semaphore", "wait"];

pub(super) fn sections() -> Vec<Section> {
    let section = |kib: u64| {
        let name = format!("writes of chunks of {kib} KiB, by lock and throttle");
        Section::comparing(name, move |effort| measured(Sectors(kib * 2), effort))
    };
    [4, 8, 16, 32, 64].map(section).into()
}

/// The memcpys, first writes of each variant, later writes of each.
fn measured(chunk: Sectors, effort: Effort) -> Measured {
    let count = effort.of(SAMPLE_BYTES / chunk.bytes().0);
    let both = LOCKS.map(|lock| THROTTLES.map(|throttle| (lock, throttle)));
    let both: Vec<(&str, &str)> = both.into_iter().flatten().collect();
    let named =
        |what: &'static str| both.iter().map(move |(lock, throttle)| format!("{what} write, {lock}, {throttle}"));
    let names = std::iter::once("two memcpys".to_owned()).chain(named("first")).chain(named("later"));
    let mut rows: Measured = names.map(|name| (name, Vec::new())).collect();
    // Each round has eighteen rows.
    for _ in 0..effort.rounds.div_ceil(2).max(ROUNDS_MIN) {
        rows[0].1.push(two_copies(chunk, count));
        for (place, (lock, throttle)) in both.iter().enumerate() {
            let variants = variants(&[("snap_lock", lock), ("cow_throttle", throttle)]);
            let took = on_threads(move |current| {
                let origin = Origin::new(current, variants, chunk, count);
                [(); 2].map(|()| origin.write_measured(current, count))
            });
            for (nth, took) in took.into_iter().enumerate() {
                rows[1 + nth * both.len() + place].1.push(each(took, count));
            }
        }
    }
    rows
}

/// What a copy cannot do without: from one large memory into a buffer, and from there into another.
fn two_copies(chunk: Sectors, count: u64) -> f64 {
    let (len, chunks) = (chunk.bytes().0 as usize, count as usize);
    let (from, mut to, mut buffer) = (vec![1_u8; len * chunks], vec![2_u8; len * chunks], vec![3_u8; len]);
    let began = Instant::now();
    for (from, to) in from.chunks_exact(len).zip(to.chunks_exact_mut(len)) {
        buffer.copy_from_slice(black_box(from));
        to.copy_from_slice(black_box(&buffer));
    }
    black_box(&to);
    began.elapsed().as_nanos() as f64 / count as f64
}
