//! [`Completion`]: the kernel's `completion`: wait until somebody says that it is done.
//!
//! Invariants: each `complete` lets one waiter through, now or later; after `complete_all` nobody waits.
//! Who is to complete it can be declared, for reports.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::sched::object::Wait;
use crate::sched::{Holder, Object, OpKind, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes};

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
    waiters: VecDeque<Site>,
    completer: Option<Site>,
}

impl StateMachine for CompletionState {
    type Op = CompletionOp;
    type Grant = ();
    const LABEL: &'static str = "completion";

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
                wakes.extend(self.waiters.drain(..).map(|waiter| waiter.task));
            }
        }
        Step::Granted(())
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
