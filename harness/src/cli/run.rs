//! `dmlab run`: plans, runs, reports.
//!
//! Invariants: whatever was run is reported, also after an interrupt; the record on disk is whole or not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dmlab_engine::variants::{Kernel, Variants};
use dmlab_results::{
    CellRecord, Environment, ExitCode, Record, TableOptions, Verdict, beside, exit_code, junit, markdown, summary,
    table,
};

use dmlab_scenarios::Document;

use super::args::{Backend, Reports, RunArgs, Selection};
use super::found::{Keep, Save};
use super::output::Output;
use super::progress::Progress;
use super::{Failure, guests, select};
use crate::backend::kernel::RunningKernel;
use crate::backend::kernel::modules::Modules;
use crate::campaign;
use crate::environment::environment;
use crate::plan::{AS_OF, Clock, ExploreWishes, Plan, Wishes};

pub(super) fn run(args: &RunArgs, output: &Output, interrupt: &Arc<AtomicBool>) -> Result<ExitCode, Failure> {
    let clock: Clock = args.clock.into();
    if args.selection.as_of.is_some() && !args.backend.contains(&Backend::Engine) {
        let text = "--as-of chooses what the engine does; a kernel does what it does (--backend engine, or --kernel)";
        return Err(Failure::Usage(text.to_owned()));
    }
    let mut all = Vec::new();
    let mut tour = None;
    for backend in &args.backend {
        match backend {
            Backend::Engine => all.extend(plans(&args.selection, clock, ExploreWishes::default(), output)?),
            Backend::Kernel => all.extend(plans_on_this_kernel(args, output)?),
            Backend::Guest => {
                // A guest makes plans of its own; what is wrong with a scenario is found out before it boots.
                let checked = plans(&args.selection, clock, ExploreWishes::default(), output)?;
                let kernels = guests::kernels(&args.kernel)?;
                tour = Some((documents(&checked), kernels));
            }
        }
    }
    if args.dry_run {
        let plans: Vec<_> = all.iter().map(Plan::to_json).collect();
        let yaml = serde_yaml::to_string(&plans).map_err(|error| Failure::Setup(error.to_string()))?;
        output.print(&yaml);
        return Ok(ExitCode::Ok);
    }
    let save = if args.save_expected { Save::All } else { Save::Unexpected };
    let mut keep = Keep { save, folder: &args.selection.save, page: None };
    let Ran { mut record, .. } = perform(&all, &args.selection, clock, &mut keep, output, interrupt);
    if let Some((documents, kernels)) = tour.filter(|_| !record.interrupted) {
        record.cells.extend(guests::tour(args, &documents, &kernels, output, interrupt)?);
        record.interrupted = interrupt.load(Ordering::Relaxed);
    }
    let json_to_stdout = args.json.as_deref() == Some("-".as_ref());
    if !json_to_stdout {
        report(&record, args.selection.quiet, output);
    }
    if let Some(path) = &args.json {
        output.write(path, &record.to_json())?;
    }
    write_reports(&args.reports, &record, output)?;
    Ok(exit_code(&record))
}

/// The plans of all selected scenarios on the running kernel.
fn plans_on_this_kernel(args: &RunArgs, output: &Output) -> Result<Vec<Plan>, Failure> {
    let opened = RunningKernel::open(Modules::of_running_kernel());
    let kernel = Some(Arc::new(opened.map_err(|error| Failure::Setup(error.to_string()))?));
    let mut plans = plans_on(&args.selection, args.clock.into(), ExploreWishes::default(), kernel, output)?;
    if !args.i_know_this_can_wedge_the_host {
        plans.iter_mut().for_each(spare_the_host);
    }
    Ok(plans)
}

/// The scenarios of these plans, each once.
fn documents(plans: &[Plan]) -> Vec<Arc<Document>> {
    let mut documents: Vec<Arc<Document>> = plans.iter().map(|plan| Arc::clone(&plan.document)).collect();
    documents.dedup_by(|one, other| Arc::ptr_eq(one, other));
    documents
}

/// What is expected to hang or crash a kernel is not run on the machine's own, unless that was asked for.
fn spare_the_host(plan: &mut Plan) {
    use dmlab_scenarios::Verdict;
    let expected = plan.expected_verdict();
    let wedges = matches!(expected, Verdict::Deadlock | Verdict::Hang | Verdict::Livelock | Verdict::Crash);
    if wedges && plan.skip.is_none() {
        let what = crate::judge::verdict_of(expected);
        let how = "run it in a guest (--backend guest), or with --i-know-this-can-wedge-the-host";
        plan.skip = Some(format!("a {what} is expected, and this kernel is the machine's own: {how}"));
    }
}

/// The plans of all selected scenarios on the engine, or everything that is wrong with them.
pub(super) fn plans(
    selection: &Selection,
    clock: Clock,
    explore: ExploreWishes,
    output: &Output,
) -> Result<Vec<Plan>, Failure> {
    plans_on(selection, clock, explore, None, output)
}

/// The same on a kernel, where one is given.
fn plans_on(
    selection: &Selection,
    clock: Clock,
    explore: ExploreWishes,
    kernel: Option<Arc<RunningKernel>>,
    output: &Output,
) -> Result<Vec<Plan>, Failure> {
    let wishes = Wishes {
        overrides: selection.variants.iter().map(|pair| (pair.0.clone(), pair.1.clone())).collect(),
        as_of: selection.as_of,
        seed: selection.seed,
        clock,
        schedules: selection.schedules,
        explore,
        kernel,
        errand: None,
    };
    let select::Selected { documents, mut errors } =
        select::select(&selection.scenarios, selection.tag.as_deref(), output)?;
    check_overrides(&wishes, &documents)?;
    let mut plans = Vec::new();
    for document in documents {
        match Plan::of(&document, &wishes) {
            Ok(more) if more.is_empty() => {
                let overrides: Vec<String> =
                    wishes.overrides.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
                errors.push_str(&format!("{}: no cell is left with {}\n", document.id(), overrides.join(" ")));
            }
            Ok(more) => plans.extend(more),
            Err(diagnostics) => errors.push_str(&select::in_words(&document, &diagnostics, output)),
        }
    }
    if errors.is_empty() { Ok(plans) } else { Err(Failure::Usage(errors)) }
}

/// An axis or a value that nobody knows is a mistake on the command line, not in a file.
fn check_overrides(wishes: &Wishes, documents: &[Arc<Document>]) -> Result<(), Failure> {
    for (axis, value) in &wishes.overrides {
        let mut variants = Variants::default();
        if Variants::axis(axis).is_some() {
            variants.set(axis, value).map_err(|error| Failure::Usage(format!("--variant {axis}={value}: {error}")))?;
        } else if axis == AS_OF {
            value.parse::<Kernel>().map_err(|error| Failure::Usage(format!("--variant {axis}={value}: {error}")))?;
        } else if !documents.iter().any(|document| document.axes().iter().any(|own| own.name == *axis)) {
            let text =
                "neither the engine nor any of these scenarios has such an axis; see `dmlab variants`, `dmlab list`";
            return Err(Failure::Usage(format!("--variant {axis}={value}: {text}")));
        }
    }
    Ok(())
}

/// Plans that were run.
pub(super) struct Ran {
    /// What came of them.
    pub(super) record: Record,
    /// Of each cell, the schedule that was kept, as text.
    pub(super) steps: Vec<Option<String>>,
}

/// Runs `plans` and gathers the record.
pub(super) fn perform(
    plans: &[Plan],
    selection: &Selection,
    clock: Clock,
    keep: &mut Keep<'_>,
    output: &Output,
    interrupt: &Arc<AtomicBool>,
) -> Ran {
    let deterministic = clock == Clock::Virtual;
    let (environment, command) = match deterministic {
        true => (Environment::none(), Vec::new()),
        false => (environment(), std::env::args().collect()),
    };
    let mut record = Record::new(env!("CARGO_PKG_VERSION"), selection.seed.0, clock.name(), environment, command);
    let progress = Progress::new(plans.len(), selection.quiet);
    let mut steps = Vec::new();
    for plan in plans {
        if interrupt.load(Ordering::Relaxed) {
            break;
        }
        progress.begin(plan.title());
        let exploring = progress.exploring(plan.title());
        let mut run = campaign::run_watched(plan, interrupt, &|seen| exploring.show(seen));
        progress.end();
        steps.push(keep.keep(plan, &mut run, output, interrupt));
        if interrupt.load(Ordering::Relaxed) {
            cut_short(&mut run.record);
        }
        record.cells.push(run.record);
    }
    record.interrupted = interrupt.load(Ordering::Relaxed);
    if deterministic {
        record.strip_machine();
    }
    Ran { record, steps }
}

/// A cell that was interrupted says nothing about its expectation; what was counted so far stays.
fn cut_short(cell: &mut CellRecord) {
    let schedules = cell.exploration.as_ref().map_or(0, |exploration| exploration.schedules);
    cell.report = Some(match schedules {
        0 => "interrupted".to_owned(),
        schedules => format!("interrupted in schedule {schedules}"),
    });
    (cell.verdict, cell.ok, cell.mismatches) = (Verdict::Skip, true, Vec::new());
}

/// The table, what went wrong, and the line that sums up.
pub(super) fn report(record: &Record, quiet: bool, output: &Output) {
    if !quiet && !record.cells.is_empty() {
        let options = TableOptions { color: output.out_color(), width: Output::width() };
        output.print(&beside(record).unwrap_or_else(|| table(record, options)));
    }
    // Who is stuck in a real kernel is what such a run was for, also where it was expected.
    let is_told = |cell: &&CellRecord| !cell.ok || (!quiet && cell.backend != "engine" && cell.verdict.is_stuck());
    for cell in record.cells.iter().filter(is_told) {
        output.print(&details(cell));
    }
    output.print(&summary(record));
}

/// Writes the reports that were asked for.
pub(super) fn write_reports(reports: &Reports, record: &Record, output: &Output) -> Result<(), Failure> {
    if let Some(path) = &reports.junit {
        output.write(path, &junit(record))?;
    }
    if let Some(path) = &reports.markdown {
        output.write(path, &markdown(record))?;
    }
    Ok(())
}

/// A cell in full: which expectations were not met, and its report.
pub(super) fn details(cell: &CellRecord) -> String {
    let mut text = format!("\n{} {}\n", cell.scenario, cell.name_in_scenario());
    for mismatch in &cell.mismatches {
        text.push_str(&format!("  not met: {mismatch}\n"));
    }
    if let Some(report) = &cell.report {
        report.lines().for_each(|line| text.push_str(&format!("  | {line}\n")));
    }
    if let Some(file) = &cell.trace_file {
        text.push_str(&format!("  schedule saved; see it again with: dmlab replay {file}\n"));
    }
    text
}
