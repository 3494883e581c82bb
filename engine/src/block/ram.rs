//! The ramdisk: what brd is to the kernel. Data really moves; pages exist once written. Whole pages that somebody only passes
//! on are shared instead of being copied ([`super::buffer`]); a page that is shared is replaced when it is written to.
//!
//! Invariants: a sector that was never written reads as zeros; a bio is carried out in the caller's context and ended
//! before `submit_bio` returns, as in brd. An I/O fault ends the bio before any data moves.
//! A discard gives back the pages that lie wholly within it, as brd does since 6.3, and leaves the rest of its sectors
//! as they are. Write-zeroes is carried out; brd leaves it to the block layer, which then writes pages of zeros.
//! Secure erase is refused.
//!
//! With a volatile write cache a flush makes what was written durable, and a write with FUA does so for its own sectors: in
//! two halves, so that a power cut in between may leave any part of it. Without one every write is durable at once.
//! Not here: timing (see the cost model), what a cache may lose ([`super::write_cache`]).

use std::panic::Location;
use std::sync::Arc;

use dmlab_units::{Nanos, Sectors};

use super::bio::Bio;
use super::buffer::Content;
use super::core::BlockCore;
use super::device::{DevId, Device, Driver, RAM_MAJOR};
use super::opf::{BioFlags, BioOp};
use super::pages::{PAGE_BYTES, Page, PagesAtHand};
use super::status::BlkStatus;
use super::submit::range_arg;
use super::write_cache::WriteCache;
use crate::sched::cell::{Tiny, Word};
use crate::sched::digest::{Lanes, word_of_bytes};
use crate::sched::{ObjectId, OpKind, Task};
use crate::variants::Planted;

const SECTOR_BYTES: usize = 512;
const PAGES_PER_LEAF: usize = 512;
/// What moving a page costs on the virtual CPU: 4 KiB at 20 GB/s.
const COPY_NANOS_PER_PAGE: u64 = 205;
/// Which write [`Planted::LosesWrites`] loses.
const LOST_WRITE: u64 = 2;

type Leaf = Vec<Option<Page>>;

/// A part of a transfer that lies within a page of the device.
#[derive(Clone, Copy)]
struct Piece {
    /// Its first byte on the device.
    at: usize,
    /// In the buffer.
    from: usize,
    len: usize,
}

impl Piece {
    /// Whether it is a page of the device and one of the buffer.
    const fn is_page(self) -> bool {
        self.len == PAGE_BYTES && self.from.is_multiple_of(PAGE_BYTES)
    }
}

/// A ramdisk's driver.
struct Ram {
    id: ObjectId,
    /// Two levels, as brd's radix tree: a leaf is made with its first page.
    leaves: Vec<Tiny<Option<Leaf>>>,
    writes: Word,
    /// Whether the CPU moves the data, as in brd; else the device does, and the CPU has nothing to do with it.
    by_cpu: bool,
    /// What is on it, as one number; kept for exhaustive searches only.
    content: Word,
    cache: Option<WriteCache>,
}

/// A ramdisk of `capacity` sectors.
pub fn new_ramdisk(core: &Arc<BlockCore>, minor: u32, name: &str, capacity: Sectors) -> Arc<Device> {
    let ram = new_ram(core, name, capacity, true, None);
    Device::new(core, DevId { major: RAM_MAJOR, minor }, name, capacity, ram)
}

/// The same with a volatile write cache, which is written back in units of `unit` bytes: a power of two from 512 to 4096.
pub fn new_cached(core: &Arc<BlockCore>, minor: u32, name: &str, capacity: Sectors, unit: usize) -> Arc<Device> {
    let ram = new_ram(core, name, capacity, true, Some(unit));
    Device::new(core, DevId { major: RAM_MAJOR, minor }, name, capacity, ram)
}

/// What keeps data as a ramdisk does, for a device called `name`.
pub(super) fn new_ram(
    core: &BlockCore,
    name: &str,
    capacity: Sectors,
    by_cpu: bool,
    cache_unit: Option<usize>,
) -> Box<dyn Driver> {
    let leaves = (capacity.bytes().0 as usize).div_ceil(PAGE_BYTES * PAGES_PER_LEAF);
    Box::new(Ram {
        id: core.runtime().register("ramdisk", name),
        leaves: (0..leaves).map(|_| Tiny::new(None)).collect(),
        writes: Word::default(),
        by_cpu,
        content: Word::default(),
        cache: cache_unit.map(|unit| WriteCache::new(core.runtime(), name, unit)),
    })
}

impl Driver for Ram {
    #[track_caller]
    fn submit_bio(&self, current: &Task, dev: &Arc<Device>, bio: Bio) {
        let _frame = current.enter("brd_submit_bio");
        if let Some(bio) = dev.core().admit(current, dev, bio) {
            self.carry_out(current, dev, bio);
        }
    }

    #[track_caller]
    fn carry_out(&self, current: &Task, dev: &Arc<Device>, bio: Bio) {
        let at = Location::caller();
        let status = if self.perform(current, dev, &bio, at) { BlkStatus::Ok } else { BlkStatus::IoErr };
        bio.end(current, status);
    }

    fn has_write_cache(&self) -> bool {
        self.cache.is_some()
    }

    fn lose_cache(&self, current: &Task, pick: &mut dyn FnMut(u32) -> u32) {
        let Some(cache) = &self.cache else { return };
        for (unit, contents) in cache.lose(current, pick) {
            let at = unit as usize * cache.unit();
            let (page, within) = (at / PAGE_BYTES, at % PAGE_BYTES);
            let mut leaf = self.leaves[page / PAGES_PER_LEAF].lock_for(current);
            if current.is_tracked() {
                self.show_write(current, leaf.as_ref(), at, &contents);
            }
            write_page(&mut leaf, page % PAGES_PER_LEAF, within, &contents);
        }
    }

    fn takes(&self, op: BioOp) -> bool {
        op != BioOp::SecureErase
    }

    fn has_nowait(&self) -> bool {
        true
    }
}

impl Ram {
    /// Does what `bio` asks for; `false` if there is no power to do it with.
    fn perform(&self, current: &Task, dev: &Device, bio: &Bio, at: &'static Location<'static>) -> bool {
        let (op, flags, core) = (bio.op(), bio.flags(), dev.core());
        if let Some(cache) = &self.cache
            && (op == BioOp::Flush || flags.contains(BioFlags::PREFLUSH))
        {
            core.before_change(current);
            cache.announce(current, at);
            if core.power().is_off() {
                return false;
            }
            cache.destage(current, 0..u64::MAX);
            if op == BioOp::Flush {
                return true;
            }
        }
        if op != BioOp::Read {
            core.before_change(current);
        }
        let kind = if op == BioOp::Read { OpKind::IoRead } else { OpKind::IoWrite };
        current.announce(kind, self.id, range_arg(bio.sector, bio.sectors), at);
        if core.power().is_off() {
            return false;
        }
        if !self.loses(dev, op) {
            match op {
                BioOp::Read | BioOp::Write => self.transfer(current, core, bio),
                BioOp::Discard | BioOp::SecureErase => self.discard(current, bio),
                BioOp::WriteZeroes => self.write_zeroes(current, bio),
                BioOp::Flush => {}
            }
        }
        if let Some(cache) = &self.cache
            && flags.contains(BioFlags::FUA)
        {
            core.before_change(current);
            cache.announce(current, at);
            if core.power().is_off() {
                return false;
            }
            let unit = |sectors: Sectors| sectors.bytes().0 / cache.unit() as u64;
            cache.destage(current, unit(bio.sector)..unit(bio.sector + bio.sectors - Sectors(1)) + 1);
        }
        true
    }

    fn loses(&self, dev: &Device, op: BioOp) -> bool {
        if dev.core().variants().planted != Planted::LosesWrites || op != BioOp::Write {
            return false;
        }
        self.writes.add(1);
        self.writes.get().is_multiple_of(LOST_WRITE)
    }

    /// Moves data between the bio's memory and the pages, page by page.
    fn transfer(&self, current: &Task, core: &BlockCore, bio: &Bio) {
        let Some(data) = bio.data() else { return };
        let (start, len) = (bio.sector.bytes().0 as usize, bio.sectors.bytes().0 as usize);
        if self.by_cpu {
            current.charge(Nanos((len as u64).div_ceil(PAGE_BYTES as u64) * COPY_NANOS_PER_PAGE));
        }
        let mut pages = core.spare_pages.at_hand(current, len / PAGE_BYTES);
        data.buffer.with_content(current, |content| {
            let mut done = 0;
            while done < len {
                let (at, from) = (start + done, data.offset.0 as usize + done);
                let piece = Piece { at, from, len: (PAGE_BYTES - at % PAGE_BYTES).min(len - done) };
                done += piece.len;
                match content {
                    Content::Pages(shared) if piece.is_page() => {
                        self.share(current, bio.op(), piece, &mut shared[from / PAGE_BYTES], &mut pages);
                    }
                    _ => self.copy(current, bio.op(), piece, &mut content.bytes()[from..][..piece.len], &mut pages),
                }
            }
        });
    }

    /// Copies a piece.
    fn copy(&self, current: &Task, op: BioOp, Piece { at, .. }: Piece, memory: &mut [u8], pages: &mut PagesAtHand<'_>) {
        let (page, within) = (at / PAGE_BYTES, at % PAGE_BYTES);
        let mut leaf = self.leaves[page / PAGES_PER_LEAF].lock_for(current);
        if op == BioOp::Read {
            read_page(leaf.as_ref(), page % PAGES_PER_LEAF, within, memory);
            // What was read is learnt here: whoever looks at the buffer later was told by this task.
            current.learns(|| word_of_bytes(memory));
        } else {
            if current.is_tracked() {
                self.show_write(current, leaf.as_ref(), at, memory);
            }
            self.note_older(current, leaf.as_ref(), at, memory);
            if memory.len() == PAGE_BYTES {
                write_whole_page(&mut leaf_of(&mut leaf)[page % PAGES_PER_LEAF], memory, pages);
            } else {
                write_page(&mut leaf, page % PAGES_PER_LEAF, within, memory);
            }
        }
    }

    /// Shares a whole page with a buffer, in either direction.
    fn share(
        &self,
        current: &Task,
        op: BioOp,
        Piece { at, .. }: Piece,
        shared: &mut Option<Page>,
        pages: &mut PagesAtHand<'_>,
    ) {
        let page = at / PAGE_BYTES;
        let mut leaf = self.leaves[page / PAGES_PER_LEAF].lock_for(current);
        if op == BioOp::Read {
            *shared = leaf.as_ref().and_then(|leaf| leaf[page % PAGES_PER_LEAF].clone());
            current.learns(|| word_of_bytes(bytes_of(shared)));
        } else {
            if current.is_tracked() {
                self.show_write(current, leaf.as_ref(), at, bytes_of(shared));
            }
            self.note_older(current, leaf.as_ref(), at, bytes_of(shared));
            let place = &mut leaf_of(&mut leaf)[page % PAGES_PER_LEAF];
            pages.give(std::mem::replace(place, shared.clone()));
        }
    }

    /// `brd_do_discard`: frees the pages that lie wholly within the bio.
    fn discard(&self, current: &Task, bio: &Bio) {
        let (start, end) = (bio.sector.bytes().0 as usize, (bio.sector + bio.sectors).bytes().0 as usize);
        for page in start.div_ceil(PAGE_BYTES)..end / PAGE_BYTES {
            self.zero(current, page * PAGE_BYTES, PAGE_BYTES);
        }
    }

    fn write_zeroes(&self, current: &Task, bio: &Bio) {
        let (mut at, end) = (bio.sector.bytes().0 as usize, (bio.sector + bio.sectors).bytes().0 as usize);
        while at < end {
            let len = (PAGE_BYTES - at % PAGE_BYTES).min(end - at);
            self.zero(current, at, len);
            at += len;
        }
    }

    /// Makes `len` bytes of one page zeros from byte `at` on; a whole page is freed.
    fn zero(&self, current: &Task, at: usize, len: usize) {
        let (page, within) = (at / PAGE_BYTES, at % PAGE_BYTES);
        let mut leaf = self.leaves[page / PAGES_PER_LEAF].lock_for(current);
        if current.is_tracked() {
            self.show_write(current, leaf.as_ref(), at, &[0; PAGE_BYTES][..len]);
        }
        self.note_older(current, leaf.as_ref(), at, &[0; PAGE_BYTES][..len]);
        let place = leaf.as_mut().map(|leaf| &mut leaf[page % PAGES_PER_LEAF]);
        match place {
            Some(place) if len == PAGE_BYTES => *place = None,
            Some(Some(page)) => Arc::make_mut(page)[within..within + len].fill(0),
            _ => {}
        }
    }
}

impl Ram {
    /// Lets the cache know what `piece`, of one page, takes the place of at byte `at`.
    fn note_older(&self, current: &Task, leaf: Option<&Leaf>, at: usize, piece: &[u8]) {
        let Some(cache) = &self.cache else { return };
        let page = leaf.and_then(|leaf| leaf[at / PAGE_BYTES % PAGES_PER_LEAF].as_deref());
        let size = cache.unit();
        for unit in at / size..=(at + piece.len() - 1) / size {
            let first = unit * size;
            let old = page.map_or(&[0; PAGE_BYTES][..size], |page| &page[first % PAGE_BYTES..][..size]);
            let mut new = [0; PAGE_BYTES];
            new[..size].copy_from_slice(old);
            let (from, to) = (first.max(at), (first + size).min(at + piece.len()));
            new[from - first..to - first].copy_from_slice(&piece[from - at..to - at]);
            cache.overwrites(current, unit as u64, old, &new[..size]);
        }
    }

    /// Tells an exhaustive search that `piece` takes the place of what stands at byte `at`: the device's state is the sum
    /// over its written sectors, so that it does not matter in which order they were written.
    fn show_write(&self, current: &Task, leaf: Option<&Leaf>, at: usize, piece: &[u8]) {
        let (page, within) = (at / PAGE_BYTES % PAGES_PER_LEAF, at % PAGE_BYTES);
        let old = leaf.and_then(|leaf| leaf[page].as_ref());
        let mut sum = self.content.get();
        for (number, sector) in piece.chunks(SECTOR_BYTES).enumerate() {
            let place = (at / SECTOR_BYTES + number) as u64;
            let word = |bytes: &[u8]| {
                let mut lanes = Lanes::of(place);
                lanes.word(word_of_bytes(bytes));
                lanes.short()
            };
            let before =
                old.map_or(&[0; SECTOR_BYTES][..], |old| &old[within + number * SECTOR_BYTES..][..SECTOR_BYTES]);
            sum = sum.wrapping_sub(word(before)).wrapping_add(word(sector));
        }
        self.content.set(sum);
        current.shows(self.id, 0, |digest| digest.word(sum));
    }
}

fn read_page(leaf: Option<&Leaf>, page: usize, within: usize, into: &mut [u8]) {
    match leaf.and_then(|leaf| leaf[page].as_ref()) {
        Some(page) => into.copy_from_slice(&page[within..within + into.len()]),
        None => into.fill(0),
    }
}

fn leaf_of(leaf: &mut Option<Leaf>) -> &mut Leaf {
    leaf.get_or_insert_with(|| (0..PAGES_PER_LEAF).map(|_| None).collect())
}

fn write_page(leaf: &mut Option<Leaf>, page: usize, within: usize, from: &[u8]) {
    match &mut leaf_of(leaf)[page] {
        Some(page) => Arc::make_mut(page)[within..within + from.len()].copy_from_slice(from),
        none => {
            let mut fresh = [0; PAGE_BYTES];
            fresh[within..within + from.len()].copy_from_slice(from);
            *none = Some(Arc::new(fresh));
        }
    }
}

/// All of it is new: what stood there need not be copied, nor zeros be made.
fn write_whole_page(place: &mut Option<Page>, from: &[u8], pages: &mut PagesAtHand<'_>) {
    match place.as_mut().and_then(Arc::get_mut) {
        Some(own) => own.copy_from_slice(from),
        None => *place = Some(pages.holding(from)),
    }
}

fn bytes_of(page: &Option<Page>) -> &[u8] {
    page.as_ref().map_or(&[0; PAGE_BYTES], |page| &page[..])
}
