//! [`Persistent`]: the store of snapshots that outlive the machine (`P`, `PO`), in the kernel's own format.
//!
//! Invariants: what stands on the disk is at any time a store that can be loaded; an area that is begun was zeroed on
//! the disk before the area in front of it was written full; the header is written by a worker of its own, since its
//! writer may be inside `submit_bio_noacct`.
//! Differences from the kernel: areas are read one after another, without prefetching.
//! Not here: committing (`commit`), merging (`merge`), the bytes ([`super::format`]).

use std::sync::Arc;

use dmlab_units::Sectors;

use super::commit::Commit;
use super::format::{
    CHUNK_SECTORS_DEFAULT, Exception, FIRST_FREE, Geometry, HEADER_CHUNKS, Header, SNAP_MAGIC, SNAPSHOT_DISK_VERSION,
};
use super::store::{CommitCallback, Common, Create, ExceptionStore, Loaded, MergeStore, NoSpace, Usage};
use crate::block::{BioFlags, BioOp, BioVec, BlockCore, Buffer, Opf};
use crate::dm::Errno;
use crate::dm::io_client::{IoClient, IoRequest, Region};
use crate::sched::Task;
use crate::sched::cell::Tiny;
use crate::sync::{Confided, Count, Variable, Work, Workqueue, WqFlags};
use crate::variants::Planted;

/// How an area is written: nothing that went before may be lost if it is there.
pub(super) const COMMIT: BioFlags = BioFlags::PREFLUSH.union(BioFlags::FUA).union(BioFlags::SYNC);

/// `struct pstore`.
pub struct Persistent {
    pub(super) common: Common,
    core: Arc<BlockCore>,
    io: Arc<IoClient>,
    /// `ksnaphd`.
    metadata_wq: Workqueue,
    pub(super) valid: Variable,
    /// The next chunk to hand out. Under the snapshot's `pe_allocation_lock`.
    pub(super) next_free: Variable,
    /// Exceptions that were prepared and not committed.
    pub(super) pending_count: Count,
    /// Which area is in memory, and how many of its exceptions count.
    pub(super) current_area: Variable,
    pub(super) current_committed: Variable,
    pub(super) commit: Confided<Commit>,
    /// The current area. Used by the kcopyd worker alone, once loaded.
    area: Tiny<Option<Arc<Buffer>>>,
    pub(super) planted: Planted,
}

impl Persistent {
    pub(super) fn new(current: &Task, make: &Create<'_>, common: Common) -> Arc<Self> {
        let (runtime, core) = (current.runtime(), make.core);
        let named = |part: &str| format!("{}.{part}", make.name);
        let variable = |part: &str, value| Variable::new(runtime, &named(part), value);
        Arc::new(Self {
            common,
            core: Arc::clone(core),
            io: Arc::new(IoClient::new(current, core, &named("store"))),
            metadata_wq: Workqueue::new(runtime, &format!("ksnaphd/{}", make.name), WqFlags::RECLAIM),
            valid: variable("store_valid", 1),
            next_free: variable("next_free", FIRST_FREE),
            pending_count: Count::new(runtime, &named("pending_count")),
            current_area: variable("current_area", 0),
            current_committed: variable("current_committed", 0),
            commit: Confided::new(runtime, &named("callbacks"), Commit::default()),
            area: Tiny::new(None),
            planted: core.variants().planted,
        })
    }

    /// The geometry of a store whose chunk size is known.
    pub(super) fn geometry(&self) -> Geometry {
        Geometry::new(self.common.chunk_size().0 as u32).expect("a store's chunk size was checked when it was set")
    }

    pub(super) fn warn(&self, current: &Task, message: &str) {
        self.core.log(current, format!("device-mapper: persistent snapshot: {message}"));
    }

    /// The current area's memory.
    pub(super) fn area(&self, current: &Task) -> Arc<Buffer> {
        self.area.lock_for(current).clone().expect("the metadata was read")
    }

    fn zeroed_chunk(&self) -> Arc<Buffer> {
        Buffer::zeroed(self.common.chunk_size())
    }

    /// `chunk_io`, in the caller's context: it must not be inside `submit_bio_noacct`.
    pub(super) fn chunk_io(
        &self,
        current: &Task,
        buffer: &Arc<Buffer>,
        chunk: Option<u64>,
        opf: Opf,
    ) -> Result<(), Errno> {
        let _frame = current.enter("chunk_io");
        let (request, region) = self.request(buffer, chunk, opf)?;
        self.io.run(current, &request, &[region]).map_err(|_| Errno::EIO)
    }

    /// `chunk_io` with `metadata` set: by `ksnaphd`, for which the caller waits.
    fn chunk_io_by_worker(&self, current: &Task, buffer: &Arc<Buffer>, opf: Opf) -> Result<(), Errno> {
        let _frame = current.enter("chunk_io");
        let (request, region) = self.request(buffer, Some(0), opf)?;
        let result = Arc::new(Confided::new(current.runtime(), "mdata_req.result", Ok(())));
        let (io, into) = (Arc::clone(&self.io), Arc::clone(&result));
        let work = Work::new("do_metadata", move |worker| {
            let _frame = worker.enter("do_metadata");
            let ended = io.run(worker, &request, std::slice::from_ref(&region)).map_err(|_| Errno::EIO);
            into.change(worker, |result| *result = ended);
        });
        self.metadata_wq.queue(current, &work);
        self.metadata_wq.flush(current);
        result.look(current, |result| *result)
    }

    fn request(&self, buffer: &Arc<Buffer>, chunk: Option<u64>, opf: Opf) -> Result<(IoRequest, Region), Errno> {
        let count = self.common.chunk_size();
        // A chunk that no number reaches lies beyond the end of any device.
        let sector = chunk.and_then(|chunk| chunk.checked_mul(count.0)).ok_or(Errno::EIO)?;
        let region = Region { dev: Arc::clone(&self.common.cow), sector: Sectors(sector), count };
        Ok((IoRequest { opf, memory: Some(BioVec::new(Arc::clone(buffer))) }, region))
    }

    /// `area_io`: the current area, to or from its chunk.
    pub(super) fn area_io(&self, current: &Task, opf: Opf) -> Result<(), Errno> {
        let _frame = current.enter("area_io");
        let chunk = self.geometry().area_chunk(self.current_area.get());
        self.chunk_io(current, &self.area(current), chunk, opf)
    }

    /// `zero_disk_area`.
    pub(super) fn zero_disk_area(&self, current: &Task, area: u64) -> Result<(), Errno> {
        let _frame = current.enter("zero_disk_area");
        let chunk = self.geometry().area_chunk(area);
        self.chunk_io(current, &self.zeroed_chunk(), chunk, Opf::new(BioOp::Write, BioFlags::empty()))
    }

    /// `read_header`: whether there is none yet. Settles the chunk size.
    fn read_header(&self, current: &Task) -> Result<Option<Header>, Errno> {
        let _frame = current.enter("read_header");
        let supplied = self.common.chunk_size() != Sectors::ZERO;
        if !supplied {
            self.common.set_chunk_size(CHUNK_SECTORS_DEFAULT);
        }
        let buffer = self.zeroed_chunk();
        self.chunk_io_by_worker(current, &buffer, Opf::new(BioOp::Read, BioFlags::empty()))?;
        let header = buffer.with(current, |bytes| Header::decode(bytes)).expect("a chunk is larger than a header");
        if header.magic == 0 {
            return Ok(None);
        }
        if header.magic != SNAP_MAGIC {
            self.warn(current, "Invalid or corrupt snapshot");
            return Err(Errno::ENXIO);
        }
        self.valid.set(u64::from(header.valid != 0));
        let asked = self.common.chunk_size();
        if asked.0 == u64::from(header.chunk_size) {
            return Ok(Some(header));
        }
        if supplied {
            let found = header.chunk_size;
            let message = format!("chunk size {found} in device metadata overrides table chunk size of {asked}.");
            self.warn(current, &message);
        }
        if let Err(wrong) = Geometry::new(header.chunk_size) {
            self.warn(current, &format!("invalid on-disk chunk size {}: {wrong}.", header.chunk_size));
            return Err(Errno::EINVAL);
        }
        self.common.set_chunk_size(header.chunk_size);
        Ok(Some(header))
    }

    /// `write_header`.
    fn write_header(&self, current: &Task) -> Result<(), Errno> {
        let _frame = current.enter("write_header");
        let header = Header::new(self.valid.get() != 0, self.common.chunk_size().0 as u32);
        let buffer = self.zeroed_chunk();
        buffer.with(current, |bytes| bytes[..header.encode().len()].copy_from_slice(&header.encode()));
        self.chunk_io_by_worker(current, &buffer, Opf::new(BioOp::Write, BioFlags::empty()))
    }

    /// A store where there was none.
    fn make_new(&self, current: &Task) -> Result<Loaded, Errno> {
        self.write_header(current).inspect_err(|_| self.warn(current, "write_header failed"))?;
        self.zero_disk_area(current, 0).inspect_err(|_| self.warn(current, "zero_disk_area(0) failed"))?;
        Ok(Loaded::Valid)
    }

    /// `read_exceptions`: areas until one is not full. A device has an end, so this has one.
    fn read_exceptions(&self, current: &Task, add: &mut dyn FnMut(Exception)) -> Result<(), Errno> {
        let _frame = current.enter("read_exceptions");
        let geometry = self.geometry();
        let area = self.area(current);
        let mut next_free = FIRST_FREE;
        for number in 0.. {
            let read = Opf::new(BioOp::Read, BioFlags::empty());
            self.chunk_io(current, &area, geometry.area_chunk(number), read)?;
            let count = area.with(current, |bytes| {
                let exceptions = Exception::list(bytes);
                exceptions
                    .inspect(|exception| next_free = geometry.next_free(next_free, *exception))
                    .map(&mut *add)
                    .count()
            });
            if count < geometry.exceptions_per_area() {
                self.current_area.set(number);
                self.current_committed.set(count as u64);
                break;
            }
        }
        self.next_free.set(geometry.skip_metadata(next_free));
        Ok(())
    }
}

impl ExceptionStore for Persistent {
    fn common(&self) -> &Common {
        &self.common
    }

    fn read_metadata(&self, current: &Task, add: &mut dyn FnMut(Exception)) -> Result<Loaded, Errno> {
        let _frame = current.enter("persistent_read_metadata");
        let header = self.read_header(current)?;
        *self.area.lock_for(current) = Some(self.zeroed_chunk());
        let Some(header) = header else { return self.make_new(current) };
        if header.version != SNAPSHOT_DISK_VERSION {
            self.warn(current, &format!("unable to handle snapshot disk version {}", header.version as i32));
            return Err(Errno::EINVAL);
        }
        if header.valid == 0 {
            return Ok(Loaded::Invalid);
        }
        self.read_exceptions(current, add)?;
        Ok(Loaded::Valid)
    }

    fn prepare(&self, _current: &Task) -> Result<u64, NoSpace> {
        let new_chunk = self.next_free.get();
        let end = new_chunk.checked_add(1).and_then(|chunks| self.geometry().chunk_sector(chunks));
        if end.is_none_or(|end| self.common.cow.capacity().0 < end) {
            return Err(NoSpace);
        }
        self.next_free.set(self.geometry().skip_metadata(new_chunk + 1));
        self.pending_count.inc();
        Ok(new_chunk)
    }

    fn commit(&self, current: &Task, exception: Exception, valid: bool, callback: CommitCallback) {
        self.commit_exception(current, exception, valid, callback);
    }

    fn drop_snapshot(&self, current: &Task) {
        let _frame = current.enter("persistent_drop_snapshot");
        self.valid.set(0);
        if self.write_header(current).is_err() {
            self.warn(current, "write header failed");
        }
    }

    fn usage(&self, _current: &Task) -> Usage {
        let chunk = self.common.chunk_size().0;
        Usage {
            total: self.common.cow.capacity().0,
            allocated: self.next_free.get().saturating_mul(chunk),
            metadata: (self.current_area.get() + 1 + HEADER_CHUNKS) * chunk,
        }
    }

    fn merging(&self) -> Option<&dyn MergeStore> {
        Some(self)
    }

    fn dtr(&self, current: &Task) {
        self.metadata_wq.drain(current);
    }
}
