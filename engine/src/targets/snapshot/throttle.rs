//! [`CowThrottle`]: how many chunks a snapshot copies at once, in the four ways of dm-spec §5.5.
//!
//! * `none`: as many as anybody asks for: memory grows with what is written.
//! * `semaphore` (721b1d98): a unit per copy, taken where the copy is started, with `_origins_lock` held: the deadlock of
//!   2019. The threshold is read when the snapshot is made; 0 is no limit.
//! * `wait` (b21555786f18): whoever would write waits before it takes any lock, and with `_origins_lock` dropped. The
//!   threshold is live; 0 lets one copy run at a time.
//! * `wait-uninit`: the same in trees where the counter was not zeroed: it begins with garbage.
//!
//! Invariant: a copy that was started is ended in the kcopyd worker, once.
//! Not here: kcopyd's own throttle, which limits the share of time.

use std::sync::Arc;

use crate::sched::cell::Tiny;
use crate::sched::{Task, TaskId};
use crate::sync::{Count, Semaphore, Variable, WaitQueue};
use crate::variants::{CowThrottle as Kind, Planted, Variants};

/// `DEFAULT_COW_THRESHOLD`.
pub(super) const COW_THRESHOLD_DEFAULT: u64 = 2048;
/// What stands in a counter that nobody has zeroed.
const GARBAGE: u64 = 0x6b6b_6b6b;

/// The limit on a snapshot's copies.
pub(super) struct CowThrottle {
    kind: Kind,
    planted: Planted,
    /// `snapshot_cow_threshold`.
    threshold: Arc<Variable>,
    /// `s->cow_count`, under `semaphore`.
    cow_count: Option<Semaphore>,
    /// Tasks whose units the worker is to give back: for reports.
    started: Tiny<Vec<TaskId>>,
    /// `s->in_progress`, under `wait`.
    in_progress: Count,
    in_progress_wait: WaitQueue,
    /// How many wait.
    waiting: Count,
}

impl CowThrottle {
    pub(super) fn new(current: &Task, name: &str, variants: Variants, threshold: &Arc<Variable>) -> Self {
        let Variants { cow_throttle: kind, planted, .. } = variants;
        let runtime = current.runtime();
        let named = |part: &str| format!("{name}.{part}");
        let units = match threshold.get() {
            0 => i32::MAX as u64,
            units => units + extra(planted),
        };
        let in_progress = Count::new(runtime, &named("in_progress"));
        if kind == Kind::WaitUninit {
            in_progress.set(GARBAGE);
        }
        Self {
            kind,
            planted,
            threshold: Arc::clone(threshold),
            cow_count: (kind == Kind::Semaphore).then(|| Semaphore::new(runtime, &named("cow_count"), units)),
            started: Tiny::new(Vec::new()),
            in_progress,
            in_progress_wait: WaitQueue::new(runtime, &named("in_progress_wait")),
            waiting: Count::new(runtime, &named("waiting")),
        }
    }

    /// `account_start_copy`: a copy is about to be started. Under `semaphore` it waits for its turn here, whatever locks
    /// the caller holds.
    #[track_caller]
    pub(super) fn start_copy(&self, current: &Task) {
        let _frame = current.enter("account_start_copy");
        match (&self.cow_count, self.kind) {
            (Some(cow_count), _) => cow_count.down(current),
            (None, Kind::None) => {}
            (None, _) => self.in_progress.inc(),
        }
    }

    /// The copy was handed to kcopyd: from now on its worker is to give the unit back.
    pub(super) fn handed_over(&self, current: &Task) {
        if self.cow_count.is_some() {
            self.started.lock_for(current).push(current.id());
        }
    }

    /// The worker has turned to a callback, or would wait for its own turn: reports shall name it as the holder of all
    /// units that it is to give back.
    pub(super) fn in_worker(&self, current: &Task) {
        if let Some(cow_count) = &self.cow_count {
            let started = std::mem::take(&mut *self.started.lock_for(current));
            started.into_iter().for_each(|task| cow_count.take_over(current, task));
        }
    }

    /// `account_end_copy`.
    #[track_caller]
    pub(super) fn end_copy(&self, current: &Task) {
        let _frame = current.enter("account_end_copy");
        if self.planted == Planted::SnapThrottleLeaks {
            return;
        }
        match (&self.cow_count, self.kind) {
            (Some(cow_count), _) => cow_count.up(current),
            (None, Kind::None) => {}
            (None, _) => {
                self.in_progress.dec(current);
                // Who waits says so before it looks at the count.
                if self.in_progress.is_at_most(self.allowed()) && !self.waiting.is_zero() {
                    self.in_progress_wait.wake_up_all(current);
                }
            }
        }
    }

    /// How many copies may be in progress when `wait` lets somebody pass.
    fn allowed(&self) -> u64 {
        self.threshold.get() + extra(self.planted)
    }

    /// Whether `wait_for_in_progress` would let its caller pass now.
    ///
    /// An operation: whoever looks may just have been given `_origins_lock`, and has that to choose from alone.
    #[track_caller]
    pub(super) fn may_pass(&self, current: &Task) -> bool {
        match self.kind {
            Kind::None | Kind::Semaphore => true,
            Kind::Wait | Kind::WaitUninit => self.in_progress.looks_at_most(current, self.allowed()),
        }
    }

    /// The sleep of `wait_for_in_progress`: to be called without locks, when [`Self::may_pass`] has said no. Whoever comes
    /// back looks again.
    #[track_caller]
    pub(super) fn wait(&self, current: &Task) {
        let _frame = current.enter("wait_for_in_progress");
        self.waiting.inc();
        self.in_progress_wait.wait_event(current, || self.in_progress.is_at_most(self.allowed()));
        self.waiting.drop_one();
    }

    /// Whether a copy that was started has not ended (a `WARN_ON` when the snapshot goes).
    pub(super) fn is_busy(&self) -> bool {
        self.kind == Kind::Wait && self.in_progress.peek() != 0
    }
}

/// [`Planted::SnapThrottleOffByOne`].
const fn extra(planted: Planted) -> u64 {
    matches!(planted, Planted::SnapThrottleOffByOne) as u64
}
