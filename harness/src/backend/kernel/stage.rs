//! [`perform`]: one performance of a plan on the running kernel: leaves, script, everything removed again; watched from
//! outside, because what it does may never end.
//!
//! The script runs on a thread of its own. This one looks every [`LOOK`] whether it has ended, whether somebody wants it
//! to, and what the detectors say: those of the caller, and `senses`, which knows the scenario's deadline.
//!
//! Invariants: whatever happens, teardown is tried, and its time is bounded (but in a guest that is stuck, which goes itself);
//! a panic of a flow is a finding about dmlab, not the end of the process.
//! Not here: what a report makes of it ([`crate::judge`]), detectors.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dmlab_scenarios::{DeviceKind, Scenario};
use dmlab_units::Seed;

use super::actor::{End, KernelActor, Over, World};
use super::knobs::Knobs;
use super::leaves::{self, Leaf};
use super::nodes::Dev;
use super::samples::Samples;
use super::senses::Senses;
use super::shims::Shims;
use super::vitals::Vitals;
use super::{KernelError, RunningKernel, can, teardown};
use crate::backend::{Performance, PoolUse};
use crate::script::{Errand, Script};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// So long may teardown take until it counts as stuck.
const TEARDOWN: Duration = Duration::from_secs(30);
/// So long may the script's threads take to end, when everything under them has gone.
const GRACE: Duration = Duration::from_secs(5);

/// How a performance ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The script came to its end.
    Finished,
    /// Somebody asked for the end.
    Interrupted,
    /// dmlab itself is at fault.
    Panic(String),
    /// Nothing moved for the scenario's deadline; who was in what.
    Hang(String),
    /// A detector says that tasks wait for each other; who, and where.
    Deadlock(String),
    /// A detector says that the kernel is broken; its words.
    Crash(String),
}

/// Hears of a performance while it goes on, from several threads.
pub trait Watch: Send + Sync {
    /// The scenario's devices are being made.
    fn begins(&self) {}

    /// A flow (by its name) begins a step (by its line).
    fn step_begins(&self, _flow: &str, _line: u32) {}

    /// Everything is being removed.
    fn tears_down(&self, _ending: &Ending) {}
}

/// Hears nothing.
impl Watch for () {}

/// Looks at a performance from outside, a few times in a second.
pub trait Detector {
    /// Says how the performance has ended, if this detector knows that it will not end well.
    fn look(&mut self, vitals: &Vitals) -> Option<Ending>;
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Performs `scenario` on `kernel`. Everything random comes from `seed`; `watch` hears of it; `detectors` may end it.
///
/// What could not be set up is a failed step of line 0.
pub fn perform(
    kernel: &Arc<RunningKernel>,
    (scenario, errand): (&Arc<Scenario>, Option<Arc<Errand>>),
    seed: Seed,
    watch: &Arc<dyn Watch>,
    detectors: &mut [Box<dyn Detector>],
    interrupt: &AtomicBool,
) -> (Ending, Performance) {
    watch.begins();
    let script = Script::on_errand(scenario, seed, errand);
    let mut knobs = Knobs::default();
    let made = set_up(kernel, scenario, &mut knobs);
    let mut counters = BTreeMap::new();
    let (ending, leaves) = match made {
        Ok(leaves) => {
            let bare: BTreeMap<String, Dev> = leaves.iter().map(|(name, leaf)| (name.clone(), leaf.dev)).collect();
            let mut numbers = bare.clone();
            let shims = Shims::default();
            let ending = match shims.make(kernel, scenario, &mut numbers) {
                Ok(()) => {
                    let (ending, counted) =
                        on_stage(kernel, scenario, &script, (numbers, shims), watch, detectors, interrupt);
                    counters = counted;
                    if matches!(ending, Ending::Finished) {
                        script.collect(&KernelActor::enter(world(kernel, (bare, Shims::default()), watch), "errand"));
                    }
                    ending
                }
                Err(error) => {
                    script.refuse(error.to_string());
                    remove_devices(kernel).map_or(Ending::Finished, Ending::Hang)
                }
            };
            (ending, leaves)
        }
        Err(error) => {
            script.refuse(error.to_string());
            (Ending::Finished, BTreeMap::new())
        }
    };
    if is_given_up(&ending) {
        return (ending, Performance { findings: script.take_findings(), counters, ..Performance::default() });
    }
    let mut stays = take_back(kernel, leaves);
    stays.extend(knobs.restore(kernel));
    let leak = (!stays.is_empty()).then(|| stays.join("\n"));
    let findings = script.take_findings();
    let pools: Vec<PoolUse> = Vec::new();
    (ending, Performance { findings, leak, pools, counters, ..Performance::default() })
}

/// Modules, parameters, leaves.
fn set_up(
    kernel: &RunningKernel,
    scenario: &Scenario,
    knobs: &mut Knobs,
) -> Result<BTreeMap<String, Leaf>, KernelError> {
    for kind in can::target_types(scenario) {
        // A type that nobody has is what some scenarios are about: the load says so.
        if let Some(module) = can::module_of(&kind).filter(|module| kernel.modules().has(module)) {
            kernel.load(module, "")?;
        }
    }
    for module in &scenario.requires.modules {
        kernel.load(module, "")?;
    }
    for (name, value) in &scenario.params {
        knobs.set_parameter(kernel, name, *value)?;
    }
    leaves::make(kernel, scenario)
}

fn take_back(kernel: &RunningKernel, leaves: BTreeMap<String, Leaf>) -> Vec<String> {
    if leaves.is_empty() { Vec::new() } else { leaves::take_back(kernel, leaves) }
}

/// The script, and the end of all dm devices; with what was counted meanwhile.
fn on_stage(
    kernel: &Arc<RunningKernel>,
    scenario: &Arc<Scenario>,
    script: &Arc<Script>,
    leaves: (BTreeMap<String, Dev>, Shims),
    watch: &Arc<dyn Watch>,
    detectors: &mut [Box<dyn Detector>],
    interrupt: &AtomicBool,
) -> (Ending, BTreeMap<String, u64>) {
    let world = world(kernel, leaves, watch);
    let (sender, ended) = channel();
    let (there, script) = (Arc::clone(&world), Arc::clone(script));
    std::thread::spawn(move || {
        let performed = catch_unwind(AssertUnwindSafe(|| {
            let actor = KernelActor::enter(Arc::clone(&there), "main");
            let _end = End { world: &there, flow: actor.flow };
            script.perform(&actor);
        }));
        // Nobody waits any more when the performance was given up.
        let _ = sender.send(performed.map_err(|panic| in_words(&*panic)));
    });
    let deadline = Duration::from(scenario.deadline);
    let mut senses = Senses::new(deadline);
    let mut samples = Samples::of(kernel.prefix());
    let mut ending = loop {
        samples.look();
        match ended.recv_timeout(LOOK) {
            Ok(Ok(()) | Err(None)) => break Ending::Finished,
            Ok(Err(Some(panic))) => break Ending::Panic(panic),
            Err(RecvTimeoutError::Disconnected) => break Ending::Panic("the script's thread is gone".to_owned()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if interrupt.load(Ordering::Relaxed) {
            break Ending::Interrupted;
        }
        let mut all = detectors.iter_mut().map(|detector| &mut **detector).chain([&mut senses as &mut dyn Detector]);
        if let Some(found) = all.find_map(|detector| detector.look(&world.vitals)) {
            break found;
        }
    };
    if let Ending::Hang(report) | Ending::Deadlock(report) = &mut ending {
        report.push_str(&format!("\n{}", samples.in_words()));
    }
    let mut counters = samples.counters();
    watch.tears_down(&ending);
    let is_whole = matches!(ending, Ending::Finished);
    if is_given_up(&ending) {
        return (ending, counters);
    }
    world.over.store(!is_whole, Ordering::Relaxed);
    if let Some(why) = heal(&world).or_else(|| remove_devices(kernel)) {
        ending = match ending {
            Ending::Finished => Ending::Hang(why),
            Ending::Hang(report) => Ending::Hang(format!("{report}\n{why}")),
            other => other,
        };
    }
    if !is_whole {
        // What they waited for has gone with the devices; who waits all the same is left behind.
        let _ = ended.recv_timeout(GRACE);
    }
    counters.extend(world.shims.counted());
    (ending, counters)
}

/// What the actors of a performance share, when it begins.
fn world(
    kernel: &Arc<RunningKernel>,
    (leaves, shims): (BTreeMap<String, Dev>, Shims),
    watch: &Arc<dyn Watch>,
) -> Arc<World> {
    Arc::new(World {
        kernel: Arc::clone(kernel),
        leaves,
        shims,
        began: Instant::now(),
        vitals: Arc::default(),
        watch: Arc::clone(watch),
        locks: Mutex::default(),
        over: AtomicBool::new(false),
    })
}

/// Ends all faults, and lets go what they hold; says what could not be.
fn heal(world: &Arc<World>) -> Option<String> {
    let (sender, done) = channel();
    let there = Arc::clone(world);
    std::thread::spawn(move || {
        // What cannot be healed is replaced by errors when the devices are removed.
        let _ = sender.send(there.shims.set_faults(&there.kernel, &[]));
    });
    done.recv_timeout(TEARDOWN).err().map(|_| format!("healing the faults is stuck for {} s", TEARDOWN.as_secs()))
}

/// Whether nothing is taken back: the machine has no other purpose than this run (it is the machine's first process), and
/// what is stuck in it keeps whoever touches it. It goes with the machine.
fn is_given_up(ending: &Ending) -> bool {
    let is_spoiled = matches!(ending, Ending::Hang(_) | Ending::Deadlock(_) | Ending::Crash(_));
    is_spoiled && std::process::id() == 1
}

/// Removes all dm devices of this run; says what could not be, or that it took too long.
fn remove_devices(kernel: &Arc<RunningKernel>) -> Option<String> {
    let (sender, done) = channel();
    let there = Arc::clone(kernel);
    std::thread::spawn(move || {
        let _ = sender.send(teardown::remove_devices(there.dm(), &there.prefix(), false));
    });
    match done.recv_timeout(TEARDOWN) {
        Ok(left) => {
            let stays: Vec<String> =
                left.iter().filter_map(|left| Some(format!("{} stays: {}", left.name, left.stays.as_ref()?))).collect();
            (!stays.is_empty()).then(|| stays.join("\n"))
        }
        Err(_) => Some(format!("teardown is stuck for {} s", TEARDOWN.as_secs())),
    }
}

/// What a thread panicked with; `None` where it only was to end.
fn in_words(panic: &(dyn Any + Send)) -> Option<String> {
    if panic.is::<Over>() {
        return None;
    }
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    Some(text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned()))
}

/// Whether the scenario has a device that only the engine has; its name and what it is.
pub(super) fn engine_only(scenario: &Scenario) -> Option<(&str, &'static str)> {
    scenario.devices.iter().find_map(|device| match &device.kind {
        DeviceKind::Timed(_) => Some((device.name.as_str(), "a timed device")),
        DeviceKind::Barrier { .. } => Some((device.name.as_str(), "a barrier")),
        DeviceKind::File(file) if file.path.is_some() => {
            Some((device.name.as_str(), "a file with a path, which dmlab did not make"))
        }
        _ => device.cache.map(|_| (device.name.as_str(), "a device with a volatile cache of its own")),
    })
}
