//! What commands that boot guests share: where kernels and programs are, by the environment; and what guests tell people.
//!
//! Not here: guests (`backend::guest`).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_results::{CellRecord, ExitCode};
use dmlab_scenarios::Document;

use super::Failure;
use super::args::{AccelWish, GuestWishes, RunArgs};
use super::output::Output;
use super::progress::Progress;
use crate::backend::guest::{self, Accel, GuestError, Guests, Patience, Tour};
use crate::backend::kernel;
use crate::kernels::{Kernel, STOCK, Store, ToolError, Tools};

/// dmlab's folder below `XDG_CACHE_HOME`.
fn cache() -> Result<PathBuf, Failure> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    let base =
        base.ok_or_else(|| Failure::Setup("neither XDG_CACHE_HOME nor HOME says where to keep kernels".into()))?;
    Ok(base.join("dmlab"))
}

/// The kernels of this user.
pub(super) fn store() -> Result<Store, Failure> {
    Ok(Store::new(cache()?.join("kernels")))
}

/// The programs in `PATH`, which `interrupt` ends.
pub(super) fn tools(interrupt: &Arc<AtomicBool>) -> Tools {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    Tools { path, interrupt: Arc::clone(interrupt) }
}

/// Why guests could not be run, as a command's failure.
pub(super) fn failure(error: GuestError) -> Failure {
    match error {
        GuestError::Tool(ToolError::Interrupted) => Failure::Interrupted,
        error => Failure::Setup(error.to_string()),
    }
}

/// Guests as they are wished for; says what people should know of them.
pub(super) fn guests(
    wishes: &GuestWishes,
    kernel: &Kernel,
    output: &Output,
    interrupt: &Arc<AtomicBool>,
) -> Result<Guests, Failure> {
    let patience = wishes.patience.map_or(Patience::DEFAULT, Patience::of);
    let cache = cache()?;
    let accel = match wishes.accel {
        None => None,
        Some(AccelWish::Kvm) => Some(Accel::Kvm),
        Some(AccelWish::Tcg) => Some(Accel::Tcg),
    };
    if let Some(accel) = accel {
        return Ok(Guests { tools: tools(interrupt), cache, patience, accel });
    }
    let (guests, chosen) =
        Guests::on_this_machine(tools(interrupt), cache, patience, kernel, interrupt).map_err(failure)?;
    if let Some(note) = chosen.note {
        output.note(&note);
    }
    Ok(guests)
}

/// The kernels of these names and paths; the stock ones for none.
pub(super) fn kernels(wanted: &[String]) -> Result<Vec<Kernel>, Failure> {
    let store = store()?;
    let stock = STOCK.map(str::to_owned);
    let wanted = if wanted.is_empty() { &stock[..] } else { wanted };
    let found: Result<Vec<Kernel>, _> = wanted.iter().map(|wanted| store.find(wanted)).collect();
    found.map_err(|error| Failure::Usage(error.to_string()))
}

/// Runs these scenarios in guests and gives the records of their cells.
pub(super) fn tour(
    args: &RunArgs,
    documents: &[Arc<Document>],
    kernels: &[Kernel],
    output: &Output,
    interrupt: &Arc<AtomicBool>,
) -> Result<Vec<CellRecord>, Failure> {
    let Some(first) = kernels.first() else { return Ok(Vec::new()) };
    let guests = guests(&args.guests, first, output, interrupt)?;
    let selection = &args.selection;
    let overrides: Vec<(String, String)> =
        selection.variants.iter().map(|pair| (pair.0.clone(), pair.1.clone())).collect();
    let tour = Tour {
        guests: &guests,
        kernels,
        documents,
        errands: &std::collections::BTreeMap::new(),
        overrides: &overrides,
        seed: selection.seed,
        artefacts: Some(&args.artefacts),
        interrupt,
    };
    let progress = Progress::new(0, selection.quiet);
    tour.run(&|title| progress.begin(title)).map_err(failure)
}

/// The first process of a guest.
pub(super) fn init() -> Result<ExitCode, Failure> {
    guest::init::run().map_err(Failure::Setup)?;
    Ok(ExitCode::Ok)
}

/// A process of a guest that takes all of its memory.
pub(super) fn hog() -> Result<ExitCode, Failure> {
    match kernel::gorge() {
        Err(why) => Err(Failure::Setup(why)),
        Ok(never) => match never {},
    }
}
