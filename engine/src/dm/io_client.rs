//! [`IoClient`]: dm-io: one request over a few regions of devices, asynchronous or waited for (dm-spec §1.1, dm-io.c).
//!
//! Every client has two reserves: requests in flight (`struct io`), and bios. A request makes as few bios per region as
//! fit (256 pages each) and is told once, with one bit per region that failed.
//!
//! Invariants: the notification comes exactly once, after the last bio has ended and the request's element is back; bios
//! of several regions are submitted region by region, in order; several regions only for writes; an empty region is left
//! out, unless the request carries a preflush.
//! Differences from the kernel: the number of bios is known before the first is submitted, so that the submitter holds no
//! share of its own and the last bio to end tells.
//! Not here: memory kinds (a request reads into or writes from one contiguous buffer).

use std::panic::Location;
use std::sync::Arc;

use dmlab_units::Sectors;

use crate::block::submit::submit_bio;
use crate::block::{Bio, BioFlags, BioOp, BioSet, BioVec, BlkStatus, BlockCore, Device, EndIo, Opf};
use crate::sched::cell::Tiny;
use crate::sched::{ObjectId, OpKind, Task};
use crate::sync::mempool::Element;
use crate::sync::{Completion, Gfp, Mempool};

/// Reserve of requests and of bios: `reserved_bio_based_ios` at its default (dm-spec §1.1).
pub const IO_CLIENT_RESERVE: u64 = 16;
/// What one bio can carry: `BIO_MAX_VECS` pages.
pub const BIO_SECTORS_MAX: Sectors = Sectors(256 * 8);
/// `DM_IO_MAX_REGIONS`: regions of one request, as many as an error mask has bits.
pub const IO_REGIONS_MAX: usize = 64;

/// `struct dm_io_region`: a range of a device.
#[derive(Clone)]
pub struct Region {
    /// Which device.
    pub dev: Arc<Device>,
    /// First sector.
    pub sector: Sectors,
    /// How many.
    pub count: Sectors,
}

/// `struct dm_io_request`: what is to be done with every region.
#[derive(Clone)]
pub struct IoRequest {
    /// What to do, and how.
    pub opf: Opf,
    /// The memory that is read into or written from; the same for every region. `None` moves nothing.
    pub memory: Option<BioVec>,
}

/// `blkdev_issue_flush`, for a region without sectors.
pub const fn flush_request() -> IoRequest {
    IoRequest { opf: Opf::new(BioOp::Flush, BioFlags::empty()), memory: None }
}

/// Who is told when a request has ended: a bit for each region that failed.
pub type Notify = Box<dyn FnOnce(&Task, u64) + Send>;

/// `struct dm_io_client`.
pub struct IoClient {
    pool: Arc<Mempool>,
    bios: BioSet,
}

/// `struct io`: a request in flight.
struct Io {
    id: ObjectId,
    pool: Arc<Mempool>,
    state: Tiny<IoState>,
}

struct IoState {
    /// Bios that have not ended.
    count: u32,
    /// Whether several bios share it, so that somebody can see in which order they end.
    shared: bool,
    error_bits: u64,
    element: Option<Element>,
    notify: Option<Notify>,
}

impl IoClient {
    /// `dm_io_client_create`: a client whose pools are `<name>.io` and `<name>.bios`.
    pub fn new(current: &Task, core: &Arc<BlockCore>, name: &str) -> Self {
        Self {
            pool: core.new_pool(current, &format!("{name}.io"), IO_CLIENT_RESERVE),
            bios: BioSet::new(current, core, &format!("{name}.bios"), IO_CLIENT_RESERVE, true),
        }
    }

    /// `dm_io` with a callback: returns as soon as everything is submitted.
    ///
    /// # Panics
    /// With more than [`IO_REGIONS_MAX`] regions, or several for a read: a mistake of the caller (`WARN_ON` in the kernel).
    #[track_caller]
    pub fn start(&self, current: &Task, request: &IoRequest, regions: &[Region], notify: Notify) {
        let _frame = current.enter("dm_io");
        assert!(regions.len() <= IO_REGIONS_MAX, "a request has at most {IO_REGIONS_MAX} regions");
        assert!(regions.len() <= 1 || request.opf.op() != BioOp::Read, "a read has one region");
        let bios: u64 = regions.iter().map(|region| bios_of(request, region)).sum();
        let element = self.pool.alloc(current, Gfp::NoIo).expect("an allocation that may wait succeeds");
        if bios == 0 {
            self.pool.free(current, element);
            return notify(current, 0);
        }
        let (count, shared) = (bios as u32, bios > 1);
        let state = IoState { count, shared, error_bits: 0, element: Some(element), notify: Some(notify) };
        let id = current.runtime().register("dm-io", "io");
        let io = Arc::new(Io { id, pool: Arc::clone(&self.pool), state: Tiny::new(state) });
        for (number, region) in regions.iter().enumerate() {
            self.do_region(current, request, region, &io, number as u64);
        }
    }

    /// `dm_io` without a callback: waits until it has ended.
    ///
    /// # Errors
    /// A bit for each region that failed (the kernel returns -EIO beside them).
    #[track_caller]
    pub fn run(&self, current: &Task, request: &IoRequest, regions: &[Region]) -> Result<(), u64> {
        let _frame = current.enter("sync_io");
        let ended =
            Arc::new(SyncIo { wait: Completion::new(current.runtime(), "sync_io.wait"), error_bits: Tiny::new(0) });
        let to_tell = Arc::clone(&ended);
        let notify = move |teller: &Task, error_bits: u64| {
            *to_tell.error_bits.lock_for(teller) = error_bits;
            to_tell.wait.complete(teller);
        };
        self.start(current, request, regions, Box::new(notify));
        ended.wait.wait(current);
        let error_bits = *ended.error_bits.lock_for(current);
        current.learns(|| error_bits);
        if error_bits == 0 { Ok(()) } else { Err(error_bits) }
    }

    /// `do_region`: all bios of one region.
    fn do_region(&self, current: &Task, request: &IoRequest, region: &Region, io: &Arc<Io>, number: u64) {
        let mut left = region.clone();
        let mut memory = request.memory.clone();
        for _ in 0..bios_of(request, region) {
            let len = left.count.min(longest(request));
            let pooled = self.bios.alloc(current);
            let hook = (Arc::clone(io) as Arc<dyn EndIo>, number);
            let (dev, range) = (Arc::clone(&left.dev), (left.sector, len));
            let bio = Bio::from_set(current, request.opf, dev, range, memory.clone(), pooled, hook);
            left.sector += len;
            left.count -= len;
            if let Some(memory) = &mut memory {
                memory.advance(len);
            }
            submit_bio(current, bio);
        }
    }
}

/// How many bios a region of a request takes.
fn bios_of(request: &IoRequest, region: &Region) -> u64 {
    let empty = u64::from(request.opf.flags().contains(BioFlags::PREFLUSH) || request.opf.op() == BioOp::Flush);
    region.count.0.div_ceil(longest(request).0).max(empty)
}

/// What one bio of it can be about: only what moves data is limited.
const fn longest(request: &IoRequest) -> Sectors {
    if request.memory.is_some() { BIO_SECTORS_MAX } else { Sectors(u32::MAX as u64 / 512) }
}

struct SyncIo {
    wait: Completion,
    error_bits: Tiny<u64>,
}

impl EndIo for Io {
    /// `endio` and `dec_count`: one of its bios has ended; `region` is the number of its region.
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, region: u64) {
        let mut state = self.state.lock_for(current);
        if state.shared {
            drop(state);
            current.announce(OpKind::RefPut, self.id, 0, Location::caller());
            state = self.state.lock_for(current);
        }
        state.count -= 1;
        state.error_bits |= u64::from(!status.is_ok()) << region;
        let (count, error_bits) = (state.count, state.error_bits);
        if state.shared {
            current.shows(self.id, u64::from(count == 0), |digest| {
                digest.word(u64::from(count));
                digest.word(error_bits);
            });
        }
        if count > 0 {
            return;
        }
        let (element, notify) = (state.element.take(), state.notify.take());
        drop(state);
        self.pool.free(current, element.expect("the last bio ends once"));
        notify.expect("the last bio ends once")(current, error_bits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Buffer;
    use crate::block::ram::new_ramdisk;
    use crate::sched::explorer::{Explorer, Limits, Random};
    use crate::sched::outcome::Outcome;
    use crate::variants::Variants;
    use dmlab_units::Seed;

    fn with_client(model: impl FnOnce(&Task, &IoClient, &[Arc<Device>]) + Send + 'static) {
        let limits = Limits { steps_max: 100_000, interrupt: Arc::default() };
        let result = Explorer::new(limits).run(&mut Random::new(Seed(1)), move |current: &Task| {
            let core = BlockCore::new(current.runtime(), Variants::default(), true);
            let devices = [0, 1].map(|minor| new_ramdisk(&core, minor, &format!("ram{minor}"), Sectors(8192)));
            let client = IoClient::new(current, &core, "test");
            model(current, &client, &devices);
            assert!(core.pools().iter().all(|pool| pool.at_rest()));
        });
        assert!(result.outcome == Outcome::Finished, "{:?}", result.outcome);
    }

    fn request(op: BioOp, buffer: &Arc<Buffer>) -> IoRequest {
        IoRequest { opf: Opf::new(op, BioFlags::empty()), memory: Some(BioVec::new(Arc::clone(buffer))) }
    }

    #[test]
    fn a_region_is_cut_into_bios_of_256_pages_and_all_of_it_is_written_to_every_region() {
        with_client(|current, client, devices| {
            let sectors = Sectors(BIO_SECTORS_MAX.0 + 8);
            let from = Buffer::zeroed(sectors);
            from.with(current, |bytes| bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at / 512) as u8));
            let regions: Vec<Region> =
                devices.iter().map(|dev| Region { dev: Arc::clone(dev), sector: Sectors(8), count: sectors }).collect();
            assert_eq!(client.run(current, &request(BioOp::Write, &from), &regions), Ok(()));
            assert_eq!(devices[0].core().entries().len(), 4, "two bios for each region");
            for region in regions {
                let into = Buffer::zeroed(sectors);
                assert_eq!(client.run(current, &request(BioOp::Read, &into), &[region]), Ok(()));
                let wanted = from.with(current, |bytes| bytes.clone());
                into.with(current, |bytes| assert!(*bytes == wanted));
            }
        });
    }

    #[test]
    fn each_region_that_fails_has_its_bit() {
        with_client(|current, client, devices| {
            let buffer = Buffer::zeroed(Sectors(8));
            let region = |dev: usize, sector: u64| Region {
                dev: Arc::clone(&devices[dev]),
                sector: Sectors(sector),
                count: Sectors(8),
            };
            let regions = [region(0, 0), region(1, 8190), region(0, 9000)];
            assert_eq!(client.run(current, &request(BioOp::Write, &buffer), &regions), Err(0b110));
        });
    }

    #[test]
    fn an_empty_region_is_left_out_unless_there_is_something_to_flush() {
        with_client(|current, client, devices| {
            let region = Region { dev: Arc::clone(&devices[0]), sector: Sectors(0), count: Sectors(0) };
            let nothing = IoRequest { opf: Opf::new(BioOp::Write, BioFlags::empty()), memory: None };
            assert_eq!(bios_of(&nothing, &region), 0);
            assert_eq!(client.run(current, &nothing, std::slice::from_ref(&region)), Ok(()));
            let flush = IoRequest { opf: Opf::new(BioOp::Write, BioFlags::PREFLUSH), ..nothing };
            assert_eq!(bios_of(&flush, &region), 1);
            assert_eq!(client.run(current, &flush, &[region]), Ok(()));
        });
    }
}
