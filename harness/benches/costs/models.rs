//! What the block bench measures: each row does one thing so often and says how long that took by the clock of its run, so
//! that the same row runs on threads and on the virtual clock.
//!
//! Invariant: nothing but the engine and the row's own loop stands between the two readings of the clock.
//! Not here: which rows are compared with which (`rows`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dmlab_engine::block::{Bio, BioOp, BioVec, BlkStatus, Buffer, Device, EndIo, SlabFaults, submit_bio};
use dmlab_engine::dm::SuspendFlags;
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::Task;
use dmlab_engine::sync::{Allocator, Completion, Gfp, Mempool, Mutex, Work, Workqueue, WqFlags};
use dmlab_engine::variants::Variants;
use dmlab_units::{Nanos, Sectors};

use crate::support::add_dm;

/// A 4 KiB bio.
const PAGE: Sectors = Sectors(8);
const RESERVE: u64 = 16;

/// An allocator that fails every `every`-th time; 1 is always.
pub(crate) struct FailsEvery(pub(crate) u64);

impl Allocator for FailsEvery {
    fn fails(&self, event: u64) -> bool {
        (event + 1).is_multiple_of(self.0)
    }

    fn is_permanent(&self) -> bool {
        self.0 == 1
    }
}

impl SlabFaults for FailsEvery {
    fn allocator_of(&self, pool: &str) -> Option<Arc<dyn Allocator>> {
        pool.ends_with(".bs").then(|| Arc::new(Self(self.0)) as Arc<dyn Allocator>)
    }
}

/// One bio at a time, waited for.
struct Waiter(Completion);

impl EndIo for Waiter {
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, _cookie: u64) {
        assert!(status.is_ok(), "a bench does no failing I/O");
        self.0.complete(current);
    }
}

fn one_bio(current: &Task, device: &Arc<Device>, sectors: Sectors, data: &BioVec, waiter: &Arc<Waiter>) {
    let hook = (Arc::clone(waiter) as Arc<dyn EndIo>, 0);
    let dev = Arc::clone(device);
    submit_bio(current, Bio::new(current, BioOp::Write, dev, (Sectors::ZERO, sectors), Some(data.clone()), hook));
    waiter.0.wait(current);
}

fn waiter(current: &Task) -> Arc<Waiter> {
    Arc::new(Waiter(Completion::new(current.runtime(), "bench")))
}

fn bios(current: &Task, device: &Arc<Device>, sectors: Sectors, count: u64) -> Nanos {
    let (data, waiter) = (BioVec::new(Buffer::zeroed(sectors)), waiter(current));
    let began = current.now();
    for _ in 0..count {
        one_bio(current, device, sectors, &data, &waiter);
    }
    current.now().saturating_sub(began)
}

/// `count` times a mutex that nobody else wants.
pub(crate) fn mutex(current: &Task, count: u64) -> Nanos {
    let mutex = Mutex::new(current.runtime(), "bench", ());
    let began = current.now();
    for _ in 0..count {
        drop(mutex.lock(current));
    }
    current.now().saturating_sub(began)
}

/// `count` times an element taken and given back.
pub(crate) fn mempool(current: &Task, allocator: Option<u64>, count: u64) -> Nanos {
    let pool = Mempool::new(current.runtime(), "bench", RESERVE);
    pool.set_allocator(current, allocator.map(|every| Arc::new(FailsEvery(every)) as Arc<dyn Allocator>));
    let began = current.now();
    for _ in 0..count {
        let element = pool.alloc(current, Gfp::NoIo).expect("waits rather than fails");
        pool.free(current, element);
    }
    current.now().saturating_sub(began)
}

/// `count` work items queued, `burst` of them before they are waited for.
pub(crate) fn work_items(current: &Task, burst: u64, count: u64) -> Nanos {
    let flags = WqFlags { max_active: 1, mem_reclaim: false, worker_fails: None };
    let queue = Workqueue::new(current.runtime(), "bench", flags);
    let done = Completion::new(current.runtime(), "bench");
    let item = |_| {
        let done = done.clone();
        Work::new("item", move |worker| done.complete(worker))
    };
    let items: Vec<Work> = (0..burst).map(item).collect();
    let began = current.now();
    for _ in 0..count / burst {
        for item in &items {
            queue.queue(current, item);
        }
        items.iter().for_each(|_| done.wait(current));
    }
    current.now().saturating_sub(began)
}

/// `count` bios of `pieces` pieces of 4 KiB through a table of that many linear targets; with `starved`, the set of clones
/// lives off its reserve.
pub(crate) fn pieces(current: &Task, variants: Variants, pieces: u64, starved: bool, count: u64) -> Nanos {
    let machine = Machine::new(current, variants, false);
    if starved {
        machine.core().set_slab_faults(current, Some(Arc::new(FailsEvery(1))));
    }
    let whole = Sectors(PAGE.0 * pieces);
    let null = machine.add_null(current, "n", whole);
    let line = |piece| format!("{0} {PAGE} linear {1} {0}", piece * PAGE.0, null.id());
    let top = add_dm(current, &machine, "t", &(0..pieces).map(line).collect::<Vec<_>>());
    bios(current, &top, whole, count)
}

/// `count` bios of `pieces` pieces at the top of `depth` levels, of which the topmost splits.
pub(crate) fn stack(current: &Task, variants: Variants, (pieces, depth): (u64, u32), count: u64) -> Nanos {
    let machine = Machine::new(current, variants, false);
    let whole = Sectors(PAGE.0 * pieces);
    let mut below = machine.add_null(current, "n", whole);
    for level in 1..depth {
        let line = format!("0 {whole} linear {} 0", below.id());
        below = add_dm(current, &machine, &format!("l{level}"), &[line]);
    }
    let line = |piece| format!("{0} {PAGE} linear {1} {0}", piece * PAGE.0, below.id());
    let top = add_dm(current, &machine, "t", &(0..pieces).map(line).collect::<Vec<_>>());
    bios(current, &top, whole, count)
}

/// `count` times load, suspend, resume of a linear device that `loaders` tasks write to meanwhile.
pub(crate) fn swap(current: &Task, loaders: u32, count: u64) -> Nanos {
    let machine = Machine::new(current, Variants::default(), false);
    let ram = machine.add_ramdisk(current, "r", Sectors(1024));
    let line = [format!("0 1024 linear {} 0", ram.id())];
    let top = add_dm(current, &machine, "t", &line);
    let stop = Arc::new(AtomicBool::new(false));
    let ended: Vec<Completion> = (0..loaders)
        .map(|number| {
            let ended = Completion::new(current.runtime(), "loader");
            let (there, top, stop) = (ended.clone(), Arc::clone(&top), Arc::clone(&stop));
            current.spawn(&format!("loader.{number}"), move |current| {
                let (data, waiter) = (BioVec::new(Buffer::zeroed(PAGE)), waiter(current));
                while !stop.load(Ordering::Relaxed) {
                    one_bio(current, &top, PAGE, &data, &waiter);
                }
                there.complete(current);
            });
            ended
        })
        .collect();
    let began = current.now();
    for _ in 0..count {
        machine.dm().load(current, "t", &line).expect("the table is good");
        machine.dm().suspend(current, "t", SuspendFlags::LOCKFS).expect("nothing hinders a suspend");
        machine.dm().resume(current, "t").expect("the table fits");
    }
    let took = current.now().saturating_sub(began);
    stop.store(true, Ordering::Relaxed);
    ended.iter().for_each(|ended| ended.wait(current));
    took
}
