//! [`TargetHost`]: what a target may ask of the device that its table is for, and [`Events`], the device's events.
//!
//! Invariants: a target of a table that is not live raises no event (`dm_table_event_callback` is set by the bind and
//! taken back by the unbind); an event is counted before anybody who waits for it is woken.
//! Not here: the global event number and `poll` on the control device.

use std::sync::{Arc, Weak};

use super::accounting::IoAccounting;
use super::mapped_device::MappedDevice;
use crate::block::{BlockCore, DevId};
use crate::sched::Task;
use crate::sync::{Confided, Variable, WaitQueue};

/// The events of a mapped device: `md->event_nr` and `md->eventq`.
pub struct Events {
    number: Confided<u32>,
    waiters: WaitQueue,
}

impl Events {
    /// No event so far on the device `name`.
    pub fn new(current: &Task, name: &str) -> Self {
        let runtime = current.runtime();
        let number = Confided::new(runtime, &format!("{name}.event_nr"), 0);
        Self { number, waiters: WaitQueue::new(runtime, &format!("{name}.eventq")) }
    }

    /// `dm_get_event_nr`.
    pub fn number(&self, current: &Task) -> u32 {
        self.number.look(current, |number| *number)
    }

    /// `event_callback`: one event more.
    pub fn raise(&self, current: &Task) {
        self.number.change(current, |number| *number = number.wrapping_add(1));
        self.waiters.wake_up_all(current);
    }

    /// `dm_wait_event`: sleeps until the number is another than `known`.
    pub fn wait(&self, current: &Task, known: u32) {
        let _frame = current.enter("dm_wait_event");
        self.waiters.wait_event(current, || self.number(current) != known);
    }
}

/// A table's way to its device. A target that needs it later keeps the `Arc` of its constructor's arguments.
pub struct TargetHost {
    core: Arc<BlockCore>,
    name: Box<str>,
    dev: DevId,
    accounting: Arc<IoAccounting>,
    events: Arc<Events>,
    md: Weak<MappedDevice>,
    /// Whether the table is live.
    bound: Variable,
}

impl TargetHost {
    /// For a new table of the device `name`.
    pub(super) fn new(
        current: &Task,
        core: &Arc<BlockCore>,
        (name, dev): (&str, DevId),
        accounting: &Arc<IoAccounting>,
        events: &Arc<Events>,
        md: Weak<MappedDevice>,
    ) -> Arc<Self> {
        let bound = Variable::new(current.runtime(), &format!("{name}.bound"), 0);
        let (accounting, events) = (Arc::clone(accounting), Arc::clone(events));
        Arc::new(Self { core: Arc::clone(core), name: name.into(), dev, accounting, events, md, bound })
    }

    /// Name of the mapped device (not of its disk).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `dm_table_device_name`: `major:minor` of the mapped device, as the kernel log has it.
    pub const fn dev(&self) -> DevId {
        self.dev
    }

    /// The machine's block layer.
    pub const fn core(&self) -> &Arc<BlockCore> {
        &self.core
    }

    /// `DMERR`, `DMWARN` and their like: `text` begins with the target's own prefix, e.g. `device-mapper: dust: …`.
    pub fn log(&self, current: &Task, text: impl Into<String>) {
        self.core.log(current, text.into());
    }

    /// `dm_table_event`: tells everybody who waits for an event of the device. Only where one may sleep: from `end_io`,
    /// queue work that does it.
    pub fn event(&self, current: &Task) {
        if self.bound.get() != 0 {
            self.events.raise(current);
        }
    }

    /// `dm_internal_suspend_fast` and `dm_internal_resume_fast` around `section`, for the device of another table; without
    /// suspending anything if that device has gone (`dm_hold` fails).
    pub fn internal_suspend_fast(&self, current: &Task, mut section: impl FnMut()) {
        match self.md.upgrade() {
            Some(md) => md.internal_suspend_fast(current, &mut section),
            None => section(),
        }
    }

    /// `dm_noflush_suspending`: whether a suspend is under way that lets targets push bios back (`Mapped::Requeue`).
    pub fn noflush_suspending(&self) -> bool {
        self.accounting.is_noflush_suspending()
    }

    /// `dm_suspended`: whether the device is suspended.
    pub fn is_suspended(&self) -> bool {
        self.accounting.is_suspended()
    }

    /// `dm_post_suspending`: whether the device is just calling the `postsuspend` hooks.
    pub fn is_post_suspending(&self) -> bool {
        self.accounting.is_post_suspending()
    }

    /// The table has become live, or ceases to be.
    pub(super) fn set_bound(&self, bound: bool) {
        self.bound.set(u64::from(bound));
    }
}
