//! An origin with a snapshot on ramdisks, bios to it in bursts, and exception stores of any size.
//!
//! Invariant: every page of a ramdisk that is written to in a measurement was there before it.
//! Not here: what is measured.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dmlab_engine::block::device::NULL_MAJOR;
use dmlab_engine::block::{Bio, BioOp, BioVec, BlkStatus, Buffer, Device, Driver, EndIo, submit_bio};
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::Task;
use dmlab_engine::stores::format::{Exception, FIRST_FREE, Geometry, Header};
use dmlab_engine::sync::Completion;
use dmlab_engine::variants::Variants;
use dmlab_units::{Nanos, Sectors};

use crate::support::add_dm;

/// Bios in flight.
const BURST: u64 = 32;
/// With so large bios ramdisks are filled.
const FILL: Sectors = Sectors(2048);
/// Sectors of a chunk of a [`store`]: 4 KiB.
pub(crate) const STORE_CHUNK: u64 = 8;
/// Chunks of the origin of a [`store`].
const ORIGIN_CHUNKS: u64 = 1 << 24;

/// Counts the bios of a burst, and tells of the last.
struct Burst {
    left: AtomicU64,
    over: Completion,
}

impl EndIo for Burst {
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, _cookie: u64) {
        assert!(status.is_ok(), "a bench does no failing I/O");
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.over.complete(current);
        }
    }
}

/// Bios of `size` in bursts to `count` places in a row from number `first` on; `place` says where each lies, in sectors. How
/// long that took.
pub(crate) fn bursts(
    current: &Task,
    device: &Arc<Device>,
    (op, size): (BioOp, Sectors),
    (first, count): (u64, u64),
    place: impl Fn(u64) -> u64,
) -> Nanos {
    let data = BioVec::new(Buffer::zeroed(size));
    let burst = Arc::new(Burst { left: AtomicU64::new(0), over: Completion::new(current.runtime(), "burst") });
    let began = current.now();
    let mut number = first;
    while number < first + count {
        let end = (number + BURST).min(first + count);
        burst.left.store(end - number, Ordering::Release);
        for number in number..end {
            let hook = (Arc::clone(&burst) as Arc<dyn EndIo>, 0);
            let range = (Sectors(place(number)), size);
            submit_bio(current, Bio::new(current, op, Arc::clone(device), range, Some(data.clone()), hook));
        }
        burst.over.wait(current);
        number = end;
    }
    current.now().saturating_sub(began)
}

/// An origin with one transient snapshot.
pub(crate) struct Origin {
    /// The snapshot-origin device.
    pub(crate) base: Arc<Device>,
    chunk: Sectors,
    _machine: Arc<Machine>,
}

impl Origin {
    /// With room for `chunks` chunks that are measured, behind a burst of others that are copied to warm up.
    pub(crate) fn new(current: &Task, variants: Variants, chunk: Sectors, chunks: u64) -> Self {
        let machine = Machine::new(current, variants, false);
        let size = Sectors(((chunks + BURST) * chunk.0).next_multiple_of(FILL.0));
        let [origin, cow] = ["o", "c"].map(|name| {
            let ram = machine.add_ramdisk(current, name, size);
            bursts(current, &ram, (BioOp::Write, FILL), (0, size.0 / FILL.0), |number| number * FILL.0);
            ram
        });
        add_dm(current, &machine, "s", &[format!("0 {size} snapshot {} {} N {chunk}", origin.id(), cow.id())]);
        let base = add_dm(current, &machine, "b", &[format!("0 {size} snapshot-origin {}", origin.id())]);
        let this = Self { base, chunk, _machine: machine };
        this.write(current, 0, BURST);
        this
    }

    /// Writes so many chunks, behind the ones that were written to warm up.
    pub(crate) fn write_measured(&self, current: &Task, count: u64) -> Nanos {
        self.write(current, BURST, count)
    }

    fn write(&self, current: &Task, first: u64, count: u64) -> Nanos {
        bursts(current, &self.base, (BioOp::Write, self.chunk), (first, count), |number| number * self.chunk.0)
    }
}

/// The chunk of the origin of exception `number`: spread over the origin, so that no two are neighbours in the table.
pub(crate) const fn spread(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % ORIGIN_CHUNKS
}

/// A persistent store of so many exceptions, whose bytes are made when they are read: a file of its size would have many
/// gigabytes.
#[derive(Clone, Copy)]
pub(crate) struct Image {
    exceptions: u64,
    geometry: Geometry,
    at: u64,
}

impl Image {
    pub(crate) fn new(exceptions: u64) -> Self {
        Self { exceptions, geometry: Geometry::new(STORE_CHUNK as u32).expect("a chunk size as any other"), at: 0 }
    }

    const fn per_area(&self) -> u64 {
        self.geometry.exceptions_per_area() as u64
    }

    /// Chunks of the device, with room for as many exceptions as an area has.
    const fn chunks(&self) -> u64 {
        2 + self.exceptions + self.exceptions / self.per_area() + self.per_area()
    }

    /// The last area that the loader reads: the first that is not full.
    const fn last_area(&self) -> u64 {
        self.exceptions / self.per_area()
    }

    fn area_chunk(&self, area: u64) -> u64 {
        self.geometry.area_chunk(area).expect("an area that there is room for")
    }

    /// The entries of an area, in `bytes` of zeros.
    fn fill(&self, area: u64, bytes: &mut [u8]) {
        let first = area * self.per_area();
        for number in first..(first + self.per_area()).min(self.exceptions) {
            // Places are handed out one by one, but for the chunks of areas.
            let new_chunk = FIRST_FREE + number + area;
            let exception = Exception { old_chunk: spread(number), new_chunk };
            exception.encode(bytes, (number - first) as usize);
        }
    }
}

impl Read for Image {
    /// Reads the header, or an area.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        bytes.fill(0);
        match self.at {
            0 => {
                let header = Header::new(true, STORE_CHUNK as u32).encode();
                let len = header.len().min(bytes.len());
                bytes[..len].copy_from_slice(&header[..len]);
            }
            at => self.fill((at / self.geometry.chunk_bytes() as u64 - 1) / (self.per_area() + 1), bytes),
        }
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

impl Seek for Image {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(_) => self.chunks() * self.geometry.chunk_bytes() as u64,
            SeekFrom::Current(_) => self.at,
        };
        Ok(self.at)
    }
}

/// A COW device that has an [`Image`]'s metadata, and keeps no data: what it takes of a read through a snapshot does not
/// depend on how many exceptions there are.
struct Metadata(Image);

impl Driver for Metadata {
    fn submit_bio(&self, current: &Task, _dev: &Arc<Device>, bio: Bio) {
        if let Some(data) = bio.data().filter(|_| bio.op() == BioOp::Read && bio.sectors == Sectors(STORE_CHUNK)) {
            let mut image = self.0;
            image.at = bio.sector.bytes().0;
            let read = data.buffer.with(current, |bytes| image.read(bytes));
            read.expect("an image can be read");
        }
        bio.end(current, BlkStatus::Ok);
    }

    fn takes(&self, _op: BioOp) -> bool {
        true
    }
}

/// A device that holds a persistent store, and an origin for it.
pub(crate) struct Store {
    pub(crate) machine: Arc<Machine>,
    origin: Arc<Device>,
    cow: Arc<Device>,
}

/// A store of so many exceptions, on a device that keeps nothing else.
pub(crate) fn store_of_metadata(current: &Task, exceptions: u64) -> Store {
    let machine = Machine::new(current, Variants::default(), false);
    let image = Image::new(exceptions);
    let origin = machine.add_null(current, "o", Sectors(ORIGIN_CHUNKS * STORE_CHUNK));
    let size = Sectors(image.chunks() * STORE_CHUNK);
    let cow = machine.add_leaf(current, "c", NULL_MAJOR, size, Box::new(Metadata(image)));
    Store { machine, origin, cow }
}

/// A store of so many exceptions, on a ramdisk.
pub(crate) fn store(current: &Task, exceptions: u64) -> Store {
    let machine = Machine::new(current, Variants::default(), false);
    let image = Image::new(exceptions);
    let origin = machine.add_null(current, "o", Sectors(ORIGIN_CHUNKS * STORE_CHUNK));
    let cow = machine.add_ramdisk(current, "c", Sectors(image.chunks() * STORE_CHUNK));
    let burst = Arc::new(Burst { left: AtomicU64::new(0), over: Completion::new(current.runtime(), "put") });
    let put = |chunk: u64, fill: &dyn Fn(&mut [u8])| {
        let buffer = Buffer::zeroed(Sectors(STORE_CHUNK));
        buffer.with(current, |bytes| fill(bytes));
        burst.left.store(1, Ordering::Release);
        let hook = (Arc::clone(&burst) as Arc<dyn EndIo>, 0);
        let range = (Sectors(chunk * STORE_CHUNK), Sectors(STORE_CHUNK));
        let data = Some(BioVec::new(buffer));
        submit_bio(current, Bio::new(current, BioOp::Write, Arc::clone(&cow), range, data, hook));
        burst.over.wait(current);
    };
    put(0, &|bytes| bytes[..16].copy_from_slice(&Header::new(true, STORE_CHUNK as u32).encode()));
    for area in 0..=image.last_area() {
        put(image.area_chunk(area), &|bytes| image.fill(area, bytes));
    }
    Store { machine, origin, cow }
}

/// Creates the snapshot `s` of a [`store`], which reads all of it.
pub(crate) fn load(current: &Task, store: &Store) -> Arc<Device> {
    let Store { machine, origin, cow } = store;
    let size = origin.capacity();
    add_dm(current, machine, "s", &[format!("0 {size} snapshot {} {} P {STORE_CHUNK}", origin.id(), cow.id())])
}
