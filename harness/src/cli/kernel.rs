//! `dmlab kernel`: fetches, lists and boots kernels.
//!
//! Not here: where they are kept (`kernels`), what a guest is (`backend::guest`).

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use dmlab_results::ExitCode;

use super::Failure;
use super::args::{BootArgs, BuildArgs, FetchArgs, KernelArgs, KernelCommand};
use super::guests;
use super::output::Output;
use super::progress::Progress;
use crate::backend::guest::{End, hello};
use crate::kernels::build::Told;
use crate::kernels::fetch::FetchError;
use crate::kernels::{BuildError, BuildWishes, STOCK, ToolError, build, fetch, mutation_of};

pub(super) fn kernel(args: &KernelArgs, output: &Output, interrupt: &Arc<AtomicBool>) -> Result<ExitCode, Failure> {
    match &args.command {
        KernelCommand::Fetch(args) => fetch_all(args, output, interrupt),
        KernelCommand::Build(args) => build_all(args, output, interrupt),
        KernelCommand::List => list(output),
        KernelCommand::Boot(args) => boot(args, output, interrupt),
    }
}

fn fetch_all(args: &FetchArgs, output: &Output, interrupt: &Arc<AtomicBool>) -> Result<ExitCode, Failure> {
    let (store, tools) = (guests::store()?, guests::tools(interrupt));
    let names: Vec<&str> =
        if args.names.is_empty() { STOCK.into() } else { args.names.iter().map(String::as_str).collect() };
    for name in names {
        let fetched = fetch(name, &store, &tools).map_err(|error| match error {
            FetchError::Tool(ToolError::Interrupted) => Failure::Interrupted,
            error => Failure::Setup(format!("{name}: {error}")),
        })?;
        let how = if fetched.was_there { "is there already" } else { "fetched" };
        output.print(&format!("{name}: {how}: {} ({})", fetched.kernel.release, fetched.kernel.origin));
    }
    Ok(ExitCode::Ok)
}

fn build_all(args: &BuildArgs, output: &Output, interrupt: &Arc<AtomicBool>) -> Result<ExitCode, Failure> {
    let names = if args.names.is_empty() { build::names() } else { args.names.clone() };
    if args.list {
        for name in &names {
            let what = mutation_of(name).map_or_else(
                || "everything that watches: lockdep, hung tasks, slab poisoning, injection of faults".to_owned(),
                |edits| format!("{} in {}: {}", edits.verdict, edits.scenario, edits.about),
            );
            output.print(&format!("{name}\n  {what}\n"));
        }
        return Ok(ExitCode::Ok);
    }
    let (store, tools) = (guests::store()?, guests::tools(interrupt));
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = args.jobs.map_or(processors, usize::from);
    let wishes = BuildWishes { source: args.source.clone(), jobs };
    let progress = Progress::new(names.len(), false);
    let shown = Cell::new(None);
    let told = |told: Told<'_>| match told {
        Told::Note(text) => progress.aside(|| output.note(text)),
        Told::Made { kernel, files, last, since } => {
            progress.begin(format!("{kernel}: {files} files: {last}"));
            let due = shown.get().unwrap_or(since) + NOTE_EVERY;
            if progress.is_hidden() && Instant::now() >= due {
                shown.set(Some(Instant::now()));
                output.note(&format!("{kernel}: {files} files in {} s", since.elapsed().as_secs()));
            }
        }
    };
    for name in &names {
        let began = Instant::now();
        let built = build(name, &store, &tools, &wishes, &told);
        let built = built.map_err(|error| match error {
            BuildError::Unknown { .. } => Failure::Usage(error.to_string()),
            BuildError::Tool(ToolError::Interrupted) => Failure::Interrupted,
            error => Failure::Setup(format!("{name}: {error}")),
        })?;
        let how = match built.was_there {
            true => "is there already".to_owned(),
            false => format!("built in {} s", began.elapsed().as_secs()),
        };
        progress.aside(|| output.print(&format!("{name}: {how}: {}\n", built.kernel.release)));
        progress.end();
    }
    Ok(ExitCode::Ok)
}

/// Without a terminal, a build says how far it is every so often.
const NOTE_EVERY: Duration = Duration::from_secs(30);

fn list(output: &Output) -> Result<ExitCode, Failure> {
    let store = guests::store()?;
    let kernels = store.list();
    if kernels.is_empty() {
        output.note(&format!("no kernels in {}; `dmlab kernel fetch` fetches some", store.root().display()));
        return Ok(ExitCode::Ok);
    }
    let width = |text: fn(&crate::kernels::Kernel) -> usize| kernels.iter().map(text).max().unwrap_or(0);
    let (name, release) = (width(|kernel| kernel.name.len()), width(|kernel| kernel.release.len()));
    for kernel in &kernels {
        output.print(&format!("{:name$}  {:release$}  {}", kernel.name, kernel.release, kernel.origin));
    }
    Ok(ExitCode::Ok)
}

fn boot(args: &BootArgs, output: &Output, interrupt: &Arc<AtomicBool>) -> Result<ExitCode, Failure> {
    let kernel = guests::store()?.find(&args.kernel).map_err(|error| Failure::Usage(error.to_string()))?;
    let guests = guests::guests(&args.wishes, &kernel, output, interrupt)?;
    let booted = hello(&guests, &kernel, args.drill, interrupt).map_err(guests::failure)?;
    if args.console {
        output.print(&booted.console.text());
    }
    if let Some(path) = &args.save {
        output.write(path, &booted.console.text())?;
    }
    if booted.end == End::Stopped {
        return Ok(ExitCode::Interrupted);
    }
    if booted.damaged > 0 {
        output.note(&format!("{} frames were damaged on their way", booted.damaged));
    }
    match (&booted.end, &booted.release, booted.boot) {
        (End::Done, Some((release, cpus)), Some(time)) => {
            let accel = guests.accel.name();
            let text = format!("{release} came up in {:.1} s with {cpus} processors ({accel})", time.as_secs_f64());
            output.print(&text);
            Ok(ExitCode::Ok)
        }
        (end, ..) => {
            let last = booted.console.death().unwrap_or_else(|| booted.console.last(CONSOLE_LINES));
            let quoted: Vec<String> = last.lines().map(|line| format!("  | {line}")).collect();
            Err(Failure::Setup(format!("{}: {}\n{}", kernel.name, end.in_words(), quoted.join("\n"))))
        }
    }
}

/// So many lines of a console are shown when a guest did not come up.
const CONSOLE_LINES: usize = 15;
