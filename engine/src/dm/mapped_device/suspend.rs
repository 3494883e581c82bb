//! Suspend and resume of a mapped device, a user's and the kernel's own (`dm_suspend`, `dm_resume`, `dm_internal_suspend_*`;
//! dm-spec §8.3).
//!
//! Invariants: `block_io` is set before the readers of the live table are waited for, and these before what is in flight;
//! I/O flows again only after the targets were resumed and nobody marks the device as suspended any more. Suspensions of
//! the kernel's own nest, and a user's waits for their end.
//! Not here: what happens to bios that come meanwhile (`deferred`), tables that are swapped (`super`).

use std::sync::Arc;

use super::super::accounting::By;
use super::super::errno::Errno;
use super::super::table::{Slot, Table, TableTarget};
use super::{Live, MappedDevice};
use crate::sched::Task;
use crate::sync::lock::MutexGuard;
use crate::variants::Planted;

/// Under `suspend_lock`.
#[derive(Default)]
pub(super) struct SuspendState {
    /// `DMF_SUSPENDED`.
    pub(super) suspended: bool,
    /// `internal_suspend_count`.
    internal: u32,
    /// `DMF_FROZEN`.
    frozen: Option<Arc<dyn Holder>>,
    /// What lives on the device and is frozen before a suspend.
    holder: Option<Arc<dyn Holder>>,
    /// The active slot; what readers see of it is published by `live`.
    pub(super) active: Option<Slot>,
}

bitflags::bitflags! {
    /// How to suspend.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SuspendFlags: u32 {
        /// `DM_SUSPEND_LOCKFS_FLAG`: freeze what lives on the device first.
        const LOCKFS = 1;
        /// `DM_SUSPEND_NOFLUSH_FLAG`: targets may push bios back instead of finishing them.
        const NOFLUSH = 1 << 1;
    }
}

/// What lives on a device, as a file system does: it is frozen before a suspend that flushes, so that what it has
/// written is written (`bdev_freeze`, `bdev_thaw`).
pub trait Holder: Send + Sync {
    /// Writes everything out and begins nothing new.
    ///
    /// # Errors
    /// Why it cannot; the suspend then does not take place.
    fn freeze(&self, current: &Task) -> Result<(), Errno>;

    /// May go on.
    fn thaw(&self, current: &Task);
}

impl MappedDevice {
    /// What lives on the device from now on; gives what did. Waits for a suspend or resume that is under way.
    pub fn set_holder(&self, current: &Task, holder: Option<Arc<dyn Holder>>) -> Option<Arc<dyn Holder>> {
        std::mem::replace(&mut self.suspend_lock.lock(current).holder, holder)
    }

    /// `dm_suspend`.
    ///
    /// # Errors
    /// `EINVAL` when it is suspended already (the ioctl looks first, so only the loser of a race sees it); what a holder
    /// that cannot be frozen answers.
    pub fn suspend(&self, current: &Task, flags: SuspendFlags) -> Result<(), Errno> {
        let _frame = current.enter("dm_suspend");
        let mut state = self.lock_when_not_internal(current, true);
        if state.suspended {
            return Err(Errno::EINVAL);
        }
        self.quiesce(current, &mut state, flags, By::User)?;
        state.suspended = true;
        Ok(())
    }

    /// Takes the suspend lock when the device is not suspended internally, or, where that is not the point, when the
    /// user's suspension is `as_is` already.
    fn lock_when_not_internal<'a>(&'a self, current: &'a Task, as_is: bool) -> MutexGuard<'a, SuspendState> {
        loop {
            let state = self.suspend_lock.lock(current);
            if state.suspended == as_is || !self.accounting.is_suspended_internally() {
                return state;
            }
            drop(state);
            self.internal_resume.wait_event(current, || !self.accounting.is_suspended_internally());
        }
    }

    /// `__dm_suspend` and the `postsuspend` hooks.
    fn quiesce(&self, current: &Task, state: &mut SuspendState, flags: SuspendFlags, by: By) -> Result<(), Errno> {
        let _frame = current.enter("__dm_suspend");
        let table = self.live.published().table;
        let targets = table.as_deref().map_or(&[][..], Table::targets);
        let noflush = flags.contains(SuspendFlags::NOFLUSH);
        // Before presuspend: a target that pushes bios back looks at it.
        self.accounting.set_noflush_suspending(noflush);
        targets.iter().for_each(|target| target.target.presuspend(current));
        // noflush takes precedence over lockfs; without a table there is nothing to write to.
        let locks_fs = !noflush && flags.contains(SuspendFlags::LOCKFS) && table.is_some();
        let is_late = self.planted() == Planted::FreezesLate;
        if locks_fs && !is_late {
            self.lock_fs(current, state, targets)?;
        }
        self.accounting.set_block_io(true);
        self.live.publish(current, Live { table: table.clone(), block_io: true });
        self.live.synchronize(current);
        if locks_fs && is_late {
            self.lock_fs(current, state, targets)?;
        }
        self.deferred.wq().flush(current);
        if self.planted() != Planted::SuspendNoWait {
            self.accounting.wait_until_idle(current);
        }
        self.accounting.check_nothing_in_flight(current);
        self.accounting.set_suspended(by, true);
        self.accounting.set_noflush_suspending(false);
        self.accounting.set_post_suspending(true);
        targets.iter().for_each(|target| target.target.postsuspend(current));
        self.accounting.set_post_suspending(false);
        Ok(())
    }

    /// `lock_fs`: freezes what lives on the device.
    fn lock_fs(&self, current: &Task, state: &mut SuspendState, targets: &[TableTarget]) -> Result<(), Errno> {
        let _frame = current.enter("lock_fs");
        let Some(holder) = state.holder.clone() else { return Ok(()) };
        if let Err(errno) = holder.freeze(current) {
            targets.iter().for_each(|target| target.target.presuspend_undo(current));
            return Err(errno);
        }
        state.frozen = Some(holder);
        Ok(())
    }

    /// `dm_internal_suspend_fast`, then `section`, then `dm_internal_resume_fast`: nothing is mapped or in flight meanwhile,
    /// and no target is told. The suspend lock is held all the time. A device that is suspended stays so.
    pub(in crate::dm) fn internal_suspend_fast(&self, current: &Task, section: &mut dyn FnMut()) {
        let _frame = current.enter("dm_internal_suspend_fast");
        let _state = self.suspend_lock.lock(current);
        let live = self.live.published();
        self.accounting.set_block_io(true);
        self.live.publish(current, Live { block_io: true, ..live.clone() });
        self.live.synchronize(current);
        self.deferred.wq().flush(current);
        self.accounting.wait_until_idle(current);
        section();
        self.accounting.set_block_io(live.block_io);
        self.live.publish(current, live);
        self.deferred.kick(current);
    }

    /// `dm_internal_suspend_noflush`: as a suspend, for the kernel's own use; nests, also with a user's.
    pub fn internal_suspend(&self, current: &Task) {
        let _frame = current.enter("dm_internal_suspend_noflush");
        let mut state = self.suspend_lock.lock(current);
        state.internal += 1;
        if state.internal > 1 {
            return;
        }
        if state.suspended {
            return self.accounting.set_suspended(By::Kernel, true);
        }
        let done = self.quiesce(current, &mut state, SuspendFlags::NOFLUSH, By::Kernel);
        done.expect("a suspend that freezes nobody succeeds");
    }

    /// `dm_internal_resume`: ends the outermost internal suspend if it is the last to. A `BUG` without one.
    pub fn internal_resume(&self, current: &Task) {
        let _frame = current.enter("dm_internal_resume");
        let mut state = self.suspend_lock.lock(current);
        if state.internal == 0 {
            current.bug(format!("{}: internal resume without an internal suspend", self.name));
        }
        state.internal -= 1;
        if state.internal > 0 {
            return;
        }
        if !state.suspended
            && let Some(table) = self.live.published().table
            && let Err(errno) = self.resume_targets(current, &table)
        {
            // Nobody can be told: it stays suspended, for the user to see to.
            let message = format!("device-mapper: core: Preresume method failed: -{}", errno.number());
            self.core.log(current, message);
            state.suspended = true;
            self.accounting.set_suspended(By::User, true);
        }
        self.accounting.set_suspended(By::Kernel, false);
        if !state.suspended {
            self.let_io_flow(current, &mut state);
        }
        drop(state);
        self.internal_resume.wake_up_all(current);
    }

    /// `dm_queue_flush` and `unlock_fs`.
    fn let_io_flow(&self, current: &Task, state: &mut SuspendState) {
        self.accounting.set_block_io(false);
        let live = self.live.published();
        self.live.publish(current, Live { block_io: false, ..live });
        self.deferred.kick(current);
        if let Some(holder) = state.frozen.take() {
            holder.thaw(current);
        }
    }

    /// `dm_resume`: lets I/O flow again.
    ///
    /// # Errors
    /// `EINVAL` when it is not suspended, or has no table to run with (it stays suspended then).
    pub fn resume(&self, current: &Task) -> Result<(), Errno> {
        let _frame = current.enter("dm_resume");
        let mut state = self.lock_when_not_internal(current, false);
        let live = self.live.published();
        let Some(table) = live.table.as_deref().filter(|_| state.suspended) else { return Err(Errno::EINVAL) };
        self.resume_targets(current, table)?;
        state.suspended = false;
        // Before I/O can flow, so that nobody who maps sees the device still marked as suspended.
        self.accounting.set_suspended(By::User, false);
        self.let_io_flow(current, &mut state);
        Ok(())
    }

    /// `dm_table_resume_targets`.
    fn resume_targets(&self, current: &Task, table: &Table) -> Result<(), Errno> {
        for target in table.targets() {
            target.target.preresume(current).inspect_err(|errno| {
                let (dev, name, number) = (table.host().dev(), target.kind.name, errno.number());
                let message = format!("device-mapper: table: {dev}: {name}: preresume failed, error = -{number}");
                self.core.log(current, message);
            })?;
        }
        table.targets().iter().for_each(|target| target.target.resume(current));
        Ok(())
    }

    /// Whether it is suspended by the kernel itself.
    pub fn is_suspended_internally(&self) -> bool {
        self.accounting.is_suspended_internally()
    }

    /// Holds the suspend lock around `section`: [`Planted::LocksBackwards`].
    pub(in crate::dm) fn under_suspend_lock(&self, current: &Task, section: impl FnOnce()) {
        let _state = self.suspend_lock.lock(current);
        section();
    }
}
