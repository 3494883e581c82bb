//! Creating a snapshot of an origin that is written to meanwhile: create, load and resume, as often as it goes.
//!
//! Not here: what registering a snapshot waits for (the engine).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dmlab_engine::block::BioOp;
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::Task;
use dmlab_engine::sync::Completion;
use dmlab_engine::variants::Variants;
use dmlab_units::{Nanos, Sectors};

use super::Section;
use super::machines::bursts;
use crate::support::add_dm;
use crate::support::rounds::{Effort, Group, compared, measured, row};
use crate::support::tables::print;

/// Sectors of the origin.
const SIZE: Sectors = Sectors(8192);
const CHUNK: Sectors = Sectors(8);

pub(super) fn section() -> Section {
    Section { name: "snapshots created under load".to_owned(), show: Box::new(show) }
}

fn show(title: &str, effort: Effort) {
    let rows = [("no load", 0), ("1 writer", 1), ("2 writers", 2)];
    let rows = rows.map(|(name, writers)| row(name, 100, move |current, count| creations(current, writers, count)));
    let group = Group { name: title.to_owned(), calibrates: false, rows: rows.into() };
    let head = ["", "a second (median)", "time, of the first", "95 % interval", "a second (fastest)", "of the first"];
    let mut cells = vec![head.map(str::to_owned).to_vec()];
    let compared = compared(&measured(&group, effort));
    let first = compared[0].fastest;
    for (row, compared) in group.rows.iter().zip(compared) {
        let rate = |nanos: f64| format!("{:.0}", 1e9 / nanos);
        let [ratio, interval] = compared.ratio;
        let (median, fastest) = (rate(compared.median), rate(compared.fastest));
        cells.push(vec![
            row.name.clone(),
            median,
            ratio,
            interval,
            fastest,
            format!("{:.2}", compared.fastest / first),
        ]);
    }
    print(title, cells);
}

/// `count` times create, load and resume; the snapshot is removed again outside of the time.
fn creations(current: &Task, writers: u32, count: u64) -> Nanos {
    let machine = Machine::new(current, Variants::default(), false);
    let [origin, cow] = ["o", "c"].map(|name| machine.add_ramdisk(current, name, SIZE));
    let base = add_dm(current, &machine, "b", &[format!("0 {SIZE} snapshot-origin {}", origin.id())]);
    let line = [format!("0 {SIZE} snapshot {} {} N {CHUNK}", origin.id(), cow.id())];
    let stop = Arc::new(AtomicBool::new(false));
    let ended: Vec<Completion> = (0..writers)
        .map(|number| {
            let ended = Completion::new(current.runtime(), "writer");
            let (there, base, stop) = (ended.clone(), Arc::clone(&base), Arc::clone(&stop));
            current.spawn(&format!("writer.{number}"), move |current| {
                while !stop.load(Ordering::Relaxed) {
                    let chunks = SIZE.0 / CHUNK.0;
                    bursts(current, &base, (BioOp::Write, CHUNK), (0, chunks), |number| number * CHUNK.0);
                }
                there.complete(current);
            });
            ended
        })
        .collect();
    let mut took = Nanos::ZERO;
    for _ in 0..count {
        let began = current.now();
        add_dm(current, &machine, "s", &line);
        took += current.now().saturating_sub(began);
        machine.dm().remove(current, "s").expect("nobody has it open");
    }
    stop.store(true, Ordering::Relaxed);
    ended.iter().for_each(|ended| ended.wait(current));
    took
}
