//! [`Semaphore`]: the kernel's counting `semaphore`, with direct hand-off to the longest waiter (as the kernel's
//! really does).
//!
//! Invariants: `count` is positive only when nobody waits; every unit that is out has a holder on record, so that a
//! report can say who could give it back. Whoever takes over the duty to call `up` is named with
//! [`Semaphore::hand_over`].

use std::sync::Arc;

use smallvec::SmallVec;

use super::line::Line;
use crate::sched::object::Wait;
use crate::sched::{Digest, Holder, Mode, Object, OpKind, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes};

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
    out: SmallVec<[Unit; 2]>,
    waiters: Line<Site>,
}

impl SemaphoreState {
    /// `count` units, none of them out.
    pub fn new(count: u64) -> Self {
        Self { count, out: SmallVec::new(), waiters: Line::new() }
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
    const ANY_RELEASE_SUFFICES: bool = true;

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

    fn mode(&self, op: &SemaphoreOp) -> Mode {
        match op {
            SemaphoreOp::Down => Mode::Exclusive,
            SemaphoreOp::DownTry => Mode::Peek,
            SemaphoreOp::Up => Mode::Free,
        }
    }

    fn observed(grant: &bool) -> u64 {
        u64::from(*grant)
    }

    /// Who has the units is only a report's concern.
    fn digest(&self, into: &mut Digest<'_>) {
        into.word(self.count);
        self.waiters.iter().for_each(|waiter| into.task(waiter.task));
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
    #[inline(always)]
    #[track_caller]
    pub fn down(&self, current: &Task) {
        self.object.perform(current, SemaphoreOp::Down);
    }

    /// Takes a unit if there is one.
    #[inline(always)]
    #[track_caller]
    pub fn down_trylock(&self, current: &Task) -> bool {
        self.object.perform(current, SemaphoreOp::DownTry)
    }

    /// Gives a unit back; any task may.
    #[inline(always)]
    #[track_caller]
    pub fn up(&self, current: &Task) {
        self.object.perform(current, SemaphoreOp::Up);
    }

    /// Says that from now on the current task, not `from`, is to give back one of the units of `from`.
    pub fn take_over(&self, current: &Task, from: TaskId) {
        self.object.adjust(current, |state| {
            if let Some(unit) = state.out.iter_mut().find(|unit| unit.keeper == from) {
                unit.keeper = current.id();
            }
        });
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::sched::Frame;

    const TASKS: u32 = 5;

    fn site(task: u32) -> Site {
        Site { task: TaskId(task), frame: Frame::root(), at: std::panic::Location::caller() }
    }

    fn op() -> impl Strategy<Value = SemaphoreOp> {
        prop_oneof![2 => Just(SemaphoreOp::Down), 1 => Just(SemaphoreOp::DownTry), 2 => Just(SemaphoreOp::Up)]
    }

    proptest! {
        /// The model is a balance, positive for units left and negative for tasks that wait.
        #[test]
        fn units_are_conserved_and_waiters_served_in_order(
            units in 0..4_u64,
            steps in vec((0..TASKS, op()), 1..120),
        ) {
            let mut state = SemaphoreState::new(units);
            let (mut balance, mut waiters) = (units as i64, VecDeque::new());
            for (task, op) in steps {
                if waiters.contains(&task) {
                    continue;
                }
                let mut wakes = Wakes::new();
                let step = state.apply(site(task), op, &mut wakes);
                let mut woken = None;
                let expected = match op {
                    SemaphoreOp::Up => {
                        balance += 1;
                        woken = waiters.pop_front();
                        Step::Granted(true)
                    }
                    SemaphoreOp::DownTry if balance <= 0 => Step::Granted(false),
                    SemaphoreOp::Down | SemaphoreOp::DownTry => {
                        balance -= 1;
                        if balance < 0 {
                            waiters.push_back(task);
                            Step::Wait(Wait::FOREVER)
                        } else {
                            Step::Granted(true)
                        }
                    }
                };
                prop_assert_eq!(step, expected);
                prop_assert_eq!(wakes.to_vec(), woken.map(TaskId).into_iter().collect::<Vec<_>>());
                prop_assert_eq!(state.count, balance.max(0) as u64);
                prop_assert_eq!(state.waiters.len(), balance.min(0).unsigned_abs() as usize);
            }
        }

        #[test]
        fn every_unit_out_has_its_holder_on_record(
            units in 1..4_u64,
            steps in vec((0..TASKS, prop::bool::ANY), 1..120),
        ) {
            let mut state = SemaphoreState::new(units);
            // One entry per unit out: who has it.
            let mut out: Vec<u32> = Vec::new();
            let mut waiters = VecDeque::new();
            for (task, takes) in steps {
                let holds = out.iter().position(|holder| *holder == task);
                let mut wakes = Wakes::new();
                if waiters.contains(&task) || (!takes && holds.is_none()) {
                    continue;
                }
                if takes {
                    match state.apply(site(task), SemaphoreOp::Down, &mut wakes) {
                        Step::Granted(_) => out.push(task),
                        Step::Wait(_) => waiters.push_back(task),
                    }
                } else {
                    state.apply(site(task), SemaphoreOp::Up, &mut wakes);
                    out.remove(holds.unwrap());
                    out.extend(waiters.pop_front());
                }
                let mut told: Vec<u32> = state.holders(TaskId(TASKS)).iter().map(|holder| holder.task.0).collect();
                told.sort_unstable();
                let mut expected = out.clone();
                expected.sort_unstable();
                prop_assert_eq!(told, expected);
                prop_assert_eq!(state.count + out.len() as u64, units);
            }
        }
    }

    #[test]
    fn a_unit_that_nobody_took_can_be_given() {
        let (mut state, mut wakes) = (SemaphoreState::new(0), Wakes::new());
        assert_eq!(state.apply(site(1), SemaphoreOp::Down, &mut wakes), Step::Wait(Wait::FOREVER));
        state.apply(site(2), SemaphoreOp::Up, &mut wakes);
        assert_eq!(wakes.to_vec(), [TaskId(1)]);
        assert_eq!(state.summary(), "0 left, 1 out, 0 waiting");
    }
}
