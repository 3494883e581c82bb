//! The rows of the block bench, in groups; the first row of a group is what its others are compared with.
//!
//! Not here: what a row does (`models`), how it is measured (the bench itself).

use std::sync::Arc;

use dmlab_engine::sched::Task;
use dmlab_units::Nanos;

use super::models;
use crate::support::variants;

/// What a row does so often; how long that took.
type Model = Box<dyn Fn(&Task, u64) -> Nanos + Send + Sync>;

/// One row.
pub(crate) struct Row {
    pub(crate) name: String,
    /// Times in one sample.
    pub(crate) count: u64,
    pub(crate) model: Model,
}

/// Rows that are compared with the first of them.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) rows: Vec<Arc<Row>>,
}

fn row(name: impl Into<String>, count: u64, model: impl Fn(&Task, u64) -> Nanos + Send + Sync + 'static) -> Arc<Row> {
    Arc::new(Row { name: name.into(), count, model: Box::new(model) })
}

/// Every group.
pub(crate) fn groups() -> Vec<Group> {
    let mut groups = vec![mempool(), rescuers_in_peace(), rescuers_at_work()];
    groups.extend([1, 2, 4].map(matrix));
    groups.push(swap());
    groups
}

fn mempool() -> Group {
    let rows = [("healthy", None), ("every second allocation fails", Some(2)), ("dead, from the reserve", Some(1))];
    let rows =
        rows.map(|(name, every)| row(name, 20_000, move |current, count| models::mempool(current, every, count)));
    Group { name: "mempool_alloc and mempool_free", rows: rows.into() }
}

fn rescuers_in_peace() -> Group {
    let rows = ["none", "punt-all", "punt-own"].map(|rescue| {
        let variants = variants(&[("gmr", "fifo"), ("split", "loop"), ("rescue", rescue)]);
        row(rescue, 200, move |current, count| models::pieces(current, variants, 64, false, count))
    });
    Group { name: "256 KiB in 64 pieces, fifo, loop: rescuers that stand by", rows: rows.into() }
}

fn rescuers_at_work() -> Group {
    let rows = ["punt-own", "punt-all"].map(|rescue| {
        let variants = variants(&[("gmr", "fifo"), ("split", "loop"), ("rescue", rescue)]);
        row(rescue, 50, move |current, count| models::pieces(current, variants, 64, true, count))
    });
    Group { name: "the same from a reserve of 16: rescuers at work", rows: rows.into() }
}

/// Split by submission, at one depth.
fn matrix(depth: u32) -> Group {
    let name = match depth {
        1 => "64 KiB in 16 pieces, split by submission, 1 level",
        2 => "the same, 2 levels",
        _ => "the same, 4 levels",
    };
    let mut rows = Vec::new();
    for gmr in ["sorted", "fifo", "recurse"] {
        for split in ["loop", "depth-first", "clone-is-remainder", "trim"] {
            let variants = variants(&[("gmr", gmr), ("split", split)]);
            let model = move |current: &Task, count| models::stack(current, variants, (16, depth), count);
            rows.push(row(format!("{split}, {gmr}"), 200, model));
        }
    }
    Group { name, rows }
}

fn swap() -> Group {
    let rows = [("no load", 0), ("1 writer", 1), ("2 writers", 2)];
    let rows = rows.map(|(name, loaders)| row(name, 50, move |current, count| models::swap(current, loaders, count)));
    Group { name: "load, suspend, resume", rows: rows.into() }
}
