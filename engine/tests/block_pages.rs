//! Ramdisks that share pages with buffers and with each other, and take pages again that nobody has any more: beside
//! vectors of bytes, which share nothing.
//!
//! Not here: who shares pages (kcopyd, in `kcopyd.rs`).

mod support;

use std::sync::Arc;

use dmlab_engine::block::ram::new_ramdisk;
use dmlab_engine::block::{Bio, BioOp, BioVec, BlkStatus, BlockCore, Buffer, Device, EndIo, submit_bio};
use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::variants::Variants;
use dmlab_units::{Sectors, Seed};
use support::on_both;

const PAGE: u64 = 8;
const DISK: u64 = 16 * PAGE;
const STEPS: u64 = 3000;

struct Ends;

impl EndIo for Ends {
    fn end_io(self: Arc<Self>, _current: &Task, status: BlkStatus, _cookie: u64) {
        assert!(status.is_ok());
    }
}

/// A ramdisk carries a bio out before `submit_bio` returns.
fn io(current: &Task, disk: &Arc<Device>, op: BioOp, (at, count): (u64, u64), buffer: &Arc<Buffer>) {
    let data = Some(BioVec::new(Arc::clone(buffer)));
    let hook = (Arc::new(Ends) as Arc<dyn EndIo>, 0);
    submit_bio(current, Bio::new(current, op, Arc::clone(disk), (Sectors(at), Sectors(count)), data, hook));
}

const fn bytes(at: u64, count: u64) -> std::ops::Range<usize> {
    at as usize * 512..(at + count) as usize * 512
}

/// Writes of any alignment, copies of whole pages by way of a buffer of pages, discards; and after each a look.
fn steps(current: &Task, seed: u64) {
    let core = BlockCore::new(current.runtime(), Variants::default(), false);
    let disks: Vec<_> = (0..2).map(|minor| new_ramdisk(&core, minor, &format!("ram{minor}"), Sectors(DISK))).collect();
    let mut models = [vec![0_u8; bytes(0, DISK).len()], vec![0; bytes(0, DISK).len()]];
    let mut rng = Seed(seed).rng();
    for step in 0..STEPS {
        let (one, other) = if rng.below(2) == 0 { (0, 1) } else { (1, 0) };
        let count = 1 + rng.below(3 * PAGE);
        let at = rng.below(DISK - count);
        match rng.below(4) {
            0 => {
                let buffer = Buffer::zeroed(Sectors(count));
                buffer.with(current, |bytes| bytes.fill(step as u8));
                io(current, &disks[one], BioOp::Write, (at, count), &buffer);
                models[one][bytes(at, count)].fill(step as u8);
            }
            1 => {
                let (at, count) = (at / PAGE * PAGE, PAGE);
                io(current, &disks[one], BioOp::Discard, (at, count), &Buffer::zeroed(Sectors(count)));
                models[one][bytes(at, count)].fill(0);
            }
            _ => {
                let (from, to, count) =
                    (at / PAGE * PAGE, rng.below(DISK / PAGE - 4) * PAGE, count.next_multiple_of(PAGE));
                let count = count.min(DISK - from);
                let buffer = Buffer::of_pages(Sectors(count)).expect("whole pages");
                io(current, &disks[one], BioOp::Read, (from, count), &buffer);
                io(current, &disks[other], BioOp::Write, (to, count), &buffer);
                let copied = models[one][bytes(from, count)].to_vec();
                models[other][bytes(to, count)].copy_from_slice(&copied);
            }
        }
        let buffer = Buffer::zeroed(Sectors(DISK));
        io(current, &disks[(step % 2) as usize], BioOp::Read, (0, DISK), &buffer);
        buffer.with(current, |bytes| assert!(*bytes == models[(step % 2) as usize], "after step {step}"));
    }
}

#[test]
fn shared_pages_hold_what_bytes_of_their_own_would_hold() {
    for seed in 0..3 {
        let outcomes = on_both(|| move |current: &Task| steps(current, seed));
        assert_eq!(outcomes, [Outcome::Finished, Outcome::Finished], "seed {seed}");
    }
}
