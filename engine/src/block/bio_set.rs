//! [`BioSet`]: the kernel's `bio_set`: bios from a mempool, and what happens when it is exhausted by the very task that
//! asks it (dm-spec §1.3, §3).
//!
//! Under `submit_bio_noacct` a submitted bio is only queued on the task's own list. A task that asks a set for one bio
//! more while it holds all others, undispatched, waits for itself. The `rescue` variants are the three answers that
//! were given: sleep; hand the whole list to a thread; hand over only the bios of this set.
//!
//! Invariants: an allocation that may wait always succeeds, if late; a punted bio keeps its place among those that go
//! with it. Not here: front padding (the token says which element, its memory is the bio's own), the bvec pool.

use std::collections::VecDeque;
use std::sync::Arc;

use super::bio::Bio;
use super::core::BlockCore;
use super::submit::{BioLists, submit_bio_noacct};
use crate::sched::Task;
use crate::sync::mempool::Element;
use crate::sync::{Gfp, Mempool, SpinSection, Work, Workqueue, WqFlags};
use crate::variants::Rescue;

/// The reserve of sets that belong to a queue or to file systems (`BIO_POOL_SIZE`, dm-spec §1.1).
pub const BIO_POOL_SIZE: u64 = 2;

/// A set of bios with a guaranteed reserve.
pub struct BioSet {
    pool: Arc<Mempool>,
    rescuer: Option<Rescuer>,
}

/// A set's own thread, which dispatches what its clients cannot.
struct Rescuer {
    core: Arc<BlockCore>,
    list: Arc<SpinSection<VecDeque<Bio>>>,
    workqueue: Workqueue,
    work: Work,
}

/// The place in a set that a bio came from and goes back to.
pub struct PooledBio {
    pub(super) pool: Arc<Mempool>,
    pub(super) element: Element,
}

impl PooledBio {
    pub(super) fn free(self, current: &Task) {
        self.pool.free(current, self.element);
    }
}

impl BioSet {
    /// `bioset_init`: a set of `reserve` bios, called `name` in reports. With `need_rescuer` it gets a rescuer thread
    /// where the machine's `rescue` variant has them.
    pub fn new(current: &Task, core: &Arc<BlockCore>, name: &str, reserve: u64, need_rescuer: bool) -> Self {
        let pool = core.new_pool(current, name, reserve);
        let rescues = need_rescuer && core.variants().rescue != Rescue::None;
        Self { pool, rescuer: rescues.then(|| Rescuer::new(current, core, name)) }
    }

    /// The pool behind it.
    pub const fn pool(&self) -> &Arc<Mempool> {
        &self.pool
    }

    /// `bio_alloc_bioset`, waiting if it must: the place for a bio.
    #[track_caller]
    pub fn alloc(&self, current: &Task) -> PooledBio {
        let element = self.alloc_element(current);
        PooledBio { pool: Arc::clone(&self.pool), element }
    }

    /// As [`Self::alloc`], for a bio that is part of its client's own structure: the client gives the element back.
    #[inline]
    #[track_caller]
    pub fn alloc_element(&self, current: &Task) -> Element {
        let _frame = current.enter("bio_alloc_bioset");
        if let Some(rescuer) = &self.rescuer
            && !BioLists::of(current).is_empty()
        {
            if let Some(element) = self.pool.alloc(current, Gfp::NoWait) {
                return element;
            }
            self.punt_bios_to_rescuer(current, rescuer);
        }
        self.pool.alloc(current, Gfp::NoIo).expect("an allocation that may wait succeeds")
    }

    /// Moves the bios that the current task cannot dispatch while it sleeps here to the set's rescuer.
    fn punt_bios_to_rescuer(&self, current: &Task, rescuer: &Rescuer) {
        let _frame = current.enter("punt_bios_to_rescuer");
        let all = rescuer.core.variants().rescue == Rescue::PuntAll;
        let punted = BioLists::of(current).extract(|bio| all || bio.is_from(current, &self.pool));
        rescuer.core.count_punted(punted.len());
        self.pool.count_rescued(current, punted.len() as u64);
        rescuer.list.with(current, |list| list.extend(punted));
        rescuer.workqueue.queue(current, &rescuer.work);
    }
}

impl Rescuer {
    fn new(current: &Task, core: &Arc<BlockCore>, name: &str) -> Self {
        core.count_rescuer();
        let runtime = current.runtime();
        let list = Arc::new(SpinSection::new(runtime, &format!("{name}.rescue_lock"), VecDeque::new()));
        let workqueue = Workqueue::new(runtime, &format!("bioset/{name}"), WqFlags::RECLAIM);
        let to_rescue = Arc::clone(&list);
        let work = Work::new("bio_alloc_rescue", move |worker| bio_alloc_rescue(worker, &to_rescue));
        Self { core: Arc::clone(core), list, workqueue, work }
    }
}

/// The rescuer's work: dispatches what is on the list, one bio at a time.
fn bio_alloc_rescue(worker: &Task, list: &SpinSection<VecDeque<Bio>>) {
    let _frame = worker.enter("bio_alloc_rescue");
    loop {
        let next = list.with(worker, |list| {
            for waiting in list.iter() {
                waiting.hand_over(worker, worker.id(), "its bio is on the rescue_list");
            }
            list.pop_front()
        });
        match next {
            Some(bio) => submit_bio_noacct(worker, bio),
            None => return,
        }
    }
}
