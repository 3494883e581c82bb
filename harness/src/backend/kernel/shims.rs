//! [`Shims`]: dm devices between the leaves that a scenario lets fail and everybody above, whose tables are swapped
//! while they are in use.
//!
//! Invariants: a leaf is called by its shim's number wherever it has one; a swap waits for no I/O that is held, because
//! `delay` lets go of it when its device is suspended; faults that follow each other are told one after the other.
//! Not here: which table (`faults`).

use std::collections::BTreeMap;
use std::sync::Mutex;

use dmlab_faults::When;
use dmlab_scenarios::{Fault, Scenario};
use dmlab_units::Sectors;

use super::dm::SuspendHow;
use super::faults::{self, Abilities};
use super::injection::Injected;
use super::nodes::{self, Dev};
use super::stage::locked;
use super::{KernelError, RunningKernel, can, injection, tasks};

/// Nothing below a shim is worth waiting for.
const AT_ONCE: SuspendHow = SuspendHow { noflush: true, nolockfs: true };

struct Shim {
    /// In the kernel.
    name: String,
    real: Dev,
    sectors: Sectors,
    /// What is loaded.
    table: Vec<String>,
}

/// The shims of a performance.
#[derive(Default)]
pub(super) struct Shims {
    shims: Mutex<BTreeMap<String, Shim>>,
    /// What the kernel's own fault injection was told.
    injected: Mutex<Injected>,
}

/// What the running kernel's targets can be told.
pub(super) fn abilities(kernel: &RunningKernel) -> Abilities {
    let flakey = kernel.modules().has("dm_flakey");
    Abilities {
        flakey,
        error_reads: flakey && kernel.as_of() >= "6.5".parse().expect("the catalogue knows it"),
        delay: kernel.modules().has("dm_delay"),
        fail_make_request: injection::has("fail_make_request"),
        failslab: injection::has("failslab") && tasks::can_be_marked(),
        fail_page_alloc: injection::has("fail_page_alloc") && tasks::can_be_marked(),
        hog: std::process::id() == 1,
    }
}

/// Why the faults of a scenario cannot be had on `kernel`, in the order of its steps; if so, from which line on.
pub(super) fn unmet(kernel: &RunningKernel, scenario: &Scenario) -> Option<(u32, String)> {
    let can = abilities(kernel);
    can::each_state_of_faults(scenario, &mut |faults| {
        if let Some(why) = faults.iter().find_map(|fault| injection::slab_unmet(fault, can)) {
            return Some(why);
        }
        let of_slab = |fault: &Fault| match fault {
            Fault::Slab { fault, .. } => Some(fault.when.clone()),
            Fault::Io { .. } => None,
        };
        let mut choices: Vec<When> = faults.iter().filter_map(of_slab).collect();
        choices.dedup();
        if choices.len() > 1 {
            return Some("failslab draws alike for all pools".to_owned());
        }
        let draws = faults.iter().filter(|fault| faults::draw(fault).is_some()).count();
        if draws > 1 {
            return Some("fail_make_request draws for one fault at a time".to_owned());
        }
        faults.iter().filter_map(|fault| faults::leaf_of(fault)).find_map(|leaf| {
            let here: Vec<&Fault> = faults.iter().filter(|fault| faults::leaf_of(fault) == Some(leaf)).collect();
            // Any size will do: whether there is a form does not depend on it.
            faults::lower(&here, (0, 0), Sectors(u64::from(u32::MAX)), can).err()
        })
    })
}

impl Shims {
    /// Shims over the leaves that `scenario` lets fail; those are called by their shims from then on.
    pub(super) fn make(
        &self,
        kernel: &RunningKernel,
        scenario: &Scenario,
        leaves: &mut BTreeMap<String, Dev>,
    ) -> Result<(), KernelError> {
        let failing = can::leaves_with_faults(scenario);
        if failing.is_empty() {
            return Ok(());
        }
        for module in ["dm_flakey", "dm_delay"] {
            if kernel.modules().has(module) {
                kernel.load(module, "")?;
            }
        }
        for leaf in failing {
            let Some(number) = leaves.get_mut(&leaf) else { continue };
            let (real, name) = (*number, kernel.name_of(&format!("below.{leaf}")));
            let sectors = nodes::sectors(real);
            let table = vec![format!("0 {sectors} linear {}:{} 0", real.0, real.1)];
            let dm = kernel.dm();
            let made = dm
                .create(&name, "")
                .and_then(|info| dm.load(&name, &table).map(|()| info))
                .and_then(|info| dm.resume(&name, AT_ONCE).map(|()| info));
            let info = made.map_err(|errno| KernelError::new(format!("{leaf}: no shim: {errno}")))?;
            *number = info.dev;
            locked(&self.shims).insert(leaf, Shim { name, real, sectors, table });
        }
        Ok(())
    }

    /// Lets these faults, and no others, be in force.
    pub(super) fn set_faults(&self, kernel: &RunningKernel, faults: &[Fault]) -> Result<(), KernelError> {
        let mut injected = locked(&self.injected);
        injected.end(kernel)?;
        let can = abilities(kernel);
        let mut shims = locked(&self.shims);
        for (leaf, shim) in shims.iter_mut() {
            let here: Vec<&Fault> =
                faults.iter().filter(|fault| faults::leaf_of(fault) == Some(leaf.as_str())).collect();
            let wrong = |why: String| KernelError::new(format!("{leaf}: {why}"));
            let table = faults::lower(&here, shim.real, shim.sectors, can).map_err(wrong)?;
            if table != shim.table {
                swap(kernel, &shim.name, &table).map_err(|errno| wrong(format!("table {table:?}: {errno}")))?;
                shim.table = table;
            }
            if let Some(draw) = here.iter().find_map(|fault| faults::draw(fault)) {
                // Nothing but what is counted may get through to the leaf meanwhile.
                let counts = draw.interval > 1;
                let dm = kernel.dm();
                let stopped = |errno| wrong(format!("its shim: {errno}"));
                if counts {
                    dm.suspend(&shim.name, AT_ONCE).map_err(stopped)?;
                }
                let told = injected.fail_requests(kernel, shim.real, draw);
                if counts {
                    dm.resume(&shim.name, AT_ONCE).map_err(stopped)?;
                }
                told?;
            }
        }
        faults.iter().try_for_each(|fault| injected.fail_slab(kernel, fault, can))
    }

    /// How often the kernel's own fault injection has struck, by its kind.
    pub(super) fn counted(&self) -> BTreeMap<String, u64> {
        locked(&self.injected).counted()
    }

    /// Lets the I/O go on that a leaf holds; what comes later is held again.
    pub(super) fn release(&self, kernel: &RunningKernel, leaf: &str) -> Result<(), KernelError> {
        let shims = locked(&self.shims);
        let Some(shim) = shims.get(leaf) else { return Ok(()) };
        let dm = kernel.dm();
        let released = dm.suspend(&shim.name, AT_ONCE).and_then(|()| dm.resume(&shim.name, AT_ONCE));
        released.map_err(|errno| KernelError::new(format!("{leaf}: {errno}")))
    }
}

fn swap(kernel: &RunningKernel, name: &str, table: &[String]) -> Result<(), nix::errno::Errno> {
    let dm = kernel.dm();
    dm.load(name, table)?;
    dm.suspend(name, AT_ONCE)?;
    dm.resume(name, AT_ONCE)
}
