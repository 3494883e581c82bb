//! `bio_split`: the first part of a bio as a bio of its own (dm-spec §1.4).
//!
//! Invariants: head and tail together are the original, in order, over the same memory; the head comes from the set,
//! the tail is the original. It does not chain them.

use dmlab_units::Sectors;

use super::bio::Bio;
use super::bio_set::BioSet;
use crate::sched::Task;
use crate::sync::Gfp;

/// Cuts the first `sectors` off `bio` and returns them as a bio from `set`. A `BUG` unless that leaves something on
/// both sides, as in the kernel.
#[track_caller]
pub fn bio_split(current: &Task, bio: &mut Bio, sectors: Sectors, set: &BioSet) -> Bio {
    let _frame = current.enter("bio_split");
    if sectors == Sectors::ZERO || sectors >= bio.sectors {
        current.bug(format!("bio_split: {sectors} sectors of a bio of {} sectors", bio.sectors));
    }
    let mut head = set.alloc_clone(current, bio, Gfp::NoIo).expect("an allocation that may wait succeeds");
    head.truncate(sectors);
    bio.advance(sectors);
    head
}
