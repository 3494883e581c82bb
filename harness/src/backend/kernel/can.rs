//! What a scenario may ask of a running kernel, and why not, if it may not: [`unmet`].
//!
//! Invariants: what cannot be chosen, made or issued on a kernel is a skip that names it; nothing passes by not being
//! looked at.
//! Not here: what the engine has (`plan::requires`).

use std::collections::BTreeSet;

use dmlab_engine::variants::Variants;
use dmlab_scenarios::{Action, Cell, DeviceKind, Document, Fault, IoFlag, IoOp, Runtime, Scenario, Step, Submit};

use super::stage::engine_only;
use super::{RunningKernel, faults, knobs, shims};
use crate::plan::AS_OF;

/// Target types and the modules that they come in; those of dm itself are in none.
const MODULES: &[(&str, &str)] = &[
    ("snapshot", "dm_snapshot"),
    ("snapshot-origin", "dm_snapshot"),
    ("snapshot-merge", "dm_snapshot"),
    ("mirror", "dm_mirror"),
    ("zero", "dm_zero"),
    ("delay", "dm_delay"),
    ("flakey", "dm_flakey"),
    ("dust", "dm_dust"),
    ("multipath", "dm_multipath"),
    ("crypt", "dm_crypt"),
    ("thin", "dm_thin_pool"),
    ("thin-pool", "dm_thin_pool"),
    ("log-writes", "dm_log_writes"),
    ("switch", "dm_switch"),
    ("unstriped", "dm_unstripe"),
];
/// Types that dm always has.
const OWN: &[&str] = &["linear", "striped", "error"];
/// Types that only the engine has.
const ENGINES: &[&str] = &["gate"];

/// The module that a target type comes in.
pub(super) fn module_of(kind: &str) -> Option<&'static str> {
    MODULES.iter().find(|(known, _)| *known == kind).map(|(_, module)| *module)
}

/// The target types of a scenario's tables, and of those that its steps make.
pub(super) fn target_types(scenario: &Scenario) -> BTreeSet<String> {
    let mut lines: Vec<&String> = Vec::new();
    let mut types = BTreeSet::new();
    for device in &scenario.devices {
        if let DeviceKind::Dm { table, .. } = &device.kind {
            lines.extend(table);
        }
    }
    each_step(&scenario.steps, &mut |step| match &step.action {
        Action::Load { table, .. } => lines.extend(table),
        Action::Snapshot(_) => types.extend(["snapshot", "snapshot-origin"]),
        Action::Merge(_) => _ = types.insert("snapshot-merge"),
        _ => {}
    });
    types.extend(lines.iter().filter_map(|line| line.split_whitespace().nth(2)));
    types.into_iter().map(str::to_owned).collect()
}

fn each_step<'a>(steps: &'a [Step], look: &mut dyn FnMut(&'a Step)) {
    for step in steps {
        look(step);
        match &step.action {
            Action::Parallel(branches) | Action::Background(branches) => {
                branches.iter().for_each(|(_, steps)| each_step(steps, look));
            }
            Action::Steps(steps) => each_step(steps, look),
            Action::Repeat(repeat) => each_step(&repeat.steps, look),
            Action::MustBlock(must_block) => each_step(&must_block.steps, look),
            Action::PowerCut(cut) => each_step(&cut.steps, look),
            _ => {}
        }
    }
}

/// Why a cell cannot be run on `kernel`, if so.
pub fn unmet(kernel: &RunningKernel, document: &Document, cell: &Cell, scenario: &Scenario) -> Option<String> {
    algorithms(kernel, document, cell)
        .or_else(|| required(kernel, scenario))
        .or_else(|| devices(kernel, scenario))
        .or_else(|| steps(scenario))
        .or_else(|| below_requests(scenario))
        .or_else(|| shims::unmet(kernel, scenario).map(|(line, why)| format!("line {line}: {why}")))
}

/// The leaves that some fault of a scenario is about.
pub(super) fn leaves_with_faults(scenario: &Scenario) -> BTreeSet<String> {
    let mut leaves = BTreeSet::new();
    each_step(&scenario.steps, &mut |step| {
        if let Action::Fault(fault) = &step.action {
            leaves.extend(faults::leaf_of(fault).map(str::to_owned));
        }
    });
    leaves
}

/// What `look` finds wrong with the faults in force after a step, with its line; flows beside each other are taken one
/// after the other.
pub(super) fn each_state_of_faults(
    scenario: &Scenario,
    look: &mut dyn FnMut(&[Fault]) -> Option<String>,
) -> Option<(u32, String)> {
    let mut state: Vec<Fault> = Vec::new();
    let mut found = None;
    each_step(&scenario.steps, &mut |step| {
        match &step.action {
            Action::Fault(fault) => state.push(fault.clone()),
            Action::Heal => state.clear(),
            _ => return,
        }
        if found.is_none() {
            found = look(&state).map(|why| (step.line, why));
        }
    });
    found
}

/// An algorithm is what this kernel does, or it is not run.
fn algorithms(kernel: &RunningKernel, document: &Document, cell: &Cell) -> Option<String> {
    let here = kernel.as_of();
    let does = kernel.variants();
    let as_of = cell.get(AS_OF).or(document.as_of());
    if let Some(named) = as_of.and_then(|named| named.parse().ok())
        && Variants::as_of(named) != does
    {
        return Some(format!("as_of={named} is not what {here} does"));
    }
    let values = does.names();
    cell.iter().find_map(|(axis, value)| {
        let (_, own) = values.iter().find(|(known, _)| *known == axis)?;
        (*own != value).then(|| format!("{axis}={value} is not what {here} does ({axis}={own})"))
    })
}

fn required(kernel: &RunningKernel, scenario: &Scenario) -> Option<String> {
    let here = kernel.as_of();
    let broken = scenario.requires.kernel.iter().find(|bound| {
        let wanted = bound.kernel.parse();
        wanted.is_ok_and(|wanted| !bound.relation.holds(&here, &wanted))
    });
    if let Some(bound) = broken {
        return Some(format!("requires a kernel {bound}; this is {}", kernel.release()));
    }
    let missing = scenario.requires.modules.iter().find(|module| !kernel.modules().has(module));
    if let Some(module) = missing {
        return Some(format!("requires the module {module}, which {} has not", kernel.release()));
    }
    let missing = scenario.requires.targets.iter().find(|kind| !has_target(kernel, kind));
    missing.map(|kind| format!("requires the target {kind}, which {} has not", kernel.release()))
}

fn has_target(kernel: &RunningKernel, kind: &str) -> bool {
    OWN.contains(&kind)
        || module_of(kind).is_some_and(|module| kernel.modules().has(module))
        || kernel.dm().targets().is_ok_and(|targets| targets.iter().any(|(name, _)| name == kind))
}

fn devices(kernel: &RunningKernel, scenario: &Scenario) -> Option<String> {
    if let Some((name, what)) = engine_only(scenario) {
        return Some(format!("{name} is {what}: only the engine has it"));
    }
    let kinds = target_types(scenario);
    if let Some(kind) = kinds.iter().find(|kind| ENGINES.contains(&kind.as_str())) {
        return Some(format!("only the engine has the target {kind}"));
    }
    // A type that nobody knows is a mistake that the scenario is about; one that is known belongs to a module.
    let missing = kinds.iter().find(|kind| module_of(kind).is_some() && !has_target(kernel, kind));
    if let Some(kind) = missing {
        return Some(format!("kernel {} has no target {kind}", kernel.release()));
    }
    let unknown = scenario.params.keys().find(|name| knobs::module_of(name).is_none_or(|of| !kernel.modules().has(of)));
    if let Some(name) = unknown {
        return Some(format!("kernel {} has no module parameter {name}", kernel.release()));
    }
    scenario.devices.iter().find_map(|device| {
        let module = match &device.kind {
            DeviceKind::Ram(_) => device.driver.module(),
            DeviceKind::File(_) => "loop",
            DeviceKind::Null(_) => "null_blk",
            _ => return None,
        };
        let missing = !kernel.modules().has(module);
        missing.then(|| format!("{} needs the module {module}, which {} has not", device.name, kernel.release()))
    })
}

/// A shim takes bios, so that multipath by requests cannot stand on one.
fn below_requests(scenario: &Scenario) -> Option<String> {
    let leaf = leaves_with_faults(scenario).into_iter().find(|leaf| takes_requests(scenario, leaf))?;
    Some(format!("I/O of {leaf} fails in a dm device above it, on which multipath by requests cannot stand"))
}

/// Whether a table hands whole requests to this leaf, which nothing but a disk itself takes.
fn takes_requests(scenario: &Scenario, leaf: &str) -> bool {
    let names = |line: &String| {
        let mut words = line.split_whitespace();
        words.clone().nth(2) == Some("multipath")
            && !line.contains("queue_mode bio")
            && words.any(|word| word.strip_prefix('$') == Some(leaf))
    };
    let mut found = scenario
        .devices
        .iter()
        .any(|device| matches!(&device.kind, DeviceKind::Dm { table, .. } if table.iter().any(names)));
    each_step(&scenario.steps, &mut |step| {
        if let Action::Load { table, .. } = &step.action {
            found |= table.iter().any(names);
        }
    });
    found
}

fn steps(scenario: &Scenario) -> Option<String> {
    let exact = scenario.runs.iter().all(|runtime| *runtime == Runtime::Explorer);
    let mut why = None;
    each_step(&scenario.steps, &mut |step| {
        let wrong = match &step.action {
            Action::Unplug(device) => Some(format!("{device} cannot be unplugged: ramdisks of a kernel stay")),
            // Time stands still on the explorer, so that what depends on it comes out as on no clock.
            Action::Sleep(_) if exact => Some("its pauses are exact on the explorer only".to_owned()),
            Action::Submit(submit) => io(submit),
            Action::PowerCut(_) => Some("the machine's power is not cut".to_owned()),
            Action::Mount(_) | Action::Unmount { .. } => Some("no file system is made on a kernel".to_owned()),
            _ => None,
        };
        if why.is_none() {
            why = wrong.map(|wrong| format!("line {}: {wrong}", step.line));
        }
    });
    why
}

/// What user space cannot issue.
fn io(submit: &Submit) -> Option<String> {
    let name = |flag: IoFlag| format!("{flag:?}").to_lowercase();
    submit.flags.iter().find_map(|flag| match (flag, submit.op) {
        // All direct I/O is.
        (IoFlag::Sync, _) => None,
        (IoFlag::Fua, IoOp::Write) => None,
        (IoFlag::Nowait, IoOp::Read | IoOp::Write) => None,
        (flag, op) => Some(format!("user space cannot ask for {} on a {op:?}", name(*flag)).to_lowercase()),
    })
}
