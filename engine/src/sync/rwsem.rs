//! [`RwSem`]: the kernel's `rw_semaphore`. A queued writer bars later readers.
//!
//! Invariants: one writer or any number of readers; nobody is granted while a conflicting request queued earlier
//! waits; readers that stand side by side at the head of the queue are granted together.
//! Not here: the optimistic spinning and reader-batch limits of recent kernels; downgrade.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use smallvec::SmallVec;

use super::guarded::{Exclusive, Guarded, Shared};
use super::line::Line;
use crate::sched::object::Wait;
use crate::sched::{
    Digest, Holder, Mode, Object, OpKind, Release, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes,
};

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
    readers: SmallVec<[Site; 2]>,
    queue: Line<Waiter>,
}

impl RwState {
    fn grant_from_queue(&mut self, wakes: &mut Wakes) {
        while let Some(&Waiter { site, writes }) = self.queue.first() {
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
    const RELEASE: Release = Release::Owned;
    const IS_LOCK: bool = true;

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

    fn mode(&self, op: &RwOp) -> Mode {
        match op {
            RwOp::DownRead => Mode::Shared,
            RwOp::DownWrite => Mode::Exclusive,
            RwOp::UpRead | RwOp::UpWrite => Mode::Free,
        }
    }

    fn observed((): &()) -> u64 {
        1
    }

    fn digest(&self, into: &mut Digest<'_>) {
        if let Some(writer) = self.writer {
            into.task(writer.task);
        }
        into.set(self.readers.iter().map(|reader| (reader.task, 0)));
        // Readers that stand side by side in the queue are granted together: their order means nothing.
        let mut readers: SmallVec<[(TaskId, u64); 8]> = SmallVec::new();
        for waiter in &self.queue {
            if waiter.writes {
                into.set(readers.drain(..));
                into.task(waiter.site.task);
            } else {
                readers.push((waiter.site.task, 1));
            }
        }
        into.set(readers);
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
    #[inline(always)]
    #[track_caller]
    pub fn read<'a>(&'a self, current: &'a Task) -> ReadGuard<'a, T> {
        self.object.perform(current, RwOp::DownRead);
        if size_of::<T>() > 0 {
            current.sees(self.object.id());
        }
        ReadGuard { semaphore: self, current, data: self.data.shared() }
    }

    /// `down_write`; `up_write` when the guard is dropped.
    #[inline(always)]
    #[track_caller]
    pub fn write<'a>(&'a self, current: &'a Task) -> WriteGuard<'a, T> {
        self.object.perform(current, RwOp::DownWrite);
        if size_of::<T>() > 0 {
            current.sees(self.object.id());
        }
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
    #[inline(always)]
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
    #[inline(always)]
    fn drop(&mut self) {
        if size_of::<T>() > 0 {
            self.current.changes(self.semaphore.object.id());
        }
        self.semaphore.object.release(self.current, RwOp::UpWrite);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::sched::Frame;

    const TASKS: u32 = 6;

    fn site(task: u32) -> Site {
        Site { task: TaskId(task), frame: Frame::root(), at: std::panic::Location::caller() }
    }

    /// A request that was made and not given back: task, whether it writes.
    type Request = (u32, bool);

    /// The whole rule: a writer is granted when nobody asked before it, a reader when only readers did.
    fn granted(requests: &[Request]) -> Vec<u32> {
        let in_force = |&(place, &(_, writes)): &(usize, &Request)| {
            if writes { place == 0 } else { requests[..place].iter().all(|(_, earlier)| !earlier) }
        };
        requests.iter().enumerate().filter(in_force).map(|(_, request)| request.0).collect()
    }

    fn holders(state: &RwState, waiter: u32) -> Vec<(u32, String)> {
        state.holders(TaskId(waiter)).into_iter().map(|holder| (holder.task.0, holder.what)).collect()
    }

    /// Gives the hold of `task` back and returns who was woken by it.
    fn up(state: &mut RwState, requests: &mut Vec<Request>, task: u32) -> Vec<u32> {
        let place = requests.iter().position(|request| request.0 == task).unwrap();
        let op = if requests.remove(place).1 { RwOp::UpWrite } else { RwOp::UpRead };
        let mut wakes = Wakes::new();
        assert_eq!(state.apply(site(task), op, &mut wakes), Step::Granted(()));
        wakes.iter().for_each(|task| state.collect(*task));
        wakes.iter().map(|task| task.0).collect()
    }

    proptest! {
        #[test]
        fn holds_are_granted_in_the_order_of_asking(steps in vec((0..TASKS, prop::bool::ANY), 1..120)) {
            let (mut state, mut requests) = (RwState::default(), Vec::<Request>::new());
            for (task, writes) in steps {
                let before = granted(&requests);
                if before.contains(&task) {
                    let woken = up(&mut state, &mut requests, task);
                    let after = granted(&requests);
                    prop_assert_eq!(woken, after.into_iter().filter(|task| !before.contains(task)).collect::<Vec<_>>());
                } else if requests.iter().all(|request| request.0 != task) {
                    requests.push((task, writes));
                    let mut wakes = Wakes::new();
                    let op = if writes { RwOp::DownWrite } else { RwOp::DownRead };
                    let at_once = state.apply(site(task), op, &mut wakes) == Step::Granted(());
                    prop_assert!(wakes.is_empty());
                    prop_assert_eq!(at_once, granted(&requests).contains(&task));
                }
                let mut held: Vec<u32> = state.writer.iter().chain(&state.readers).map(|site| site.task.0).collect();
                held.sort_unstable();
                let mut expected = granted(&requests);
                expected.sort_unstable();
                prop_assert_eq!(held, expected);
                let writers = usize::from(state.writer.is_some());
                prop_assert!(writers == 0 || state.readers.is_empty());
            }
            // When all holders give back, everybody is served.
            while let Some(&holder) = granted(&requests).first() {
                up(&mut state, &mut requests, holder);
            }
            prop_assert!(requests.is_empty());
            prop_assert_eq!(state.summary(), "free, 0 writer(s) and 0 reader(s) waiting");
        }

        #[test]
        fn a_waiter_is_told_exactly_whom_it_conflicts_with(steps in vec((0..TASKS, prop::bool::ANY), 1..60)) {
            let (mut state, mut requests) = (RwState::default(), Vec::<Request>::new());
            for (task, writes) in steps {
                if granted(&requests).contains(&task) {
                    up(&mut state, &mut requests, task);
                } else if requests.iter().all(|request| request.0 != task) {
                    requests.push((task, writes));
                    let op = if writes { RwOp::DownWrite } else { RwOp::DownRead };
                    state.apply(site(task), op, &mut Wakes::new());
                }
                for (place, &(waiter, writes)) in requests.iter().enumerate() {
                    if granted(&requests).contains(&waiter) {
                        continue;
                    }
                    let conflicts = requests[..place].iter().filter(|(_, earlier)| writes || *earlier);
                    let mut expected: Vec<u32> = conflicts.map(|request| request.0).collect();
                    let mut told: Vec<u32> = holders(&state, waiter).into_iter().map(|holder| holder.0).collect();
                    expected.sort_unstable();
                    told.sort_unstable();
                    prop_assert_eq!(told, expected);
                }
            }
        }
    }

    #[test]
    fn a_queued_writer_bars_later_readers_and_is_named_for_it() {
        let (mut state, mut wakes) = (RwState::default(), Wakes::new());
        assert_eq!(state.apply(site(1), RwOp::DownRead, &mut wakes), Step::Granted(()));
        assert_eq!(state.apply(site(2), RwOp::DownWrite, &mut wakes), Step::Wait(Wait::FOREVER));
        assert_eq!(state.apply(site(3), RwOp::DownRead, &mut wakes), Step::Wait(Wait::FOREVER));
        assert_eq!(holders(&state, 3), [(2, "queued writer, bars later readers".to_owned())]);
        assert_eq!(holders(&state, 2), [(1, "reader".to_owned())]);
        state.apply(site(1), RwOp::UpRead, &mut wakes);
        assert_eq!(wakes.to_vec(), [TaskId(2)]);
    }

    #[test]
    fn readers_side_by_side_are_granted_together() {
        let (mut state, mut wakes) = (RwState::default(), Wakes::new());
        state.apply(site(1), RwOp::DownWrite, &mut wakes);
        for (task, op) in [(2, RwOp::DownRead), (3, RwOp::DownRead), (4, RwOp::DownWrite), (5, RwOp::DownRead)] {
            assert_eq!(state.apply(site(task), op, &mut wakes), Step::Wait(Wait::FOREVER));
        }
        state.apply(site(1), RwOp::UpWrite, &mut wakes);
        assert_eq!(wakes.to_vec(), [TaskId(2), TaskId(3)]);
    }

    #[test]
    #[should_panic(expected = "only a reader gives up reading")]
    fn giving_up_a_read_that_is_not_held_is_a_panic() {
        let mut state = RwState::default();
        state.apply(site(1), RwOp::DownRead, &mut Wakes::new());
        state.apply(site(2), RwOp::UpRead, &mut Wakes::new());
    }
}
