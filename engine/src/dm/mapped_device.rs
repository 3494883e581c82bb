//! [`MappedDevice`]: `struct mapped_device`: the live table, the way of a bio through it, deferral (dm-spec §8.3).
//!
//! Lock order: `suspend_lock`, then the SRCU domain of the live table, then the sections.
//! Invariants: bios are mapped only inside an SRCU read section that saw `block_io` clear; `suspend` sets it, waits for
//! the readers and then for what is in flight, so that after it nothing is mapped and nothing is under way (I7);
//! bios are deferred and processed first in, first out (a suspend that comes between sends the one in
//! hand to the end of the queue, as in the kernel).
//! Not here: suspend and resume (`suspend`), the list of deferred bios (`deferred`), what a table lets through (`limits`).

mod driver;
mod suspend;

use std::sync::{Arc, Weak};

use super::accounting::IoAccounting;
use super::deferred::Deferred;
use super::errno::Errno;
use super::host::{Events, TargetHost};
use super::limits::{self, Takes};
use super::split::split_and_process_bio;
use super::table::{Slot, Table};
use super::target::TargetType;
use crate::block::bio_set::BIO_POOL_SIZE;
use crate::block::submit::submit_bio_noacct;
use crate::block::{Bio, BioFlags, BioSet, BlkStatus, BlockCore, DevId, Device};
use crate::sched::Task;
use crate::sync::{Mutex, Srcu, Variable, WaitQueue, Work};
use crate::variants::{BioSplitSet, Planted, Split, Variants};

pub(super) use driver::DmDriver;
use suspend::SuspendState;
pub use suspend::{Holder, SuspendFlags};

/// What the SRCU domain publishes.
#[derive(Clone, Default)]
struct Live {
    table: Option<Arc<Table>>,
    /// `DMF_BLOCK_IO_FOR_SUSPEND`.
    block_io: bool,
}

/// A dm device.
pub struct MappedDevice {
    name: Box<str>,
    core: Arc<BlockCore>,
    live: Srcu<Live>,
    suspend_lock: Mutex<SuspendState>,
    accounting: Arc<IoAccounting>,
    events: Arc<Events>,
    deferred: Arc<Deferred>,
    /// Among tasks that allocate the duplicates of a bio, and tables that change which devices they have open.
    table_devices_lock: Mutex<()>,
    /// What the live table lets through: [`Takes`].
    takes: Variable,
    /// Of the live table, in bytes.
    logical_block_size: Variable,
    /// `DMF_DEFERRED_REMOVE`.
    to_be_removed: Variable,
    /// Who waits for an internal resume (`wait_on_bit`).
    internal_resume: WaitQueue,
}

impl MappedDevice {
    /// A device without a table, called `name` in reports.
    pub fn new(current: &Task, core: &Arc<BlockCore>, name: &str) -> Arc<Self> {
        let runtime = current.runtime();
        let named = |part: &str| format!("{name}.{part}");
        let md = Arc::new_cyclic(|md: &Weak<Self>| {
            let to_work = Weak::clone(md);
            let work = Work::new("dm_wq_work", move |worker| {
                if let Some(md) = to_work.upgrade() {
                    md.wq_work(worker);
                }
            });
            let has_split = core.variants().bio_split == BioSplitSet::Present;
            let bio_split = has_split.then(|| BioSet::new(current, core, &named("bio_split"), BIO_POOL_SIZE, false));
            Self {
                name: name.into(),
                core: Arc::clone(core),
                live: Srcu::new(runtime, &named("io_barrier"), Live::default()),
                suspend_lock: Mutex::new(runtime, &named("suspend_lock"), SuspendState::default()),
                accounting: Arc::new(IoAccounting::new(current, name, core.variants().planted)),
                events: Arc::new(Events::new(current, name)),
                deferred: Deferred::new(current, name, bio_split, work),
                table_devices_lock: Mutex::new(runtime, &named("table_devices_lock"), ()),
                takes: Variable::new(runtime, &named("queue_limits"), 0),
                logical_block_size: Variable::new(runtime, &named("logical_block_size"), 512),
                to_be_removed: Variable::new(runtime, &named("deferred_remove"), 0),
                internal_resume: WaitQueue::new(runtime, &named("internal_resume")),
            }
        });
        let keeper = Arc::downgrade(&md.deferred);
        core.note_keeper(keeper);
        md
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.name
    }

    #[inline]
    pub(super) fn variants(&self) -> &Variants {
        self.core.variants()
    }

    #[inline]
    pub(super) fn planted(&self) -> Planted {
        self.core.variants().planted
    }

    /// I/O in flight.
    pub(super) const fn accounting(&self) -> &Arc<IoAccounting> {
        &self.accounting
    }

    /// What it has put off.
    pub(super) const fn deferred(&self) -> &Arc<Deferred> {
        &self.deferred
    }

    /// `q->bio_split`.
    #[track_caller]
    pub(super) fn bio_split(&self, current: &Task) -> &BioSet {
        self.deferred.bio_split(current)
    }

    /// `mutex_lock(&md->table_devices_lock)`.
    pub(super) fn table_devices_lock<'a>(&'a self, current: &'a Task) -> impl Drop + 'a {
        self.table_devices_lock.lock(current)
    }

    /// `DMF_DEFERRED_REMOVE`.
    pub(super) fn is_to_be_removed(&self) -> bool {
        self.to_be_removed.get() != 0
    }

    /// Sets `DMF_DEFERRED_REMOVE`.
    pub(super) fn set_to_be_removed(&self) {
        self.to_be_removed.set(1);
    }

    /// `dm_cancel_deferred_remove`.
    ///
    /// # Errors
    /// None: a device that is being deleted is not found any more.
    pub(super) fn cancel_deferred_remove(&self) -> Result<(), Errno> {
        self.to_be_removed.set(0);
        Ok(())
    }

    /// The target type of the live table that cannot be replaced by others (`md->immutable_target_type`).
    pub(super) fn immutable_type(&self) -> Option<&'static TargetType> {
        self.live.published().table.as_ref().and_then(|table| table.immutable_type())
    }

    /// `dm_table_event` of the live table, if there is one.
    pub(super) fn raise_event(&self, current: &Task) {
        if self.live_table(current).is_some() {
            self.events.raise(current);
        }
    }

    /// Its events.
    pub const fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// The way to it for a new table; `dev` is its number.
    pub(super) fn new_host(self: &Arc<Self>, current: &Task, dev: DevId) -> Arc<TargetHost> {
        TargetHost::new(current, &self.core, (&self.name, dev), &self.accounting, &self.events, Arc::downgrade(self))
    }

    /// `dm_get_live_table` and `dm_put_live_table` around `use_it`.
    pub(super) fn with_live_table<R>(&self, current: &Task, use_it: impl FnOnce(Option<&Table>) -> R) -> R {
        let live = self.live.read_lock(current);
        use_it(live.table.as_deref())
    }

    /// The live table.
    pub fn live_table(&self, current: &Task) -> Option<Arc<Table>> {
        self.live.read_lock(current).table.clone()
    }

    /// Whether it is suspended.
    pub fn is_suspended(&self) -> bool {
        self.accounting.is_suspended()
    }

    /// Whether the live table lets this through.
    fn takes(&self, what: Takes) -> bool {
        Takes::from_bits_truncate(self.takes.get()).contains(what)
    }

    /// `dm_submit_bio` / `dm_make_request`.
    #[inline]
    pub(super) fn submit(&self, current: &Task, dev: &Arc<Device>, bio: Bio) {
        let _frame = current.enter("dm_submit_bio");
        let deferred = self.live.read_with(current, |live| {
            if live.table.is_some() && live.block_io && self.planted() != Planted::MapsWhileSuspended {
                return Some(bio);
            }
            self.process(current, dev, live.table, bio);
            None
        });
        match deferred {
            None => {}
            Some(bio) if bio.flags().contains(BioFlags::NOWAIT) => bio.end(current, BlkStatus::Again),
            Some(bio) if bio.flags().contains(BioFlags::RAHEAD) => bio.end(current, BlkStatus::IoErr),
            Some(bio) => self.deferred.queue_io(current, bio),
        }
    }

    fn process(&self, current: &Task, dev: &Arc<Device>, table: Option<Arc<Table>>, bio: Bio) {
        match table {
            Some(table) => split_and_process_bio(current, self, dev, table, bio),
            None => {
                let message = format!("device-mapper: core: {}: mapping table unavailable, erroring io", dev.id());
                self.core.log(current, message);
                bio.end(current, BlkStatus::IoErr);
            }
        }
    }

    /// `dm_wq_work`: processes what was deferred, unless the device is (again) suspended.
    fn wq_work(&self, worker: &Task) {
        let _frame = worker.enter("dm_wq_work");
        loop {
            let live = self.live.read_lock(worker);
            if live.block_io {
                return;
            }
            let Some(mut bio) = self.deferred.pop(worker) else { return };
            // Since 5.10 the worker submits like anyone; before, it split right here, without a bio_list. The older
            // splits are modelled as they came: with the older worker.
            match self.variants().split {
                Split::Trim if self.planted() != Planted::SplitsInWorker => {
                    drop(live);
                    submit_bio_noacct(worker, bio);
                }
                _ => {
                    let dev = bio.take_dev();
                    self.process(worker, &dev, live.table.clone(), bio);
                }
            }
        }
    }

    /// `dm_swap_table`: makes the table in `slot` the live one of a suspended device; gives the one that was.
    ///
    /// # Errors
    /// `EINVAL` when the device is not suspended, or the table does not fit the devices below; then the old one stays.
    pub fn swap_table(&self, current: &Task, dev: &Device, slot: Slot) -> Result<Option<Slot>, Errno> {
        let _frame = current.enter("dm_swap_table");
        let mut state = self.suspend_lock.lock(current);
        if !state.suspended {
            slot.destroy(current);
            return Err(Errno::EINVAL);
        }
        if let Some(complaint) = limits::complaint(slot.table()) {
            self.core.log(current, format!("device-mapper: table: {}: {complaint}", dev.id()));
            slot.destroy(current);
            return Err(Errno::EINVAL);
        }
        dev.set_capacity(slot.table().size());
        self.live.publish(current, Live { table: Some(Arc::clone(slot.table())), block_io: true });
        self.takes.set(Takes::of(slot.table()).bits());
        self.logical_block_size.set(limits::logical_block_size(slot.table()));
        slot.table().host().set_bound(true);
        let replaced = state.active.replace(slot);
        if let Some(replaced) = &replaced {
            replaced.table().host().set_bound(false);
        }
        Ok(replaced)
    }

    /// `__dm_destroy`: no table, no I/O. The caller has made sure that nobody holds the device open.
    pub fn destroy(&self, current: &Task) {
        let _frame = current.enter("dm_destroy");
        // A device that was suspended already stays so.
        let _ = self.suspend(current, SuspendFlags::NOFLUSH);
        self.deferred.wq().drain(current);
        self.live.publish(current, Live::default());
        self.live.synchronize(current);
        let active = self.suspend_lock.lock(current).active.take();
        if let Some(active) = active {
            active.table().host().set_bound(false);
            active.destroy(current);
        }
    }

    /// What must be true when nothing runs any more: nothing in flight or deferred, every set's pool at rest.
    pub fn at_rest(&self) -> Result<(), String> {
        let in_flight = self.accounting.count();
        let deferred = self.deferred.count();
        match (in_flight, deferred) {
            (0, 0) => Ok(()),
            (0, n) => Err(format!("{}: {n} deferred bio(s) were never processed", self.name)),
            (n, _) => Err(format!("{}: {n} bio(s) are still in flight", self.name)),
        }
    }
}
