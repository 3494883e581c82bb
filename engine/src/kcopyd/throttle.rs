//! [`Throttle`]: `struct dm_kcopyd_throttle`: the share of time, in percent, that copies may keep I/O in flight.
//!
//! Times are kept in jiffies, as in the kernel; who would exceed the share sleeps 100 ms, ten times at most.
//!
//! Invariant: at 100 percent nobody sleeps and the clock is not read.
//! Not here: the module parameter's place (each module has a throttle of its own).

use dmlab_units::Nanos;

use crate::sched::Task;
use crate::sync::{Confided, Count, Variable};

/// 250 ticks a second, as Debian's kernels have it.
const JIFFY: Nanos = Nanos(4_000_000);
/// `ACCOUNT_INTERVAL_SHIFT` (`SHIFT_HZ`): counts are halved from 256 jiffies on.
const ACCOUNT_INTERVAL_SHIFT: u32 = 8;
/// `SLEEP_USEC`.
const SLEEP: Nanos = Nanos(100_000_000);
/// `MAX_SLEEPS`: two clients that keep each other over the limit must not sleep for ever.
const SLEEPS_MAX: u32 = 10;
/// No limit.
const FULL: u64 = 100;

#[derive(Default)]
struct Periods {
    /// Jiffies with I/O in flight, and all jiffies, both decaying.
    io: u64,
    total: u64,
    last_jiffies: u64,
}

impl Periods {
    fn pass(&mut self, now: u64, io: bool) {
        let difference = now - self.last_jiffies;
        self.last_jiffies = now;
        self.io += if io { difference } else { 0 };
        self.total += difference;
        self.io = self.io.min(self.total);
    }

    fn decay(&mut self) {
        if self.total >= 1 << ACCOUNT_INTERVAL_SHIFT {
            let shift = (self.total >> ACCOUNT_INTERVAL_SHIFT).ilog2() + 1;
            self.total >>= shift;
            self.io >>= shift;
        }
    }
}

/// The share of time for I/O of all clients that use it.
pub struct Throttle {
    percent: Variable,
    io_jobs: Count,
    periods: Confided<Periods>,
}

impl Throttle {
    /// No limit; called `name` where a search speaks of it.
    pub fn new(current: &Task, name: &str) -> Self {
        let runtime = current.runtime();
        Self {
            percent: Variable::new(runtime, &format!("{name}.throttle"), FULL),
            io_jobs: Count::new(runtime, &format!("{name}.num_io_jobs")),
            periods: Confided::new(runtime, &format!("{name}.periods"), Periods::default()),
        }
    }

    /// Sets the share, 1 to 100 percent; takes effect with the next I/O.
    pub fn set_percent(&self, percent: u64) {
        self.percent.set(percent);
    }

    /// `io_job_start`: may sleep.
    pub(super) fn start(&self, current: &Task) {
        let _frame = current.enter("io_job_start");
        let mut slept = 0;
        loop {
            let percent = self.percent.get();
            if percent >= FULL {
                break;
            }
            let now = current.now().0 / JIFFY.0;
            let busy = !self.io_jobs.is_zero();
            let over = self.periods.change(current, |periods| {
                periods.pass(now, busy);
                periods.decay();
                periods.io > percent * periods.total / 100
            });
            current.learns(|| u64::from(over));
            if !over || slept == SLEEPS_MAX {
                break;
            }
            slept += 1;
            current.sleep(SLEEP);
        }
        self.io_jobs.inc();
    }

    /// `io_job_finish`.
    pub(super) fn finish(&self, current: &Task) {
        self.io_jobs.drop_one();
        if self.percent.get() < FULL && self.io_jobs.is_zero() {
            let now = current.now().0 / JIFFY.0;
            self.periods.change(current, |periods| periods.pass(now, true));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_decays_and_never_exceeds_the_whole() {
        let mut periods = Periods::default();
        periods.pass(100, true);
        periods.pass(300, false);
        assert_eq!((periods.io, periods.total), (100, 300));
        periods.decay();
        assert_eq!((periods.io, periods.total), (50, 150), "fls(300 >> 8) is 1");
        periods.io = 1000;
        periods.pass(301, false);
        assert_eq!(periods.io, periods.total);
    }
}
