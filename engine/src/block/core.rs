//! [`BlockCore`]: what all block devices of one machine share: variants, the registry of pools, the hooks that faults
//! come in by, the log of driver entries.
//!
//! Invariants: every pool of the machine is in the registry, in order of creation, and stays there (with its
//! statistics) until the machine goes; a slab fault applies to the pools that exist and to those that come later.
//! Not here: which faults there are.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use dmlab_units::{Sectors, Seed};

use super::bio::Bio;
use super::device::{DevId, Device};
use super::late::{Fate, Late};
use super::opf::BioOp;
use super::pages::SparePages;
use super::power::Power;
use super::status::BlkStatus;
use crate::sched::cell::{Tiny, Word};
use crate::sched::{Mode, ObjectId, Runtime, Task};
use crate::sync::{Allocator, Confided, Mempool, PoolStats, Variable};
use crate::variants::{Planted, Variants};

/// Says which pools' allocators fail, by name.
pub trait SlabFaults: Send + Sync {
    /// The allocator of `pool`; `None` is a healthy one.
    fn allocator_of(&self, pool: &str) -> Option<Arc<dyn Allocator>>;
}

/// Says which I/O of a leaf device fails, hangs or is slow.
pub trait IoFaultHook: Send + Sync {
    /// What becomes of this bio instead of being carried out at once; `None` lets it pass. Called once per bio, in the
    /// order in which the device gets them. `choose` decides where that is open; without it, the plan does.
    fn fate(
        &self,
        device: &str,
        op: BioOp,
        range: (Sectors, Sectors),
        choose: Option<&mut dyn FnMut() -> bool>,
    ) -> Option<Fate>;
}

/// A bio that entered a driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryEvent {
    /// Name of the device.
    pub device: String,
    /// First sector, in that device.
    pub sector: Sectors,
    /// How many.
    pub sectors: Sectors,
}

/// What the block devices of a machine share.
pub struct BlockCore {
    runtime: Runtime,
    variants: Variants,
    pools: Tiny<Vec<Arc<Mempool>>>,
    slab_faults: Tiny<Option<Arc<dyn SlabFaults>>>,
    io_faults: Tiny<Option<Arc<dyn IoFaultHook>>>,
    /// Bits of `FAULTS`, `GONE` and `NO_POWER`: 0 while all is healthy, so that healthy I/O pays one load.
    io_trouble: Variable,
    power: Power,
    /// Which events the hook has counted so far, as far as a search can tell.
    io_events: ObjectId,
    /// Leaf devices that were removed under their users.
    gone: Confided<BTreeSet<DevId>>,
    /// What leaf devices keep for later; a device gets its place with its first late bio.
    late: Confided<BTreeMap<DevId, Arc<Late>>>,
    /// Rescuer threads that stand by, and bios that were handed to them.
    rescuer_threads: Word,
    punted_bios: Word,
    offloaded_bios: Word,
    /// What layers above count.
    counters: Tiny<BTreeMap<&'static str, Arc<Word>>>,
    entries: Tiny<Vec<EntryEvent>>,
    entries_wanted: bool,
    entry_log: ObjectId,
    /// What may keep bios when the run is over.
    keepers: Tiny<Vec<Weak<dyn KeepsBios>>>,
    /// What modules above keep once per machine, by module.
    modules: Tiny<BTreeMap<&'static str, Arc<dyn Any + Send + Sync>>>,
    /// What `get_random_*` is seeded with.
    random_seed: Word,
    /// The kernel log.
    kmsg: Tiny<Vec<String>>,
    /// Pages for ramdisks.
    pub(super) spare_pages: SparePages,
}

/// A list on which a run that ends anywhere may leave bios. A bio leads to the table that it came through, and the table to
/// its lists: what is left on one would keep itself for ever.
pub(crate) trait KeepsBios: Send + Sync {
    /// Drops them all.
    fn abandon(&self);
}

/// A hook says which I/O is not carried out.
const FAULTS: u64 = 1;
/// Some device is gone.
const GONE: u64 = 2;
/// The power is gone.
const NO_POWER: u64 = 4;

impl BlockCore {
    /// A block layer without devices. With `log_entries` it notes each bio that enters a driver.
    pub fn new(runtime: &Runtime, variants: Variants, log_entries: bool) -> Arc<Self> {
        Arc::new(Self {
            runtime: runtime.clone(),
            variants,
            pools: Tiny::new(Vec::new()),
            slab_faults: Tiny::new(None),
            io_faults: Tiny::new(None),
            io_trouble: Variable::new(runtime, "io_trouble", 0),
            power: Power::new(runtime),
            io_events: runtime.register("data", "I/O fault events"),
            gone: Confided::new(runtime, "devices gone", BTreeSet::new()),
            late: Confided::new(runtime, "late bios", BTreeMap::new()),
            rescuer_threads: Word::default(),
            punted_bios: Word::default(),
            offloaded_bios: Word::default(),
            counters: Tiny::new(BTreeMap::new()),
            entries: Tiny::new(Vec::new()),
            entries_wanted: log_entries,
            entry_log: runtime.register("data", "driver entries"),
            keepers: Tiny::new(Vec::new()),
            modules: Tiny::new(BTreeMap::new()),
            random_seed: Word::default(),
            kmsg: Tiny::new(Vec::new()),
            spare_pages: SparePages::new(),
        })
    }

    /// Has `keeper` emptied when the machine goes.
    pub(crate) fn note_keeper(&self, keeper: Weak<dyn KeepsBios>) {
        let mut keepers = self.keepers.lock();
        keepers.retain(|known| known.strong_count() > 0);
        keepers.push(keeper);
    }

    /// The machine goes: nothing that a stuck run has left anywhere is to keep itself.
    pub(crate) fn abandon(&self) {
        let keepers = std::mem::take(&mut *self.keepers.lock());
        keepers.iter().filter_map(Weak::upgrade).for_each(|keeper| keeper.abandon());
        drop(self.late.take_away());
        let modules = std::mem::take(&mut *self.modules.lock());
        drop(modules);
    }

    /// The algorithms that this machine runs.
    pub const fn variants(&self) -> &Variants {
        &self.variants
    }

    /// The runtime that this machine lives in.
    pub const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A pool in the registry, failing if a fault says so.
    pub fn new_pool(&self, current: &Task, name: &str, reserve: u64) -> Arc<Mempool> {
        let pool = Arc::new(Mempool::new(&self.runtime, name, reserve));
        let allocator = self.slab_faults.lock_for(current).as_ref().and_then(|faults| faults.allocator_of(name));
        if allocator.is_some() {
            pool.set_allocator(current, allocator);
        }
        self.pools.lock_for(current).push(Arc::clone(&pool));
        pool
    }

    /// Every pool, in order of creation.
    pub fn pools(&self) -> Vec<Arc<Mempool>> {
        self.pools.lock().clone()
    }

    /// Changes which allocators fail, from now on and for all pools.
    pub fn set_slab_faults(&self, current: &Task, faults: Option<Arc<dyn SlabFaults>>) {
        self.slab_faults.lock_for(current).clone_from(&faults);
        for pool in self.pools() {
            let allocator = faults.as_ref().and_then(|faults| faults.allocator_of(pool.name()));
            pool.set_allocator(current, allocator);
        }
    }

    /// Changes which I/O fails, hangs or is slow, from now on. What is held already stays so until it is released.
    pub fn set_io_faults(&self, current: &Task, faults: Option<Arc<dyn IoFaultHook>>) {
        let others = self.io_trouble.get() & !FAULTS;
        self.io_trouble.set(others | if faults.is_some() { FAULTS } else { 0 });
        *self.io_faults.lock_for(current) = faults;
    }

    /// What a leaf device does with a bio before anything else: gives it back to be carried out now, or sees to what
    /// becomes of it.
    #[inline]
    pub fn admit(&self, current: &Task, dev: &Arc<Device>, bio: Bio) -> Option<Bio> {
        if self.io_trouble.get() == 0 { Some(bio) } else { self.admit_in_trouble(current, dev, bio) }
    }

    #[cold]
    fn admit_in_trouble(&self, current: &Task, dev: &Arc<Device>, bio: Bio) -> Option<Bio> {
        if self.is_gone(current, dev) || self.power.is_off() {
            bio.end(current, BlkStatus::IoErr);
            return None;
        }
        let Some(hook) = self.io_faults.lock_for(current).clone() else { return Some(bio) };
        match self.fate(current, &*hook, dev, &bio) {
            None => Some(bio),
            Some(Fate::Ends(status)) => {
                bio.end(current, status);
                None
            }
            Some(Fate::Slow(delay)) => {
                self.late_of(current, dev).slow(current, dev, bio, delay);
                None
            }
            Some(Fate::Held) => {
                // Deciding and holding are operations: the fault may have been healed in between.
                let still = || {
                    let now = self.io_faults.lock_for(current).clone();
                    self.io_trouble.get() & FAULTS != 0 && now.is_some_and(|now| Arc::ptr_eq(&now, &hook))
                };
                self.late_of(current, dev).hold(current, dev, bio, still)
            }
        }
    }

    fn late_of(&self, current: &Task, dev: &Device) -> Arc<Late> {
        if let Some(late) = self.late.look(current, |late| late.get(&dev.id()).cloned()) {
            return late;
        }
        self.late.change(current, |late| {
            Arc::clone(late.entry(dev.id()).or_insert_with(|| Arc::new(Late::new(current, dev.name()))))
        })
    }

    /// Lets go what `dev` holds; how many bios there were.
    pub fn release_held(&self, current: &Task, dev: &Device) -> usize {
        let late = self.late.look(current, |late| late.get(&dev.id()).cloned());
        late.map_or(0, |late| late.release(current))
    }

    /// `blk_mark_disk_dead`: the device is gone from under its users. No I/O is let in any more; what it holds, and what
    /// it was at, ends with an error. It has no capacity from now on.
    pub fn mark_dead(&self, current: &Task, dev: &Device) {
        let _frame = current.enter("blk_mark_disk_dead");
        self.gone.change(current, |gone| gone.insert(dev.id()));
        self.io_trouble.set(self.io_trouble.get() | GONE);
        dev.set_capacity(Sectors::ZERO);
        if self.variants.planted != Planted::UnplugKeepsHeld {
            self.release_held(current, dev);
        }
    }

    /// Whether the device was removed under its users.
    pub fn is_gone(&self, current: &Task, dev: &Device) -> bool {
        self.io_trouble.get() & GONE != 0 && self.gone.look(current, |gone| gone.contains(&dev.id()))
    }

    /// Whether leaf devices have power, and when it goes.
    #[inline]
    pub const fn power(&self) -> &Power {
        &self.power
    }

    /// The power goes now: nothing changes on a leaf device any more, and I/O ends with errors.
    pub fn cut_power(&self) {
        self.power.set_off(true);
        self.io_trouble.set(self.io_trouble.get() | NO_POWER);
    }

    /// The power is back. What volatile caches held is for [`Driver::lose_cache`](super::Driver::lose_cache) first.
    pub fn restore_power(&self) {
        self.io_trouble.set(self.io_trouble.get() & !NO_POWER);
        self.power.set_off(false);
    }

    /// What the hook says of `bio`.
    fn fate(&self, current: &Task, hook: &dyn IoFaultHook, dev: &Device, bio: &Bio) -> Option<Fate> {
        // The hook counts: which bio comes first decides which one fails.
        let counts = || {
            self.runtime.touches(self.io_events, Mode::Exclusive);
            current.changes(self.io_events);
        };
        counts();
        let mut choose = || {
            let fails = current.choose("whether an I/O fails", 2) == 1;
            counts();
            fails
        };
        let choose: Option<&mut dyn FnMut() -> bool> =
            if self.runtime.is_explorer() { Some(&mut choose) } else { None };
        hook.fate(dev.name(), bio.op(), (bio.sector, bio.sectors), choose)
    }

    #[inline]
    pub(super) fn note_entry(&self, current: &Task, dev: &Device, bio: &Bio) {
        if self.entries_wanted {
            let event = EntryEvent { device: dev.name().to_owned(), sector: bio.sector, sectors: bio.sectors };
            self.entries.lock_for(current).push(event);
            self.runtime.touches(self.entry_log, Mode::Exclusive);
            current.changes(self.entry_log);
        }
    }

    /// The driver entries so far.
    pub fn entries(&self) -> Vec<EntryEvent> {
        self.entries.lock().clone()
    }

    pub(super) fn count_rescuer(&self) {
        self.rescuer_threads.add(1);
    }

    pub(super) fn count_punted(&self, bios: usize) {
        self.punted_bios.add(bios as u64);
    }

    pub(super) fn count_offloaded(&self, bios: u64) {
        self.offloaded_bios.add(bios);
    }

    /// A counter of a layer above, which is among [`Self::counters`] from now on: a statistic, of which nothing decides.
    pub fn counter(&self, current: &Task, name: &'static str) -> Arc<Word> {
        Arc::clone(self.counters.lock_for(current).entry(name).or_default())
    }

    /// Counts of the machine, by name: `rescuer_threads`, `punted_bios`, `offloaded_bios`, `slab_failures`, `pool_waits`, and
    /// what [`Self::counter`] was asked for.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        let pools = self.pools();
        let sum = |count: fn(PoolStats) -> u64| pools.iter().map(|pool| count(pool.stats())).sum();
        let own = [
            ("rescuer_threads".to_owned(), self.rescuer_threads.get()),
            ("punted_bios".to_owned(), self.punted_bios.get()),
            ("offloaded_bios".to_owned(), self.offloaded_bios.get()),
            ("slab_failures".to_owned(), sum(|stats| stats.slab_failures)),
            ("pool_waits".to_owned(), sum(|stats| stats.waits)),
        ];
        let counters = self.counters.lock();
        let above = counters.iter().map(|(name, counter)| ((*name).to_owned(), counter.get()));
        above.chain(own).collect()
    }

    /// What the module `name` keeps once per machine, as a kernel module keeps its static variables: its parameters, and
    /// lists of all that it made. Made by `init` at the first call. What is in it has to report itself to a search.
    ///
    /// # Panics
    /// When two modules use one name.
    pub fn module<T: Any + Send + Sync>(&self, current: &Task, name: &'static str, init: impl FnOnce() -> T) -> Arc<T> {
        let known = self.modules.lock_for(current).get(name).cloned();
        let module = known.unwrap_or_else(|| {
            let made: Arc<dyn Any + Send + Sync> = Arc::new(init());
            Arc::clone(self.modules.lock_for(current).entry(name).or_insert(made))
        });
        module.downcast().expect("one module owns the name")
    }

    /// Seeds `get_random_*`; to be said before anything asks.
    pub fn set_random_seed(&self, seed: Seed) {
        self.random_seed.set(seed.0);
    }

    /// Where whoever wants randomness derives a stream of its own from.
    pub fn random_seed(&self) -> Seed {
        Seed(self.random_seed.get())
    }

    /// `printk`.
    pub fn log(&self, current: &Task, message: String) {
        self.kmsg.lock_for(current).push(message);
    }

    /// The kernel log so far.
    pub fn kmsg(&self) -> Vec<String> {
        self.kmsg.lock().clone()
    }
}
