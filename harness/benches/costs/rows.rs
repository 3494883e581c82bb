//! The rows of the block bench, in groups; the first row of a group is what its others are compared with.
//!
//! Not here: what a row does (`models`), how it is measured (the bench itself).

use dmlab_engine::sched::Task;

use super::models;
use crate::support::rounds::{Group, row};
use crate::support::variants;

/// Every group.
pub(crate) fn groups() -> Vec<Group> {
    let mut groups = vec![locks(), mempool(), work(), levels(), rescuers_in_peace(), rescuers_at_work()];
    groups.extend([1, 2, 4].map(matrix));
    groups.push(swap());
    groups
}

fn locks() -> Group {
    let rows = vec![row("by one task", 20_000, models::mutex)];
    Group { name: "mutex_lock and mutex_unlock".to_owned(), calibrates: true, rows }
}

fn mempool() -> Group {
    let rows = [("healthy", None), ("every second allocation fails", Some(2)), ("dead, from the reserve", Some(1))];
    let rows =
        rows.map(|(name, every)| row(name, 20_000, move |current, count| models::mempool(current, every, count)));
    Group { name: "mempool_alloc and mempool_free".to_owned(), calibrates: true, rows: rows.into() }
}

fn work() -> Group {
    let rows = [("one after the other", 1), ("16 at once", 16)];
    let rows =
        rows.map(|(name, burst)| row(name, 3_200, move |current, count| models::work_items(current, burst, count)));
    Group { name: "queue_work, and a wait for the item".to_owned(), calibrates: false, rows: rows.into() }
}

fn levels() -> Group {
    let mut rows = Vec::new();
    for split in ["loop", "depth-first", "trim"] {
        for depth in [1, 2, 4, 6] {
            let variants = variants(&[("gmr", "sorted"), ("split", split)]);
            let model = move |current: &Task, count| models::stack(current, variants, (1, depth), count);
            rows.push(row(format!("{split}, {depth}"), 2_000, model));
        }
    }
    Group { name: "4 KiB in one piece, split by levels".to_owned(), calibrates: true, rows }
}

fn rescuers_in_peace() -> Group {
    let rows = ["none", "punt-all", "punt-own"].map(|rescue| {
        let variants = variants(&[("gmr", "fifo"), ("split", "loop"), ("rescue", rescue)]);
        row(rescue, 200, move |current, count| models::pieces(current, variants, 64, false, count))
    });
    let name = "256 KiB in 64 pieces, fifo, loop: rescuers that stand by";
    Group { name: name.to_owned(), calibrates: true, rows: rows.into() }
}

fn rescuers_at_work() -> Group {
    let rows = ["punt-own", "punt-all"].map(|rescue| {
        let variants = variants(&[("gmr", "fifo"), ("split", "loop"), ("rescue", rescue)]);
        row(rescue, 50, move |current, count| models::pieces(current, variants, 64, true, count))
    });
    let name = "256 KiB in 64 pieces, from a reserve of 16: rescuers at work";
    Group { name: name.to_owned(), calibrates: true, rows: rows.into() }
}

/// Split by submission, at one depth.
fn matrix(depth: u32) -> Group {
    let name = match depth {
        1 => "64 KiB in 16 pieces, split by submission, 1 level",
        2 => "64 KiB in 16 pieces, split by submission, 2 levels",
        _ => "64 KiB in 16 pieces, split by submission, 4 levels",
    };
    let mut rows = Vec::new();
    for gmr in ["sorted", "fifo", "recurse"] {
        for split in ["loop", "depth-first", "clone-is-remainder", "trim"] {
            let variants = variants(&[("gmr", gmr), ("split", split)]);
            let model = move |current: &Task, count| models::stack(current, variants, (16, depth), count);
            rows.push(row(format!("{split}, {gmr}"), 200 / u64::from(depth), model));
        }
    }
    Group { name: name.to_owned(), calibrates: true, rows }
}

fn swap() -> Group {
    let rows = [("no load", 0), ("1 writer", 1), ("2 writers", 2)];
    let rows = rows.map(|(name, loaders)| row(name, 50, move |current, count| models::swap(current, loaders, count)));
    Group { name: "load, suspend, resume".to_owned(), calibrates: false, rows: rows.into() }
}
