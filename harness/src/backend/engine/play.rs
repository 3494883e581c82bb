//! [`Play`]: one performance of a plan on the engine: an empty machine, the devices, the script, everything removed
//! again, and a last look at what was left.
//!
//! Invariants: what a performance found out is in its [`Performance`] even when it never came to an end (a deadlock
//! leaves the pools as they were); teardown happens in the opposite order of creation, with all faults healed first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dmlab_engine::block::{Device, ServiceModel, Spread};
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::Task;
use dmlab_engine::sync::Confided;
use dmlab_engine::variants::Variants;
use dmlab_scenarios::{self as scenarios, DeviceKind, Scenario, Timed};
use dmlab_units::{Sectors, Seed};

use super::actor::{EngineActor, World};
use super::{file, power};
use crate::backend::Actor;
use crate::backend::performance::{Performance, PoolUse};
use crate::script::{Errand, Script};

/// What is to be performed.
pub struct Play {
    scenario: Arc<Scenario>,
    variants: Variants,
    seed: Seed,
    measures: bool,
    machine: Mutex<Option<Arc<Machine>>>,
    script: Arc<Script>,
    leak: Mutex<Option<String>>,
}

/// The engine's model of a scenario's timed device.
fn service_model(timed: &Timed, cache_unit: Option<usize>) -> ServiceModel {
    let Timed { depth, read, write, flush, discard, bandwidth, spread, .. } = *timed;
    let spread = match spread {
        scenarios::Spread::Constant => Spread::Constant,
        scenarios::Spread::Uniform => Spread::Uniform,
        scenarios::Spread::Exponential => Spread::Exponential,
    };
    ServiceModel { depth, read, write, flush, discard, bandwidth, spread, cache_unit }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Play {
    /// A performance of `scenario`, whose loads take latencies if the clock `measures`.
    pub fn new(
        scenario: &Arc<Scenario>,
        variants: Variants,
        seed: Seed,
        measures: bool,
        errand: Option<Arc<Errand>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            scenario: Arc::clone(scenario),
            variants,
            seed,
            measures,
            machine: Mutex::new(None),
            script: Script::on_errand(scenario, seed, errand),
            leak: Mutex::new(None),
        })
    }

    /// The root task.
    pub fn perform(&self, current: &Task) {
        let wants_order = self.scenario.expect.iter().any(|expectation| !expectation.entry_order.is_empty());
        let machine = Machine::new(current, self.variants, wants_order);
        machine.core().set_random_seed(self.seed.derive("random"));
        *locked(&self.machine) = Some(Arc::clone(&machine));
        for (name, value) in &self.scenario.params {
            let known = machine.set_parameter(current, name, *value);
            assert!(known, "{name}: the language knows a module parameter that the engine does not");
        }
        let leaves = match self.leaves(current, &machine) {
            Ok(leaves) => leaves,
            Err(why) => return self.script.refuse(why),
        };
        let world = World {
            machine: Arc::clone(&machine),
            leaves,
            seed: self.seed.derive("faults"),
            locks: Mutex::default(),
            measures: self.measures,
            ledger: Confided::new(current.runtime(), "what must survive", ()),
            mounts: self.script.mounts(),
        };
        let actor = EngineActor { current, world: Arc::new(world) };
        self.script.perform(&actor);
        self.tear_down(current, &actor, &machine);
    }

    fn leaves(&self, current: &Task, machine: &Machine) -> Result<BTreeMap<String, Arc<Device>>, String> {
        let mut leaves = BTreeMap::new();
        for device in &self.scenario.devices {
            let name = &device.name;
            let sectors = |bytes| Sectors::from_bytes(bytes).expect("checked: a size is whole sectors");
            let cache_unit = device.cache.map(|cache| cache.atomic.0 as usize);
            let made = match &device.kind {
                DeviceKind::Ram(size) => match cache_unit {
                    Some(unit) => machine.add_cached(current, name, sectors(*size), unit),
                    None => machine.add_ramdisk(current, name, sectors(*size)),
                },
                DeviceKind::Null(size) => machine.add_null(current, name, sectors(*size)),
                DeviceKind::Timed(timed) => {
                    let (model, seed) = (service_model(timed, cache_unit), self.seed.derive("timed").derive(name));
                    machine.add_timed(current, name, sectors(timed.size), model, seed)
                }
                DeviceKind::File(file) => {
                    let made = file::add(current, machine, name, file, sectors(file.size));
                    made.map_err(|why| format!("{name}: {why}"))?
                }
                DeviceKind::Barrier { below } => {
                    let below: &Arc<_> = leaves.get(below).expect("checked: declared earlier");
                    machine.add_barrier(current, name, Arc::clone(below))
                }
                DeviceKind::Dm { .. } => continue,
            };
            leaves.insert(name.clone(), made);
        }
        Ok(leaves)
    }

    fn tear_down(&self, current: &Task, actor: &EngineActor<'_>, machine: &Machine) {
        actor.set_faults(&[]);
        *locked(&self.leak) =
            power::remove_all(actor, self.script.mounts()).and_then(|()| machine.check_at_rest(current)).err();
        self.script.collect(actor);
    }

    /// What it found out, whether or not it came to an end.
    pub fn result(&self) -> Performance {
        let machine = locked(&self.machine).take();
        let core = machine.as_ref().map(|machine| machine.core());
        let pools = core.map_or_else(Vec::new, |core| core.pools());
        let entries = core.map_or_else(Vec::new, |core| core.entries());
        Performance {
            findings: self.script.take_findings(),
            leak: locked(&self.leak).take(),
            pools: pools.iter().map(|pool| PoolUse { name: pool.name().to_owned(), stats: pool.stats() }).collect(),
            entry_order: entries
                .iter()
                .map(|entry| format!("{} {}+{}", entry.device, entry.sector, entry.sectors))
                .collect(),
            counters: core.map_or_else(BTreeMap::new, |core| core.counters()),
            kmsg: core.map_or_else(Vec::new, |core| core.kmsg()),
        }
    }
}
