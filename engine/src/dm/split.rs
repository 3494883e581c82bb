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

use super::duplicate::{Embedded, empty_flush, flush_or_abnormal, send_abnormal, send_empty_flush};
use super::io::DmIo;
use super::mapped_device::MappedDevice;
use super::table::{Table, TableTarget};
use super::target::{Mapped, TargetFeatures};
use super::tio::{Piece, TargetIo};
use crate::block::offload::start_offload;
use crate::block::split::bio_split;
use crate::block::submit::{BioLists, submit_bio_noacct};
use crate::block::{Bio, BioFlags, BioOp, BioSet, BlkStatus, Device};
use crate::sched::Task;
use crate::sync::Gfp;
use crate::variants::{Planted, Requeue, Split};

/// The kernel's `clone_info`: which device a bio was for, with which table, and who counts its pieces.
pub(super) struct CloneInfo<'a> {
    pub(super) md: &'a MappedDevice,
    pub(super) dev: &'a Arc<Device>,
    pub(super) io: Arc<DmIo>,
}

/// Maps `bio`, which is wholly or partly within `table` of `dev`.
pub(super) fn split_and_process_bio(current: &Task, md: &MappedDevice, dev: &Arc<Device>, table: Arc<Table>, bio: Bio) {
    let _frame = current.enter("__split_and_process_bio");
    match md.variants().split {
        Split::Loop => all_pieces(current, md, dev, table, bio, |_, _, _, _| true),
        Split::DepthFirst => all_pieces(current, md, dev, table, bio, remainder_is_original),
        Split::CloneIsRemainder => all_pieces(current, md, dev, table, bio, remainder_is_clone),
        Split::Trim => trim(current, md, dev, table, bio),
    }
}

/// Whether a bio is a flush, with or without data.
fn is_flush(bio: &Bio) -> bool {
    bio.op() == BioOp::Flush || bio.flags().contains(BioFlags::PREFLUSH)
}

/// After a piece: whether the loop goes on with the remainder, or has sent it away.
type AfterPiece = fn(&Task, &CloneInfo<'_>, &mut Option<Bio>, Sectors) -> bool;

/// The loop of 2.6 to 5.17.
fn all_pieces(current: &Task, md: &MappedDevice, dev: &Arc<Device>, table: Arc<Table>, bio: Bio, go_on: AfterPiece) {
    let element = {
        let _frame = current.enter("alloc_io");
        let pool = table.pools().io_pool.as_ref().expect("these variants have an io_pool");
        pool.alloc(current, Gfp::NoIo).expect("an allocation that may wait succeeds")
    };
    let io = DmIo::new(current, table, Arc::clone(bio.done()), element, 1, Piece::NONE);
    let ci = CloneInfo { md, dev, io };
    // The bio keeps its size until the remainder is sent away; `at` walks over it.
    let mut at = Sectors::ZERO;
    let mut status = BlkStatus::Ok;
    let flushes = is_flush(&bio);
    let mut original = Some(bio);
    if flushes {
        send_empty_flush(current, &ci, &empty_flush(original.as_ref().expect("just put there")), Embedded(None));
    }
    while let Some(bio) = original.as_ref().filter(|bio| !flushes && at < bio.sectors) {
        match process_piece(current, &ci, bio, at, bio.sectors - at) {
            Ok(len) => at += len,
            Err(error) => {
                status = error;
                break;
            }
        }
        if at < bio.sectors && !go_on(current, &ci, &mut original, at) {
            break;
        }
    }
    if let Some(bio) = original {
        ci.io.keep_original(current, bio);
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
    let table = ci.io.table();
    let (index, target) = table.find(bio.sector + at).ok_or(BlkStatus::IoErr)?;
    if bio.op().is_abnormal() {
        let mut template = bio.with_done(Arc::clone(bio.done()));
        template.advance(at);
        let len = abnormal_len(table, target, &template);
        template.truncate(len);
        return send_abnormal(current, ci, (index, target), &template, Embedded(None)).map(|()| len);
    }
    let len = max_io_len(table, target, bio.sector + at).min(rest);
    let len = accepted(target, bio, at, len);
    let element = {
        let _frame = current.enter("alloc_tio");
        sleep_if_planted(current, table, &table.pools().bs);
        table.pools().bs.alloc_element(current)
    };
    let vecs = if bio.op().has_data() { table.pools().bs.alloc_vecs(current, len) } else { None };
    let mut clone = bio.with_done(Arc::clone(bio.done()));
    clone.advance(at);
    clone.truncate(len);
    let piece = Piece::of(&clone, len, (index, target), 0);
    drop(clone.replace_done(TargetIo::with_vecs(current, &ci.io, piece, element, vecs)));
    ci.io.inc_pending(current);
    map_bio(current, ci.dev, &ci.io, target, clone);
    Ok(len)
}

/// `__map_bio`: hands a clone to its target and on to the device below.
pub(super) fn map_bio(current: &Task, dev: &Device, io: &Arc<DmIo>, target: &TableTarget, clone: Bio) {
    let _frame = current.enter("__map_bio");
    let accounting = io.table().accounting();
    accounting.check_may_map(current);
    if accounting.planted == Planted::LeaksClone {
        let _lost = io.table().pools().bs.pool().alloc(current, Gfp::NoWait);
    }
    let mapped = {
        let _offload = start_offload(current, io.table().variants().offload);
        target.target.map(current, dev, &target.range, clone)
    };
    match mapped {
        Mapped::Remapped(clone) => submit_bio_noacct(current, clone),
        Mapped::Submitted => {}
        // The target's end_io is not for bios that it killed itself.
        Mapped::Kill(clone) => {
            clone.done().discard(current);
            io.dec_pending(current, BlkStatus::IoErr);
        }
        Mapped::Requeue(clone) => {
            io.note_pushed_back(current, &clone);
            clone.done().discard(current);
            io.dec_pending(current, BlkStatus::DmRequeue);
        }
    }
}

/// `max_io_len`: sectors from `sector` to the next boundary that a bio must not cross.
fn max_io_len(table: &Table, target: &TableTarget, sector: Sectors) -> Sectors {
    let offset = target.range.offset(sector);
    let to_end = target.range.len - offset;
    match target.target.max_io_len() {
        Some(boundary) if table.accounting().planted != Planted::StripedNoBoundary => {
            to_end.min(Sectors(boundary.0 - offset.0 % boundary.0))
        }
        _ => to_end,
    }
}

/// How much of an abnormal bio a target gets at once: up to its end. (`__process_abnormal_io`; limits were imposed before.)
pub(super) fn abnormal_len(table: &Table, target: &TableTarget, bio: &Bio) -> Sectors {
    let to_end = target.range.len - target.range.offset(bio.sector);
    if bio.op() == BioOp::Discard && target.target.max_discard_granularity() {
        max_io_len(table, target, bio.sector).min(bio.sectors)
    } else {
        to_end.min(bio.sectors)
    }
}

/// `dm_accept_partial_bio`: how much the target takes of the `len` sectors from `at` on. Asked before it maps them: it
/// answers by what changes while nothing is mapped.
#[inline]
fn accepted(target: &TableTarget, bio: &Bio, at: Sectors, len: Sectors) -> Sectors {
    target.target.accepts(bio, at).map_or(len, |accepted| accepted.min(len))
}

/// [`Planted::SleepsAtomic`]: a waiting allocation under a spinlock (I9 must catch it).
#[inline]
fn sleep_if_planted(current: &Task, table: &Table, set: &BioSet) {
    if table.accounting().planted == Planted::SleepsAtomic {
        current.atomically(|| set.pool().alloc(current, Gfp::NoIo));
    }
}

/// Whether a remainder may be left to `submit_bio_noacct`: only when it would be dispatched after what was mapped.
fn under_submission(current: &Task, ci: &CloneInfo<'_>) -> bool {
    BioLists::of(current).is_active() || ci.io.table().accounting().planted == Planted::SplitsInWorker
}

/// 18a25da84354: the head's completion moves to a clone from `q->bio_split`, the original becomes the remainder.
fn remainder_is_original(current: &Task, ci: &CloneInfo<'_>, original: &mut Option<Bio>, done: Sectors) -> bool {
    if !under_submission(current, ci) {
        return true;
    }
    let mut bio = original.take().expect("the loop hands its bio over");
    let head = bio_split(current, &mut bio, done, ci.md.bio_split(current));
    if ci.io.table().accounting().planted != Planted::CompletesOriginal {
        ci.io.set_completes(current, Arc::clone(head.done()));
        ci.io.keep_original(current, head);
    }
    bio.set_dev(Arc::clone(ci.dev));
    submit_bio_noacct(current, bio);
    false
}

/// The same with the roles exchanged: the original stays the head, and a clone is submitted as the remainder.
fn remainder_is_clone(current: &Task, ci: &CloneInfo<'_>, original: &mut Option<Bio>, done: Sectors) -> bool {
    if !under_submission(current, ci) {
        return true;
    }
    let mut bio = original.take().expect("the loop hands its bio over");
    let pooled = ci.md.bio_split(current).alloc(current);
    let mut remainder = bio.chained_clone(current, Some(pooled));
    remainder.advance(done);
    bio.truncate(done);
    ci.io.keep_original(current, bio);
    remainder.set_dev(Arc::clone(ci.dev));
    submit_bio_noacct(current, remainder);
    false
}

/// 7dd76d1feec7: one piece, whose `dm_io` and clone are one element of `io_bs`; the original, trimmed, goes back.
fn trim(current: &Task, md: &MappedDevice, dev: &Arc<Device>, table: Arc<Table>, mut bio: Bio) {
    let nowait = bio.flags().contains(BioFlags::NOWAIT) && !bio.op().is_abnormal();
    let element = {
        let _frame = current.enter("alloc_io");
        let set = table.pools().io_bs.as_ref().expect("this variant has an io_bs");
        sleep_if_planted(current, &table, set);
        if nowait { set.pool().alloc(current, Gfp::NoWait) } else { Some(set.alloc_element(current)) }
    };
    let Some(element) = element else { return bio.end(current, BlkStatus::Again) };
    if is_flush(&bio) || bio.op().is_abnormal() {
        return flush_or_abnormal(current, md, dev, table, bio, element);
    }
    let Some((index, target)) = table.find(bio.sector) else {
        table.pools().free_io(current, element);
        return bio.end(current, BlkStatus::IoErr);
    };
    if nowait && !target.kind.features.contains(TargetFeatures::NOWAIT) {
        table.pools().free_io(current, element);
        return bio.end(current, BlkStatus::NotSupp);
    }
    let len = max_io_len(&table, target, bio.sector).min(bio.sectors);
    let len = accepted(target, &bio, Sectors::ZERO, len);
    let piece = Piece::of(&bio, len, (index, target), 0);
    let io = DmIo::new(current, table, Arc::clone(bio.done()), element, 2, piece);
    if len == bio.sectors {
        // The whole bio: its descriptor becomes the clone's, and nothing need be shared.
        share_if_buggy(current, md, &bio);
        drop(bio.replace_done(Arc::clone(&io) as Arc<_>));
        map_bio(current, dev, &io, &io.table().targets()[index], bio);
        io.dec_pending(current, BlkStatus::Ok);
        return;
    }
    let mut clone = bio.with_done(Arc::clone(&io) as Arc<_>);
    clone.truncate(len);
    io.set_was_split(current);
    map_bio(current, dev, &io, &io.table().targets()[index], clone);
    bio.advance(len);
    share_if_buggy(current, md, &bio);
    bio.done().get_share(current);
    bio.set_dev(Arc::clone(dev));
    submit_bio_noacct(current, bio);
    io.dec_pending(current, BlkStatus::Ok);
}

/// [`Requeue::SharedOriginal`]: all pieces refer to the original, which now is what is left of it.
fn share_if_buggy(current: &Task, md: &MappedDevice, bio: &Bio) {
    if md.variants().requeue == Requeue::SharedOriginal {
        md.deferred().share_original(current, bio.done(), bio.record(bio.sectors));
    }
}
