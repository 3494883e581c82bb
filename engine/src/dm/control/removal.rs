//! [`DeferredRemoval`]: devices that go when nobody holds them open any more (`DM_DEFERRED_REMOVE`).
//!
//! The last to close such a device queues a work item, which removes every device that is marked and closed.
//! Invariants: a device that was marked and not unmarked is gone soon after its last user; who marks a device looks again
//! whether it is open, so that a close in between is not missed.
//! Not here: removing a device that nobody holds (`control`).

use std::sync::Arc;

use super::{Cell, DmControl, Registry};
use crate::dm::errno::Errno;
use crate::sched::Task;
use crate::sync::{Work, Workqueue, WqFlags};
use crate::variants::Planted;

/// `deferred_remove_workqueue` and its work.
pub(in crate::dm) struct DeferredRemoval {
    wq: Workqueue,
    work: Work,
}

impl DeferredRemoval {
    pub(super) fn new(current: &Task, registry: &Arc<Registry>) -> Arc<Self> {
        let registry = Arc::downgrade(registry);
        let work = Work::new("do_deferred_remove", move |worker| {
            if let Some(registry) = registry.upgrade() {
                registry.remove_deferred(worker);
            }
        });
        let flags = WqFlags { max_active: 1, mem_reclaim: false, worker_fails: None };
        Arc::new(Self { wq: Workqueue::new(current.runtime(), "kdmremove", flags), work })
    }

    /// Has every device removed that is marked and closed.
    pub(in crate::dm) fn kick(&self, current: &Task) {
        self.wq.queue(current, &self.work);
    }
}

impl Registry {
    /// `dm_deferred_remove`: one device after the other, since the removal of one may close the next.
    fn remove_deferred(&self, worker: &Task) {
        let _frame = worker.enter("dm_deferred_remove");
        loop {
            let mut cells = self.cells.write(worker);
            let ready = |cell: &Cell| cell.md.is_to_be_removed() && !cell.dev.is_open();
            let Some(name) = cells.iter().find(|(_, cell)| ready(cell)).map(|(name, _)| name.clone()) else { return };
            let cell = cells.remove(&name).expect("just found");
            drop(cells);
            self.destroy(worker, &cell);
        }
    }

    /// What is left of a removal once nobody can find the device any more.
    pub(super) fn destroy(&self, current: &Task, cell: &Cell) {
        self.devices.remove(current, cell.dev.id());
        cell.md.raise_event(current);
        let inactive = cell.inactive.change(current, Option::take);
        if let Some(inactive) = inactive {
            inactive.destroy(current);
        }
        cell.md.destroy(current);
    }
}

impl DmControl {
    /// `DM_DEV_REMOVE` with `DM_DEFERRED_REMOVE`: a device that is held open goes when its last user closes it.
    ///
    /// # Errors
    /// `ENXIO` when there is no such device.
    pub fn remove_deferred(&self, current: &Task, name: &str) -> Result<(), Errno> {
        match self.remove(current, name) {
            Err(Errno::EBUSY) => {}
            result => return result,
        }
        let cell = self.find(current, name)?;
        cell.md.set_to_be_removed();
        if !cell.dev.is_open() && self.registry.core.variants().planted != Planted::ForgetsRemoval {
            self.removal.kick(current);
        }
        Ok(())
    }
}
