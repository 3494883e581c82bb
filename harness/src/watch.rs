//! [`SearchProgress`]: how far an exploration is, told to whoever watches while it goes on.
//!
//! Invariants: watching changes nothing about a search; a search may tell from several threads at once and as often as it
//! likes, so a watcher returns quickly.
//! Not here: showing it (`cli`), what came of it (the record).

/// How far an exploration is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SearchProgress {
    /// Schedules performed.
    pub schedules: u64,
    /// States told apart; 0 where nobody counts.
    pub states: u64,
    /// Length of the longest schedule so far, in operations or in choices, as the strategy counts.
    pub depth: u64,
    /// Distinct deadlocks.
    pub signatures: u64,
    /// Schedules that are estimated to be left; `None` when nobody knows.
    pub todo_estimate: Option<f64>,
}

/// Told from time to time.
pub type OnProgress<'a> = &'a (dyn Fn(&SearchProgress) + Sync);

/// Nobody watches.
pub fn unwatched(_: &SearchProgress) {}
