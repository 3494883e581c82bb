//! `dmlab conform`: the same scenarios on the engine and in guests, compared step by step.
//!
//! Invariants: every cell of every kernel is a row, also those that could not be run; what differs is printed, and which
//! cells of a kernel are not as their scenarios expect, so that nobody has to run the guests twice.
//! Not here: comparing ([`crate::conform`]), guests ([`crate::backend::guest`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dmlab_engine::variants::Kernel as Release;
use dmlab_results::{CellRecord, ExitCode, Record, Verdict, exit_code, summary};
use dmlab_scenarios::Document;
use dmlab_units::Seed;

use super::args::ConformArgs;
use super::output::Output;
use super::progress::Progress;
use super::run::{details, write_reports};
use super::{Failure, guests, select};
use crate::backend::guest::{KERNEL_AXIS, Tour};
use crate::conform::across::Across;
use crate::conform::explained::{Explained, SHIPPED};
use crate::conform::report::Conformance;
use crate::conform::{Seen, sides};
use crate::environment::environment;
use crate::kernels::Kernel;
use crate::script::{Errand, Trace};

pub(super) fn conform(args: &ConformArgs, output: &Output, interrupt: &Arc<AtomicBool>) -> Result<ExitCode, Failure> {
    let mut explained = explained(args)?;
    let select::Selected { mut documents, errors } = select::select(&args.scenarios, None, output)?;
    if !errors.is_empty() {
        return Err(Failure::Usage(errors));
    }
    let kernels = guests::kernels(&args.kernel)?;
    let mut errands: BTreeMap<String, Errand> =
        documents.iter().map(|document| (document.file().to_owned(), Errand::default())).collect();
    let across = across(args, interrupt)?;
    for (document, errand) in across.iter().flat_map(Across::documents) {
        documents.push(Arc::clone(document));
        errands.insert(document.file().to_owned(), errand.clone());
    }
    let records = in_guests(args, (&documents, &errands), &kernels, output, interrupt)?;
    let mut conformance = Conformance::default();
    for record in &records {
        let (name, cell) = kernel_and_cell(record);
        let Some(document) = documents.iter().find(|document| document.id() == record.scenario) else { continue };
        let theirs = sides::kernel(record);
        let release = release_of(name, &kernels);
        let ours = match theirs.verdict {
            // What the kernel left out is not compared.
            Verdict::Skip => Seen { trace: Trace::default(), ..theirs.clone() },
            _ => engine((Seed(record.seed), errands.get(document.file())), document, &cell, release, interrupt)?,
        };
        let words: Vec<String> = cell.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
        let title = across.as_ref().and_then(|across| across.title(&record.scenario, name));
        let (scenario, cell) = title.unwrap_or_else(|| (record.scenario.clone(), words.join(" ")));
        conformance.compare((&scenario, &cell, name), &ours, &theirs, &mut explained);
        let back = across.as_ref().and_then(|across| across.back(&record.scenario, &theirs, release, interrupt));
        if let Some((ours, theirs)) = back {
            conformance.compare((&scenario, &format!("{name} -> engine"), name), &ours, &theirs, &mut explained);
        }
    }
    conformance.finish(&explained);
    if args.json.as_deref() != Some("-".as_ref()) {
        output.print(&conformance.in_words());
    }
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&conformance).map_err(|error| Failure::Setup(error.to_string()))?;
        output.write(path, &format!("{json}\n"))?;
    }
    let mut record =
        Record::new(env!("CARGO_PKG_VERSION"), args.seed.0, "default", environment(), std::env::args().collect());
    record.cells = records;
    record.interrupted = interrupt.load(Ordering::Relaxed);
    report(args, &record, output)?;
    Ok(match exit_code(&record) {
        ExitCode::Ok => conformance.exit_code(),
        code => code,
    })
}

/// What `dmlab run` would say of the kernels' cells: which are not as expected, and how many are.
fn report(args: &ConformArgs, record: &Record, output: &Output) -> Result<(), Failure> {
    if args.json.as_deref() != Some("-".as_ref()) {
        record.cells.iter().filter(|cell| !cell.ok).for_each(|cell| output.print(&details(cell)));
        output.print(&summary(record));
    }
    write_reports(&args.reports, record, output)
}

fn explained(args: &ConformArgs) -> Result<Explained, Failure> {
    let (name, text) = match &args.explained {
        None => ("harness/conform/explained.yaml".to_owned(), SHIPPED.to_owned()),
        Some(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
            (name, text)
        }
    };
    Explained::parse(&text).map_err(|error| Failure::Usage(format!("{name}: {error}")))
}

/// The stores that sides exchange, unless only some scenarios are asked for.
fn across(args: &ConformArgs, interrupt: &Arc<AtomicBool>) -> Result<Option<Across>, Failure> {
    let is_wanted = args.scenarios.is_empty() || args.stores;
    is_wanted.then(|| Across::new(args.seed, interrupt)).transpose().map_err(Failure::Setup)
}

fn in_guests(
    args: &ConformArgs,
    (documents, errands): (&[Arc<Document>], &BTreeMap<String, Errand>),
    kernels: &[Kernel],
    output: &Output,
    interrupt: &Arc<AtomicBool>,
) -> Result<Vec<CellRecord>, Failure> {
    let Some(first) = kernels.first() else { return Ok(Vec::new()) };
    let guests = guests::guests(&args.guests, first, output, interrupt)?;
    let tour = Tour {
        guests: &guests,
        kernels,
        documents,
        errands,
        overrides: &[],
        seed: args.seed,
        artefacts: Some(&args.artefacts),
        interrupt,
    };
    let progress = Progress::new(0, false);
    tour.run(&|title| progress.begin(title)).map_err(guests::failure)
}

/// The kernel that a record is of, and the values of its cell.
fn kernel_and_cell(record: &CellRecord) -> (&str, Vec<(String, String)>) {
    let name = record.variant.iter().find(|(axis, _)| axis == KERNEL_AXIS).map_or("?", |(_, name)| name.as_str());
    (name, record.variant.iter().filter(|(axis, _)| axis != KERNEL_AXIS).cloned().collect())
}

/// The release of the engine's catalogue that a kernel is: the newest that is not newer.
fn release_of(name: &str, kernels: &[Kernel]) -> Release {
    let release = kernels.iter().find(|kernel| kernel.name == name).map_or("", |kernel| kernel.release.as_str());
    crate::backend::kernel::release_of(release)
}

fn engine(
    (seed, errand): (Seed, Option<&Errand>),
    document: &Arc<Document>,
    cell: &[(String, String)],
    release: Release,
    interrupt: &Arc<AtomicBool>,
) -> Result<Seen, Failure> {
    let plan = sides::plan(document, cell, release, seed, errand).map_err(|found| Failure::Usage(found.to_string()))?;
    Ok(match plan {
        Some(plan) => sides::engine(&plan, interrupt),
        None => {
            let report = Some("no such cell with the algorithms of this release".to_owned());
            Seen { verdict: Verdict::Skip, report, trace: Trace::default() }
        }
    })
}
