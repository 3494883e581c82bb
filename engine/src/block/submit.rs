//! `submit_bio` and `submit_bio_noacct` (`generic_make_request` before 5.9): how a bio reaches its driver, in the four
//! ways that kernels have had (dm-spec §2).
//!
//! A driver that submits a bio while it is itself being called does not recurse (except under `recurse`): the bio
//! goes on the task's own [`BioLists`], and the outermost call works the lists off. *Submitted* is therefore not
//! *dispatched*, and every deadlock of dm-spec §3 and §4 begins there.
//!
//! Invariants: every bio enters its driver exactly once per submission, in the order of dm-spec §2.4; `active` is the
//! kernel's `current->bio_list != NULL`.
//! Not here: plugs, queue freezing, request-based queues.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use dmlab_units::Sectors;

use super::bio::Bio;
use super::device::Device;
use super::offload::flush_current_bio_list;
use super::opf::{BioFlags, BioOp};
use super::status::BlkStatus;
use crate::sched::op::pack_range;
use crate::sched::{Task, TaskLocal};
use crate::variants::{Gmr, Planted};

/// `op_is_flush`.
const FLUSHES: BioFlags = BioFlags::PREFLUSH.union(BioFlags::FUA);

/// The kernel's `current->bio_list`: bios that this task has submitted and not dispatched.
#[derive(Default)]
pub struct BioLists {
    active: Cell<bool>,
    /// Submitted since the driver was last called (`bio_list[0]`).
    new: RefCell<VecDeque<Bio>>,
    /// Submitted earlier (`bio_list[1]`); unused under `fifo`.
    older: RefCell<VecDeque<Bio>>,
    /// `hidden`: the older ones wait in a local variable of `generic_make_request`, where nobody finds them.
    hides_older: Cell<bool>,
    /// Callbacks on the plug that hand these bios over when the task blocks, and whether they look for a rescuer first.
    armed: Cell<u32>,
    checks_rescuer: Cell<bool>,
}

impl TaskLocal for BioLists {
    fn schedule(&self, current: &Task) {
        if self.armed.get() > 0 {
            flush_current_bio_list(current, self);
        }
    }

    fn is_called_back(&self) -> bool {
        self.armed.get() > 0
    }

    fn keeps(&self) -> Vec<String> {
        let bios: Vec<String> = self.new.borrow().iter().chain(&*self.older.borrow()).map(Bio::describe).collect();
        match bios.len() {
            0 => Vec::new(),
            n => vec![format!("{n} undispatched bio(s) on its current->bio_list: {}", bios.join(", "))],
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl BioLists {
    /// The lists of `current`.
    #[inline]
    pub fn of(current: &Task) -> &Self {
        current.local(Self::default)
    }

    /// Whether the task is inside `submit_bio_noacct`: the kernel's `current->bio_list != NULL`.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.active.get()
    }

    /// The lists that `current->bio_list` leads to.
    fn visible(&self) -> impl Iterator<Item = &RefCell<VecDeque<Bio>>> {
        [&self.new, &self.older].into_iter().take(if self.hides_older.get() { 1 } else { 2 })
    }

    /// Whether nothing waits to be dispatched, as far as can be seen.
    pub fn is_empty(&self) -> bool {
        self.visible().all(|list| list.borrow().is_empty())
    }

    pub(super) fn armed(&self) -> u32 {
        self.armed.get()
    }

    pub(super) fn checks_rescuer(&self) -> bool {
        self.checks_rescuer.get()
    }

    pub(super) fn arm(&self, callbacks: u32, checks_rescuer: bool) {
        self.armed.set(callbacks);
        self.checks_rescuer.set(checks_rescuer);
    }

    /// Takes the bios that `wanted` picks from the lists that can be seen, keeping their order.
    pub(super) fn extract(&self, wanted: impl Fn(&Bio) -> bool) -> Vec<Bio> {
        let mut taken = Vec::new();
        for list in self.visible() {
            let mut bios = list.take();
            taken.extend(extract_from(&mut bios, &wanted));
            list.replace(bios);
        }
        taken
    }
}

/// `submit_bio`: a bio from a file system or a user.
#[inline]
pub fn submit_bio(current: &Task, bio: Bio) {
    let _frame = current.enter("submit_bio");
    submit_bio_noacct(current, bio);
}

/// `submit_bio_noacct`: checks, then the driver now or later.
pub fn submit_bio_noacct(current: &Task, mut bio: Bio) {
    let _frame = current.enter("submit_bio_noacct");
    current.charge_bio();
    if let Some(status) = check_bio(current, &mut bio) {
        return bio.end(current, status);
    }
    match bio.dev().core().variants().gmr {
        Gmr::Recurse => recurse(current, bio),
        Gmr::Fifo => fifo(current, bio),
        Gmr::Hidden => sorted(current, bio, true),
        Gmr::Sorted => sorted(current, bio, false),
    }
}

/// What is looked at before a bio is queued, in the order of 6.12; how it ends if it goes no further.
#[inline]
fn check_bio(current: &Task, bio: &mut Bio) -> Option<BlkStatus> {
    let (op, flags) = (bio.op(), bio.flags());
    if !flags.is_empty() && flags.contains(BioFlags::NOWAIT) && !bio.dev().driver().has_nowait() {
        return Some(BlkStatus::NotSupp);
    }
    if let Err(status) = check_end_of_device(current, bio) {
        return Some(status);
    }
    if op == BioOp::Flush || flags.intersects(FLUSHES) {
        if !matches!(op, BioOp::Flush | BioOp::Write) {
            return Some(BlkStatus::IoErr);
        }
        if !bio.dev().driver().has_write_cache() {
            // Nothing to flush: an empty one is done, for any other the flags go.
            let planted = bio.dev().core().variants().planted;
            bio.set_flags(current, planted, flags - FLUSHES);
            return (op == BioOp::Flush).then_some(BlkStatus::Ok);
        }
    }
    (op.is_abnormal() && !bio.dev().driver().takes(op)).then_some(BlkStatus::NotSupp)
}

fn check_end_of_device(current: &Task, bio: &Bio) -> Result<(), BlkStatus> {
    let capacity = bio.dev().capacity();
    if bio.sectors == Sectors::ZERO || bio.sector.checked_add(bio.sectors).is_some_and(|end| end <= capacity) {
        return Ok(());
    }
    let (op, name) = (bio.op().name(), bio.dev().name());
    let message = format!(
        "{name}: attempt to access beyond end of device, {op} at {} nr_sectors = {} limit={capacity}",
        bio.sector, bio.sectors
    );
    bio.dev().core().log(current, message);
    Err(BlkStatus::IoErr)
}

/// Calls the driver; gives the device that it was, which a driver's bio no longer knows.
#[inline]
fn enter_driver(current: &Task, mut bio: Bio) -> Arc<Device> {
    let dev = bio.take_dev();
    dev.core().note_entry(current, &dev, &bio);
    dev.driver().submit_bio(current, &dev, bio);
    dev
}

/// Before 2.6.22: the driver is called at once.
fn recurse(current: &Task, bio: Bio) {
    enter_driver(current, bio);
}

/// 2.6.22 to 4.10: one list, first in, first out.
fn fifo(current: &Task, bio: Bio) {
    let lists = BioLists::of(current);
    if lists.is_active() {
        lists.new.borrow_mut().push_back(bio);
        return;
    }
    let _outermost = Outermost::begin(lists);
    let mut next = Some(bio);
    while let Some(bio) = next {
        enter_driver(current, bio);
        next = lists.new.borrow_mut().pop_front();
    }
}

/// Since 4.11: lower devices first, then the rest of the same device, then what was queued before; at first this last
/// part was out of sight while a driver ran (79bd99596b73), then the second of two lists (f5fe1b51905d).
fn sorted(current: &Task, bio: Bio, hides_older: bool) {
    let lists = BioLists::of(current);
    if lists.is_active() {
        lists.new.borrow_mut().push_back(bio);
        return;
    }
    let _outermost = Outermost::begin(lists);
    lists.hides_older.set(hides_older);
    let mut next = Some(bio);
    while let Some(bio) = next {
        let dev = enter_driver(current, bio);
        let mut new = lists.new.borrow_mut();
        let mut older = lists.older.borrow_mut();
        // The usual case: one bio below, nothing older. No need to sort.
        if new.len() == 1 && older.is_empty() {
            next = new.pop_front();
            continue;
        }
        let same_last = dev.core().variants().planted != Planted::UnsortedLists;
        let is_first = |bio: &Bio| Arc::ptr_eq(bio.dev(), &dev) != same_last;
        // Pushed to the front from last to first: the second class before the first.
        for first_class in [false, true] {
            for bio in extract_from(&mut new, |bio| is_first(bio) == first_class).into_iter().rev() {
                older.push_front(bio);
            }
        }
        next = older.pop_front();
    }
}

fn extract_from(list: &mut VecDeque<Bio>, wanted: impl Fn(&Bio) -> bool) -> Vec<Bio> {
    let mut taken = Vec::new();
    for _ in 0..list.len() {
        let bio = list.pop_front().expect("counted");
        if wanted(&bio) { taken.push(bio) } else { list.push_back(bio) }
    }
    taken
}

/// Marks the task as inside `submit_bio_noacct` while it lives.
struct Outermost<'a>(&'a BioLists);

impl<'a> Outermost<'a> {
    fn begin(lists: &'a BioLists) -> Self {
        lists.active.set(true);
        Self(lists)
    }
}

impl Drop for Outermost<'_> {
    fn drop(&mut self) {
        self.0.active.set(false);
    }
}

/// Packs a sector range into the argument of an announced operation.
pub(super) const fn range_arg(sector: Sectors, sectors: Sectors) -> u64 {
    pack_range(sector.0, sectors.0)
}
