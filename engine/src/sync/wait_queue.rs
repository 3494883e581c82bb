//! [`WaitQueue`]: the kernel's `wait_queue_head_t`, `wait_event` and `wait_event_timeout`: sleep until a condition on
//! other data holds, or for so long.
//!
//! Invariants: a wake-up between `prepare_to_wait` and `schedule` is not lost; a task stands in the queue at most
//! once; whose time is up goes on standing in it until it leaves or sleeps again.
//! Not known here: who will make the condition true, unless somebody has said that he owes it ([`WaitQueue::owe`]). A task
//! stuck on a queue that nobody owes anything is a hang, not a cycle.

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::Arc;

use dmlab_units::Nanos;

use crate::sched::object::Wait;
use crate::sched::{Digest, Holder, Object, OpKind, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes};

/// Operations on a wait queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitQueueOp {
    /// Stand in the queue.
    Prepare,
    /// Sleep until woken, or go on at once when woken since.
    Schedule,
    /// The same, for so long at most.
    ScheduleTimeout(Nanos),
    /// Leave the queue.
    Finish,
    /// Wake the first.
    WakeUp,
    /// Wake everybody.
    WakeUpAll,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    site: Site,
    woken: bool,
    asleep: bool,
}

/// What somebody is to do before a condition can hold: for reports.
#[derive(Clone, Copy, Debug)]
struct Debt {
    /// Which condition.
    about: u64,
    owed_by: Site,
    what: &'static str,
}

/// Who stands in the queue.
#[derive(Default)]
pub struct WaitQueueState {
    waiters: VecDeque<Waiter>,
    debts: Vec<Debt>,
    /// Which condition a task waits for.
    about: Vec<(TaskId, u64)>,
}

impl WaitQueueState {
    fn wake(waiter: &mut Waiter, wakes: &mut Wakes) {
        waiter.woken = true;
        if std::mem::take(&mut waiter.asleep) {
            wakes.push(waiter.site.task);
        }
    }
}

impl StateMachine for WaitQueueState {
    type Op = WaitQueueOp;
    type Grant = ();
    const LABEL: &'static str = "wait queue";

    fn announce(op: &WaitQueueOp) -> (OpKind, u64) {
        let kind = match op {
            WaitQueueOp::Prepare => OpKind::PrepareToWait,
            WaitQueueOp::Schedule => OpKind::Schedule,
            WaitQueueOp::ScheduleTimeout(time) => return (OpKind::Schedule, time.0),
            WaitQueueOp::Finish => OpKind::FinishWait,
            WaitQueueOp::WakeUp => OpKind::WakeUp,
            WaitQueueOp::WakeUpAll => OpKind::WakeUpAll,
        };
        (kind, 0)
    }

    fn may_sleep(op: &WaitQueueOp) -> bool {
        matches!(op, WaitQueueOp::Schedule | WaitQueueOp::ScheduleTimeout(_))
    }

    fn apply(&mut self, by: Site, op: WaitQueueOp, wakes: &mut Wakes) -> Step<()> {
        let mine = self.waiters.iter().position(|waiter| waiter.site.task == by.task);
        match op {
            WaitQueueOp::Prepare => match mine {
                Some(place) => self.waiters[place].woken = false,
                None => self.waiters.push_back(Waiter { site: by, woken: false, asleep: false }),
            },
            WaitQueueOp::Schedule | WaitQueueOp::ScheduleTimeout(_) => {
                let waiter = &mut self.waiters[mine.expect("a task prepares before it sleeps")];
                if !waiter.woken {
                    waiter.asleep = true;
                    waiter.site = by;
                    return Step::Wait(match op {
                        WaitQueueOp::ScheduleTimeout(time) => Wait::at_most(time),
                        _ => Wait::FOREVER,
                    });
                }
            }
            WaitQueueOp::Finish => {
                if let Some(place) = mine {
                    self.waiters.remove(place);
                }
            }
            WaitQueueOp::WakeUp => {
                if let Some(waiter) = self.waiters.iter_mut().find(|waiter| !waiter.woken) {
                    Self::wake(waiter, wakes);
                }
            }
            WaitQueueOp::WakeUpAll => {
                self.waiters.iter_mut().filter(|waiter| !waiter.woken).for_each(|waiter| Self::wake(waiter, wakes));
            }
        }
        Step::Granted(())
    }

    fn observed((): &()) -> u64 {
        1
    }

    fn digest(&self, into: &mut Digest<'_>) {
        for waiter in &self.waiters {
            into.task(waiter.site.task);
            into.word(u64::from(waiter.woken) | u64::from(waiter.asleep) << 1);
        }
    }

    fn collect(&mut self, _who: TaskId) {}

    fn time_out(&mut self, who: TaskId) -> Option<()> {
        let waiter = self.waiters.iter_mut().find(|waiter| waiter.site.task == who)?;
        // A wake-up that came first has ended the sleep already.
        std::mem::take(&mut waiter.asleep).then_some(())
    }

    /// Each of them keeps the waiter waiting.
    fn holders(&self, waiter: TaskId) -> Vec<Holder> {
        let Some((_, about)) = self.about.iter().find(|(task, _)| *task == waiter) else { return Vec::new() };
        let debts = self.debts.iter().filter(|debt| debt.about == *about);
        let holder = |debt: &Debt| Holder { task: debt.owed_by.task, taken: debt.owed_by, what: debt.what.to_owned() };
        debts.map(holder).collect()
    }

    fn summary(&self) -> String {
        format!("{} waiting", self.waiters.len())
    }
}

/// The kernel's `wait_queue_head_t`.
pub struct WaitQueue {
    object: Arc<Object<WaitQueueState>>,
}

impl WaitQueue {
    /// An empty queue, called `name` in reports.
    pub fn new(runtime: &Runtime, name: &str) -> Self {
        Self { object: Object::new(runtime, name, WaitQueueState::default()) }
    }

    /// `wait_event`: sleeps until `condition` holds. It is looked at after standing in the queue, so a change followed
    /// by a wake-up is never missed.
    #[track_caller]
    pub fn wait_event(&self, current: &Task, mut condition: impl FnMut() -> bool) {
        loop {
            self.object.perform(current, WaitQueueOp::Prepare);
            if condition() {
                break;
            }
            self.object.perform(current, WaitQueueOp::Schedule);
        }
        self.object.perform(current, WaitQueueOp::Finish);
    }

    /// As [`Self::wait_event`], for the condition that debts `about` the same number are owed for.
    #[track_caller]
    pub fn wait_event_about(&self, current: &Task, about: u64, condition: impl FnMut() -> bool) {
        self.object.adjust(current, |state| state.about.push((current.id(), about)));
        self.wait_event(current, condition);
        self.object.adjust(current, |state| state.about.retain(|(task, _)| *task != current.id()));
    }

    /// Says for reports that the condition `about` cannot hold before this task has done something: `what`.
    #[track_caller]
    pub fn owe(&self, current: &Task, about: u64, what: &'static str) {
        let owed_by = current.site(Location::caller());
        self.object.adjust(current, |state| state.debts.push(Debt { about, owed_by, what }));
    }

    /// One debt `about` this is paid, by whomever.
    pub fn settle(&self, current: &Task, about: u64) {
        self.object.adjust(current, |state| {
            if let Some(place) = state.debts.iter().position(|debt| debt.about == about) {
                state.debts.remove(place);
            }
        });
    }

    /// `wait_event_timeout`: as [`Self::wait_event`], but after `timeout` at the latest it goes on whether `condition` holds
    /// or not; whether it did when it was last looked at.
    #[track_caller]
    pub fn wait_event_timeout(&self, current: &Task, timeout: Nanos, mut condition: impl FnMut() -> bool) -> bool {
        let until = current.now() + timeout;
        let holds = loop {
            self.object.perform(current, WaitQueueOp::Prepare);
            if condition() {
                break true;
            }
            let left = until.saturating_sub(current.now());
            if left == Nanos::ZERO {
                break false;
            }
            self.object.perform(current, WaitQueueOp::ScheduleTimeout(left));
        };
        self.object.perform(current, WaitQueueOp::Finish);
        holds
    }

    /// Wakes one task, the one that has waited longest, as the kernel does with exclusive waiters. Only for queues where
    /// whoever is woken takes what the wake-up is about: a task that is just leaving the queue swallows it. (`wake_up` of
    /// the kernel's ordinary, non-exclusive waiters is [`Self::wake_up_all`].)
    #[track_caller]
    pub fn wake_up(&self, current: &Task) {
        self.object.perform(current, WaitQueueOp::WakeUp);
    }

    /// Wakes every task in the queue.
    #[track_caller]
    pub fn wake_up_all(&self, current: &Task) {
        self.object.perform(current, WaitQueueOp::WakeUpAll);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::sched::Frame;

    fn site(task: u32) -> Site {
        Site { task: TaskId(task), frame: Frame::root(), at: Location::caller() }
    }

    /// How a task stands in the queue.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Stands {
        Awake,
        Asleep,
        Woken,
    }

    fn op() -> impl Strategy<Value = WaitQueueOp> {
        prop_oneof![
            3 => Just(WaitQueueOp::Prepare),
            2 => Just(WaitQueueOp::Schedule),
            2 => Just(WaitQueueOp::ScheduleTimeout(Nanos(5))),
            1 => Just(WaitQueueOp::Finish),
            2 => Just(WaitQueueOp::WakeUp),
            1 => Just(WaitQueueOp::WakeUpAll)
        ]
    }

    proptest! {
        #[test]
        fn no_wake_up_is_lost_and_the_longest_waiter_is_first(steps in vec((0..5_u32, op()), 1..150)) {
            let mut state = WaitQueueState::default();
            let mut queue: Vec<(u32, Stands)> = Vec::new();
            for (task, op) in steps {
                let place = queue.iter().position(|waiter| waiter.0 == task);
                let stands = place.map(|place| queue[place].1);
                if stands == Some(Stands::Asleep) || (stands.is_none() && WaitQueueState::may_sleep(&op)) {
                    continue;
                }
                let mut wakes = Wakes::new();
                let step = state.apply(site(task), op, &mut wakes);
                let mut sleeps = false;
                let mut to_wake = 0;
                match (op, place) {
                    (WaitQueueOp::Prepare, None) => queue.push((task, Stands::Awake)),
                    (WaitQueueOp::Prepare, Some(place)) => queue[place].1 = Stands::Awake,
                    (WaitQueueOp::Schedule | WaitQueueOp::ScheduleTimeout(_), Some(place))
                        if stands == Some(Stands::Awake) =>
                    {
                        queue[place].1 = Stands::Asleep;
                        sleeps = true;
                    }
                    (WaitQueueOp::Schedule | WaitQueueOp::ScheduleTimeout(_), _) => {}
                    (WaitQueueOp::Finish, _) => queue.retain(|waiter| waiter.0 != task),
                    (WaitQueueOp::WakeUp, _) => to_wake = 1,
                    (WaitQueueOp::WakeUpAll, _) => to_wake = usize::MAX,
                }
                let mut woken = Vec::new();
                for (waiter, stands) in queue.iter_mut().filter(|waiter| waiter.1 != Stands::Woken).take(to_wake) {
                    if *stands == Stands::Asleep {
                        woken.push(TaskId(*waiter));
                    }
                    *stands = Stands::Woken;
                }
                let timeout = matches!(op, WaitQueueOp::ScheduleTimeout(_)).then_some(Nanos(5));
                let wait = Wait { timeout, idle: false };
                prop_assert_eq!(step, if sleeps { Step::Wait(wait) } else { Step::Granted(()) });
                prop_assert_eq!(wakes.to_vec(), woken);
                prop_assert_eq!(state.waiters.len(), queue.len());
            }
            // One wake-up of everybody leaves nobody asleep.
            let mut wakes = Wakes::new();
            state.apply(site(99), WaitQueueOp::WakeUpAll, &mut wakes);
            let asleep = queue.iter().filter(|waiter| waiter.1 == Stands::Asleep).map(|waiter| TaskId(waiter.0));
            prop_assert_eq!(wakes.to_vec(), asleep.collect::<Vec<_>>());
            prop_assert!(state.waiters.iter().all(|waiter| !waiter.asleep));
        }
    }

    #[test]
    fn a_wake_up_between_prepare_and_schedule_is_not_lost() {
        for wake in [WaitQueueOp::WakeUp, WaitQueueOp::WakeUpAll] {
            let (mut state, mut wakes) = (WaitQueueState::default(), Wakes::new());
            state.apply(site(1), WaitQueueOp::Prepare, &mut wakes);
            state.apply(site(2), wake, &mut wakes);
            assert_eq!(state.apply(site(1), WaitQueueOp::Schedule, &mut wakes), Step::Granted(()));
            assert!(wakes.is_empty(), "a task that is awake is not woken");
        }
    }

    #[test]
    fn preparing_again_forgets_the_wake_up_that_was_used() {
        let (mut state, mut wakes) = (WaitQueueState::default(), Wakes::new());
        state.apply(site(1), WaitQueueOp::Prepare, &mut wakes);
        state.apply(site(2), WaitQueueOp::WakeUp, &mut wakes);
        state.apply(site(1), WaitQueueOp::Prepare, &mut wakes);
        assert_eq!(state.apply(site(1), WaitQueueOp::Schedule, &mut wakes), Step::Wait(Wait::FOREVER));
    }

    #[test]
    fn a_time_limit_ends_a_sleep_once_and_yields_to_a_wake_up() {
        let (mut state, mut wakes) = (WaitQueueState::default(), Wakes::new());
        let sleep = WaitQueueOp::ScheduleTimeout(Nanos(5));
        state.apply(site(1), WaitQueueOp::Prepare, &mut wakes);
        assert_eq!(state.apply(site(1), sleep, &mut wakes), Step::Wait(Wait::at_most(Nanos(5))));
        assert_eq!(state.time_out(TaskId(1)), Some(()));
        assert_eq!(state.time_out(TaskId(1)), None);
        // It stands in the queue still, so that a wake-up is not lost on it; but nobody is to be woken from no sleep.
        state.apply(site(2), WaitQueueOp::WakeUpAll, &mut wakes);
        assert!(wakes.is_empty());
        assert_eq!(state.apply(site(1), sleep, &mut wakes), Step::Granted(()));
        state.apply(site(1), WaitQueueOp::Prepare, &mut wakes);
        state.apply(site(1), sleep, &mut wakes);
        state.apply(site(2), WaitQueueOp::WakeUp, &mut wakes);
        assert_eq!(state.time_out(TaskId(1)), None, "the wake-up came first");
    }
}
