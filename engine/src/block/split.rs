//! `bio_split` and `bio_chain`: the first part of a bio as a bio of its own that ends into it (dm-spec §1.4).
//!
//! Invariants: head and tail together are the original, in order, over the same memory; the head comes from the set,
//! the tail is the original, which cannot end before the head. (The kernel's `bio_split` does not chain; whoever splits
//! does so next.)

use dmlab_units::Sectors;

use super::bio::Bio;
use super::bio_set::BioSet;
use crate::sched::Task;

/// Cuts the first `sectors` off `bio` and returns them as a bio from `set`, on no device, chained to `bio`. A `BUG`
/// unless that leaves something on both sides, as in the kernel.
#[track_caller]
pub fn bio_split(current: &Task, bio: &mut Bio, sectors: Sectors, set: &BioSet) -> Bio {
    let _frame = current.enter("bio_split");
    if sectors == Sectors::ZERO || sectors >= bio.sectors {
        current.bug(format!("bio_split: {sectors} sectors of a bio of {} sectors", bio.sectors));
    }
    let pooled = set.alloc(current);
    let mut head = bio.chained_clone(current, Some(pooled));
    head.truncate(sectors);
    bio.advance(sectors);
    head
}
