//! [`Page`]: what ramdisks and buffers share; [`SparePages`]: those that nobody has any more, for whoever needs one next.
//!
//! A copy-on-write gives a page of the COW device away and takes one for the origin. The allocator would have to be asked
//! twice for each, by two tasks.
//!
//! Invariants: a page that is shared is never changed; a spare page is nobody's, and all of it is written before anybody
//! can read it.
//! Not here: which pages a ramdisk shares with whom.

use std::sync::Arc;

use crate::sched::Task;
use crate::sched::cell::Tiny;

/// Bytes of a page.
pub(super) const PAGE_BYTES: usize = 4096;
/// So many are kept: 8 MiB.
const SPARE_MAX: usize = 2048;

/// A page that ramdisks and buffers share.
pub(super) type Page = Arc<[u8; PAGE_BYTES]>;

/// The spare pages of a machine.
pub(super) struct SparePages(Tiny<Vec<Page>>);

impl SparePages {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self(Tiny::new(Vec::new()))
    }

    /// For a transfer that may need so many; it takes them when it needs the first.
    pub(super) const fn at_hand<'a>(&'a self, current: &'a Task, wanted: usize) -> PagesAtHand<'a> {
        PagesAtHand { spare: self, current, wanted, pages: Vec::new() }
    }
}

/// Spare pages in the hands of one transfer, so that it takes the lock twice in all.
pub(super) struct PagesAtHand<'a> {
    spare: &'a SparePages,
    current: &'a Task,
    wanted: usize,
    pages: Vec<Page>,
}

impl PagesAtHand<'_> {
    /// A page of the transfer's own, holding `from`.
    pub(super) fn holding(&mut self, from: &[u8]) -> Page {
        if self.pages.is_empty() && self.wanted > 0 {
            let mut spare = self.spare.0.lock_for(self.current);
            let left = spare.len().saturating_sub(std::mem::take(&mut self.wanted));
            self.pages.extend(spare.drain(left..));
        }
        match self.pages.pop() {
            Some(mut page) => {
                Arc::get_mut(&mut page).expect("a spare page is nobody else's").copy_from_slice(from);
                page
            }
            None => Arc::<[u8]>::from(from).try_into().expect("a page is as long as a page"),
        }
    }

    /// Gives a page away, which may be somebody else's too.
    pub(super) fn give(&mut self, page: Option<Page>) {
        if let Some(mut page) = page
            && Arc::get_mut(&mut page).is_some()
        {
            self.pages.push(page);
        }
    }
}

impl Drop for PagesAtHand<'_> {
    fn drop(&mut self) {
        if self.pages.is_empty() {
            return;
        }
        let mut spare = self.spare.0.lock_for(self.current);
        self.pages.truncate(SPARE_MAX.saturating_sub(spare.len()));
        spare.append(&mut self.pages);
    }
}

#[cfg(test)]
mod tests {
    use dmlab_units::{Nanos, Seed};

    use super::*;
    use crate::sched::{Outcome, threads};

    fn on_threads(model: impl FnOnce(&Task) + Send + 'static) {
        let config = threads::Config { seed: Seed(1), deadline: Nanos::secs(10), interrupt: Arc::default() };
        assert_eq!(threads::run(&config, model).outcome, Outcome::Finished);
    }

    #[test]
    fn a_page_that_was_given_away_is_taken_again_and_holds_what_is_new() {
        on_threads(|current| {
            let spare = SparePages::new();
            let page = spare.at_hand(current, 1).holding(&[1; PAGE_BYTES]);
            let address = Arc::as_ptr(&page);
            spare.at_hand(current, 0).give(Some(page));
            assert_eq!(spare.0.lock().len(), 1);
            let mut pages = spare.at_hand(current, 2);
            let [again, other] = [2, 3].map(|byte| pages.holding(&[byte; PAGE_BYTES]));
            assert_eq!((Arc::as_ptr(&again), again[..] == [2; PAGE_BYTES], other[0]), (address, true, 3));
            assert!(spare.0.lock().is_empty());
        });
    }

    #[test]
    fn a_page_that_somebody_else_has_is_not_taken() {
        on_threads(|current| {
            let spare = SparePages::new();
            let page = spare.at_hand(current, 1).holding(&[1; PAGE_BYTES]);
            let mut pages = spare.at_hand(current, 1);
            pages.give(Some(Arc::clone(&page)));
            assert!(!Arc::ptr_eq(&pages.holding(&[2; PAGE_BYTES]), &page));
            assert_eq!(page[..], [1; PAGE_BYTES]);
        });
    }

    #[test]
    fn so_many_pages_are_kept_and_no_more() {
        on_threads(|current| {
            let spare = SparePages::new();
            let pages: Vec<Page> = (0..SPARE_MAX + 5).map(|_| Arc::new([0; PAGE_BYTES])).collect();
            let mut at_hand = spare.at_hand(current, 0);
            pages.into_iter().for_each(|page| at_hand.give(Some(page)));
            drop(at_hand);
            assert_eq!(spare.0.lock().len(), SPARE_MAX);
        });
    }
}
