//! [`KernelActor`]: the seam's operations on the running kernel, by one OS thread.
//!
//! Invariants: names are the scenario's, and bear the run's prefix in the kernel; what the kernel answers is passed on
//! as it is; when the performance is over, its threads end at their next operation.
//! Not here: open devices (`io`), watching (`stage`).

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dmlab_scenarios::{CutAt, Errno, Fault, Loses};
use dmlab_units::{Nanos, Sectors};
use nix::errno::Errno as Number;

use super::RunningKernel;
use super::dm::{SuspendHow, Which};
use super::io::KernelDevice;
use super::nodes::Dev;
use super::shims::Shims;
use super::stage::Watch;
use super::vitals::Vitals;
use crate::backend::{Actor, Branch, Control, Flag, FreezeBody, OpenDevice, Started};

/// Between two looks of a sleeper at whether the performance is over.
const LOOK: Duration = Duration::from_millis(50);

/// What a thread unwinds with when the performance is over.
pub(super) struct Over;

/// What the actors of one performance share.
pub(super) struct World {
    pub kernel: Arc<RunningKernel>,
    /// By their shims, where they have one.
    pub leaves: BTreeMap<String, Dev>,
    pub shims: Shims,
    pub began: Instant,
    pub vitals: Arc<Vitals>,
    pub watch: Arc<dyn Watch>,
    /// The locks that flows share, by name.
    pub locks: Mutex<BTreeMap<String, Arc<Mutex<()>>>>,
    /// Up when nobody waits for the end of the script any more.
    pub over: AtomicBool,
}

impl World {
    pub(super) fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Ends the calling thread if the performance is over.
    pub(super) fn checkpoint(&self) {
        if self.over.load(Ordering::Relaxed) {
            resume_unwind(Box::new(Over));
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn number(&self, name: &str) -> Option<Dev> {
        let dm = || self.kernel.dm().info(&self.kernel.name_of(name)).ok().map(|info| info.dev);
        self.leaves.get(name).copied().or_else(dm)
    }
}

/// A flow of control on the running kernel.
pub(super) struct KernelActor {
    pub world: Arc<World>,
    /// Its place among the vitals.
    pub flow: usize,
}

impl KernelActor {
    /// The actor of the calling thread.
    pub(super) fn enter(world: Arc<World>, name: &str) -> Self {
        let flow = world.vitals.enter(name);
        Self { world, flow }
    }

    /// Writes down what is waited for while it is.
    fn during<T>(&self, what: &str, wait: impl FnOnce() -> T) -> T {
        self.world.checkpoint();
        self.world.vitals.change(self.flow, |flow| flow.doing = what.to_owned());
        let result = wait();
        self.world.vitals.change(self.flow, |flow| flow.doing.clear());
        self.world.checkpoint();
        result
    }

    fn carry_out(&self, operation: Control<'_>) -> Result<Vec<String>, Number> {
        let (kernel, dm) = (&self.world.kernel, self.world.kernel.dm());
        let name = |device: &str| kernel.name_of(device);
        let done = |()| Vec::new();
        match operation {
            Control::Create(device) => dm.create(&name(device), "").map(|_| Vec::new()),
            Control::Load(device, table) => {
                let lines: Vec<String> = table.iter().map(|line| self.resolve(line)).collect();
                dm.load(&name(device), &lines).map(done)
            }
            Control::Suspend { device, how } => dm.suspend(&name(device), flags_of(how)).map(done),
            Control::Resume { device, how } => dm.resume(&name(device), flags_of(how)).map(done),
            Control::Remove(device) => dm.remove(&name(device), false).map(done),
            Control::RemoveDeferred(device) => dm.remove(&name(device), true).map(done),
            Control::Clear(device) => dm.clear(&name(device)).map(done),
            Control::Rename(device, to) => dm.rename(&name(device), &name(to)).map(done),
            Control::SetUuid(device, uuid) => dm.set_uuid(&name(device), uuid).map(done),
            Control::Message { device, sector, text } => {
                dm.message(&name(device), sector.0, &self.resolve(text)).map(|reply| reply.into_iter().collect())
            }
            Control::WaitEvent(device, after) => {
                let after = after.map_or_else(|| dm.info(&name(device)).map(|info| info.event_nr), Ok)?;
                let answer = dm.wait_event(&name(device), after, None, &|| self.world.is_over())?;
                Ok(answer.unwrap_or_default())
            }
            Control::EventNr(device) => dm.info(&name(device)).map(|info| vec![info.event_nr.to_string()]),
            Control::Deps(device, inactive) => {
                let which = if inactive { Which::Inactive } else { Which::Live };
                let text = |(major, minor): &Dev| format!("{major}:{minor}");
                dm.deps(&name(device), which).map(|devices| devices.iter().map(text).collect())
            }
            Control::InactiveStatus(device) => dm.status(&name(device), Which::Inactive),
            Control::InactiveTable(device) => dm.table(&name(device), Which::Inactive),
            Control::Status(device) => dm.status(&name(device), Which::Live),
            Control::Table(device) => dm.table(&name(device), Which::Live),
        }
    }
}

impl Actor for KernelActor {
    fn now(&self) -> Nanos {
        self.world.now()
    }

    fn begins(&self, line: u32) {
        self.world.checkpoint();
        self.world.vitals.change(self.flow, |flow| flow.line = line);
        let name = self.world.vitals.name(self.flow);
        self.world.watch.step_begins(&name, line);
    }

    fn sleep(&self, duration: Nanos) {
        let until = Instant::now() + Duration::from(duration);
        self.during("a pause", || {
            while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                std::thread::sleep(left.min(LOOK));
                self.world.vitals.note_progress();
                self.world.checkpoint();
            }
        });
    }

    fn measures(&self) -> bool {
        true
    }

    fn control(&self, operation: Control<'_>) -> Result<Vec<String>, Errno> {
        self.during(&in_words(operation), || self.carry_out(operation)).map_err(errno_of)
    }

    fn resolve(&self, line: &str) -> String {
        let word = |word: &str| match word.strip_prefix('$').and_then(|name| self.world.number(name)) {
            Some((major, minor)) => format!("{major}:{minor}"),
            None => word.to_owned(),
        };
        line.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }

    fn open(&self, device: &str, slots: u32, slot_sectors: Sectors) -> Result<Box<dyn OpenDevice + '_>, Errno> {
        let opened = self.during(&format!("open {device}"), || {
            let dev = self.world.number(device).ok_or(Errno::ENXIO)?;
            KernelDevice::open(&self.world, self.flow, device, dev, slots, slot_sectors)
        });
        Ok(Box::new(opened?))
    }

    fn set_faults(&self, faults: &[Fault]) {
        let set = self.during("faults", || self.world.shims.set_faults(&self.world.kernel, faults));
        set.unwrap_or_else(|error| panic!("faults that a kernel can have were refused: {error}"));
    }

    fn release(&self, device: &str) {
        let released = self.during("release", || self.world.shims.release(&self.world.kernel, device));
        released.unwrap_or_else(|error| panic!("what a shim holds stays: {error}"));
    }

    fn unplug(&self, device: &str) {
        unreachable!("{device} cannot be unplugged: a scenario that wants it is skipped");
    }

    fn start<'a>(&'a self, branch: Branch) -> Box<dyn Started + 'a> {
        self.world.checkpoint();
        let world = Arc::clone(&self.world);
        let name = branch.name.clone();
        let body = move || {
            let actor = KernelActor::enter(Arc::clone(&world), &branch.name);
            let _end = End { world: &world, flow: actor.flow };
            (branch.body)(&actor);
        };
        let thread = std::thread::Builder::new().name(name.clone()).spawn(body).expect("threads can be started");
        Box::new(Joined { actor: self, name, thread })
    }

    fn watch_power(&self, _at: CutAt) {
        unreachable!("a kernel keeps its power: a scenario in which it would not is skipped");
    }

    fn cut_power(&self) {
        unreachable!("a kernel keeps its power: a scenario in which it would not is skipped");
    }

    fn power_is_off(&self) -> Arc<dyn Flag> {
        unreachable!("a kernel keeps its power: a scenario in which it would not is skipped");
    }

    fn restart(&self, _loses: Loses) -> Result<(), String> {
        unreachable!("a kernel keeps its power: a scenario in which it would not is skipped");
    }

    /// Nobody searches here.
    fn confide(&self, use_it: &mut dyn FnMut()) {
        use_it();
    }

    /// Cells with such steps are not run on a kernel (`can`).
    fn mount(&self, _device: &str, _slot_sectors: Sectors, _freeze: FreezeBody) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn unmount(&self, _device: &str) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn exclusively(&self, lock: &str, what: &mut dyn FnMut()) {
        let mut locks = self.world.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = Arc::clone(locks.entry(lock.to_owned()).or_default());
        drop(locks);
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        what();
    }

    fn flag(&self, _name: &str) -> Arc<dyn Flag> {
        Arc::new(KernelFlag(AtomicBool::new(false)))
    }
}

/// Writes down that a flow has ended, however it does.
pub(super) struct End<'a> {
    pub world: &'a World,
    pub flow: usize,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.world.vitals.change(self.flow, |flow| flow.ended = true);
    }
}

/// A thread under way.
struct Joined<'a> {
    actor: &'a KernelActor,
    name: String,
    thread: JoinHandle<()>,
}

impl Started for Joined<'_> {
    fn join(self: Box<Self>) {
        let what = format!("join {}", self.name);
        let ended = self.actor.during(&what, || self.thread.join());
        if let Err(panic) = ended {
            resume_unwind(panic);
        }
    }
}

struct KernelFlag(AtomicBool);

impl Flag for KernelFlag {
    fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

const fn flags_of(how: dmlab_scenarios::SuspendHow) -> SuspendHow {
    SuspendHow { noflush: how.noflush, nolockfs: how.nolockfs }
}

/// dmsetup's options.
fn options(how: dmlab_scenarios::SuspendHow) -> String {
    let noflush = if how.noflush { " --noflush" } else { "" };
    format!("{noflush}{}", if how.nolockfs { " --nolockfs" } else { "" })
}

/// An operation as reports name it.
fn in_words(operation: Control<'_>) -> String {
    match operation {
        Control::Create(device) => format!("create {device}"),
        Control::Load(device, _) => format!("load {device}"),
        Control::Suspend { device, how } => format!("suspend{} {device}", options(how)),
        Control::Resume { device, how } => format!("resume{} {device}", options(how)),
        Control::Remove(device) => format!("remove {device}"),
        Control::RemoveDeferred(device) => format!("remove --deferred {device}"),
        Control::Clear(device) => format!("clear {device}"),
        Control::Rename(device, to) => format!("rename {device} to {to}"),
        Control::SetUuid(device, _) => format!("set the uuid of {device}"),
        Control::Message { device, text, .. } => format!("message {device} {text}"),
        Control::WaitEvent(device, _) => format!("wait for an event of {device}"),
        Control::EventNr(device) => format!("event number of {device}"),
        Control::Deps(device, _) => format!("deps of {device}"),
        Control::InactiveStatus(device) | Control::Status(device) => format!("status of {device}"),
        Control::InactiveTable(device) | Control::Table(device) => format!("table of {device}"),
    }
}

/// The scenario's error number of the same name.
pub(super) fn errno_of(number: Number) -> Errno {
    match number {
        Number::EPERM => Errno::EPERM,
        Number::ENOENT => Errno::ENOENT,
        Number::ENXIO => Errno::ENXIO,
        Number::EIO => Errno::EIO,
        Number::ENOMEM => Errno::ENOMEM,
        Number::EBUSY => Errno::EBUSY,
        Number::EEXIST => Errno::EEXIST,
        Number::ENODEV => Errno::ENODEV,
        Number::EINVAL => Errno::EINVAL,
        Number::ENOSPC => Errno::ENOSPC,
        Number::EOPNOTSUPP => Errno::EOPNOTSUPP,
        Number::EAGAIN => Errno::EAGAIN,
        other => Errno::Other(other as i32),
    }
}
