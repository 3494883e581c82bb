//! The ramdisk: what brd is to the kernel. Data really moves; pages exist once written.
//!
//! Invariants: a sector that was never written reads as zeros; a bio is carried out in the caller's context and ended
//! before `submit_bio` returns, as in brd. An I/O fault ends the bio before any data moves.
//! A discard gives back the pages that lie wholly within it, as brd does since 6.3, and leaves the rest of its sectors
//! as they are. Write-zeroes is carried out; brd leaves it to the block layer, which then writes pages of zeros.
//! Secure erase is refused.
//! Not here: timing (see the cost model), a write cache.

use std::sync::Arc;

use dmlab_units::{Nanos, Sectors};

use super::bio::Bio;
use super::core::BlockCore;
use super::device::{DevId, Device, Driver, RAM_MAJOR};
use super::opf::BioOp;
use super::status::BlkStatus;
use super::submit::range_arg;
use crate::sched::cell::{Tiny, Word};
use crate::sched::digest::{Lanes, word_of_bytes};
use crate::sched::{ObjectId, OpKind, Task};
use crate::variants::Planted;

const PAGE_BYTES: usize = 4096;
const SECTOR_BYTES: usize = 512;
const PAGES_PER_LEAF: usize = 512;
/// What moving a page costs on the virtual CPU: 4 KiB at 20 GB/s.
const COPY_NANOS_PER_PAGE: u64 = 205;
/// Which write [`Planted::LosesWrites`] loses.
const LOST_WRITE: u64 = 2;

type Page = Box<[u8; PAGE_BYTES]>;
type Leaf = Vec<Option<Page>>;

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
}

/// A ramdisk of `capacity` sectors.
pub fn new_ramdisk(core: &Arc<BlockCore>, minor: u32, name: &str, capacity: Sectors) -> Arc<Device> {
    let ram = new_ram(core, name, capacity, true);
    Device::new(core, DevId { major: RAM_MAJOR, minor }, name, capacity, ram)
}

/// What keeps data as a ramdisk does, for a device called `name`.
pub(super) fn new_ram(core: &BlockCore, name: &str, capacity: Sectors, by_cpu: bool) -> Box<dyn Driver> {
    let leaves = (capacity.bytes().0 as usize).div_ceil(PAGE_BYTES * PAGES_PER_LEAF);
    Box::new(Ram {
        id: core.runtime().register("ramdisk", name),
        leaves: (0..leaves).map(|_| Tiny::new(None)).collect(),
        writes: Word::default(),
        by_cpu,
        content: Word::default(),
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
        let kind = if bio.op() == BioOp::Read { OpKind::IoRead } else { OpKind::IoWrite };
        let at = std::panic::Location::caller();
        current.announce(kind, self.id, range_arg(bio.sector, bio.sectors), at);
        if !self.loses(dev, bio.op()) {
            match bio.op() {
                BioOp::Read | BioOp::Write => self.transfer(current, &bio),
                BioOp::Discard | BioOp::SecureErase => self.discard(current, &bio),
                BioOp::WriteZeroes => self.write_zeroes(current, &bio),
                BioOp::Flush => {}
            }
        }
        bio.end(current, BlkStatus::Ok);
    }

    fn takes(&self, op: BioOp) -> bool {
        op != BioOp::SecureErase
    }

    fn has_nowait(&self) -> bool {
        true
    }
}

impl Ram {
    fn loses(&self, dev: &Device, op: BioOp) -> bool {
        if dev.core().variants().planted != Planted::LosesWrites || op != BioOp::Write {
            return false;
        }
        self.writes.add(1);
        self.writes.get().is_multiple_of(LOST_WRITE)
    }

    /// Copies between the bio's memory and the pages, page by page.
    fn transfer(&self, current: &Task, bio: &Bio) {
        let Some(data) = bio.data() else { return };
        let (start, len) = (bio.sector.bytes().0 as usize, bio.sectors.bytes().0 as usize);
        if self.by_cpu {
            current.charge(Nanos((len as u64).div_ceil(PAGE_BYTES as u64) * COPY_NANOS_PER_PAGE));
        }
        data.buffer.with(current, |memory| {
            let memory = &mut memory[data.offset.0 as usize..][..len];
            let mut done = 0;
            while done < len {
                let at = start + done;
                let (page, within) = (at / PAGE_BYTES, at % PAGE_BYTES);
                let chunk = (PAGE_BYTES - within).min(len - done);
                let piece = &mut memory[done..done + chunk];
                let mut leaf = self.leaves[page / PAGES_PER_LEAF].lock_for(current);
                if bio.op() == BioOp::Read {
                    read_page(leaf.as_ref(), page % PAGES_PER_LEAF, within, piece);
                    // What was read is learnt here: whoever looks at the buffer later was told by this task.
                    current.learns(|| word_of_bytes(piece));
                } else {
                    if current.is_tracked() {
                        self.show_write(current, leaf.as_ref(), at, piece);
                    }
                    write_page(&mut leaf, page % PAGES_PER_LEAF, within, piece);
                }
                done += chunk;
            }
        });
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
        let place = leaf.as_mut().map(|leaf| &mut leaf[page % PAGES_PER_LEAF]);
        match place {
            Some(place) if len == PAGE_BYTES => *place = None,
            Some(Some(page)) => page[within..within + len].fill(0),
            _ => {}
        }
    }
}

impl Ram {
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

fn write_page(leaf: &mut Option<Leaf>, page: usize, within: usize, from: &[u8]) {
    let leaf = leaf.get_or_insert_with(|| (0..PAGES_PER_LEAF).map(|_| None).collect());
    let page = leaf[page].get_or_insert_with(|| Box::new([0; PAGE_BYTES]));
    page[within..within + from.len()].copy_from_slice(from);
}
