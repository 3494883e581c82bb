//! The seam between scenarios and device-mappers: what a flow of control of a scenario may ask for.
//!
//! A backend gives an [`Actor`] to each flow of control. Table lines cross the seam in dmsetup's own syntax with the
//! scenario's names (`$name`) still in them; status and table lines come back as the backend's dm prints them, with its
//! numbers. That is what makes backends comparable.
//!
//! Invariants: an actor is used by one flow; whatever a backend makes, it unmakes.
//! Not here: what the steps mean (`script`).

pub mod engine;
pub mod guest;
pub mod kernel;
mod performance;
mod ring;

use std::sync::Arc;

use dmlab_scenarios::{CutAt, Errno, Fault, IoFlag, IoOp, Loses, SuspendHow};
use dmlab_units::{Nanos, Sectors};

pub use performance::{Performance, PoolUse};

/// A control operation on a dm device: one of dmsetup's verbs.
#[derive(Clone, Copy, Debug)]
pub enum Control<'a> {
    /// `DM_DEV_CREATE`, without a table.
    Create(&'a str),
    /// `DM_TABLE_LOAD`.
    Load(&'a str, &'a [String]),
    /// `DM_DEV_SUSPEND`.
    Suspend {
        /// The device.
        device: &'a str,
        /// `--noflush`, `--nolockfs`.
        how: SuspendHow,
    },
    /// `DM_DEV_SUSPEND` without the suspend flag.
    Resume {
        /// The device.
        device: &'a str,
        /// How it suspends, if it does for a new table.
        how: SuspendHow,
    },
    /// `DM_DEV_REMOVE`.
    Remove(&'a str),
    /// The same with `DM_DEFERRED_REMOVE`.
    RemoveDeferred(&'a str),
    /// `DM_TABLE_CLEAR`.
    Clear(&'a str),
    /// `DM_DEV_RENAME`: device and new name.
    Rename(&'a str, &'a str),
    /// `DM_DEV_RENAME` with `DM_UUID_FLAG`: device and uuid.
    SetUuid(&'a str, &'a str),
    /// `DM_TARGET_MSG`: gives the reply, if there is one.
    Message {
        /// The device.
        device: &'a str,
        /// A sector of the target.
        sector: Sectors,
        /// The message.
        text: &'a str,
    },
    /// `DM_DEV_WAIT`: device and the number of an event, or `None` for the last one.
    WaitEvent(&'a str, Option<u32>),
    /// The number of the last event: gives a number.
    EventNr(&'a str),
    /// `DM_TABLE_DEPS`, of the inactive table if asked: gives `major:minor`s.
    Deps(&'a str, bool),
    /// As [`Control::Status`], of the inactive table.
    InactiveStatus(&'a str),
    /// As [`Control::Table`], of the inactive table.
    InactiveTable(&'a str),
    /// `DM_TABLE_STATUS`: gives lines.
    Status(&'a str),
    /// The same for the table: gives lines.
    Table(&'a str),
}

/// A flow of control that an actor starts beside itself.
pub struct Branch {
    /// Name of the task.
    pub name: String,
    /// What it does.
    pub body: BranchBody,
}

/// What a flow of control does, on the actor that it is given.
pub type BranchBody = Box<dyn FnOnce(&dyn Actor) + Send>;

/// What something that lives on a device does when it is frozen.
pub type FreezeBody = Box<dyn Fn(&dyn OpenDevice) -> Result<(), Errno> + Send + Sync>;

/// One flow of control of a scenario.
pub trait Actor {
    /// The clock.
    fn now(&self) -> Nanos;

    /// Hears that a step of the scenario begins, by its line. Reports of what is stuck name it.
    fn begins(&self, _line: u32) {}

    /// Lets time pass.
    fn sleep(&self, duration: Nanos);

    /// Whether latencies are worth taking: not where time stands still.
    fn measures(&self) -> bool;

    /// A control operation; the lines are those of `Status` and `Table`.
    ///
    /// # Errors
    /// What dm answered.
    fn control(&self, operation: Control<'_>) -> Result<Vec<String>, Errno>;

    /// The scenario's `$name`s in a line, replaced by this backend's `major:minor`.
    fn resolve(&self, line: &str) -> String;

    /// Opens a device for I/O, with memory for `slots` I/Os of `slot_sectors` each at once.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device.
    fn open(&self, device: &str, slots: u32, slot_sectors: Sectors) -> Result<Box<dyn OpenDevice + '_>, Errno>;

    /// Makes these faults, and no others, be in force.
    fn set_faults(&self, faults: &[Fault]);

    /// Lets the I/O go on that a leaf device holds.
    fn release(&self, device: &str);

    /// Removes a leaf device from under its users.
    fn unplug(&self, device: &str);

    /// Something lives on a dm device from now on: it holds it open, and carries out `freeze` on it, with memory for one
    /// I/O of `slot_sectors`, before the device is suspended.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device, `EBUSY` when something lives there already.
    fn mount(&self, device: &str, slot_sectors: Sectors, freeze: FreezeBody) -> Result<(), Errno>;

    /// Nothing lives on a dm device any more.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device, `EINVAL` when nothing lives there.
    fn unmount(&self, device: &str) -> Result<(), Errno>;

    /// From now on the power of all leaf devices may go at this moment.
    fn watch_power(&self, at: CutAt);

    /// The power goes, if it has not gone yet.
    fn cut_power(&self);

    /// A flag that is up while the power is gone.
    fn power_is_off(&self) -> Arc<dyn Flag>;

    /// Removes every dm device, takes from volatile caches what is lost, and brings the power back.
    ///
    /// # Errors
    /// Which devices could not be removed.
    fn restart(&self, loses: Loses) -> Result<(), String>;

    /// Uses, within `use_it`, what flows of a script share beside devices, as one access that a search sees.
    fn confide(&self, use_it: &mut dyn FnMut());

    /// Starts a flow of control beside this one. This flow joins it before its own end.
    fn start<'a>(&'a self, branch: Branch) -> Box<dyn Started + 'a>;

    /// Runs all branches at once and returns when all have ended.
    fn fork(&self, branches: Vec<Branch>) {
        let started: Vec<_> = branches.into_iter().map(|branch| self.start(branch)).collect();
        started.into_iter().for_each(|started| started.join());
    }

    /// Does `what` while no other flow of the performance does anything under a lock of this name; flows that have to wait
    /// do so in turn. A `what` must not ask for the same lock again.
    fn exclusively(&self, lock: &str, what: &mut dyn FnMut());

    /// A flag that flows share; it is down.
    fn flag(&self, name: &str) -> Arc<dyn Flag>;
}

/// A flow of control under way, in the hands of the flow that started it.
pub trait Started {
    /// Waits until it has ended.
    fn join(self: Box<Self>);
}

/// A flag, which once raised stays up.
pub trait Flag: Send + Sync {
    /// Puts it up.
    fn raise(&self);

    /// Whether it is up.
    fn is_up(&self) -> bool;
}

/// A device that is open for I/O, with slots of memory.
pub trait OpenDevice {
    /// Its size.
    fn capacity(&self) -> Sectors;

    /// Begins an I/O between the device and the memory of `slot`, which must have none under way.
    fn submit(&self, slot: u32, op: IoOp, at: Sectors, sectors: Sectors) {
        self.submit_flagged(slot, op, &[], at, sectors);
    }

    /// As [`Self::submit`], with modifiers.
    fn submit_flagged(&self, slot: u32, op: IoOp, flags: &[IoFlag], at: Sectors, sectors: Sectors);

    /// Waits for an I/O to end, the first to end first; gives its slot and its error.
    fn reap(&self) -> (u32, Option<Errno>) {
        let (slot, error, _) = self.reap_at();
        (slot, error)
    }

    /// As [`Self::reap`], with when it ended, which may be long ago; 0 where the clock does not measure.
    fn reap_at(&self) -> (u32, Option<Errno>, Nanos);

    /// Uses the memory of `slot`.
    fn with_slot(&self, slot: u32, use_it: &mut dyn FnMut(&mut [u8]));
}
