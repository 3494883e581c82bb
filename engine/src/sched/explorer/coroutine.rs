//! The switch between the driver and a task: coroutines on pooled stacks.
//!
//! Invariants: a stack belongs to one coroutine at a time and returns to the pool when that coroutine has ended or
//! has been unwound; a [`Switch`] is used only by the task that runs on its stack.
//! Not here: which task is resumed, and when.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::NonNull;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::super::op::TaskId;
use super::strategy::Strategy;

/// Bytes of stack of a task. Recursive submission through deep stacks and panics in debug builds need room; only
/// touched pages cost memory.
const STACK_BYTES: usize = 256 << 10;

/// What a resumed task is lent until it suspends: the strategy, to take steps with that need nothing else.
pub(super) struct Lent<'a> {
    pub(super) strategy: &'a mut dyn Strategy,
}

/// A [`Lent`] on its way through a coroutine, whose input cannot have a lifetime.
type Loan = Option<NonNull<Lent<'static>>>;

/// A task's way back to the driver.
pub(super) struct Switch {
    yielder: *const Yielder<Loan, Option<TaskId>>,
    /// What was lent when this task was last resumed; `None` as soon as it suspends.
    loan: Cell<Loan>,
}

impl Switch {
    /// Gives control to the driver, which goes on with the task `next` if there is one, until it resumes this task.
    #[inline]
    pub(super) fn suspend(&self, next: Option<TaskId>) {
        self.loan.set(None);
        // SAFETY: the yielder lives on the coroutine's stack for as long as the coroutine runs, and a `Switch` is
        // owned by the task that the coroutine's body keeps on that same stack.
        self.loan.set(unsafe { (*self.yielder).suspend(next) });
    }

    /// Calls `take` with the strategy, if it was lent.
    #[inline]
    pub(super) fn with_strategy<R>(&self, take: impl FnOnce(Option<&mut dyn Strategy>) -> R) -> R {
        // While `take` runs nobody else finds the loan.
        let loan = self.loan.take();
        // SAFETY: the loan is what `Thread::resume` made of the `&mut Lent` of its caller, who cannot use it before
        // this task suspends; it is taken back before that (`suspend`, which alone switches away), also when the
        // task is unwound then. `Lent`'s own lifetime ends after that borrow of it.
        let result = take(loan.map(|mut lent| unsafe { &mut *lent.as_mut().strategy }));
        self.loan.set(loan);
        result
    }
}

/// How a task left off.
pub(super) enum Left {
    /// It has suspended; if it took a step, this task is to go on.
    Suspended(Option<TaskId>),
    /// It has ended.
    Ended,
}

/// A task's coroutine.
pub(super) struct Thread(Coroutine<Loan, Option<TaskId>, (), DefaultStack>);

impl Thread {
    /// Runs the task until it suspends or ends. A panic of the task comes out here.
    #[inline]
    pub(super) fn resume(&mut self, lent: Option<&mut Lent<'_>>) -> Left {
        match self.0.resume(lent.map(|lent| NonNull::from(lent).cast())) {
            CoroutineResult::Yield(next) => Left::Suspended(next),
            CoroutineResult::Return(()) => Left::Ended,
        }
    }
}

/// Stacks that wait for their next coroutine. Mapping one costs microseconds, taking one from here nanoseconds.
#[derive(Default)]
pub(super) struct StackPool(Vec<DefaultStack>);

impl StackPool {
    /// A coroutine that will run `body`.
    ///
    /// # Panics
    /// When the operating system has no room for a stack.
    pub(super) fn start(&mut self, body: impl FnOnce(Switch) + 'static) -> Thread {
        let stack = self.0.pop().unwrap_or_else(|| DefaultStack::new(STACK_BYTES).expect("room for a task's stack"));
        let enter =
            move |yielder: &Yielder<Loan, Option<TaskId>>, loan| body(Switch { yielder, loan: Cell::new(loan) });
        Thread(Coroutine::with_stack(stack, enter))
    }

    /// Ends a coroutine, unwinding it if it is suspended, and keeps its stack.
    pub(super) fn dispose(&mut self, mut thread: Thread) {
        if !thread.0.done() {
            thread.0.force_unwind();
        }
        self.0.push(thread.0.into_stack());
    }
}
