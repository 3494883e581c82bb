//! Flushes, and what goes to a target in several copies: discards, secure erases, write-zeroes (dm-spec §4.3, §4.6).
//!
//! A flush has no sectors. It goes to every target, or past the targets to every device of the table (axis `flush`); a
//! flush with data is the flush first, and the data when that is done ([`super::io`]). Copies for one target come from
//! one set. Under `duplicates: serial` they are allocated one after the other, each submitted before the next: tasks
//! that each hold some wait for each other. Under `all-or-nothing` a task gets all at once, or waits for them alone,
//! under `table_devices_lock`.
//!
//! Invariants: a target gets copies 0 to n - 1, each over the same sectors; what a target does not support ends with
//! -EOPNOTSUPP.
//! Not here: which copy is for which device (the targets).

use std::sync::Arc;

use dmlab_units::Sectors;

use super::io::DmIo;
use super::mapped_device::MappedDevice;
use super::split::{CloneInfo, abnormal_len, map_bio};
use super::table::{Table, TableTarget};
use super::tio::{Piece, TargetIo};
use crate::block::submit::submit_bio_noacct;
use crate::block::{Bio, BioOp, BlkStatus, Device};
use crate::sched::Task;
use crate::sync::Gfp;
use crate::sync::mempool::Element;
use crate::variants::{Duplicates, Flush, Planted};

/// A target of a table and its index.
type Indexed<'a> = (usize, &'a TableTarget);

/// The clone that is part of the `dm_io`, until it is taken.
pub(super) struct Embedded<'a>(pub(super) Option<&'a Arc<DmIo>>);

/// How many copies of `op` the target wants; 0 if it does not support it.
fn copies(target: &TableTarget, op: BioOp) -> u64 {
    match op {
        BioOp::Flush => target.target.num_flush_bios(),
        BioOp::Discard => target.target.num_discard_bios(),
        BioOp::WriteZeroes => target.target.num_write_zeroes_bios(),
        BioOp::SecureErase => target.target.num_secure_erase_bios(),
        BioOp::Read | BioOp::Write => 1,
    }
}

/// Under `trim`: a flush or an abnormal bio, whose `dm_io` takes up `element`.
pub(super) fn flush_or_abnormal(
    current: &Task,
    md: &MappedDevice,
    dev: &Arc<Device>,
    table: Arc<Table>,
    mut bio: Bio,
    element: Element,
) {
    if !bio.op().is_abnormal() {
        let first = table.targets().iter().enumerate().find(|(_, target)| target.target.num_flush_bios() > 0);
        let empty = empty_flush(&bio);
        let piece = match first {
            Some(first) if !bypasses(md, &table) => Piece::of(&empty, Sectors::ZERO, first, 0),
            _ => Piece::NONE,
        };
        let io = DmIo::new(current, table, Arc::clone(bio.done()), element, 1, piece);
        let ci = CloneInfo { md, dev, io };
        ci.io.keep_original(current, bio);
        send_empty_flush(current, &ci, &empty, Embedded(Some(&ci.io)));
        ci.io.dec_pending(current, BlkStatus::Ok);
        return;
    }
    let Some(place) = table.find(bio.sector) else {
        table.pools().free_io(current, element);
        return bio.end(current, BlkStatus::IoErr);
    };
    let len = abnormal_len(&table, place.1, &bio);
    let piece = Piece::of(&bio, len, place, 0);
    let index = place.0;
    let io = DmIo::new(current, table, Arc::clone(bio.done()), element, 1, piece);
    let ci = CloneInfo { md, dev, io };
    let mut template = bio.with_done(Arc::clone(bio.done()));
    template.truncate(len);
    if len < bio.sectors {
        ci.io.set_was_split(current);
    }
    let place = (index, &ci.io.table().targets()[index]);
    let sent = send_abnormal(current, &ci, place, &template, Embedded(Some(&ci.io)));
    if sent.is_ok() && len < bio.sectors {
        bio.advance(len);
        bio.done().get_share(current);
        bio.set_dev(Arc::clone(dev));
        submit_bio_noacct(current, bio);
    }
    ci.io.dec_pending(current, sent.err().unwrap_or(BlkStatus::Ok));
}

/// The kernel's `flush_bio` on the stack: what the clones of a flush are made from.
pub(super) fn empty_flush(bio: &Bio) -> Bio {
    bio.emptied(BioOp::Flush)
}

/// Whether flushes go past the targets (`t->flush_bypasses_map`).
fn bypasses(md: &MappedDevice, table: &Table) -> bool {
    md.variants().flush == Flush::ToDevices && table.targets().iter().all(|target| target.target.flush_bypasses_map())
}

/// `__send_empty_flush`: the submitter keeps its hold on the I/O.
pub(super) fn send_empty_flush(current: &Task, ci: &CloneInfo<'_>, empty: &Bio, mut embedded: Embedded<'_>) {
    let _frame = current.enter("__send_empty_flush");
    let table = ci.io.table();
    if bypasses(ci.md, table) {
        for device in table.unique_devices().into_iter().take(places(ci)) {
            let mut clone = waiting(current, ci, None, empty, 0, &mut embedded);
            clone.set_dev(device);
            ci.io.inc_pending(current);
            submit_bio_noacct(current, clone);
        }
        return;
    }
    for (index, target) in table.targets().iter().enumerate().take(places(ci)) {
        let copies = copies(target, BioOp::Flush).min(flush_copies_max(ci));
        if copies > 0 {
            send_duplicates(current, ci, (index, target), empty, copies, &mut embedded);
        }
    }
}

/// To how many targets or devices of a table a flush goes.
fn places(ci: &CloneInfo<'_>) -> usize {
    if ci.md.variants().planted == Planted::FlushFirstOnly { 1 } else { usize::MAX }
}

/// How many copies of a flush a target gets at most.
fn flush_copies_max(ci: &CloneInfo<'_>) -> u64 {
    if ci.md.variants().planted == Planted::FlushOneCopy { 1 } else { u64::MAX }
}

/// `__process_abnormal_io`: sends `template`, which is within the target, as often as the target wants.
///
/// # Errors
/// `NotSupp` if the target does not want it at all.
pub(super) fn send_abnormal(
    current: &Task,
    ci: &CloneInfo<'_>,
    target: Indexed<'_>,
    template: &Bio,
    mut embedded: Embedded<'_>,
) -> Result<(), BlkStatus> {
    let _frame = current.enter("__process_abnormal_io");
    match copies(target.1, template.op()) {
        0 => Err(BlkStatus::NotSupp),
        copies => {
            send_duplicates(current, ci, target, template, copies, &mut embedded);
            Ok(())
        }
    }
}

/// `__send_duplicate_bios`.
fn send_duplicates(
    current: &Task,
    ci: &CloneInfo<'_>,
    target: Indexed<'_>,
    template: &Bio,
    copies: u64,
    embedded: &mut Embedded<'_>,
) {
    let _frame = current.enter("__send_duplicate_bios");
    let map = |clone| {
        ci.io.inc_pending(current);
        map_bio(current, ci.dev, &ci.io, target.1, clone);
    };
    match ci.md.variants().duplicates {
        Duplicates::Serial => {
            for number in 0..copies {
                map(waiting(current, ci, Some(target), template, number, embedded));
            }
        }
        Duplicates::AllOrNothing => {
            alloc_multiple_bios(current, ci, target, template, copies, embedded).into_iter().for_each(map);
        }
    }
}

/// `alloc_multiple_bios`: all of them, or, with everything given back, all of them while no other task may try.
fn alloc_multiple_bios(
    current: &Task,
    ci: &CloneInfo<'_>,
    target: Indexed<'_>,
    template: &Bio,
    copies: u64,
    embedded: &mut Embedded<'_>,
) -> Vec<Bio> {
    let _frame = current.enter("alloc_multiple_bios");
    let mut clones = Vec::new();
    // Only flushes try without waiting; the others may wait from the start.
    if template.op() == BioOp::Flush {
        for number in 0..copies {
            let Some(clone) = alloc_tio(current, ci, Some(target), template, (number, Gfp::NoWait), embedded) else {
                break;
            };
            clones.push(clone);
        }
        if clones.len() as u64 == copies {
            return clones;
        }
    }
    // What is part of the dm_io is not given back, and need not be.
    let from_set = clones.iter().filter(|clone| clone.is_from(current, &ci.io.table().pools().bs)).count();
    let kept = clones.len() - from_set;
    clones.drain(kept..).for_each(|clone| clone.done().discard(current));
    let lock = (copies > 1).then(|| ci.md.table_devices_lock(current));
    for number in kept as u64..copies {
        clones.push(waiting(current, ci, Some(target), template, number, embedded));
    }
    drop(lock);
    clones
}

/// `alloc_tio`, waiting if it must.
fn waiting(
    current: &Task,
    ci: &CloneInfo<'_>,
    target: Option<Indexed<'_>>,
    template: &Bio,
    number: u64,
    embedded: &mut Embedded<'_>,
) -> Bio {
    let clone = alloc_tio(current, ci, target, template, (number, Gfp::NoIo), embedded);
    clone.expect("an allocation that may wait succeeds")
}

/// `alloc_tio`: the clone that is part of the `dm_io` if it is still there, else one from `md->bs`.
fn alloc_tio(
    current: &Task,
    ci: &CloneInfo<'_>,
    target: Option<Indexed<'_>>,
    template: &Bio,
    (number, gfp): (u64, Gfp),
    embedded: &mut Embedded<'_>,
) -> Option<Bio> {
    let _frame = current.enter("alloc_tio");
    if let Some(io) = embedded.0.take() {
        return Some(template.with_done(Arc::clone(io) as Arc<_>));
    }
    let bs = &ci.io.table().pools().bs;
    let element = if gfp == Gfp::NoWait { bs.pool().alloc(current, gfp)? } else { bs.alloc_element(current) };
    let piece = target.map_or(Piece::NONE, |target| Piece::of(template, template.sectors, target, number));
    Some(template.with_done(TargetIo::new(current, &ci.io, piece, element)))
}
