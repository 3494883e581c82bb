//! [`Replay`]: takes the recorded way again, and says where a run stops being the recorded one.
//!
//! Invariant: every step's operation is compared with the recorded one (task, kind, argument); from the first
//! difference on the run is no replay any more and is finished with the lowest ready task.
//! The names of objects are compared by the caller, on the trace of the finished run.

use super::super::op::{OpKind, TaskId};
use super::strategy::{Strategy, View};
use super::trace::TraceStep;

/// Where a replay left the recorded way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Step number, from 0.
    pub step: u64,
    /// What was recorded; `None` when the recording had already ended.
    pub expected: Option<String>,
    /// What the run had to offer instead.
    pub found: String,
}

/// Repeats a recorded schedule.
pub struct Replay {
    steps: Vec<TraceStep>,
    next: usize,
    taken: u32,
    divergence: Option<Divergence>,
}

impl Replay {
    /// A replay of `steps`.
    pub const fn new(steps: Vec<TraceStep>) -> Self {
        Self { steps, next: 0, taken: 0, divergence: None }
    }

    /// Where the run left the recorded way, if it did. A run that ends before the recording is a difference too.
    pub fn divergence(&self) -> Option<Divergence> {
        let early = || {
            let expected = self.steps.get(self.next)?;
            let found = "the end of the run".to_owned();
            Some(Divergence { step: self.next as u64, expected: Some(expected.to_string()), found })
        };
        self.divergence.clone().or_else(early)
    }
}

fn describe(view: &View<'_>, task: TaskId) -> String {
    let op = view.op(task);
    format!("task {} at {} (argument {})", task.0, op.kind.name(), op.arg)
}

impl Strategy for Replay {
    fn begin(&mut self, _run: u64) {
        self.next = 0;
        self.divergence = None;
    }

    fn pick(&mut self, view: &View<'_>) -> TaskId {
        let fallback = view.ready().first_from(0).expect("a strategy is asked only when a task is ready");
        if self.divergence.is_some() {
            return fallback;
        }
        let recorded = self.steps.get(self.next);
        if let Some(step) = recorded
            && view.ready().contains(step.task)
            && view.op(step.task).kind == step.op
            && view.op(step.task).arg == step.arg
        {
            self.next += 1;
            self.taken = step.taken.unwrap_or(0);
            return step.task;
        }
        let expected = recorded.map(ToString::to_string);
        let found: Vec<String> = view.ready().iter().map(|task| describe(view, task)).collect();
        self.divergence = Some(Divergence { step: view.step, expected, found: found.join(", ") });
        fallback
    }

    fn choose(&mut self, _task: TaskId, options: u32) -> u32 {
        debug_assert!(self.divergence.is_some() || self.steps[self.next - 1].op == OpKind::Choose);
        self.taken.min(options - 1)
    }
}
