//! [`Completion`]: the kernel's `completion`: wait until somebody says that it is done.
//!
//! Invariants: each `complete` lets one waiter through, now or later; after `complete_all` nobody waits.
//! Who is to complete it can be declared, for reports.

use std::sync::Arc;

use super::line::Line;
use crate::sched::object::Wait;
use crate::sched::{Digest, Holder, Object, OpKind, Release, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes};

/// Operations on a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletionOp {
    /// Wait until done.
    Wait,
    /// Let one through.
    Complete,
    /// Let everybody through, for ever.
    CompleteAll,
}

/// How often it was completed and who waits.
#[derive(Default)]
pub struct CompletionState {
    /// `u64::MAX` stands for "for ever".
    done: u64,
    waiters: Line<Site>,
    completer: Option<Site>,
}

impl StateMachine for CompletionState {
    type Op = CompletionOp;
    type Grant = ();
    const LABEL: &'static str = "completion";
    const ANY_RELEASE_SUFFICES: bool = true;
    const RELEASE: Release = Release::Counted;

    fn announce(op: &CompletionOp) -> (OpKind, u64) {
        let kind = match op {
            CompletionOp::Wait => OpKind::WaitForCompletion,
            CompletionOp::Complete => OpKind::Complete,
            CompletionOp::CompleteAll => OpKind::CompleteAll,
        };
        (kind, 0)
    }

    fn may_sleep(op: &CompletionOp) -> bool {
        *op == CompletionOp::Wait
    }

    fn apply(&mut self, by: Site, op: CompletionOp, wakes: &mut Wakes) -> Step<()> {
        match op {
            CompletionOp::Wait if self.done == u64::MAX => {}
            CompletionOp::Wait if self.done > 0 => self.done -= 1,
            CompletionOp::Wait => {
                self.waiters.push_back(by);
                return Step::Wait(Wait::FOREVER);
            }
            CompletionOp::Complete => match self.waiters.pop_front() {
                Some(waiter) => wakes.push(waiter.task),
                None => self.done = self.done.saturating_add(1),
            },
            CompletionOp::CompleteAll => {
                self.done = u64::MAX;
                wakes.extend(self.waiters.drain().map(|waiter| waiter.task));
            }
        }
        Step::Granted(())
    }

    fn observed((): &()) -> u64 {
        1
    }

    fn digest(&self, into: &mut Digest<'_>) {
        into.word(self.done);
        self.waiters.iter().for_each(|waiter| into.task(waiter.task));
    }

    fn collect(&mut self, _who: TaskId) {}

    fn time_out(&mut self, _who: TaskId) -> Option<()> {
        unreachable!("nobody waits for a completion with a time limit")
    }

    fn holders(&self, _waiter: TaskId) -> Vec<Holder> {
        let what = || "to complete it".to_owned();
        self.completer.iter().map(|&taken| Holder { task: taken.task, taken, what: what() }).collect()
    }

    fn summary(&self) -> String {
        format!("{} waiting", self.waiters.len())
    }
}

/// The kernel's `completion`.
#[derive(Clone)]
pub struct Completion {
    object: Arc<Object<CompletionState>>,
}

impl Completion {
    /// Not done yet; called `name` in reports.
    pub fn new(runtime: &Runtime, name: &str) -> Self {
        Self { object: Object::new(runtime, name, CompletionState::default()) }
    }

    /// Waits until done.
    #[track_caller]
    pub fn wait(&self, current: &Task) {
        self.object.perform(current, CompletionOp::Wait);
    }

    /// Lets one waiter through, now or later.
    #[track_caller]
    pub fn complete(&self, current: &Task) {
        self.object.perform(current, CompletionOp::Complete);
    }

    /// Lets everybody through, for ever.
    #[track_caller]
    pub fn complete_all(&self, current: &Task) {
        self.object.perform(current, CompletionOp::CompleteAll);
    }

    /// Says for reports that `task` is to complete it.
    #[track_caller]
    pub fn declare_completer(&self, current: &Task, task: TaskId) {
        let site = Site { task, ..current.site(std::panic::Location::caller()) };
        self.object.adjust(current, |state| state.completer = Some(site));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::sched::Frame;

    fn site(task: u32) -> Site {
        Site { task: TaskId(task), frame: Frame::root(), at: std::panic::Location::caller() }
    }

    fn op() -> impl Strategy<Value = CompletionOp> {
        prop_oneof![
            8 => Just(CompletionOp::Wait),
            8 => Just(CompletionOp::Complete),
            1 => Just(CompletionOp::CompleteAll)
        ]
    }

    proptest! {
        /// The model counts: completions not used up yet, and tasks that wait.
        #[test]
        fn each_complete_lets_one_through_now_or_later(steps in vec((0..6_u32, op()), 1..120)) {
            let mut state = CompletionState::default();
            let (mut unused, mut for_ever, mut waiters) = (0_u64, false, VecDeque::new());
            for (task, op) in steps {
                if waiters.contains(&task) {
                    continue;
                }
                let mut wakes = Wakes::new();
                let step = state.apply(site(task), op, &mut wakes);
                let mut woken = Vec::new();
                let mut waits = false;
                match op {
                    CompletionOp::Wait if for_ever => {}
                    CompletionOp::Wait if unused > 0 => unused -= 1,
                    CompletionOp::Wait => {
                        waits = true;
                        waiters.push_back(task);
                    }
                    CompletionOp::Complete if waiters.is_empty() => unused += 1,
                    CompletionOp::Complete => woken.extend(waiters.pop_front()),
                    CompletionOp::CompleteAll => {
                        for_ever = true;
                        woken.extend(waiters.drain(..));
                    }
                }
                prop_assert_eq!(step, if waits { Step::Wait(Wait::FOREVER) } else { Step::Granted(()) });
                prop_assert_eq!(wakes.iter().map(|task| task.0).collect::<Vec<_>>(), woken);
                prop_assert_eq!(state.waiters.len(), waiters.len());
            }
        }
    }

    #[test]
    fn after_complete_all_nobody_waits_and_another_complete_changes_nothing() {
        let (mut state, mut wakes) = (CompletionState::default(), Wakes::new());
        state.apply(site(0), CompletionOp::CompleteAll, &mut wakes);
        state.apply(site(0), CompletionOp::Complete, &mut wakes);
        for task in 1..9 {
            assert_eq!(state.apply(site(task), CompletionOp::Wait, &mut wakes), Step::Granted(()));
        }
        assert!(wakes.is_empty());
    }

    #[test]
    fn only_waiting_may_sleep() {
        let all = [CompletionOp::Wait, CompletionOp::Complete, CompletionOp::CompleteAll];
        assert_eq!(all.map(|op| CompletionState::may_sleep(&op)), [true, false, false]);
    }
}
