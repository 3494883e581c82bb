//! [`Power`]: whether the machine's leaf devices have power, and when it goes.
//!
//! What a device acknowledged stands on the medium once a flush has ended that began after it, or when it was written with
//! FUA; anything else is in a volatile cache ([`super::write_cache`]) and may be lost. The power goes for all leaf
//! devices at once, in front of something that would change what stands on a medium or in a cache: a write, a flush, or
//! the second half of a FUA write. Those are all moments that make a difference to what is found later: in front of a read
//! everything is as it was in front of the next write.
//!
//! Invariants: once the power is gone, no medium and no cache changes any more, and every bio ends with an I/O error,
//! until it is restored; it goes once for each time that it is watched.
//! Not here: what is lost (the caches, when the power comes back), who watches (the harness).

use super::core::BlockCore;
use crate::sched::{Runtime, Task};
use crate::sync::Variable;

/// When the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutAt {
    /// In front of any change of a medium or cache, as the search chooses, each time anew.
    Any,
    /// In front of the change with this number, from 0.
    Before(u64),
    /// Not by itself.
    Never,
}

/// Power of a machine.
pub struct Power {
    state: Variable,
    /// Changes that are still let through; only where they are counted.
    left: Variable,
}

/// All is well, and nobody watches.
const ON: u64 = 0;
/// It may go in front of any change.
const OPEN: u64 = 1;
/// It goes when `left` has come to 0.
const COUNTED: u64 = 2;
/// It is gone.
const OFF: u64 = 3;

impl Power {
    pub(super) fn new(runtime: &Runtime) -> Self {
        let variable = |name: &str| Variable::new(runtime, name, 0);
        Self { state: variable("power"), left: variable("changes before the power cut") }
    }

    /// Lets it go at `when`, if it is there.
    pub fn watch(&self, when: CutAt) {
        if self.is_off() {
            return;
        }
        if let CutAt::Before(number) = when {
            self.left.set(number);
        }
        self.state.set(match when {
            CutAt::Any => OPEN,
            CutAt::Before(_) => COUNTED,
            CutAt::Never => ON,
        });
    }

    /// Whether it is gone.
    #[inline]
    pub fn is_off(&self) -> bool {
        self.state.get() == OFF
    }

    pub(super) fn set_off(&self, off: bool) {
        self.state.set(if off { OFF } else { ON });
    }

    /// Whether it goes now, in front of a change.
    fn goes(&self, current: &Task) -> bool {
        match self.state.get() {
            // Deciding is an operation: it may be gone by then.
            OPEN => current.choose("whether the power goes", 2) == 1 && !self.is_off(),
            COUNTED => {
                let left = self.left.get();
                self.left.set(left.wrapping_sub(1));
                left == 0
            }
            _ => false,
        }
    }
}

impl BlockCore {
    /// A leaf device is about to change what stands on its medium or in its cache: the power may go in front of that.
    #[inline]
    pub(super) fn before_change(&self, current: &Task) {
        if self.power().goes(current) {
            self.cut_power();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::Outcome;
    use crate::sched::explorer::{Explorer, Limits, Random};
    use dmlab_units::Seed;
    use std::sync::Arc;

    #[test]
    fn the_power_goes_in_front_of_the_change_that_was_asked_for_and_once() {
        let mut explorer = Explorer::new(Limits { steps_max: 1000, interrupt: Arc::default() });
        let result = explorer.run(&mut Random::new(Seed(1)), |current| {
            let power = Power::new(current.runtime());
            power.watch(CutAt::Before(2));
            assert_eq!([0, 1, 2, 3].map(|_| power.goes(current)), [false, false, true, false]);
            power.set_off(true);
            power.watch(CutAt::Before(0));
            assert!(power.is_off() && !power.goes(current), "nothing brings it back but set_off");
            power.set_off(false);
            assert!(!power.goes(current), "nobody watches any more");
        });
        assert_eq!(result.outcome, Outcome::Finished);
    }
}
