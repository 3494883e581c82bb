//! Offload on schedule: while dm was in a target's map function and blocked there, its undispatched bios went to the
//! rescuers of their sets (d67a5f4b59, 4.11 to 4.15; dm-spec §3.5).
//!
//! In the kernel it is a callback on the task's plug, which `schedule()` calls. Here it is armed on the task's
//! [`BioLists`], which every wait of the engine calls before it sleeps, after the wait has been entered in what is waited
//! for: what the task waits for may be granted while it hands its bios over.
//!
//! Invariants: armed inside of map functions only; as a plug's callback it is called once and then gone; a bio goes to the
//! set that it came from, and stays on the list if it came from none (or, in the later version, from one without a
//! rescuer).
//! Not here: waits in allocations, where the set's own rescuer helps ([`super::bio_set`]).

use super::submit::BioLists;
use crate::sched::Task;
use crate::variants::Offload;

/// Disarms what [`start_offload`] armed.
pub struct Armed<'a> {
    lists: &'a BioLists,
    outer: u32,
}

/// `dm_offload_start`: until the guard is dropped, the task's undispatched bios are handed over if it blocks.
#[inline]
#[must_use = "it ends when the guard is dropped"]
pub fn start_offload(current: &Task, variant: Offload) -> Option<Armed<'_>> {
    if variant == Offload::None {
        return None;
    }
    let lists = BioLists::of(current);
    let outer = lists.armed();
    lists.arm(outer + 1, variant == Offload::Checked);
    Some(Armed { lists, outer })
}

impl Drop for Armed<'_> {
    /// `dm_offload_end`.
    fn drop(&mut self) {
        let left = self.lists.armed().min(self.outer);
        self.lists.arm(left, self.lists.checks_rescuer());
    }
}

/// `flush_current_bio_list`: what the armed callbacks do when `schedule()` calls them.
pub(super) fn flush_current_bio_list(current: &Task, lists: &BioLists) {
    let _frame = current.enter("flush_current_bio_list");
    let checks = lists.checks_rescuer();
    lists.arm(0, checks);
    let goes = |set: &super::BioSet| !checks || set.has_rescuer();
    for bio in lists.extract(|bio| bio.set(current).is_some_and(|set| goes(&set))) {
        let set = bio.set(current).expect("only bios from sets were taken");
        set.rescue(current, bio);
    }
}
