//! [`EngineActor`]: the seam's operations on a [`Machine`], by one task of the engine.
//!
//! Invariants: all names are the scenario's; an engine error number is the scenario's of the same name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as HostMutex, PoisonError};

use dmlab_engine::block::{BlkStatus, Device};
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::Task;
use dmlab_engine::sync::{Completion, Confided, Mutex, Variable};
use dmlab_engine::{block::DevId, dm};
use dmlab_scenarios::{CutAt, Errno, Fault, Loses, SuspendHow};
use dmlab_units::{Nanos, Sectors, Seed};

use super::io::EngineDevice;
use super::{faults, mounted, power};
use crate::backend::{Actor, Branch, Control, Flag, FreezeBody, OpenDevice, Started};

/// What the actors of one performance share.
pub(super) struct World {
    pub machine: Arc<Machine>,
    /// The devices that are not dm's, by their names in the scenario.
    pub leaves: BTreeMap<String, Arc<Device>>,
    pub seed: Seed,
    /// The locks that flows share, by name, made when they are first asked for.
    pub locks: HostMutex<BTreeMap<String, Arc<Mutex<()>>>>,
    /// Whether the clock moves by itself.
    pub measures: bool,
    /// What flows of the script share beside devices: the script has it, this tells the search.
    pub ledger: Confided<()>,
    /// Whether anything is mounted in the scenario.
    pub mounts: bool,
}

/// A flow of control on the engine.
pub(super) struct EngineActor<'a> {
    pub current: &'a Task,
    pub world: Arc<World>,
}

impl EngineActor<'_> {
    fn device(&self, name: &str) -> Option<Arc<Device>> {
        self.world.leaves.get(name).cloned().or_else(|| self.world.machine.dm().device(self.current, name))
    }

    fn number(&self, name: &str) -> Option<DevId> {
        self.device(name).map(|device| device.id())
    }
}

impl Actor for EngineActor<'_> {
    fn now(&self) -> Nanos {
        self.current.now()
    }

    fn sleep(&self, duration: Nanos) {
        self.current.sleep(duration);
    }

    fn measures(&self) -> bool {
        self.world.measures
    }

    fn control(&self, operation: Control<'_>) -> Result<Vec<String>, Errno> {
        let (current, dm) = (self.current, self.world.machine.dm());
        let done = |result: Result<(), dm::Errno>| result.map(|()| Vec::new());
        let result = match operation {
            Control::Create(name) => dm.create(current, name).map(|_| Vec::new()),
            Control::Load(name, table) => {
                let lines: Vec<String> = table.iter().map(|line| self.resolve(line)).collect();
                done(dm.load(current, name, &lines))
            }
            Control::Suspend { device, how } => done(dm.suspend(current, device, flags_of(how))),
            Control::Resume { device, how } => done(dm.resume_flagged(current, device, flags_of(how))),
            Control::Remove(name) => done(dm.remove(current, name)),
            Control::RemoveDeferred(name) => done(dm.remove_deferred(current, name)),
            Control::Clear(name) => done(dm.clear(current, name)),
            Control::Rename(name, to) => done(dm.rename(current, name, to)),
            Control::SetUuid(name, uuid) => done(dm.set_uuid(current, name, uuid)),
            Control::Message { device, sector, text } => {
                dm.message(current, device, sector, text).map(|reply| reply.into_iter().collect())
            }
            Control::WaitEvent(name, after) => match after.map_or_else(|| dm.event_nr(current, name), Ok) {
                Ok(after) => dm.wait_event(current, name, after),
                Err(errno) => Err(errno),
            },
            Control::EventNr(name) => dm.event_nr(current, name).map(|number| vec![number.to_string()]),
            Control::Deps(name, inactive) => {
                let which = if inactive { dm::Which::Inactive } else { dm::Which::Live };
                dm.deps(current, name, which).map(|ids| ids.iter().map(ToString::to_string).collect())
            }
            Control::InactiveStatus(name) => dm.status_of(current, name, dm::Which::Inactive, false),
            Control::InactiveTable(name) => dm.table_of(current, name, dm::Which::Inactive),
            Control::Status(name) => dm.status(current, name, false),
            Control::Table(name) => dm.table(current, name),
        };
        result.map_err(errno_of_dm)
    }

    fn resolve(&self, line: &str) -> String {
        let word = |word: &str| match word.strip_prefix('$') {
            Some(name) => self.number(name).map_or_else(|| word.to_owned(), |id| id.to_string()),
            None => word.to_owned(),
        };
        line.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }

    fn open(&self, device: &str, slots: u32, slot_sectors: Sectors) -> Result<Box<dyn OpenDevice + '_>, Errno> {
        let found = self.device(device);
        let core = self.world.machine.core();
        // Whoever opens a disk that is dead gets -ENXIO (bdev_open).
        let device = found.filter(|device| !core.is_gone(self.current, device)).ok_or(Errno::ENXIO)?;
        Ok(Box::new(EngineDevice::new(self.current, device, (slots, slot_sectors), self.world.measures)))
    }

    fn set_faults(&self, faults: &[Fault]) {
        let core = self.world.machine.core();
        core.set_slab_faults(self.current, faults::slab_faults(faults, self.world.seed));
        core.set_io_faults(self.current, faults::io_faults(faults, self.world.seed));
        for (name, device) in &self.world.leaves {
            if !faults::may_hold(faults, name) {
                core.release_held(self.current, device);
            }
        }
    }

    fn release(&self, device: &str) {
        let device = self.world.leaves.get(device).expect("checked: a leaf device");
        self.world.machine.core().release_held(self.current, device);
    }

    fn unplug(&self, device: &str) {
        let device = self.world.leaves.get(device).expect("checked: a leaf device");
        self.world.machine.unplug(self.current, device);
    }

    fn mount(&self, device: &str, slot_sectors: Sectors, freeze: FreezeBody) -> Result<(), Errno> {
        mounted::mount(self.current, &self.world, device, slot_sectors, freeze).map_err(errno_of_dm)
    }

    fn unmount(&self, device: &str) -> Result<(), Errno> {
        mounted::unmount(self.current, &self.world, device).map_err(errno_of_dm)
    }

    fn watch_power(&self, at: CutAt) {
        power::watch(self, at);
    }

    fn cut_power(&self) {
        self.world.machine.core().cut_power();
    }

    fn power_is_off(&self) -> Arc<dyn Flag> {
        Arc::new(power::Off(Arc::clone(self.world.machine.core())))
    }

    fn restart(&self, loses: Loses) -> Result<(), String> {
        power::restart(self, loses)
    }

    fn confide(&self, use_it: &mut dyn FnMut()) {
        self.world.ledger.change(self.current, |()| use_it());
    }

    fn start<'a>(&'a self, branch: Branch) -> Box<dyn Started + 'a> {
        let ended = Completion::new(self.current.runtime(), &format!("{} to end", branch.name));
        let (world, there) = (Arc::clone(&self.world), ended.clone());
        let task = self.current.spawn(&branch.name, move |current| {
            (branch.body)(&EngineActor { current, world });
            there.complete(current);
        });
        ended.declare_completer(self.current, task);
        Box::new(Ended { current: self.current, ended })
    }

    fn exclusively(&self, lock: &str, what: &mut dyn FnMut()) {
        // Held for the look-up alone: nothing in it is a step of a schedule.
        let mut locks = self.world.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = locks.entry(lock.to_owned());
        let lock = Arc::clone(known.or_insert_with(|| Arc::new(Mutex::new(self.current.runtime(), lock, ()))));
        drop(locks);
        let _held = lock.lock(self.current);
        what();
    }

    fn flag(&self, name: &str) -> Arc<dyn Flag> {
        Arc::new(Variable::new(self.current.runtime(), name, 0))
    }
}

/// A task's end, waited for by the task that started it.
struct Ended<'a> {
    current: &'a Task,
    ended: Completion,
}

impl Started for Ended<'_> {
    fn join(self: Box<Self>) {
        self.ended.wait(self.current);
    }
}

impl Flag for Variable {
    fn raise(&self) {
        self.set(1);
    }

    fn is_up(&self) -> bool {
        self.get() != 0
    }
}

fn flags_of(how: SuspendHow) -> dm::SuspendFlags {
    let mut flags = dm::SuspendFlags::LOCKFS;
    flags.set(dm::SuspendFlags::NOFLUSH, how.noflush);
    flags.set(dm::SuspendFlags::LOCKFS, !how.nolockfs);
    flags
}

/// dm's error for what user space sees; what dm has no word for is an I/O error to it.
pub(super) fn errno_to_dm(errno: Errno) -> dm::Errno {
    match errno {
        Errno::ENOMEM => dm::Errno::ENOMEM,
        Errno::ENXIO => dm::Errno::ENXIO,
        Errno::ENODEV => dm::Errno::ENODEV,
        _ => dm::Errno::EIO,
    }
}

fn errno_of_dm(errno: dm::Errno) -> Errno {
    match errno {
        dm::Errno::EBUSY => Errno::EBUSY,
        dm::Errno::EINVAL => Errno::EINVAL,
        dm::Errno::EIO => Errno::EIO,
        dm::Errno::ENODEV => Errno::ENODEV,
        dm::Errno::ENOENT => Errno::ENOENT,
        dm::Errno::ENOMEM => Errno::ENOMEM,
        dm::Errno::ENXIO => Errno::ENXIO,
    }
}

/// The error number that user space would see.
pub(super) fn errno_of_status(status: BlkStatus) -> Option<Errno> {
    match status {
        BlkStatus::Ok => None,
        BlkStatus::IoErr | BlkStatus::DmRequeue => Some(Errno::EIO),
        BlkStatus::NotSupp => Some(Errno::EOPNOTSUPP),
        BlkStatus::NoSpc => Some(Errno::ENOSPC),
        BlkStatus::Resource => Some(Errno::ENOMEM),
        BlkStatus::Again => Some(Errno::EAGAIN),
    }
}
