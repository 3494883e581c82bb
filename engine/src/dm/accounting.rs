//! [`IoAccounting`]: how many I/Os of a mapped device are in flight, and who waits for none to be.
//!
//! Invariants: an I/O is counted from `alloc_io` to just before its original bio ends; a suspender that has set
//! `block_io` is woken when the count reaches 0. The flags here are copies, for those who may be late by one operation;
//! what decides whether a bio is mapped is published by the live table's SRCU domain.
//! Not here: statistics per operation (`part_stat`).

use crate::sched::Task;
use crate::sync::{Count, Variable, WaitQueue};
use crate::variants::Planted;

/// Who has suspended a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// An ioctl (`DMF_SUSPENDED`).
    User = 1,
    /// The kernel itself (`DMF_SUSPENDED_INTERNALLY`).
    Kernel = 2,
}

/// I/O in flight.
pub struct IoAccounting {
    name: Box<str>,
    /// The machine's planted bug.
    pub planted: Planted,
    in_flight: Count,
    /// `md->wait`.
    wait: WaitQueue,
    block_io: Variable,
    suspended: Variable,
    /// `DMF_NOFLUSH_SUSPENDING`.
    noflush_suspending: Variable,
    /// `DMF_POST_SUSPENDING`.
    post_suspending: Variable,
}

impl IoAccounting {
    /// Nothing in flight on the device `name`.
    pub fn new(current: &Task, name: &str, planted: Planted) -> Self {
        let runtime = current.runtime();
        let flag = |flag: &str| Variable::new(runtime, &format!("{name}.{flag}"), 0);
        Self {
            name: name.into(),
            planted,
            in_flight: Count::new(runtime, &format!("{name}.in_flight")),
            wait: WaitQueue::new(runtime, &format!("{name}.wait")),
            block_io: flag("block_io"),
            suspended: flag("suspended"),
            noflush_suspending: flag("noflush_suspending"),
            post_suspending: flag("post_suspending"),
        }
    }

    /// `start_io_acct`.
    #[inline]
    pub fn start(&self) {
        self.in_flight.inc();
    }

    /// `end_io_acct`.
    #[inline]
    pub fn end(&self, current: &Task) {
        self.in_flight.dec(current);
        // Only a suspender sleeps on this queue, and it blocks I/O before it looks at the count.
        if self.block_io.get() != 0 && self.in_flight.is_zero() {
            self.wait.wake_up_all(current);
        }
    }

    /// `dm_wait_for_completion`.
    pub fn wait_until_idle(&self, current: &Task) {
        let _frame = current.enter("dm_wait_for_completion");
        self.wait.wait_event(current, || self.in_flight.is_zero());
    }

    /// I/Os in flight at this moment.
    pub fn count(&self) -> u64 {
        self.in_flight.peek()
    }

    /// Says that bios are (not) to be mapped; to be said before it is published.
    pub fn set_block_io(&self, block_io: bool) {
        self.block_io.set(u64::from(block_io));
    }

    /// Says that the device is (not) suspended by somebody.
    pub fn set_suspended(&self, by: By, suspended: bool) {
        let others = self.suspended.get() & !(by as u64);
        self.suspended.set(others | if suspended { by as u64 } else { 0 });
    }

    /// Whether the kernel itself has suspended it.
    pub fn is_suspended_internally(&self) -> bool {
        self.suspended.get() & By::Kernel as u64 != 0
    }

    /// Whether the device is suspended.
    #[inline]
    pub fn is_suspended(&self) -> bool {
        self.suspended.get() & By::User as u64 != 0
    }

    /// Says that a suspend is (not) under way that pushes bios back.
    pub fn set_noflush_suspending(&self, noflush: bool) {
        self.noflush_suspending.set(u64::from(noflush));
    }

    /// `__noflush_suspending`.
    pub fn is_noflush_suspending(&self) -> bool {
        self.noflush_suspending.get() != 0
    }

    /// Says that the `postsuspend` hooks are (not) being called.
    pub fn set_post_suspending(&self, post: bool) {
        self.post_suspending.set(u64::from(post));
    }

    /// `dm_post_suspending_md`.
    pub fn is_post_suspending(&self) -> bool {
        self.post_suspending.get() != 0
    }

    /// I7: no map call between the return of a suspend and the resume.
    #[inline]
    pub fn check_may_map(&self, current: &Task) {
        if self.suspended.get() != 0 {
            current.bug(format!("{}: a bio is mapped while the device is suspended", self.name));
        }
    }

    /// I7, the other half: what a suspend returns over is over.
    pub fn check_nothing_in_flight(&self, current: &Task) {
        let count = self.count();
        if count > 0 {
            current.bug(format!("{}: suspend returns with {count} bio(s) in flight", self.name));
        }
    }
}
