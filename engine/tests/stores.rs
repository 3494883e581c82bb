//! Exception stores on devices: the bytes, what is written when and in which order, loading, merging, damage; and the
//! planted bugs that show that these tests can fail.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dmlab_engine::block::device::{DevId, NULL_MAJOR};
use dmlab_engine::block::ram::new_ramdisk;
use dmlab_engine::block::{Bio, BioFlags, BioOp, BioVec, BlockCore, Buffer, Device, Driver, Opf, submit_bio};
use dmlab_engine::dm::Errno;
use dmlab_engine::dm::io_client::{IoClient, IoRequest, Region};
use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::stores::{Create, Exception, ExceptionStore, Loaded, NoSpace, Usage, create};
use dmlab_engine::variants::{Planted, Variants};
use dmlab_units::{Sectors, Seed};
use support::{explore_once, tell};

/// A bio as the recorder saw it: operation, modifiers, first sector.
type Seen = (BioOp, BioFlags, u64);

/// A disk with a volatile cache in front, as far as flushes go: it notes what it is sent.
struct Recorder {
    below: Arc<Device>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Driver for Recorder {
    fn submit_bio(&self, current: &Task, _dev: &Arc<Device>, mut bio: Bio) {
        self.seen.lock().unwrap().push((bio.op(), bio.flags(), bio.sector.0));
        bio.set_dev(Arc::clone(&self.below));
        submit_bio(current, bio);
    }

    fn has_write_cache(&self) -> bool {
        true
    }
}

/// A store that was loaded, what it was found to be, and its exceptions.
type Found = (Arc<dyn ExceptionStore>, Loaded, Vec<(u64, u64)>);

struct Bench {
    core: Arc<BlockCore>,
    disk: Arc<Device>,
    /// What stores are made on: it notes what it is sent.
    dev: Arc<Device>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Bench {
    fn new(current: &Task, planted: Planted, sectors: u64) -> Self {
        let core = BlockCore::new(current.runtime(), Variants { planted, ..Variants::default() }, false);
        let disk = new_ramdisk(&core, 0, "cow", Sectors(sectors));
        let seen = Arc::default();
        let recorder = Recorder { below: Arc::clone(&disk), seen: Arc::clone(&seen) };
        let dev =
            Device::new(&core, DevId { major: NULL_MAJOR, minor: 0 }, "cow", Sectors(sectors), Box::new(recorder));
        Self { core, disk, dev, seen }
    }

    fn create(&self, current: &Task, words: &[&str]) -> Arc<dyn ExceptionStore> {
        create(current, &Create { core: &self.core, name: "snap", cow: &self.dev }, words).unwrap()
    }

    /// A store, what it was found to be, and the exceptions in it.
    fn load(&self, current: &Task, words: &[&str]) -> Result<Found, Errno> {
        let store = self.create(current, words);
        let mut found = Vec::new();
        let add = &mut |exception: Exception| found.push((exception.old_chunk, exception.new_chunk));
        let loaded = store.read_metadata(current, add)?;
        Ok((store, loaded, found))
    }

    fn io(&self, current: &Task, op: BioOp, sector: u64, buffer: &Arc<Buffer>) {
        let client = IoClient::new(current, &self.core, "test");
        let count = Sectors(buffer.len().0 / 512);
        let region = Region { dev: Arc::clone(&self.disk), sector: Sectors(sector), count };
        let memory = Some(BioVec::new(Arc::clone(buffer)));
        client.run(current, &IoRequest { opf: Opf::new(op, BioFlags::empty()), memory }, &[region]).unwrap();
    }

    fn bytes(&self, current: &Task, sector: u64, sectors: u64) -> Vec<u8> {
        let buffer = Buffer::zeroed(Sectors(sectors));
        self.io(current, BioOp::Read, sector, &buffer);
        buffer.with(current, |bytes| bytes.clone())
    }

    fn write(&self, current: &Task, sector: u64, bytes: &[u8]) {
        let buffer = Buffer::zeroed(Sectors((bytes.len() as u64).div_ceil(512)));
        buffer.with(current, |memory| memory[..bytes.len()].copy_from_slice(bytes));
        self.io(current, BioOp::Write, sector, &buffer);
    }

    fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// Prepares and commits one exception; whether it was committed well.
fn except(current: &Task, store: &dyn ExceptionStore, old_chunk: u64) -> bool {
    let new_chunk = store.prepare(current).unwrap();
    let ended = Arc::new(Mutex::new(None));
    commit(current, store, (old_chunk, new_chunk), &ended);
    let ended = ended.lock().unwrap();
    ended.expect("nothing is pending: the batch is written at once")
}

fn commit(current: &Task, store: &dyn ExceptionStore, (old, new): (u64, u64), ended: &Arc<Mutex<Option<bool>>>) {
    let ended = Arc::clone(ended);
    let callback = move |_: &Task, well| *ended.lock().unwrap() = Some(well);
    store.commit(current, Exception { old_chunk: old, new_chunk: new }, true, Box::new(callback));
}

#[track_caller]
fn finishes(model: impl FnOnce(&Task) + Send + 'static) {
    let outcome = explore_once(model).outcome;
    assert!(outcome == Outcome::Finished, "{}", tell(&outcome));
}

#[test]
fn a_new_store_and_its_exceptions_are_the_kernel_s_byte_for_byte() {
    finishes(|current| {
        let bench = Bench::new(current, Planted::None, 4096);
        bench.write(current, 8, &[0xFF; 4096]);
        let (store, loaded, found) = bench.load(current, &["P", "8"]).unwrap();
        assert_eq!((loaded, found.len()), (Loaded::Valid, 0));
        for old_chunk in [7, 0x0102_0304] {
            assert!(except(current, &*store, old_chunk));
        }
        let mut header = vec![0; 4096];
        header[..16].copy_from_slice(b"SnAp\x01\0\0\0\x01\0\0\0\x08\0\0\0");
        assert!(bench.bytes(current, 0, 8) == header);
        let mut area = vec![0; 4096];
        area[..32].copy_from_slice(b"\x07\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x04\x03\x02\x01\0\0\0\0\x03\0\0\0\0\0\0\0");
        assert!(bench.bytes(current, 8, 8) == area);
        let (again, _, found) = bench.load(current, &["PO", "8"]).unwrap();
        assert_eq!(found, [(7, 2), (0x0102_0304, 3)]);
        assert_eq!(again.prepare(current), Ok(4), "the chunk behind the last");
        assert_eq!((store.common().table(), again.common().table()), ("P 8".to_owned(), "PO 8".to_owned()));
    });
}

#[test]
fn usage_is_counted_as_the_kernel_counts() {
    finishes(|current| {
        let bench = Bench::new(current, Planted::None, 204_800);
        let (store, ..) = bench.load(current, &["P", "16"]).unwrap();
        assert_eq!(store.usage(current), Usage { total: 204_800, allocated: 32, metadata: 32 });
        (0..512).for_each(|old_chunk| assert!(except(current, &*store, old_chunk)));
        // Area 1 is chunk 514: header, two areas and 512 chunks of data.
        assert_eq!(store.usage(current), Usage { total: 204_800, allocated: 515 * 16, metadata: 48 });
        let transient = bench.create(current, &["N", "16"]);
        assert_eq!((transient.prepare(current), transient.prepare(current)), (Ok(0), Ok(1)));
        assert_eq!(transient.usage(current), Usage { total: 204_800, allocated: 32, metadata: 0 });
    });
}

#[test]
fn a_batch_is_written_when_nothing_is_pending_any_more() {
    finishes(|current| {
        let bench = Bench::new(current, Planted::None, 4096);
        let (store, ..) = bench.load(current, &["P", "8"]).unwrap();
        let places: Vec<u64> = (0..3).map(|_| store.prepare(current).unwrap()).collect();
        bench.seen();
        let ended: Vec<Arc<Mutex<Option<bool>>>> = (0..3).map(|_| Arc::default()).collect();
        for (number, place) in places.into_iter().enumerate() {
            let written = bench.seen();
            assert!(written.is_empty(), "something was written for exception {number}: {written:?}");
            commit(current, &*store, (number as u64, place), &ended[number]);
        }
        let commit = BioFlags::PREFLUSH | BioFlags::FUA | BioFlags::SYNC;
        assert_eq!(bench.seen(), [(BioOp::Write, commit, 8)], "one area, behind a flush, for three exceptions");
        assert!(ended.iter().all(|ended| *ended.lock().unwrap() == Some(true)));
    });
}

/// What a store with a full first area writes last, and what a loader then finds; behind the area stands old garbage.
fn full_area(planted: Planted) -> (Vec<Seen>, usize) {
    let out = Arc::new(Mutex::new((Vec::new(), 0)));
    let into = Arc::clone(&out);
    finishes(move |current| {
        let bench = Bench::new(current, planted, 4096);
        // Chunks of one sector: 32 exceptions, area 1 in chunk 34.
        bench.write(current, 34, &[0x0C; 512]);
        let (store, ..) = bench.load(current, &["P", "1"]).unwrap();
        for old_chunk in 0..32 {
            bench.seen();
            assert!(except(current, &*store, old_chunk));
        }
        let seen = bench.seen();
        let found = bench.load(current, &["P", "1"]).map_or(usize::MAX, |(_, _, found)| found.len());
        *into.lock().unwrap() = (seen, found);
    });
    let out = out.lock().unwrap();
    out.clone()
}

#[test]
fn a_full_area_is_written_after_the_next_one_was_zeroed_and_flushed_with_it() {
    let commit = BioFlags::PREFLUSH | BioFlags::FUA | BioFlags::SYNC;
    let (seen, found) = full_area(Planted::None);
    assert_eq!(seen, [(BioOp::Write, BioFlags::empty(), 34), (BioOp::Write, commit, 1)]);
    assert_eq!(found, 32);
    let (_, found) = full_area(Planted::StoreKeepsNextArea);
    assert_ne!(found, 32, "the loader runs into what stood behind the area before");
    let (seen, _) = full_area(Planted::StoreNoFlush);
    assert_ne!(seen.last().unwrap().1, commit);
}

#[test]
fn an_exception_is_told_to_be_committed_when_it_stands_on_the_disk() {
    fn standing(planted: Planted) -> bool {
        let out = Arc::new(Mutex::new(None));
        let into = Arc::clone(&out);
        finishes(move |current| {
            let bench = Arc::new(Bench::new(current, planted, 4096));
            let (store, ..) = bench.load(current, &["P", "8"]).unwrap();
            let new_chunk = store.prepare(current).unwrap();
            let disk = Arc::clone(&bench);
            let look = move |worker: &Task, _| {
                *into.lock().unwrap() =
                    Some(disk.bytes(worker, 8, 1)[..16] == *b"\x05\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0");
            };
            store.commit(current, Exception { old_chunk: 5, new_chunk }, true, Box::new(look));
        });
        out.lock().unwrap().unwrap()
    }
    assert!(standing(Planted::None));
    assert!(!standing(Planted::StoreTellsEarly));
}

#[test]
fn a_store_is_full_when_the_next_chunk_does_not_fit() {
    finishes(|current| {
        let bench = Bench::new(current, Planted::None, 35);
        let (store, ..) = bench.load(current, &["P", "1"]).unwrap();
        let places: Vec<u64> = (0..).map_while(|_| store.prepare(current).ok()).collect();
        assert_eq!(places, (2..34).collect::<Vec<_>>(), "chunk 34 is area 1, chunk 35 is beyond the end");
        let transient = bench.create(current, &["N", "8"]);
        assert_eq!((0..4).map(|_| transient.prepare(current).unwrap()).last(), Some(3));
        assert_eq!(transient.prepare(current), Err(NoSpace));
    });
}

#[test]
fn a_failed_copy_or_a_dropped_snapshot_is_invalid_for_ever() {
    finishes(|current| {
        let bench = Bench::new(current, Planted::None, 4096);
        let (store, ..) = bench.load(current, &["P", "8"]).unwrap();
        let new_chunk = store.prepare(current).unwrap();
        let ended = Arc::new(Mutex::new(None));
        let into = Arc::clone(&ended);
        let callback = Box::new(move |_: &Task, well| *into.lock().unwrap() = Some(well));
        store.commit(current, Exception { old_chunk: 1, new_chunk }, false, callback);
        assert_eq!(*ended.lock().unwrap(), Some(false));
        assert!(!except(current, &*store, 2), "and so is every exception after it");
        store.drop_snapshot(current);
        assert_eq!(bench.bytes(current, 0, 1)[..16], *b"SnAp\0\0\0\0\x01\0\0\0\x08\0\0\0");
        assert!(matches!(bench.load(current, &["P", "8"]), Ok((_, Loaded::Invalid, _))));
    });
}

#[test]
fn what_stands_on_the_disk_decides_the_chunk_size_and_what_is_refused() {
    finishes(|current| {
        let bench = Bench::new(current, Planted::None, 4096);
        let (store, ..) = bench.load(current, &["P", "0"]).unwrap();
        assert_eq!(store.common().chunk_size(), Sectors(32), "the default");
        let (store, ..) = bench.load(current, &["P", "8"]).unwrap();
        assert_eq!(store.common().chunk_size(), Sectors(32), "the disk's");
        let kmsg = bench.core.kmsg();
        let wanted =
            "device-mapper: persistent snapshot: chunk size 32 in device metadata overrides table chunk size of 8.";
        assert_eq!(kmsg.last().map(String::as_str), Some(wanted));
        for (bytes, errno) in [
            (b"SnAq\x01\0\0\0\x01\0\0\0\x20\0\0\0", Errno::ENXIO),
            (b"SnAp\x01\0\0\0\x02\0\0\0\x20\0\0\0", Errno::EINVAL),
            (b"SnAp\x01\0\0\0\x01\0\0\0\x21\0\0\0", Errno::EINVAL),
            (b"SnAp\x01\0\0\0\x01\0\0\0\0\0\0\x80", Errno::EINVAL),
        ] {
            bench.write(current, 0, bytes);
            assert_eq!(bench.load(current, &["P", "32"]).map(|_| ()), Err(errno), "{bytes:?}");
        }
    });
}

#[test]
fn words_are_refused_as_the_kernel_refuses_them() {
    finishes(|current| {
        let bench = Bench::new(current, Planted::None, 4096);
        let make = Create { core: &bench.core, name: "snap", cow: &bench.dev };
        for (words, wrong) in [
            (&["P"][..], "Insufficient exception store arguments"),
            (&["X", "8"], "Exception store type is not P or N"),
            (&["P", "8k"], "Invalid chunk size"),
            (&["N", "12"], "Chunk size is not a power of 2"),
            (&["P", "4194304"], "Chunk size is too high"),
            (&["PX", "8"], "Exception store type constructor failed"),
        ] {
            assert_eq!(create(current, &make, words).map(|_| ()), Err(wrong), "{words:?}");
        }
        assert_eq!(bench.core.kmsg(), ["device-mapper: persistent snapshot: Unsupported persistent store option: X"]);
        for words in [["p", "8"], ["po", "8"], ["NX", "8"], ["n", "0"]] {
            assert!(create(current, &make, &words).is_ok(), "{words:?}");
        }
    });
}

#[test]
fn exceptions_are_merged_from_the_last_in_runs_within_an_area() {
    finishes(|current| {
        let bench = Bench::new(current, Planted::None, 4096);
        let (store, ..) = bench.load(current, &["P", "1"]).unwrap();
        // Two areas: 32 exceptions, then 10 11 12 and 20.
        let old_chunks = (100..132).chain([10, 11, 12, 20]);
        old_chunks.for_each(|old_chunk| assert!(except(current, &*store, old_chunk)));
        let merging = store.merging().unwrap();
        let mut runs = Vec::new();
        while let Some(run) = merging.prepare_merge(current).unwrap() {
            runs.push((run.last.old_chunk, run.last.new_chunk, run.chunks));
            merging.commit_merge(current, run.chunks).unwrap();
        }
        assert_eq!(runs, [(20, 38, 1), (12, 37, 3), (131, 33, 32)]);
        assert_eq!(store.usage(current), Usage { total: 4096, allocated: 2, metadata: 2 }, "merged to the end");
        assert_eq!(bench.load(current, &["P", "1"]).unwrap().2, []);
    });
}

/// Stores that the loader is given, each with some bytes changed.
const DAMAGED_STORES: u64 = 3_000;

/// A store of chunks of one sector with 70 exceptions, that is two full areas and a begun one.
fn image() -> Vec<u8> {
    let out = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&out);
    finishes(move |current| {
        let bench = Bench::new(current, Planted::None, 160);
        let (store, ..) = bench.load(current, &["P", "1"]).unwrap();
        (0..70).for_each(|old_chunk| assert!(except(current, &*store, old_chunk)));
        *into.lock().unwrap() = bench.bytes(current, 0, 160);
    });
    let image = out.lock().unwrap();
    image.clone()
}

#[test]
fn a_loader_never_panics_or_hangs_whatever_bytes_it_finds() {
    let intact = image();
    let mut rng = Seed(5).rng();
    let loaded = Arc::new(AtomicU64::new(0));
    for _ in 0..DAMAGED_STORES {
        let mut image = intact.clone();
        for _ in 0..=rng.below(6) {
            // Any byte of the header or of one of the three areas.
            let sector = [0, 1, 34, 67][rng.below(4) as usize];
            let place = rng.below(if sector == 0 { 16 } else { 512 }) as usize;
            image[sector * 512 + place] = rng.below(256) as u8;
        }
        let count = Arc::clone(&loaded);
        // A run that does not come to its end within the limit on steps fails.
        finishes(move |current| {
            let bench = Bench::new(current, Planted::None, 160);
            bench.write(current, 0, &image);
            if let Ok((store, Loaded::Valid, found)) = bench.load(current, &["P", "1"]) {
                count.fetch_add(1, Ordering::SeqCst);
                assert!(found.len() <= 160);
                store.usage(current);
                if store.prepare(current).is_ok() {
                    store.commit(current, Exception { old_chunk: 1, new_chunk: 2 }, true, Box::new(|_, _| ()));
                }
            }
        });
    }
    let loaded = loaded.load(Ordering::SeqCst);
    println!("{DAMAGED_STORES} damaged stores, of which {loaded} could be loaded");
    assert!(loaded > DAMAGED_STORES / 4 && loaded < DAMAGED_STORES);
}
