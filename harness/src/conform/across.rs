//! [`Across`]: exception stores that one side has written, opened by the other.
//!
//! Each store is written by a small scenario on the engine and on each kernel, and opened again by who wrote it. Then origin and
//! COW device, as the one has left them, are given to the other, which opens the store too: its status line, its table line and
//! every block that is read through the snapshot must be what the writer says of its own.
//!
//! Invariants: a store is opened with another chunk size than it has, so that its header is what counts; what a writer has
//! left is handed on to the byte.
//! Not here: comparing ([`super::differences`]), guests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_engine::variants::Kernel;
use dmlab_results::Verdict;
use dmlab_scenarios::Document;
use dmlab_units::Seed;

use super::{Seen, sides};
use crate::script::{Errand, READING, Trace};

/// Origin and COW device, by their names in the scenarios.
const LEAVES: [&str; 2] = ["o", "c"];
/// The chunk size that stores are opened with; none of them has it.
const OTHER_CHUNK: u64 = 32;

/// A store: how it is written.
struct Case {
    name: &'static str,
    kind: &'static str,
    /// Sectors of a chunk.
    chunk: u64,
    /// Sectors of the origin.
    origin: u64,
    /// Sectors of the COW device.
    cow: u64,
    /// What is done to it.
    steps: String,
}

/// A few exceptions by writes to the origin and to the snapshot, in part of a chunk and again where there is one.
fn one_area(name: &'static str, chunk: u64) -> Case {
    let (twice, fourth, ninth, thirteenth) = (2 * chunk, 3 * chunk, 8 * chunk, 12 * chunk);
    let part = chunk.div_ceil(2);
    let steps = format!(
        "  - stamp: {{ on: base, at: 0, sectors: {chunk} }}
  - stamp: {{ on: snap, at: {ninth}, sectors: {chunk} }}
  - stamp: {{ on: base, at: {fourth}, sectors: {twice} }}
  - stamp: {{ on: base, at: {ninth}, sectors: {chunk} }}
  - stamp: {{ on: snap, at: {thirteenth}, sectors: {part} }}
"
    );
    // A header is read with the chunk size of the table, which must fit.
    let cow = (16 * chunk).max(2 * OTHER_CHUNK);
    Case { name, kind: "P", chunk, origin: 16 * chunk, cow, steps }
}

/// So many exceptions of one sector, of which 32 fit into an area.
fn many(name: &'static str, count: u64, cow: u64) -> Case {
    let steps = format!("  - stamp: {{ on: base, at: 0, sectors: {count} }}\n");
    Case { name, kind: "P", chunk: 1, origin: 128, cow, steps }
}

/// Eight exceptions in two runs, and the merge of them.
fn merged(name: &'static str, fault: &str, end: &str) -> Case {
    let steps = format!(
        "  - stamp: {{ on: base, at: 0, sectors: 32 }}
  - stamp: {{ on: base, at: 64, sectors: 32 }}
  - suspend: snap
  - reload: {{ device: base, table: \"0 128 snapshot-merge $o $c P 8\" }}
  - suspend: base
{fault}  - resume: base
  - remove: snap
  - wait: {{ status: {{ of: base, matches: \"^0 128 snapshot-merge {end}$\" }}, within: 5s }}
"
    );
    Case { name, kind: "P", chunk: 8, origin: 128, cow: 256, steps }
}

fn cases() -> Vec<Case> {
    // What is still under way when a store becomes invalid is not noted in it, so nothing is.
    let invalid = "  - stamp: { on: base, at: 0, sectors: 30 }\n  - stamp: { on: base, at: 30, sectors: 1 }\n";
    let overflow =
        "  - stamp: { on: base, at: 0, sectors: 30 }\n  - stamp: { on: snap, at: 40, sectors: 1, expect: EIO }\n";
    let in_part = "  - fault: { io: { on: o, op: write, sectors: 0..32, fail: always } }\n";
    vec![
        one_area("chunks-of-1", 1),
        one_area("chunks-of-8", 8),
        one_area("chunks-of-16", 16),
        one_area("chunks-of-64", 64),
        Case { steps: String::new(), ..many("empty", 1, 64) },
        many("areas-full", 64, 128),
        many("areas-several", 100, 128),
        many("full", 30, 32),
        Case { steps: invalid.to_owned(), ..many("invalid", 31, 32) },
        Case { kind: "PO", steps: overflow.to_owned(), ..many("overflowed", 30, 32) },
        merged("merged", "", "16/256 16"),
        merged("merged-in-part", in_part, "Merge failed"),
    ]
}

impl Case {
    fn devices(&self) -> String {
        let Self { origin, cow, .. } = self;
        format!("  o: {{ ram: {} }}\n  c: {{ ram: {} }}\n", bytes(*origin), bytes(*cow))
    }

    fn id(&self) -> String {
        format!("cow-store/{}", self.name)
    }

    /// The scenario that writes it.
    fn writer(&self) -> String {
        let Self { kind, chunk, origin, steps, .. } = self;
        let (id, devices) = (self.id(), self.devices());
        format!(
            "scenario: {id}\nabout: An exception store, to be opened by others.\nruns: threads\ndevices:\n{devices}\
             \x20 snap: {{ dm: \"0 {origin} snapshot $o $c {kind} {chunk}\" }}\n\
             \x20 base: {{ dm: \"0 {origin} snapshot-origin $o\" }}\n\
             steps:\n  - stamp: {{ on: o, sectors: {origin} }}\n{steps}"
        )
    }

    /// The scenario that is given it.
    fn reader(&self) -> String {
        let (id, devices) = (self.id(), self.devices());
        format!(
            "scenario: {id}-opened\nabout: An exception store that another side has written.\nruns: threads\n\
             requires: {{ module: dm-snapshot }}\ndevices:\n{devices}steps:\n  - sleep: 1ms\n"
        )
    }

    fn reading(&self) -> Vec<(String, Vec<String>)> {
        vec![("again".to_owned(), vec![format!("0 {} snapshot $o $c P {OTHER_CHUNK}", self.origin)])]
    }
}

fn bytes(sectors: u64) -> String {
    format!("{}B", sectors * dmlab_units::SECTOR_BYTES)
}

/// A store on its ways.
struct Crossing {
    writer: Arc<Document>,
    reader: Arc<Document>,
    writes: Errand,
    /// What the engine has left, to be opened.
    opens: Errand,
}

/// All stores, and what the engine has written of them.
pub struct Across {
    crossings: Vec<Crossing>,
}

impl Across {
    /// Writes all stores on the engine.
    ///
    /// # Errors
    /// Which store the engine could not write, and why.
    pub fn new(seed: Seed, interrupt: &Arc<AtomicBool>) -> Result<Self, String> {
        let newest = *Kernel::all().last().expect("there are kernels");
        let crossings = cases().into_iter().map(|case| {
            // Errands are told apart by files.
            let parse = |file: &str, text: String| {
                let document = Document::parse(file, &text).map_err(|found| format!("{file}: {found}"));
                document.map(Arc::new)
            };
            let writer = parse(&case.id(), case.writer())?;
            let reader = parse(&format!("{}-opened", case.id()), case.reader())?;
            let writes =
                Errand { keep: LEAVES.map(str::to_owned).to_vec(), reading: case.reading(), ..Errand::default() };
            let seen = perform(&writer, &writes, newest, seed, interrupt)?;
            if seen.verdict != Verdict::Pass {
                let why = seen.report.unwrap_or_default();
                return Err(format!("{}: the engine ends with {}: {why}", case.id(), seen.verdict));
            }
            let opens = Errand { preload: seen.trace.images, reading: case.reading(), ..Errand::default() };
            Ok(Crossing { writer, reader, writes, opens })
        });
        crossings.collect::<Result<_, String>>().map(|crossings| Self { crossings })
    }

    /// The scenarios that write stores, and those that open what the engine has written, each with its errand.
    pub fn documents(&self) -> impl Iterator<Item = (&Arc<Document>, &Errand)> {
        self.crossings.iter().flat_map(Crossing::both)
    }

    /// What a row of this scenario is called: scenario and cell. `None` when the scenario is none of these.
    pub fn title(&self, scenario: &str, kernel: &str) -> Option<(String, String)> {
        let crossing = self.crossings.iter().find(|crossing| crossing.has(scenario))?;
        let cell = match crossing.writer.id() == scenario {
            true => "written".to_owned(),
            false => format!("engine -> {kernel}"),
        };
        Some((crossing.writer.id().to_owned(), cell))
    }

    /// The engine opening the store that a kernel has written, and what the kernel said of it. `None` when the scenario wrote
    /// none.
    pub fn back(
        &self,
        scenario: &str,
        theirs: &Seen,
        as_of: Kernel,
        interrupt: &Arc<AtomicBool>,
    ) -> Option<(Seen, Seen)> {
        let crossing = self.crossings.iter().find(|crossing| crossing.writer.id() == scenario)?;
        let opens = Errand { preload: theirs.trace.images.clone(), ..crossing.opens.clone() };
        let ours = perform(&crossing.reader, &opens, as_of, Seed(1), interrupt).unwrap_or_else(|why| Seen {
            verdict: Verdict::Error,
            report: Some(why),
            trace: Trace::default(),
        });
        Some((only_reading(&ours), only_reading(theirs)))
    }
}

impl Crossing {
    fn both(&self) -> [(&Arc<Document>, &Errand); 2] {
        [(&self.writer, &self.writes), (&self.reader, &self.opens)]
    }

    fn has(&self, scenario: &str) -> bool {
        [&self.writer, &self.reader].into_iter().any(|document| document.id() == scenario)
    }
}

fn perform(
    document: &Arc<Document>,
    errand: &Errand,
    as_of: Kernel,
    seed: Seed,
    interrupt: &Arc<AtomicBool>,
) -> Result<Seen, String> {
    let plan = sides::plan(document, &[], as_of, seed, Some(errand)).map_err(|found| found.to_string())?;
    let plan = plan.ok_or_else(|| format!("{} has no cell", document.id()))?;
    Ok(sides::engine(&plan, interrupt))
}

/// What a side saw when it opened the store, and nothing else.
fn only_reading(seen: &Seen) -> Seen {
    let flows = seen.trace.flows.get(READING).map(|events| (READING.to_owned(), events.clone()));
    let flows: BTreeMap<_, _> = flows.into_iter().collect();
    Seen { trace: Trace { flows, ..Trace::default() }, ..seen.clone() }
}

#[cfg(test)]
mod tests;
