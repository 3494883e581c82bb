//! kcopyd under many schedules on both drivers: what is copied, in which order, what errors become, what happens when
//! memory is short; and the planted bugs that show that these tests can fail.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dmlab_engine::block::device::{DevId, NULL_MAJOR};
use dmlab_engine::block::ram::new_ramdisk;
use dmlab_engine::block::{
    Bio, BioFlags, BioOp, BioVec, BlkStatus, BlockCore, Buffer, Device, Driver, Fate, IoFaultHook, Opf, SlabFaults,
};
use dmlab_engine::dm::io_client::{IoClient, IoRequest, Region};
use dmlab_engine::kcopyd::client::Module;
use dmlab_engine::kcopyd::{Callback, Client, CopyFlags, CopyResult, Throttle};
use dmlab_engine::sched::explorer::Random;
use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::sync::{Allocator, Completion, Work, Workqueue, WqFlags};
use dmlab_engine::variants::{Planted, Variants};
use dmlab_units::{Nanos, Sectors, Seed};
use support::{explore_once, finishes, first_failure};

const DISK: Sectors = Sectors(4096);

/// A device that hands every bio to one of several workers, so that bios end late and out of order.
struct Lagging {
    below: Arc<Device>,
    workers: Workqueue,
    each: Nanos,
}

impl Driver for Lagging {
    fn submit_bio(&self, current: &Task, _dev: &Arc<Device>, mut bio: Bio) {
        bio.set_dev(Arc::clone(&self.below));
        let name = format!("bio at {}", bio.sector);
        let bio = Mutex::new(Some(bio));
        let each = self.each;
        let work = Work::new(&name, move |worker| {
            if each > Nanos::ZERO {
                worker.sleep(each);
            }
            let bio = bio.lock().unwrap().take().expect("queued once");
            dmlab_engine::block::submit_bio(worker, bio);
        });
        self.workers.queue(current, &work);
    }
}

fn lagging(current: &Task, below: &Arc<Device>, each: Nanos) -> Arc<Device> {
    let id = DevId { major: NULL_MAJOR, minor: below.id().minor };
    let workers = Workqueue::new(current.runtime(), &format!("lag/{}", below.name()), WqFlags::RECLAIM);
    let driver = Lagging { below: Arc::clone(below), workers, each };
    Device::new(below.core(), id, &format!("slow-{}", below.name()), below.capacity(), Box::new(driver))
}

/// Two ramdisks and a client whose pieces are 4 KiB.
struct Bench {
    core: Arc<BlockCore>,
    disks: Vec<Arc<Device>>,
    client: Arc<Client>,
}

impl Bench {
    fn new(current: &Task, planted: Planted, throttle: Option<Arc<Throttle>>) -> Self {
        let core = BlockCore::new(current.runtime(), Variants { planted, ..Variants::default() }, true);
        Module::of(current, &core).set_subjob_size_kb(4);
        let disks = (0..3).map(|minor| new_ramdisk(&core, minor, &format!("ram{minor}"), DISK)).collect();
        let client = Arc::new(Client::new(current, &core, "kc", throttle));
        Self { core, disks, client }
    }

    fn region(&self, disk: usize, sector: u64, count: u64) -> Region {
        Region { dev: Arc::clone(&self.disks[disk]), sector: Sectors(sector), count: Sectors(count) }
    }

    /// Writes a pattern that tells each sector from all others.
    fn fill(&self, current: &Task, region: &Region) {
        let buffer = Buffer::zeroed(region.count);
        buffer.with(current, |bytes| bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = pattern(at)));
        self.io(current, BioOp::Write, region, &buffer);
    }

    fn read(&self, current: &Task, region: &Region) -> Vec<u8> {
        let buffer = Buffer::zeroed(region.count);
        self.io(current, BioOp::Read, region, &buffer);
        buffer.with(current, |bytes| bytes.clone())
    }

    fn io(&self, current: &Task, op: BioOp, region: &Region, buffer: &Arc<Buffer>) {
        let client = IoClient::new(current, &self.core, "test");
        let memory = Some(BioVec::new(Arc::clone(buffer)));
        let request = IoRequest { opf: Opf::new(op, BioFlags::empty()), memory };
        client.run(current, &request, std::slice::from_ref(region)).unwrap();
    }

    fn copy(&self, current: &Task, from: &Region, dests: &[Region], flags: CopyFlags) -> CopyResult {
        let waiter = Waiter::new(current);
        self.client.copy(current, from, dests, flags, waiter.callback());
        waiter.wait(current)
    }

    fn finish(self, current: &Task) {
        self.client.destroy(current);
        assert!(self.core.pools().iter().all(|pool| pool.at_rest()), "pools are not at rest");
    }
}

const fn pattern(at: usize) -> u8 {
    (at / 512 * 7 + at % 251 + 1) as u8
}

/// Waits for a callback.
struct Waiter {
    done: Arc<Completion>,
    result: Arc<Mutex<CopyResult>>,
}

impl Waiter {
    fn new(current: &Task) -> Self {
        Self { done: Arc::new(Completion::new(current.runtime(), "copied")), result: Arc::default() }
    }

    fn callback(&self) -> Callback {
        let (done, into) = (Arc::clone(&self.done), Arc::clone(&self.result));
        Box::new(move |worker, result| {
            *into.lock().unwrap() = result;
            done.complete(worker);
        })
    }

    fn wait(&self, current: &Task) -> CopyResult {
        self.done.wait(current);
        *self.result.lock().unwrap()
    }
}

/// I/O fails at one device in a range of sectors.
struct Fails {
    device: &'static str,
    op: BioOp,
    range: std::ops::Range<u64>,
}

impl IoFaultHook for Fails {
    fn fate(
        &self,
        device: &str,
        op: BioOp,
        range: (Sectors, Sectors),
        _choose: Option<&mut dyn FnMut() -> bool>,
    ) -> Option<Fate> {
        let hit = device == self.device && op == self.op && self.range.contains(&range.0.0);
        hit.then_some(Fate::Ends(BlkStatus::IoErr))
    }
}

fn copies(planted: Planted, flags: CopyFlags, count: u64) -> impl FnOnce(&Task) + Send + 'static {
    move |current: &Task| {
        let bench = Bench::new(current, planted, None);
        let from = bench.region(0, 8, count);
        let dests = [bench.region(1, 40, count), bench.region(2, 0, count)];
        bench.fill(current, &from);
        assert!(bench.copy(current, &from, &dests, flags).is_ok());
        let wanted = bench.read(current, &from);
        for dest in &dests {
            assert!(bench.read(current, dest) == wanted, "{}: not what the source has", dest.dev.name());
        }
        bench.finish(current);
    }
}

#[test]
fn small_and_large_jobs_copy_every_sector_to_every_destination() {
    for count in [1, 8, 9, 64, 100] {
        for flags in [CopyFlags::empty(), CopyFlags::WRITE_SEQ, CopyFlags::IGNORE_ERROR] {
            finishes_few(move || copies(Planted::None, flags, count));
        }
    }
}

/// As `finishes`, with fewer schedules: these models are large.
fn finishes_few<M: FnOnce(&Task) + Send + 'static>(make: impl Fn() -> M) {
    let failure = first_failure(&mut Random::new(Seed(3)), 5, &make);
    assert!(failure.is_none(), "{failure:?}");
    assert_eq!(support::on_threads(make()).outcome, Outcome::Finished);
}

#[test]
fn zeros_are_written_over_what_was_there() {
    finishes_few(|| {
        |current: &Task| {
            let bench = Bench::new(current, Planted::None, None);
            // The second disk stands behind a driver that cannot write zeros by itself.
            let dests = [bench.disks[1].clone(), lagging(current, &bench.disks[2], Nanos::ZERO)].map(|dev| Region {
                dev,
                sector: Sectors(8),
                count: Sectors(20),
            });
            for dests in [&dests[..1], &dests[..]] {
                (1..3).for_each(|disk| bench.fill(current, &bench.region(disk, 0, 40)));
                let waiter = Waiter::new(current);
                bench.client.zero(current, dests, CopyFlags::empty(), waiter.callback());
                assert!(waiter.wait(current).is_ok());
                for dest in dests {
                    assert!(bench.read(current, dest).iter().all(|byte| *byte == 0));
                }
                assert!(bench.read(current, &bench.region(1, 28, 12))[0] == pattern(28 * 512));
            }
            bench.finish(current);
        }
    });
}

fn copy_with_fault(planted: Planted, fails: Fails, flags: CopyFlags) -> (Outcome, CopyResult) {
    let result = Arc::new(Mutex::new(CopyResult::default()));
    let out = Arc::clone(&result);
    let outcome = explore_once(move |current| {
        let bench = Bench::new(current, planted, None);
        bench.core.set_io_faults(current, Some(Arc::new(fails)));
        let dests = [bench.region(1, 0, 200), bench.region(2, 0, 200)];
        *out.lock().unwrap() = bench.copy(current, &bench.region(0, 0, 200), &dests, flags);
        if flags.contains(CopyFlags::IGNORE_ERROR) {
            let written = bench.core.entries().iter().filter(|entry| entry.device == "ram2").count();
            assert_eq!(written, 25, "every piece is written in spite of the error");
        }
        bench.finish(current);
    });
    let result = *result.lock().unwrap();
    (outcome.outcome, result)
}

#[test]
fn an_error_is_told_with_the_side_and_the_destinations_that_failed() {
    let read = || Fails { device: "ram0", op: BioOp::Read, range: 100..200 };
    let write = || Fails { device: "ram2", op: BioOp::Write, range: 100..200 };
    for flags in [CopyFlags::empty(), CopyFlags::IGNORE_ERROR, CopyFlags::WRITE_SEQ] {
        let (outcome, result) = copy_with_fault(Planted::None, read(), flags);
        assert_eq!((outcome, result.read_err), (Outcome::Finished, true), "{flags:?}");
        let (outcome, result) = copy_with_fault(Planted::None, write(), flags);
        // Reads of a sequential job are given up after a write error, and say so.
        assert_eq!((outcome, result.read_err), (Outcome::Finished, flags == CopyFlags::WRITE_SEQ), "{flags:?}");
        assert!(result.write_err & 0b10 != 0, "{flags:?}: the second destination failed: {:b}", result.write_err);
    }
    let (_, result) = copy_with_fault(Planted::KcopydDropsError, read(), CopyFlags::empty());
    assert!(result.is_ok(), "the planted bug says that all is well: the assertions above would catch it");
}

fn writes_in_order(planted: Planted) -> impl FnOnce(&Task) + Send + 'static {
    move |current: &Task| {
        let bench = Bench::new(current, planted, None);
        let slow = lagging(current, &bench.disks[0], Nanos::ZERO);
        let from = Region { dev: slow, sector: Sectors(0), count: Sectors(64) };
        assert!(bench.copy(current, &from, &[bench.region(1, 0, 64)], CopyFlags::WRITE_SEQ).is_ok());
        let sectors: Vec<u64> =
            bench.core.entries().iter().filter(|entry| entry.device == "ram1").map(|entry| entry.sector.0).collect();
        if !sectors.is_sorted() || sectors.len() != 8 {
            current.bug(format!("written in the order {sectors:?}"));
        }
        bench.finish(current);
    }
}

#[test]
fn a_sequential_job_writes_in_order_however_its_reads_end() {
    finishes(|| writes_in_order(Planted::None));
    let caught = first_failure(&mut Random::new(Seed(1)), 200, || writes_in_order(Planted::KcopydUnordered));
    assert!(matches!(caught, Some((_, Outcome::Crash(_)))), "{caught:?}");
}

#[test]
fn with_no_memory_but_the_reserves_every_copy_still_ends() {
    struct NoMemory;
    impl Allocator for NoMemory {
        fn fails(&self, _event: u64) -> bool {
            true
        }
        fn is_permanent(&self) -> bool {
            true
        }
    }
    impl SlabFaults for NoMemory {
        fn allocator_of(&self, _pool: &str) -> Option<Arc<dyn Allocator>> {
            Some(Arc::new(Self))
        }
    }
    finishes_few(|| {
        |current: &Task| {
            let bench = Arc::new(Bench::new(current, Planted::None, None));
            bench.core.set_slab_faults(current, Some(Arc::new(NoMemory)));
            let done = Arc::new(Completion::new(current.runtime(), "all copied"));
            for number in 0..2 {
                let (bench, done) = (Arc::clone(&bench), Arc::clone(&done));
                current.spawn(&format!("copier.{number}"), move |current| {
                    let at = number * 1000;
                    for _ in 0..3 {
                        let (from, dest) = (bench.region(0, at, 40), bench.region(1, at, 40));
                        assert!(bench.copy(current, &from, &[dest], CopyFlags::empty()).is_ok());
                    }
                    done.complete(current);
                });
            }
            (0..2).for_each(|_| done.wait(current));
            bench.client.destroy(current);
            assert_eq!(bench.client.job_pool().stats().in_use, 0);
        }
    });
}

#[test]
fn callbacks_of_a_client_never_run_at_the_same_time_and_destroy_waits_for_them() {
    finishes(|| {
        |current: &Task| {
            let bench = Bench::new(current, Planted::None, None);
            let (running, seen) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
            let callback = || -> Callback {
                let (running, seen) = (Arc::clone(&running), Arc::clone(&seen));
                Box::new(move |worker, _| {
                    assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two callbacks at once");
                    worker.yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    seen.fetch_add(1, Ordering::SeqCst);
                })
            };
            let (from, to) = (bench.region(0, 0, 8), bench.region(1, 0, 8));
            bench.client.copy(current, &from, std::slice::from_ref(&to), CopyFlags::empty(), callback());
            let prepared = bench.client.prepare_callback(current, callback());
            bench.client.copy(current, &from, &[to], CopyFlags::empty(), callback());
            bench.client.do_callback(current, prepared, CopyResult::default());
            bench.client.destroy(current);
            assert_eq!(seen.load(Ordering::SeqCst), 3);
            assert_eq!(bench.client.jobs(), 0);
        }
    });
}

#[test]
fn a_throttle_keeps_io_to_its_share_of_the_time() {
    let took = |percent: u64| {
        let took = Arc::new(AtomicU64::new(0));
        let out = Arc::clone(&took);
        let result = explore_once(move |current| {
            let throttle = Arc::new(Throttle::new(current, "test"));
            throttle.set_percent(percent);
            let bench = Bench::new(current, Planted::None, Some(throttle));
            let slow = lagging(current, &bench.disks[0], Nanos::millis(50));
            let from = |at: u64| Region { dev: Arc::clone(&slow), sector: Sectors(at), count: Sectors(8) };
            for at in 0..100 {
                let dest = bench.region(1, at * 8, 8);
                assert!(bench.copy(current, &from(at * 8), &[dest], CopyFlags::empty()).is_ok());
            }
            out.store(current.now().0, Ordering::SeqCst);
            bench.finish(current);
        });
        assert_eq!(result.outcome, Outcome::Finished);
        Nanos(took.load(Ordering::SeqCst)).as_secs_f64()
    };
    let (full, half) = (took(100), took(50));
    assert!((4.9..5.5).contains(&full), "100 reads of 50 ms took {full} s");
    assert!((8.0..14.0).contains(&half), "with half of the time for I/O they took {half} s");
}

/// Ramdisks share whole pages with what was copied: nobody may be able to tell.
#[test]
fn a_copy_and_its_source_can_be_written_to_without_each_other() {
    let outcome = explore_once(|current: &Task| {
        let bench = Bench::new(current, Planted::None, None);
        let (from, to) = (bench.region(0, 0, 32), bench.region(1, 16, 32));
        bench.fill(current, &from);
        let wanted = bench.read(current, &from);
        assert!(bench.copy(current, &from, std::slice::from_ref(&to), CopyFlags::empty()).is_ok());
        // A part of a page, and a whole one.
        for (sector, count) in [(3, 2), (8, 8)] {
            let zeros = Buffer::zeroed(Sectors(count));
            bench.io(current, BioOp::Write, &bench.region(0, sector, count), &zeros);
        }
        assert_eq!(bench.read(current, &to), wanted);
        let source = bench.read(current, &from);
        bench.io(current, BioOp::Write, &to, &Buffer::zeroed(to.count));
        assert_eq!(bench.read(current, &from), source);
        assert_ne!(source, wanted);
        bench.finish(current);
    });
    assert_eq!(outcome.outcome, Outcome::Finished);
}
