//! [`BioSet`]: the kernel's `bio_set`: bios from a mempool, and what happens when it is exhausted by the very task that
//! asks it (dm-spec §1.3, §3).
//!
//! Under `submit_bio_noacct` a submitted bio is only queued on the task's own list. A task that asks a set for one bio
//! more while it holds all others, undispatched, waits for itself. The `rescue` variants are the three answers that
//! were given: sleep; hand the whole list to a thread; hand over only the bios of this set.
//!
//! Invariants: an allocation that may wait always succeeds, if late; a punted bio keeps its place among those that go
//! with it. Which sets have a rescuer is a variant of its own (`rescuer_sets`).
//! Not here: front padding (the token says which element, its memory is the bio's own); vecs of which a bio has room for
//! four itself are not allocated, the others are a token of a second pool.

use std::collections::VecDeque;
use std::sync::Arc;

use dmlab_units::Sectors;

use super::bio::Bio;
use super::core::{BlockCore, KeepsBios};
use super::submit::{BioLists, submit_bio_noacct};
use crate::sched::Task;
use crate::sync::mempool::Element;
use crate::sync::{Gfp, Mempool, SpinSection, Work, Workqueue, WqFlags};
use crate::variants::{Planted, Rescue, RescuerSets};

/// The reserve of sets that belong to a queue or to file systems (`BIO_POOL_SIZE`, dm-spec §1.1).
pub const BIO_POOL_SIZE: u64 = 2;

/// Vecs that a bio has room for itself (`BIO_INLINE_VECS`); more come from the set's second pool.
const BIO_INLINE_VECS: u64 = 4;
/// Sectors of a page: what one vec points to.
const PAGE_SECTORS: u64 = 8;

/// A set of bios with a guaranteed reserve.
#[derive(Clone)]
pub struct BioSet(Arc<Parts>);

struct Parts {
    core: Arc<BlockCore>,
    /// `bio_pool`.
    pool: Arc<Mempool>,
    /// `bvec_pool`.
    vecs: Option<Arc<Mempool>>,
    rescuer: Option<Rescuer>,
}

/// A set's own thread, which dispatches what its clients cannot.
struct Rescuer {
    list: Arc<SpinSection<VecDeque<Bio>>>,
    workqueue: Workqueue,
    work: Work,
}

/// The place in a set that a bio came from and goes back to.
pub struct PooledBio {
    pub(super) set: BioSet,
    pub(super) element: Element,
}

impl PooledBio {
    pub(super) fn free(self, current: &Task) {
        self.set.pool().free(current, self.element);
    }
}

impl BioSet {
    /// `bioset_init`: a set of `reserve` bios, called `name` in reports. `need_rescuer` is `BIOSET_NEED_RESCUER`; whether it
    /// means anything is a matter of the machine's variants.
    pub fn new(current: &Task, core: &Arc<BlockCore>, name: &str, reserve: u64, need_rescuer: bool) -> Self {
        let pool = core.new_pool(current, name, reserve);
        Self::around(current, core, pool, None, need_rescuer)
    }

    /// A set with `BIOSET_NEED_RESCUER`; with `bvecs` (`BIOSET_NEED_BVECS`) also a pool of that name for the vecs of bios
    /// that have more than four.
    pub fn with_vecs(current: &Task, core: &Arc<BlockCore>, name: &str, reserve: u64, bvecs: Option<&str>) -> Self {
        let pool = core.new_pool(current, name, reserve);
        let vecs = bvecs.map(|name| core.new_pool(current, name, reserve));
        Self::around(current, core, pool, vecs, true)
    }

    fn around(
        current: &Task,
        core: &Arc<BlockCore>,
        pool: Arc<Mempool>,
        vecs: Option<Arc<Mempool>>,
        need_rescuer: bool,
    ) -> Self {
        let has_one = core.variants().rescue != Rescue::None
            && match core.variants().rescuer_sets {
                RescuerSets::Every => true,
                RescuerSets::Flagged => need_rescuer,
                RescuerSets::Unflagged => false,
            };
        let rescuer = has_one.then(|| Rescuer::new(current, core, pool.name()));
        Self(Arc::new(Parts { core: Arc::clone(core), pool, vecs, rescuer }))
    }

    /// The pool behind it.
    #[inline]
    pub fn pool(&self) -> &Arc<Mempool> {
        &self.0.pool
    }

    /// The pool of vecs behind it.
    pub fn vecs(&self) -> Option<&Arc<Mempool>> {
        self.0.vecs.as_ref()
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// `bio_alloc_bioset`, waiting if it must: the place for a bio.
    #[track_caller]
    pub fn alloc(&self, current: &Task) -> PooledBio {
        PooledBio { set: self.clone(), element: self.alloc_element(current) }
    }

    /// As [`Self::alloc`], for a bio that is part of its client's own structure: the client gives the element back.
    #[inline]
    #[track_caller]
    pub fn alloc_element(&self, current: &Task) -> Element {
        let _frame = current.enter("bio_alloc_bioset");
        self.alloc_from(current, &self.0.pool)
    }

    /// The vecs of a bio over `sectors` sectors of memory, as far as it has no room for them itself; its set's second pool
    /// is treated like the first. [`Self::free_vecs`] gives them back.
    #[track_caller]
    pub fn alloc_vecs(&self, current: &Task, sectors: Sectors) -> Option<Element> {
        let vecs = self.0.vecs.as_ref().filter(|_| sectors.0.div_ceil(PAGE_SECTORS) > BIO_INLINE_VECS)?;
        let _frame = current.enter("bvec_alloc");
        Some(self.alloc_from(current, vecs))
    }

    /// Gives vecs back.
    pub fn free_vecs(&self, current: &Task, element: Element) {
        self.0.vecs.as_ref().expect("what came from the pool goes back to it").free(current, element);
    }

    #[inline]
    #[track_caller]
    fn alloc_from(&self, current: &Task, pool: &Mempool) -> Element {
        current.charge_bio();
        if let Some(rescuer) = &self.0.rescuer
            && (!BioLists::of(current).is_empty() || self.0.core.variants().planted == Planted::UngatedRescue)
        {
            if let Some(element) = pool.alloc(current, Gfp::NoWait) {
                return element;
            }
            self.punt_bios_to_rescuer(current, rescuer);
        }
        pool.alloc(current, Gfp::NoIo).expect("an allocation that may wait succeeds")
    }

    /// Moves the bios that the current task cannot dispatch while it sleeps here to the set's rescuer.
    fn punt_bios_to_rescuer(&self, current: &Task, rescuer: &Rescuer) {
        let _frame = current.enter("punt_bios_to_rescuer");
        let lists = BioLists::of(current);
        if !lists.is_active() {
            current.bug("BUG: kernel NULL pointer dereference: there is no current->bio_list");
        }
        let all = self.0.core.variants().rescue == Rescue::PuntAll;
        let punted = lists.extract(|bio| all || bio.is_from(current, self));
        self.0.core.count_punted(punted.len());
        self.0.pool.count_rescued(current, punted.len() as u64);
        rescuer.list.with(current, |list| list.extend(punted));
        rescuer.workqueue.queue(current, &rescuer.work);
    }

    /// Whether it has a thread that dispatches bios.
    pub(super) fn has_rescuer(&self) -> bool {
        self.0.rescuer.is_some()
    }

    /// Leaves `bio`, which came from it, to the set's thread, as dm did when it blocked. A `BUG` where there is none.
    pub(super) fn rescue(&self, current: &Task, bio: Bio) {
        let Some(rescuer) = &self.0.rescuer else {
            let _frame = current.enter("queue_work");
            let name = self.pool().name();
            current.bug(format!("BUG: kernel NULL pointer dereference: {name} has no rescue_workqueue"))
        };
        self.0.core.count_offloaded(1);
        self.0.pool.count_rescued(current, 1);
        rescuer.list.with(current, |list| list.push_back(bio));
        rescuer.workqueue.queue(current, &rescuer.work);
    }
}

impl KeepsBios for SpinSection<VecDeque<Bio>> {
    fn abandon(&self) {
        drop(self.take_away());
    }
}

impl Rescuer {
    fn new(current: &Task, core: &Arc<BlockCore>, name: &str) -> Self {
        core.count_rescuer();
        let runtime = current.runtime();
        let list = Arc::new(SpinSection::new(runtime, &format!("{name}.rescue_lock"), VecDeque::new()));
        let keeper = Arc::downgrade(&list);
        core.note_keeper(keeper);
        let workqueue = Workqueue::new(runtime, &format!("bioset/{name}"), WqFlags::RECLAIM);
        let to_rescue = Arc::clone(&list);
        let work = Work::new("bio_alloc_rescue", move |worker| bio_alloc_rescue(worker, &to_rescue));
        Self { list, workqueue, work }
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
