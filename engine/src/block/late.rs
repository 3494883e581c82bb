//! `Late`: bios of a leaf device that are not carried out when they are submitted: held by a fault, slowed down by one,
//! or caught by the removal of the device.
//!
//! A held bio waits in a task of its own, `kworker/<device>.late.<n>`, for a [`Completion`] that names bio and device. So a
//! report on a run that cannot go on names the device among those that wait, and a run in which something is held
//! counts as stuck as soon as nothing else moves, not after a deadline.
//!
//! Invariants: what was held is carried out, in the order of holding as far as tasks allow, when it is released; a
//! decision to hold that crossed with the release of its fault does not hold; every bio of a device that is gone ends with
//! an I/O error before any data moves, as `bio_queue_enter` has it for a disk that is dead (6.12).
//! Not here: which bios are held or slow (a hook of [`super::core`]), what a healthy device takes ([`super::timed`]).

use std::sync::Arc;

use dmlab_units::Nanos;

use super::bio::Bio;
use super::device::Device;
use super::status::BlkStatus;
use crate::sched::Task;
use crate::sched::cell::Tiny;
use crate::sync::{Completion, SpinSection, Work, Workqueue, WqFlags};

/// What becomes of a bio at a leaf device instead of being carried out at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It ends so, and no data moves.
    Ends(BlkStatus),
    /// It is held until the device's held bios are released.
    Held,
    /// It is carried out after this long.
    Slow(Nanos),
}

/// Bios that may be late at once, over all reasons: more wait for their turn, as requests wait for tags.
const LATE_MAX: u32 = 65_536;

/// What one device keeps for later.
pub(super) struct Late {
    queue: Workqueue,
    held: SpinSection<Held>,
}

#[derive(Default)]
struct Held {
    bios: Vec<Completion>,
    /// Bios that were ever late: names of work items.
    numbers: u64,
}

impl Late {
    pub(super) fn new(current: &Task, device: &str) -> Self {
        let name = format!("{device}.late");
        let flags = WqFlags { max_active: LATE_MAX, mem_reclaim: false, worker_fails: None };
        let runtime = current.runtime();
        Self { queue: Workqueue::new(runtime, &name, flags), held: SpinSection::new(runtime, &name, Held::default()) }
    }

    /// Holds `bio`, unless `still` says that what held it is no longer in force: then the bio comes back.
    pub(super) fn hold(
        &self,
        current: &Task,
        dev: &Arc<Device>,
        bio: Bio,
        still: impl FnOnce() -> bool,
    ) -> Option<Bio> {
        let name = format!("{} {} {}+{} held by {}", bio.op().name(), dev.name(), bio.sector, bio.sectors, dev.name());
        let turn = Completion::new(current.runtime(), &name);
        let number = self.held.with(current, |held| {
            still().then(|| {
                held.bios.push(turn.clone());
                held.numbers += 1;
                held.numbers
            })
        });
        let Some(number) = number else { return Some(bio) };
        self.later(current, dev, bio, number, move |worker| turn.wait(worker));
        None
    }

    /// Carries `bio` out after `delay`.
    pub(super) fn slow(&self, current: &Task, dev: &Arc<Device>, bio: Bio, delay: Nanos) {
        let number = self.held.with(current, |held| {
            held.numbers += 1;
            held.numbers
        });
        self.later(current, dev, bio, number, move |worker| worker.sleep(delay));
    }

    fn later(
        &self,
        current: &Task,
        dev: &Arc<Device>,
        bio: Bio,
        number: u64,
        wait: impl Fn(&Task) + Send + Sync + 'static,
    ) {
        let (dev, bio) = (Arc::clone(dev), Tiny::new(Some(bio)));
        let work = Work::new(&format!("late {number}"), move |worker| {
            wait(worker);
            let taken = bio.lock_for(worker).take();
            carry_out_late(worker, &dev, taken.expect("a late bio is carried out once"));
        });
        self.queue.queue(current, &work);
    }

    /// Lets everything that is held go on; how many there were.
    pub(super) fn release(&self, current: &Task) -> usize {
        let bios = self.held.with(current, |held| std::mem::take(&mut held.bios));
        for turn in &bios {
            turn.complete(current);
        }
        bios.len()
    }
}

/// Carries `bio` out, if its device is still there.
pub(super) fn carry_out_late(current: &Task, dev: &Arc<Device>, bio: Bio) {
    if dev.core().is_gone(current, dev) {
        return bio.end(current, BlkStatus::IoErr);
    }
    dev.driver().carry_out(current, dev, bio);
}
