//! [`MappedDevice`]: `struct mapped_device`: the live table, I/O in flight, deferral, suspend and resume (dm-spec §8.3).
//!
//! Lock order: `suspend_lock`, then the SRCU domain of the live table, then the sections.
//! Invariants: bios are mapped only inside an SRCU read section that saw `block_io` clear; `suspend` sets it, waits for
//! the readers and then for what is in flight, so that after it nothing is mapped and nothing is under way (I7);
//! bios are deferred and processed first in, first out (a suspend that comes between sends the one in
//! hand to the end of the queue, as in the kernel).
//! Not here: noflush push-back (no target here requeues), file system freezing, internal suspend, events.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::errno::Errno;
use super::split::split_and_process_bio;
use super::table::Table;
use crate::block::bio_set::BIO_POOL_SIZE;
use crate::block::submit::submit_bio_noacct;
use crate::block::{Bio, BioSet, BlkStatus, BlockCore, Device, Driver};
use crate::sched::Task;
use crate::sched::cell::Word;
use crate::sync::{Gfp, Mutex, SpinSection, Srcu, WaitQueue, Work, Workqueue, WqFlags};
use crate::variants::{Planted, Split, Variants};

/// What the SRCU domain publishes.
#[derive(Clone, Default)]
struct Live {
    table: Option<Arc<Table>>,
    /// `DMF_BLOCK_IO_FOR_SUSPEND`.
    block_io: bool,
}

/// Under `suspend_lock`.
#[derive(Default)]
struct SuspendState {
    /// `DMF_SUSPENDED`.
    suspended: bool,
}

#[derive(Default)]
struct InFlight {
    count: u64,
    peak: u64,
}

/// A dm device.
pub struct MappedDevice {
    name: Box<str>,
    core: Arc<BlockCore>,
    live: Srcu<Live>,
    suspend_lock: Mutex<SuspendState>,
    /// A copy of `suspended` for status and checks.
    suspended: Word,
    in_flight: SpinSection<InFlight>,
    /// `md->wait`: woken when nothing is in flight.
    wait: WaitQueue,
    deferred: SpinSection<VecDeque<Bio>>,
    wq: Workqueue,
    work: Work,
    bio_split: BioSet,
}

impl MappedDevice {
    /// A device without a table, called `name` in reports.
    pub fn new(current: &Task, core: &Arc<BlockCore>, name: &str) -> Arc<Self> {
        let runtime = current.runtime();
        let named = |part: &str| format!("{name}.{part}");
        Arc::new_cyclic(|md: &Weak<Self>| {
            let to_work = Weak::clone(md);
            let work = Work::new(move |worker| {
                if let Some(md) = to_work.upgrade() {
                    md.wq_work(worker);
                }
            });
            Self {
                name: name.into(),
                core: Arc::clone(core),
                live: Srcu::new(runtime, &named("io_barrier"), Live::default()),
                suspend_lock: Mutex::new(runtime, &named("suspend_lock"), SuspendState::default()),
                suspended: Word::default(),
                in_flight: SpinSection::new(runtime, &named("in_flight"), InFlight::default()),
                wait: WaitQueue::new(runtime, &named("wait")),
                deferred: SpinSection::new(runtime, &named("deferred_lock"), VecDeque::new()),
                wq: Workqueue::new(runtime, &format!("kdmflush/{name}"), WqFlags::ORDERED_RECLAIM),
                work,
                bio_split: BioSet::new(current, core, &named("bio_split"), BIO_POOL_SIZE, false),
            }
        })
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

    /// `q->bio_split`.
    pub(super) const fn bio_split(&self) -> &BioSet {
        &self.bio_split
    }

    /// The live table.
    pub fn live_table(&self, current: &Task) -> Option<Arc<Table>> {
        self.live.read_lock(current).table.clone()
    }

    /// Whether it is suspended.
    pub fn is_suspended(&self) -> bool {
        self.suspended.get() != 0
    }

    /// The most original bios that were ever in flight at once.
    pub fn peak_in_flight(&self) -> u64 {
        self.in_flight.peek(|in_flight| in_flight.peak)
    }

    /// `dm_submit_bio` / `dm_make_request`.
    #[inline]
    pub(super) fn submit(self: &Arc<Self>, current: &Task, bio: Bio) {
        let _frame = current.enter("dm_submit_bio");
        let live = self.live.read_lock(current);
        if live.table.is_some() && live.block_io && self.planted() != Planted::MapsWhileSuspended {
            drop(live);
            return self.defer(current, bio);
        }
        self.process(current, live.table.as_ref(), bio);
    }

    fn process(self: &Arc<Self>, current: &Task, table: Option<&Arc<Table>>, bio: Bio) {
        match table {
            Some(table) => split_and_process_bio(current, self, table, bio),
            None => {
                let message = format!("device-mapper: core: {}: mapping table unavailable, erroring io", self.name);
                self.core.log(current, message);
                bio.end(current, BlkStatus::IoErr);
            }
        }
    }

    /// `queue_io`: keeps a bio for the time after the suspend.
    fn defer(&self, current: &Task, bio: Bio) {
        let _frame = current.enter("queue_io");
        self.deferred.with(current, |deferred| deferred.push_back(bio));
        self.wq.queue(current, &self.work);
    }

    /// `dm_wq_work`: processes what was deferred, unless the device is (again) suspended.
    fn wq_work(self: &Arc<Self>, worker: &Task) {
        let _frame = worker.enter("dm_wq_work");
        loop {
            let live = self.live.read_lock(worker);
            if live.block_io {
                return;
            }
            let Some(bio) = self.deferred.with(worker, VecDeque::pop_front) else { return };
            // Since 5.10 the worker submits like anyone; before, it split right here, without a bio_list. The older
            // splits are modelled as they came: with the older worker.
            match self.variants().split {
                Split::Trim if self.planted() != Planted::SplitsInWorker => {
                    drop(live);
                    submit_bio_noacct(worker, bio);
                }
                _ => self.process(worker, live.table.as_ref(), bio),
            }
        }
    }

    /// `dm_suspend`, with lockfs left out.
    ///
    /// # Errors
    /// `EINVAL` when it is suspended already (the ioctl looks first, so only the loser of a race sees it).
    pub fn suspend(&self, current: &Task, _noflush: bool) -> Result<(), Errno> {
        let _frame = current.enter("dm_suspend");
        let mut state = self.suspend_lock.lock(current);
        if state.suspended {
            return Err(Errno::EINVAL);
        }
        let table = self.live.published().table;
        self.live.publish(current, Live { table, block_io: true });
        self.live.synchronize(current);
        self.wq.flush(current);
        if self.planted() != Planted::SuspendNoWait {
            let _frame = current.enter("dm_wait_for_completion");
            self.wait.wait_event(current, || self.in_flight.with(current, |in_flight| in_flight.count == 0));
        }
        self.check_nothing_in_flight(current);
        state.suspended = true;
        self.suspended.set(1);
        Ok(())
    }

    /// I7, the other half: what a suspend returns over is over.
    fn check_nothing_in_flight(&self, current: &Task) {
        let count = self.in_flight.peek(|in_flight| in_flight.count);
        if count > 0 {
            current.bug(format!("{}: suspend returns with {count} bio(s) in flight", self.name));
        }
    }

    /// `dm_swap_table`: makes `table` the live one of a suspended device.
    ///
    /// # Errors
    /// `EINVAL` when the device is not suspended, or the table does not fit the devices below; then the old one stays.
    pub fn swap_table(&self, current: &Task, dev: &Device, table: Arc<Table>) -> Result<(), Errno> {
        let _frame = current.enter("dm_swap_table");
        let state = self.suspend_lock.lock(current);
        if !state.suspended {
            return Err(Errno::EINVAL);
        }
        if let Some(complaint) = table.invalid_area() {
            self.core.log(current, format!("device-mapper: table: {}: {complaint}", dev.id()));
            return Err(Errno::EINVAL);
        }
        dev.set_capacity(table.size());
        self.live.publish(current, Live { table: Some(table), block_io: true });
        Ok(())
    }

    /// `dm_resume`: lets I/O flow again.
    ///
    /// # Errors
    /// `EINVAL` when it is not suspended, or has no table to run with (it stays suspended then).
    pub fn resume(&self, current: &Task) -> Result<(), Errno> {
        let _frame = current.enter("dm_resume");
        let mut state = self.suspend_lock.lock(current);
        let live = self.live.published();
        if !state.suspended || live.table.is_none() {
            return Err(Errno::EINVAL);
        }
        state.suspended = false;
        // Before I/O can flow, so that nobody who maps sees the device still marked as suspended.
        self.suspended.set(0);
        self.live.publish(current, Live { block_io: false, ..live });
        drop(state);
        // dm_queue_flush
        self.wq.queue(current, &self.work);
        Ok(())
    }

    /// `__dm_destroy`: no table, no I/O. The caller has made sure that nobody holds the device open.
    pub fn destroy(&self, current: &Task) {
        let _frame = current.enter("dm_destroy");
        // A device that was suspended already stays so.
        let _ = self.suspend(current, true);
        self.wq.drain(current);
        self.live.publish(current, Live::default());
        self.live.synchronize(current);
    }

    #[inline]
    pub(super) fn start_io_acct(&self, current: &Task) {
        self.in_flight.with(current, |in_flight| {
            in_flight.count += 1;
            in_flight.peak = in_flight.peak.max(in_flight.count);
        });
    }

    #[inline]
    pub(super) fn end_io_acct(&self, current: &Task) {
        let left = self.in_flight.with(current, |in_flight| {
            in_flight.count -= 1;
            in_flight.count
        });
        // The kernel asks wq_has_sleeper first; so does this: only a suspender sleeps here, and it has set block_io.
        if left == 0 && self.live.published().block_io {
            self.wait.wake_up_all(current);
        }
    }

    /// I7: no map call between the return of a suspend and the resume.
    #[inline]
    pub(super) fn check_may_map(&self, current: &Task) {
        if self.is_suspended() {
            current.bug(format!("{}: a bio is mapped while the device is suspended", self.name));
        }
    }

    /// [`Planted::SleepsAtomic`]: a waiting allocation under a spinlock (I9 must catch it).
    #[inline]
    pub(super) fn maybe_sleep_atomic(&self, current: &Task) {
        if self.planted() == Planted::SleepsAtomic {
            current.atomically(|| self.bio_split.pool().alloc(current, Gfp::NoIo));
        }
    }

    /// What must be true when nothing runs any more: nothing in flight or deferred, every set's pool at rest.
    pub fn at_rest(&self) -> Result<(), String> {
        let in_flight = self.in_flight.peek(|in_flight| in_flight.count);
        let deferred = self.deferred.peek(VecDeque::len);
        match (in_flight, deferred) {
            (0, 0) => Ok(()),
            (0, n) => Err(format!("{}: {n} deferred bio(s) were never processed", self.name)),
            (n, _) => Err(format!("{}: {n} bio(s) are still in flight", self.name)),
        }
    }
}

/// The driver of a mapped device's disk.
pub(super) struct DmDriver(pub(super) Arc<MappedDevice>);

impl Driver for DmDriver {
    #[inline]
    fn submit_bio(&self, current: &Task, _dev: &Arc<Device>, bio: Bio) {
        self.0.submit(current, bio);
    }
}
