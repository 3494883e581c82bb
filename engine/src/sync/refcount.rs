//! [`RefCount`]: the kernel's `refcount_t`: references to something that must live until the last is dropped.
//!
//! Invariants: the count never wraps; taking a reference to something that nobody refers to is a `BUG` (a use after
//! free); exactly one `put` reports zero.

use std::sync::Arc;

use crate::sched::{Digest, Holder, Mode, Object, OpKind, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes};

/// Operations on a reference count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefOp {
    /// One reference more.
    Get,
    /// One reference less.
    Put,
}

/// How many references there are.
pub struct RefState {
    count: u64,
}

impl RefState {
    /// So many references at the start.
    pub const fn new(count: u64) -> Self {
        Self { count }
    }
}

impl StateMachine for RefState {
    type Op = RefOp;
    /// The count after the operation, or `None` when it was 0 before.
    type Grant = Option<u64>;
    const LABEL: &'static str = "refcount";

    fn announce(op: &RefOp) -> (OpKind, u64) {
        match op {
            RefOp::Get => (OpKind::RefGet, 0),
            RefOp::Put => (OpKind::RefPut, 0),
        }
    }

    fn may_sleep(_op: &RefOp) -> bool {
        false
    }

    fn apply(&mut self, _by: Site, op: RefOp, _wakes: &mut Wakes) -> Step<Option<u64>> {
        if self.count == 0 {
            return Step::Granted(None);
        }
        match op {
            RefOp::Get => self.count += 1,
            RefOp::Put => self.count -= 1,
        }
        Step::Granted(Some(self.count))
    }

    fn mode(&self, op: &RefOp) -> Mode {
        match op {
            // Whether the last was dropped before or after matters, unless there is more than this one.
            RefOp::Get if self.count > 0 => Mode::Shared,
            RefOp::Get | RefOp::Put => Mode::Exclusive,
        }
    }

    /// Nobody acts on the number itself, only on whether it is the last or there was none.
    fn observed(grant: &Option<u64>) -> u64 {
        grant.map_or(2, |left| u64::from(left == 0))
    }

    fn digest(&self, into: &mut Digest<'_>) {
        into.word(self.count);
    }

    fn collect(&mut self, _who: TaskId) -> Option<u64> {
        unreachable!("nobody waits for a reference")
    }

    fn time_out(&mut self, _who: TaskId) -> Option<Option<u64>> {
        unreachable!("nobody waits for a reference")
    }

    fn holders(&self, _waiter: TaskId) -> Vec<Holder> {
        Vec::new()
    }

    fn summary(&self) -> String {
        format!("{} reference(s)", self.count)
    }
}

/// The kernel's `refcount_t`.
pub struct RefCount {
    object: Arc<Object<RefState>>,
}

impl RefCount {
    /// `count` references, called `name` in traces.
    pub fn new(runtime: &Runtime, name: &str, count: u64) -> Self {
        Self { object: Object::new(runtime, name, RefState::new(count)) }
    }

    /// Takes a reference. A `BUG` when there is none left.
    #[track_caller]
    pub fn get(&self, current: &Task) {
        if self.object.perform(current, RefOp::Get).is_none() {
            current
                .bug(format!("reference taken to {:?} after the last was dropped: use after free", self.object.name()));
        }
    }

    /// Drops a reference; `true` for the last one. A `BUG` when there was none.
    #[track_caller]
    pub fn put(&self, current: &Task) -> bool {
        match self.object.perform(current, RefOp::Put) {
            Some(left) => left == 0,
            None => current.bug(format!("reference to {:?} dropped once too often", self.object.name())),
        }
    }

    /// How many references there are, for checks at rest.
    pub fn count(&self) -> u64 {
        self.object.peek(|state| state.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::sched::Frame;

    fn site(task: u32) -> Site {
        Site { task: TaskId(task), frame: Frame::root(), at: std::panic::Location::caller() }
    }

    proptest! {
        #[test]
        fn one_put_reports_zero_and_nothing_comes_back_after_it(start in 1..4_u64, gets in vec(prop::bool::ANY, 1..60)) {
            let (mut state, mut model, mut zeros) = (RefState::new(start), start as i64, 0);
            for get in gets {
                let (op, change) = if get { (RefOp::Get, 1) } else { (RefOp::Put, -1) };
                let mut wakes = Wakes::new();
                let step = state.apply(site(0), op, &mut wakes);
                prop_assert!(wakes.is_empty());
                if model == 0 {
                    prop_assert_eq!(step, Step::Granted(None));
                } else {
                    model += change;
                    prop_assert_eq!(step, Step::Granted(Some(model as u64)));
                    zeros += u32::from(model == 0);
                }
                prop_assert_eq!(state.count, model as u64);
            }
            prop_assert_eq!(zeros, u32::from(model == 0));
        }
    }
}
