//! Writes to an origin: the first to a chunk, which is copied, and later ones; by lock and throttle, beside two memcpys of
//! the same bytes.
//!
//! A first write moves its bytes three times: origin to memory, memory to the COW device, and the write itself; a later
//! one moves them once.
//! Not here: the machines (`machines`).

use dmlab_engine::sched::Task;
use dmlab_units::{Nanos, Sectors};

use super::machines::Origin;
use crate::support::rounds::{Group, row};
use crate::support::variants;

/// Bytes that one sample moves.
const SAMPLE_BYTES: u64 = 8 << 20;
const LOCKS: [&str; 3] = ["rwsem", "mutex", "buckets"];
const THROTTLES: [&str; 3] = ["none", "semaphore", "wait"];

pub(super) fn groups() -> Vec<Group> {
    let mut groups = Vec::new();
    for (what, is_first) in [("first write to a chunk of", true), ("later write to a chunk of", false)] {
        for kib in [4, 8, 16, 32, 64] {
            groups.push(group(format!("{what} {kib} KiB, by lock and throttle"), Sectors(kib * 2), is_first));
        }
    }
    groups
}

fn group(name: String, chunk: Sectors, is_first: bool) -> Group {
    let count = SAMPLE_BYTES / chunk.bytes().0;
    let mut rows = vec![row("two memcpys", count, move |current, count| two_copies(current, chunk, count))];
    for lock in LOCKS {
        for throttle in THROTTLES {
            let variants = variants(&[("snap_lock", lock), ("cow_throttle", throttle)]);
            let model = move |current: &Task, count| {
                let origin = Origin::new(current, variants, chunk, count);
                let first = origin.write_measured(current, count);
                if is_first { first } else { origin.write_measured(current, count) }
            };
            rows.push(row(format!("{lock}, {throttle}"), count, model));
        }
    }
    Group { name, calibrates: false, rows }
}

/// What a copy cannot do without: from one large memory into a buffer, and from there into another.
fn two_copies(current: &Task, chunk: Sectors, count: u64) -> Nanos {
    let (len, count) = (chunk.bytes().0 as usize, count as usize);
    let (from, mut to, mut buffer) = (vec![1_u8; len * count], vec![2_u8; len * count], vec![3_u8; len]);
    let began = current.now();
    for (from, to) in from.chunks_exact(len).zip(to.chunks_exact_mut(len)) {
        buffer.copy_from_slice(std::hint::black_box(from));
        to.copy_from_slice(std::hint::black_box(&buffer));
    }
    std::hint::black_box(&to);
    current.now().saturating_sub(began)
}
