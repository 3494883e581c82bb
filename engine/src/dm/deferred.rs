//! [`Deferred`]: bios that a mapped device keeps for later, and the pieces that targets push back (dm-spec §4.6, §8.3).
//!
//! A bio that comes while the device is suspended, and the write of a flush with data, go to the end of the list; what is
//! pushed back during a noflush suspend goes to its head. The device's workqueue submits the list again when I/O may
//! flow. A piece of a split bio shares its original with the other pieces, so it first gets a bio of its own, in
//! `dm_wq_requeue_work` (the second stage then is that of a whole bio).
//!
//! Invariants: a bio stands on the list at most once (but under `requeue: shared-original`); what is pushed back outside
//! a noflush suspend ends with -EIO; an I/O is in flight until what is left of it is on the list.
//! Not here: the list's processing ([`super::mapped_device`]).

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::accounting::IoAccounting;
use super::io::DmIo;
use crate::block::bio::BioDetails;
use crate::block::core::KeepsBios;
use crate::block::{Bio, BioSet, Completion, Device};
use crate::sched::Task;
use crate::sched::cell::Tiny;
use crate::sync::{SpinSection, Work, Workqueue, WqFlags};
use crate::variants::Planted;

/// Under `md->deferred_lock`.
#[derive(Default)]
struct Lists {
    bios: VecDeque<Bio>,
    /// `md->requeue_list`, the last one first.
    requeue: VecDeque<Arc<DmIo>>,
    /// Only under `requeue: shared-original`: originals that several pieces share, as the last piece left each.
    originals: Vec<(Arc<dyn Completion>, BioDetails)>,
}

/// What a device has put off.
pub struct Deferred {
    lists: SpinSection<Lists>,
    wq: Workqueue,
    /// `dm_wq_work`.
    work: Work,
    /// `dm_wq_requeue_work`.
    requeue_work: Work,
    /// The device's disk, for bios that come back to it.
    disk: Tiny<Weak<Device>>,
    /// `q->bio_split`, unless it was freed.
    bio_split: Option<BioSet>,
}

impl KeepsBios for Deferred {
    fn abandon(&self) {
        drop(self.lists.take_away());
    }
}

impl Deferred {
    /// Nothing put off on the device `name`, whose list `work` processes.
    pub(super) fn new(current: &Task, name: &str, bio_split: Option<BioSet>, work: Work) -> Arc<Self> {
        let runtime = current.runtime();
        Arc::new_cyclic(|deferred: &Weak<Self>| {
            let to_work = Weak::clone(deferred);
            let requeue_work = Work::new("dm_wq_requeue_work", move |worker| {
                if let Some(deferred) = to_work.upgrade() {
                    deferred.requeue_work(worker);
                }
            });
            Self {
                lists: SpinSection::new(runtime, &format!("{name}.deferred_lock"), Lists::default()),
                wq: Workqueue::new(runtime, &format!("kdmflush/{name}"), WqFlags::ORDERED_RECLAIM),
                work,
                requeue_work,
                disk: Tiny::new(Weak::new()),
                bio_split,
            }
        })
    }

    /// `q->bio_split`. A `BUG` where the set was freed (dm-spec S6).
    #[track_caller]
    pub(super) fn bio_split(&self, current: &Task) -> &BioSet {
        self.bio_split
            .as_ref()
            .unwrap_or_else(|| current.bug("BUG: kernel NULL pointer dereference: q->bio_split was freed"))
    }

    /// The disk of the device, once it has one.
    pub(super) fn set_disk(&self, disk: &Arc<Device>) {
        *self.disk.lock() = Arc::downgrade(disk);
    }

    /// The device's workqueue.
    pub(super) const fn wq(&self) -> &Workqueue {
        &self.wq
    }

    /// Has the list processed, if I/O may flow by then: `dm_queue_flush`.
    pub(super) fn kick(&self, current: &Task) {
        self.wq.queue(current, &self.work);
    }

    /// For the device's disk again.
    fn for_disk(&self, current: &Task, bio: &mut Bio) {
        let disk = self.disk.lock_for(current).upgrade();
        bio.set_dev(disk.expect("a device with I/O has a disk"));
    }

    /// `queue_io`: to the end of the list.
    pub(super) fn queue_io(&self, current: &Task, mut bio: Bio) {
        let _frame = current.enter("queue_io");
        self.for_disk(current, &mut bio);
        self.lists.with(current, |lists| lists.bios.push_back(bio));
        self.kick(current);
    }

    /// `dm_handle_requeue`, the second stage: to the head of the list if a noflush suspend is under way; gives the bio
    /// back if not.
    pub(super) fn push_back(&self, current: &Task, accounting: &IoAccounting, mut bio: Bio) -> Option<Bio> {
        let _frame = current.enter("dm_handle_requeue");
        self.for_disk(current, &mut bio);
        let refused = self.lists.with(current, |lists| {
            if !accounting.is_noflush_suspending() {
                return Some(bio);
            }
            if accounting.planted == Planted::PushedBackLast {
                lists.bios.push_back(bio);
            } else {
                lists.bios.push_front(bio);
            }
            None
        });
        if refused.is_none() {
            self.kick(current);
        }
        refused
    }

    /// The first stage: a piece of a split bio waits for a bio of its own.
    pub(super) fn requeue(&self, current: &Task, io: Arc<DmIo>) {
        let _frame = current.enter("dm_handle_requeue");
        self.lists.with(current, |lists| lists.requeue.push_front(io));
        self.wq.queue(current, &self.requeue_work);
    }

    fn requeue_work(&self, worker: &Task) {
        let _frame = worker.enter("dm_wq_requeue_work");
        let pieces = self.lists.with(worker, |lists| std::mem::take(&mut lists.requeue));
        for io in pieces {
            io.complete_rewound(worker, self);
        }
    }

    /// Takes the first of the list.
    pub(super) fn pop(&self, current: &Task) -> Option<Bio> {
        self.lists.with(current, |lists| lists.bios.pop_front())
    }

    /// Bios on the list and pieces on their way to it: a look when nothing runs any more.
    pub(super) fn count(&self) -> usize {
        self.lists.peek(|lists| lists.bios.len() + lists.requeue.len())
    }

    /// Under `requeue: shared-original`: the original that ends in `done` is now this.
    pub(super) fn share_original(&self, current: &Task, done: &Arc<dyn Completion>, details: BioDetails) {
        self.lists.with(current, |lists| {
            lists.originals.retain(|(known, _)| !Arc::ptr_eq(known, done));
            lists.originals.push((Arc::clone(done), details));
        });
    }

    /// Under `requeue: shared-original`: what the original that ends in `done` is by now.
    pub(super) fn shared_original(&self, current: &Task, done: &Arc<dyn Completion>) -> Option<BioDetails> {
        self.lists.with(current, |lists| {
            lists.originals.iter().find(|(known, _)| Arc::ptr_eq(known, done)).map(|(_, details)| details.clone())
        })
    }
}
