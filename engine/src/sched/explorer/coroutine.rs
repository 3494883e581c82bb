//! The switch between the driver and a task: coroutines on pooled stacks.
//!
//! Invariants: a stack belongs to one coroutine at a time and returns to the pool when that coroutine has ended or
//! has been unwound; a [`Switch`] is used only by the task that runs on its stack.
//! Not here: which task is resumed, and when.

#![allow(unsafe_code)]

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, Yielder};

/// Bytes of stack of a task. Recursive submission through deep stacks and panics in debug builds need room; only
/// touched pages cost memory.
const STACK_BYTES: usize = 256 << 10;

/// A task's way back to the driver.
pub(super) struct Switch {
    yielder: *const Yielder<(), ()>,
}

impl Switch {
    /// Gives control to the driver until it resumes this task.
    #[inline]
    pub(super) fn suspend(&self) {
        // SAFETY: the yielder lives on the coroutine's stack for as long as the coroutine runs, and a `Switch` is
        // owned by the task that the coroutine's body keeps on that same stack.
        unsafe { (*self.yielder).suspend(()) }
    }
}

/// A task's coroutine.
pub(super) struct Thread(Coroutine<(), (), (), DefaultStack>);

impl Thread {
    /// Runs the task until it suspends or ends; `true` when it has ended. A panic of the task comes out here.
    #[inline]
    pub(super) fn resume(&mut self) -> bool {
        self.0.resume(());
        self.0.done()
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
        Thread(Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| body(Switch { yielder })))
    }

    /// Ends a coroutine, unwinding it if it is suspended, and keeps its stack.
    pub(super) fn dispose(&mut self, mut thread: Thread) {
        if !thread.0.done() {
            thread.0.force_unwind();
        }
        self.0.push(thread.0.into_stack());
    }
}
