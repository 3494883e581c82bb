//! [`Semaphore`]: the kernel's counting `semaphore`, with direct hand-off to the longest waiter (as the kernel's
//! really does).
//!
//! Invariants: `count` is positive only when nobody waits; every unit that is out has a holder on record, so that a
//! report can say who could give it back. Whoever takes over the duty to call `up` is named with
//! [`Semaphore::hand_over`].

use std::collections::VecDeque;
use std::sync::Arc;

use crate::sched::object::Wait;
use crate::sched::{Holder, Object, OpKind, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes};

/// Operations on a semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SemaphoreOp {
    /// Take a unit, waiting.
    Down,
    /// Take a unit if there is one.
    DownTry,
    /// Give a unit back.
    Up,
}

struct Unit {
    /// Who is expected to call `up`.
    keeper: TaskId,
    taken: Site,
}

/// Units left, units out, and who waits.
pub struct SemaphoreState {
    count: u64,
    out: Vec<Unit>,
    waiters: VecDeque<Site>,
}

impl SemaphoreState {
    /// `count` units, none of them out.
    pub const fn new(count: u64) -> Self {
        Self { count, out: Vec::new(), waiters: VecDeque::new() }
    }

    fn give(&mut self, to: Site) {
        self.out.push(Unit { keeper: to.task, taken: to });
    }
}

impl StateMachine for SemaphoreState {
    type Op = SemaphoreOp;
    /// Whether a unit was taken; `true` for `up`.
    type Grant = bool;
    const LABEL: &'static str = "semaphore";

    fn announce(op: &SemaphoreOp) -> (OpKind, u64) {
        let kind = match op {
            SemaphoreOp::Down => OpKind::Down,
            SemaphoreOp::DownTry => OpKind::DownTry,
            SemaphoreOp::Up => OpKind::Up,
        };
        (kind, 0)
    }

    fn may_sleep(op: &SemaphoreOp) -> bool {
        *op == SemaphoreOp::Down
    }

    fn apply(&mut self, by: Site, op: SemaphoreOp, wakes: &mut Wakes) -> Step<bool> {
        match op {
            SemaphoreOp::Down | SemaphoreOp::DownTry if self.count > 0 => {
                self.count -= 1;
                self.give(by);
                Step::Granted(true)
            }
            SemaphoreOp::Down => {
                self.waiters.push_back(by);
                Step::Wait(Wait::FOREVER)
            }
            SemaphoreOp::DownTry => Step::Granted(false),
            SemaphoreOp::Up => {
                // The kernel does not say whose unit comes back; the caller's own is the likeliest.
                let own = self.out.iter().position(|unit| unit.keeper == by.task).unwrap_or(0);
                if !self.out.is_empty() {
                    self.out.remove(own);
                }
                match self.waiters.pop_front() {
                    Some(next) => {
                        self.give(next);
                        wakes.push(next.task);
                    }
                    None => self.count += 1,
                }
                Step::Granted(true)
            }
        }
    }

    fn collect(&mut self, _who: TaskId) -> bool {
        true
    }

    fn time_out(&mut self, _who: TaskId) -> Option<bool> {
        unreachable!("nobody waits for a semaphore with a time limit")
    }

    fn holders(&self, _waiter: TaskId) -> Vec<Holder> {
        self.out.iter().map(|unit| Holder { task: unit.keeper, taken: unit.taken, what: "1 unit".to_owned() }).collect()
    }

    fn summary(&self) -> String {
        format!("{} left, {} out, {} waiting", self.count, self.out.len(), self.waiters.len())
    }
}

/// The kernel's `semaphore`.
pub struct Semaphore {
    object: Arc<Object<SemaphoreState>>,
}

impl Semaphore {
    /// A semaphore of `count` units, called `name` in reports.
    pub fn new(runtime: &Runtime, name: &str, count: u64) -> Self {
        Self { object: Object::new(runtime, name, SemaphoreState::new(count)) }
    }

    /// Takes a unit.
    #[track_caller]
    pub fn down(&self, current: &Task) {
        self.object.perform(current, SemaphoreOp::Down);
    }

    /// Takes a unit if there is one.
    #[track_caller]
    pub fn down_trylock(&self, current: &Task) -> bool {
        self.object.perform(current, SemaphoreOp::DownTry)
    }

    /// Gives a unit back; any task may.
    #[track_caller]
    pub fn up(&self, current: &Task) {
        self.object.perform(current, SemaphoreOp::Up);
    }

    /// Says that from now on `keeper`, not the current task, is to give back one of the current task's units.
    pub fn hand_over(&self, current: &Task, keeper: TaskId) {
        self.object.adjust(current, |state| {
            if let Some(unit) = state.out.iter_mut().find(|unit| unit.keeper == current.id()) {
                unit.keeper = keeper;
            }
        });
    }
}
