//! [`Ledger`]: which ends the runs of a model came to.
//!
//! Invariants: plain memory that neither engine sees; every task posts once, in its own place; what the tasks posted and
//! what the engine says of the run (finished, or stuck) must agree.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// What each task has posted; `None` for one that has not ended.
pub(crate) type End = Vec<Option<u64>>;

/// The ends of a row of runs. Plain memory: neither engine sees it, and every task has its own place.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    ends: BTreeSet<End>,
    runs: usize,
    open: Option<End>,
}

impl Ledger {
    /// A run begins; the one before it must have been closed, or have finished.
    pub(crate) fn open(&self, tasks: usize) {
        self.close_finished();
        self.0.lock().expect("no panic under it").open = Some(vec![None; tasks]);
    }

    pub(crate) fn post(&self, task: usize, value: u64) {
        let mut pages = self.0.lock().expect("no panic under it");
        let place = &mut pages.open.as_mut().expect("a run is open")[task];
        assert_eq!(place.replace(value), None, "a task ends once");
    }

    /// The open run, if any, is over, and the engine says that it is not stuck.
    pub(crate) fn close_finished(&self) {
        self.close(|end| assert!(!is_stuck(end), "the engine calls {end:?} finished"));
    }

    /// The open run is over, and the engine says that it is stuck.
    pub(crate) fn close_stuck(&self) {
        self.close(|end| assert!(is_stuck(end), "the engine calls {end:?} stuck"));
    }

    fn close(&self, check: impl FnOnce(&End)) {
        let mut pages = self.0.lock().expect("no panic under it");
        if let Some(end) = pages.open.take() {
            check(&end);
            pages.ends.insert(end);
            pages.runs += 1;
        }
    }

    pub(crate) fn runs(&self) -> usize {
        self.0.lock().expect("no panic under it").runs
    }

    pub(crate) fn into_ends(self) -> BTreeSet<End> {
        std::mem::take(&mut self.0.lock().expect("no panic under it").ends)
    }
}

/// Whether a task has not ended.
pub(crate) fn is_stuck(end: &End) -> bool {
    end.iter().any(Option::is_none)
}
