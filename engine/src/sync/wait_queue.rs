//! [`WaitQueue`]: the kernel's `wait_queue_head_t` and `wait_event`: sleep until a condition on other data holds.
//!
//! Invariants: a wake-up between `prepare_to_wait` and `schedule` is not lost; a task stands in the queue at most
//! once. Not known here: who will make the condition true, so a task stuck on a wait queue is a hang, not a cycle.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::sched::object::Wait;
use crate::sched::{Holder, Object, OpKind, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes};

/// Operations on a wait queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitQueueOp {
    /// Stand in the queue.
    Prepare,
    /// Sleep until woken, or go on at once when woken since.
    Schedule,
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

/// Who stands in the queue.
#[derive(Default)]
pub struct WaitQueueState {
    waiters: VecDeque<Waiter>,
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
            WaitQueueOp::Finish => OpKind::FinishWait,
            WaitQueueOp::WakeUp => OpKind::WakeUp,
            WaitQueueOp::WakeUpAll => OpKind::WakeUpAll,
        };
        (kind, 0)
    }

    fn may_sleep(op: &WaitQueueOp) -> bool {
        *op == WaitQueueOp::Schedule
    }

    fn apply(&mut self, by: Site, op: WaitQueueOp, wakes: &mut Wakes) -> Step<()> {
        let mine = self.waiters.iter().position(|waiter| waiter.site.task == by.task);
        match op {
            WaitQueueOp::Prepare => match mine {
                Some(place) => self.waiters[place].woken = false,
                None => self.waiters.push_back(Waiter { site: by, woken: false, asleep: false }),
            },
            WaitQueueOp::Schedule => {
                let waiter = &mut self.waiters[mine.expect("a task prepares before it sleeps")];
                if !waiter.woken {
                    waiter.asleep = true;
                    waiter.site = by;
                    return Step::Wait(Wait::FOREVER);
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

    fn collect(&mut self, _who: TaskId) {}

    fn time_out(&mut self, _who: TaskId) -> Option<()> {
        unreachable!("nobody waits on a wait queue with a time limit")
    }

    fn holders(&self, _waiter: TaskId) -> Vec<Holder> {
        Vec::new()
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

    /// Wakes the task that has waited longest.
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
