//! [`Choices`]: takes recorded choices again, exactly.
//!
//! Invariant: the run must be of the same model; where a recorded choice is not possible, the model is not
//! deterministic, and from there on the lowest ready task goes on.
//! For schedules from disk, which another version of the program may have written, see [`super::Replay`].

use super::super::op::TaskId;
use super::strategy::{Strategy, View};
use super::trace::Choice;

/// Repeats the choices of an earlier run of the same model.
pub struct Choices {
    choices: Vec<Choice>,
    next: usize,
    /// Whether a recorded choice was not possible.
    pub diverged: bool,
}

impl Choices {
    /// Repeats `choices`.
    pub const fn new(choices: Vec<Choice>) -> Self {
        Self { choices, next: 0, diverged: false }
    }

    fn take(&mut self) -> Option<Choice> {
        let choice = self.choices.get(self.next).copied();
        self.next += 1;
        choice
    }
}

impl Strategy for Choices {
    fn begin(&mut self, _run: u64) {
        (self.next, self.diverged) = (0, false);
    }

    fn pick(&mut self, view: &View<'_>) -> TaskId {
        match self.take() {
            Some(Choice::Run(task)) if view.ready().contains(task) => task,
            _ => {
                self.diverged = true;
                view.ready().first_from(0).expect("a strategy is asked only when a task is ready")
            }
        }
    }

    fn choose(&mut self, _task: TaskId, options: u32) -> u32 {
        match self.take() {
            Some(Choice::Take(way)) if way < options => way,
            _ => {
                self.diverged = true;
                0
            }
        }
    }
}
