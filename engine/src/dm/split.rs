//! `dm_split_and_process_bio`: a bio becomes pieces that each fit one target, in the four ways of dm-spec §4.
//!
//! * `loop`: all pieces are mapped in one call; each holds a clone of `md->bs` that is only *queued*.
//! * `depth-first`: one piece is mapped; a clone of the head takes over its completion, the original goes back to
//!   `submit_bio_noacct` as the remainder.
//! * `clone-is-remainder`: the wrong twin: the clone goes back, the original stays the head.
//! * `trim`: one piece is mapped, the original itself is trimmed and goes back; nothing is allocated.
//!
//! Called from the device's workqueue (`current->bio_list == NULL`) the first three process all pieces at once,
//! since each is dispatched immediately (dm-spec S4).
//!
//! Invariant: pieces are disjoint, in order, and together the original bio.

use std::sync::Arc;

use dmlab_units::Sectors;

use super::io::{DmIo, cookie};
use super::mapped_device::MappedDevice;
use super::table::{Table, TableTarget};
use super::target::Mapped;
use crate::block::split::bio_split;
use crate::block::submit::{BioLists, submit_bio_noacct};
use crate::block::{Bio, BlkStatus};
use crate::sched::Task;
use crate::sync::Gfp;
use crate::variants::{Planted, Split};

/// The kernel's `clone_info`: what is left to do of a bio.
struct CloneInfo<'a> {
    md: &'a Arc<MappedDevice>,
    table: &'a Arc<Table>,
    io: Arc<DmIo>,
}

/// Maps `bio`, which is wholly or partly within `table`.
pub(super) fn split_and_process_bio(current: &Task, md: &Arc<MappedDevice>, table: &Arc<Table>, bio: Bio) {
    let _frame = current.enter("__split_and_process_bio");
    match md.variants().split {
        Split::Loop => all_pieces(current, md, table, bio, |_, _, _, _| true),
        Split::DepthFirst => all_pieces(current, md, table, bio, remainder_is_original),
        Split::CloneIsRemainder => all_pieces(current, md, table, bio, remainder_is_clone),
        Split::Trim => trim(current, md, table, bio),
    }
}

/// The loop of 2.6 to 5.17. After each piece but the last `go_on` may send the remainder away and end the loop.
fn all_pieces(
    current: &Task,
    md: &Arc<MappedDevice>,
    table: &Arc<Table>,
    mut bio: Bio,
    go_on: fn(&Task, &CloneInfo<'_>, &mut Option<Bio>, Sectors) -> bool,
) {
    let pool = table.pools().io_pool.as_ref().expect("these variants have an io_pool");
    let element = {
        let _frame = current.enter("alloc_io");
        pool.alloc(current, Gfp::NoIo).expect("an allocation that may wait succeeds")
    };
    let io = DmIo::new(current, md, table, Arc::clone(bio.done()), (Arc::clone(pool), element));
    let ci = CloneInfo { md, table, io };
    // `bio` keeps its size until the loop sends it away; `piece` walks over it.
    let mut at = Sectors::ZERO;
    let mut status = BlkStatus::Ok;
    while at < bio.sectors {
        let (piece, rest) = (at, bio.sectors - at);
        match process_piece(current, &ci, &bio, piece, rest) {
            Ok(len) => at += len,
            Err(error) => {
                status = error;
                break;
            }
        }
        if at < bio.sectors {
            let mut original = Some(bio);
            if !go_on(current, &ci, &mut original, at) {
                break;
            }
            bio = original.expect("a loop that goes on keeps its bio");
        }
    }
    // The submitter's own hold.
    ci.io.dec_pending(current, status);
}

/// Allocates a clone of the `rest` sectors from `at` on, as far as they fit one target, and maps it.
fn process_piece(
    current: &Task,
    ci: &CloneInfo<'_>,
    bio: &Bio,
    at: Sectors,
    rest: Sectors,
) -> Result<Sectors, BlkStatus> {
    let _frame = current.enter("__split_and_process_non_flush");
    let (index, target) = ci.table.find(bio.sector + at).ok_or(BlkStatus::IoErr)?;
    let len = max_io_len(ci.md, target, bio.sector + at).min(rest);
    let mut clone = {
        let _frame = current.enter("alloc_tio");
        let set = &ci.table.pools().bs;
        ci.md.maybe_sleep_atomic(current);
        set.alloc_clone(current, bio, Gfp::NoIo).expect("an allocation that may wait succeeds")
    };
    clone.advance(at);
    clone.truncate(len);
    ci.io.inc_pending(current);
    map_bio(current, ci, index, target, clone);
    Ok(len)
}

/// `__map_bio`: hands a clone to its target and on to the device below.
fn map_bio(current: &Task, ci: &CloneInfo<'_>, index: usize, target: &TableTarget, clone: Bio) {
    let _frame = current.enter("__map_bio");
    ci.md.check_may_map(current);
    if ci.md.planted() == Planted::LeaksClone {
        drop(ci.table.pools().bs.pool().alloc(current, Gfp::NoWait));
    }
    clone.on_end(current, Arc::clone(&ci.io) as Arc<_>, cookie(index, clone.sector));
    match target.target.map(current, &target.range, clone) {
        Mapped::Remapped(clone) => submit_bio_noacct(current, clone),
        Mapped::Submitted => {}
        // The target's end_io is not for bios that it killed itself.
        Mapped::Kill(clone) => {
            clone.free(current);
            ci.io.dec_pending(current, BlkStatus::IoErr);
        }
    }
}

/// `max_io_len`: sectors from `sector` to the next boundary that a bio must not cross.
fn max_io_len(md: &MappedDevice, target: &TableTarget, sector: Sectors) -> Sectors {
    let offset = target.range.offset(sector);
    let to_end = target.range.len - offset;
    match target.target.max_io_len() {
        Some(boundary) if md.planted() != Planted::StripedNoBoundary => {
            to_end.min(Sectors(boundary.0 - offset.0 % boundary.0))
        }
        _ => to_end,
    }
}

/// Whether a remainder may be left to `submit_bio_noacct`: only when it would be dispatched after what was mapped.
fn under_submission(current: &Task, md: &MappedDevice) -> bool {
    BioLists::of(current).is_active() || md.planted() == Planted::SplitsInWorker
}

/// 18a25da84354: the head's completion moves to a clone from `q->bio_split`, the original becomes the remainder.
fn remainder_is_original(current: &Task, ci: &CloneInfo<'_>, original: &mut Option<Bio>, done: Sectors) -> bool {
    if !under_submission(current, ci.md) {
        return true;
    }
    let mut bio = original.take().expect("the loop hands its bio over");
    let head = bio_split(current, &mut bio, done, ci.md.bio_split());
    head.chain_to(current, &bio);
    if ci.md.planted() != Planted::CompletesOriginal {
        ci.io.set_completes(current, Arc::clone(head.done()));
    }
    submit_bio_noacct(current, bio);
    false
}

/// The same with the roles exchanged: the original stays the head, and a clone is submitted as the remainder.
fn remainder_is_clone(current: &Task, ci: &CloneInfo<'_>, original: &mut Option<Bio>, done: Sectors) -> bool {
    if !under_submission(current, ci.md) {
        return true;
    }
    let bio = original.take().expect("the loop hands its bio over");
    let set = ci.md.bio_split();
    let mut remainder = set.alloc_clone(current, &bio, Gfp::NoIo).expect("an allocation that may wait succeeds");
    remainder.advance(done);
    remainder.chain_to(current, &bio);
    submit_bio_noacct(current, remainder);
    false
}

/// 7dd76d1feec7: one piece, whose `dm_io` and clone are one element of `io_bs`; the original, trimmed, goes back.
fn trim(current: &Task, md: &Arc<MappedDevice>, table: &Arc<Table>, mut bio: Bio) {
    let Some((index, target)) = table.find(bio.sector) else {
        return bio.end(current, BlkStatus::IoErr);
    };
    let len = max_io_len(md, target, bio.sector).min(bio.sectors);
    let set = table.pools().io_bs.as_ref().expect("this variant has an io_bs");
    let (element, mut clone) = {
        let _frame = current.enter("alloc_io");
        md.maybe_sleep_atomic(current);
        set.alloc_embedded(current, &bio)
    };
    clone.truncate(len);
    let io = DmIo::new(current, md, table, Arc::clone(bio.done()), element);
    let ci = CloneInfo { md, table, io };
    ci.io.inc_pending(current);
    map_bio(current, &ci, index, target, clone);
    if len < bio.sectors {
        bio.advance(len);
        bio.done().get_share(current);
        submit_bio_noacct(current, bio);
    }
    ci.io.dec_pending(current, BlkStatus::Ok);
}
