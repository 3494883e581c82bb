//! [`RwSem`]: the kernel's `rw_semaphore`. A queued writer bars later readers.
//!
//! Invariants: one writer or any number of readers; nobody is granted while a conflicting request queued earlier
//! waits; readers that stand side by side at the head of the queue are granted together.
//! Not here: the optimistic spinning and reader-batch limits of recent kernels; downgrade.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::guarded::{Exclusive, Guarded, Shared};
use crate::sched::object::Wait;
use crate::sched::{Holder, Object, OpKind, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes};

/// Operations on an rw_semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RwOp {
    /// Take it for reading.
    DownRead,
    /// Give a reader's hold back.
    UpRead,
    /// Take it for writing.
    DownWrite,
    /// Give the writer's hold back.
    UpWrite,
}

#[derive(Clone, Copy)]
struct Waiter {
    site: Site,
    writes: bool,
}

/// Who holds an rw_semaphore and who waits.
#[derive(Default)]
pub struct RwState {
    writer: Option<Site>,
    readers: Vec<Site>,
    queue: VecDeque<Waiter>,
}

impl RwState {
    fn grant_from_queue(&mut self, wakes: &mut Wakes) {
        while let Some(&Waiter { site, writes }) = self.queue.front() {
            let free = self.writer.is_none() && (!writes || self.readers.is_empty());
            if !free {
                return;
            }
            self.queue.pop_front();
            wakes.push(site.task);
            if writes {
                self.writer = Some(site);
            } else {
                self.readers.push(site);
            }
        }
    }
}

impl StateMachine for RwState {
    type Op = RwOp;
    type Grant = ();
    const LABEL: &'static str = "rw_semaphore";

    fn announce(op: &RwOp) -> (OpKind, u64) {
        let kind = match op {
            RwOp::DownRead => OpKind::DownRead,
            RwOp::UpRead => OpKind::UpRead,
            RwOp::DownWrite => OpKind::DownWrite,
            RwOp::UpWrite => OpKind::UpWrite,
        };
        (kind, 0)
    }

    fn may_sleep(op: &RwOp) -> bool {
        matches!(op, RwOp::DownRead | RwOp::DownWrite)
    }

    fn apply(&mut self, by: Site, op: RwOp, wakes: &mut Wakes) -> Step<()> {
        match op {
            RwOp::DownRead if self.writer.is_none() && self.queue.is_empty() => self.readers.push(by),
            RwOp::DownWrite if self.writer.is_none() && self.readers.is_empty() && self.queue.is_empty() => {
                self.writer = Some(by);
            }
            RwOp::DownRead | RwOp::DownWrite => {
                self.queue.push_back(Waiter { site: by, writes: op == RwOp::DownWrite });
                return Step::Wait(Wait::FOREVER);
            }
            RwOp::UpRead => {
                let mine = self.readers.iter().position(|reader| reader.task == by.task);
                self.readers.swap_remove(mine.expect("only a reader gives up reading"));
                self.grant_from_queue(wakes);
            }
            RwOp::UpWrite => {
                let writer = self.writer.take().expect("only a writer gives up writing");
                assert_eq!(writer.task, by.task, "a write hold is given up by its owner");
                self.grant_from_queue(wakes);
            }
        }
        Step::Granted(())
    }

    fn collect(&mut self, who: TaskId) {
        let holds = self.writer.iter().chain(&self.readers).any(|holder| holder.task == who);
        assert!(holds, "a woken waiter holds the semaphore");
    }

    fn time_out(&mut self, _who: TaskId) -> Option<()> {
        unreachable!("nobody waits for an rw_semaphore with a time limit")
    }

    fn holders(&self, waiter: TaskId) -> Vec<Holder> {
        let holder = |site: &Site, what: &str| Holder { task: site.task, taken: *site, what: what.to_owned() };
        let mut holders: Vec<Holder> = self.writer.iter().map(|site| holder(site, "writer")).collect();
        let place = self.queue.iter().position(|queued| queued.site.task == waiter).unwrap_or(self.queue.len());
        let writes = self.queue.get(place).is_some_and(|waiter| waiter.writes);
        if writes {
            holders.extend(self.readers.iter().map(|site| holder(site, "reader")));
        }
        let ahead = self.queue.iter().take(place).filter(|queued| writes || queued.writes);
        holders.extend(ahead.map(|queued| {
            holder(&queued.site, if queued.writes { "queued writer, bars later readers" } else { "queued reader" })
        }));
        holders
    }

    fn summary(&self) -> String {
        let writers = self.queue.iter().filter(|waiter| waiter.writes).count();
        let held = match (&self.writer, self.readers.len()) {
            (Some(_), _) => "held for writing".to_owned(),
            (None, 0) => "free".to_owned(),
            (None, readers) => format!("held by {readers} reader(s)"),
        };
        format!("{held}, {writers} writer(s) and {} reader(s) waiting", self.queue.len() - writers)
    }
}

/// The kernel's `rw_semaphore`, around the data it guards.
pub struct RwSem<T> {
    object: Arc<Object<RwState>>,
    data: Guarded<T>,
}

impl<T> RwSem<T> {
    /// A free semaphore around `data`, called `name` in reports.
    pub fn new(runtime: &Runtime, name: &str, data: T) -> Self {
        Self { object: Object::new(runtime, name, RwState::default()), data: Guarded::new(data) }
    }

    /// `down_read`; `up_read` when the guard is dropped.
    #[track_caller]
    pub fn read<'a>(&'a self, current: &'a Task) -> ReadGuard<'a, T> {
        self.object.perform(current, RwOp::DownRead);
        ReadGuard { semaphore: self, current, data: self.data.shared() }
    }

    /// `down_write`; `up_write` when the guard is dropped.
    #[track_caller]
    pub fn write<'a>(&'a self, current: &'a Task) -> WriteGuard<'a, T> {
        self.object.perform(current, RwOp::DownWrite);
        WriteGuard { semaphore: self, current, data: self.data.exclusive() }
    }
}

/// Held for reading.
pub struct ReadGuard<'a, T> {
    semaphore: &'a RwSem<T>,
    current: &'a Task,
    data: Shared<'a, T>,
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        self.semaphore.object.release(self.current, RwOp::UpRead);
    }
}

/// Held for writing.
pub struct WriteGuard<'a, T> {
    semaphore: &'a RwSem<T>,
    current: &'a Task,
    data: Exclusive<'a, T>,
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.data
    }
}

impl<T> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        self.semaphore.object.release(self.current, RwOp::UpWrite);
    }
}
