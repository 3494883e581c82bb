//! [`Watch`]: tells a machine that hangs from one that is slow.
//!
//! Under tcg, or beside others on a busy host, everything may take fifty times as long. So no step is given up for the time
//! it takes while something moves: as long as I/Os end, it goes on. Where none ends, it matters whether the CPUs work. If
//! they are idle for the whole deadline, nobody is at it: a hang. If they work, it may be slowness, and the step is given
//! [`BUSY_FACTOR`] times the deadline; then it is a loop that does not end.
//!
//! Invariants: what is decided depends on the looks alone, not on a clock of its own; a look at which something had moved
//! forgives all silence before it.
//! Not here: taking looks, naming who is stuck (`tasks`).

use dmlab_units::Nanos;

/// How many times its deadline a step may take without an end of an I/O while CPUs work.
pub const BUSY_FACTOR: u64 = 6;

/// The share of CPU time, in percent of one CPU, from which a machine works. Detectors and timers take less.
pub const WORKS_PERCENT: u64 = 25;

/// A look at a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// When.
    pub now: Nanos,
    /// I/Os and steps that have ended.
    pub ended: u64,
    /// Time for which CPUs have worked, all of them, in user space and in the kernel.
    pub cpu: Nanos,
}

/// What the looks so far say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It moves, or has not stood for long enough to say.
    Moves,
    /// Nothing has ended and nobody has worked for this long.
    Hangs(Nanos),
    /// Nothing has ended for this long, and CPUs have worked all the while.
    Loops(Nanos),
}

/// Looks at one machine, one after the other.
#[derive(Clone, Debug)]
pub struct Watch {
    deadline: Nanos,
    /// When something ended last.
    moved: Look,
    /// Since when CPUs have not worked.
    idle_since: Look,
}

impl Watch {
    /// A watch that begins now, for a deadline without an end of anything.
    pub const fn new(deadline: Nanos, first: Look) -> Self {
        Self { deadline, moved: first, idle_since: first }
    }

    /// Takes a look.
    pub fn look(&mut self, look: Look) -> Pace {
        let since_last = look.now.saturating_sub(self.idle_since.now);
        let worked = look.cpu.saturating_sub(self.idle_since.cpu);
        let works = worked.0.saturating_mul(100) >= since_last.0.saturating_mul(WORKS_PERCENT);
        if look.ended != self.moved.ended {
            (self.moved, self.idle_since) = (look, look);
            return Pace::Moves;
        }
        if works {
            self.idle_since = look;
        }
        let idle = look.now.saturating_sub(self.idle_since.now);
        let silent = look.now.saturating_sub(self.moved.now);
        if idle >= self.deadline {
            Pace::Hangs(idle)
        } else if silent.0 >= self.deadline.0.saturating_mul(BUSY_FACTOR) {
            Pace::Loops(silent)
        } else {
            Pace::Moves
        }
    }
}

/// The time for which CPUs have worked, of `/proc/stat` in a machine with `ticks` a second: its first line's user, nice,
/// system, irq and softirq.
pub fn parse_cpu(stat: &str, ticks: u64) -> Option<Nanos> {
    let numbers = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let numbers: Vec<u64> = numbers.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let worked: u64 = [0, 1, 2, 5, 6].iter().map(|index| numbers.get(*index).copied().unwrap_or(0)).sum();
    (numbers.len() >= 4 && ticks > 0).then(|| Nanos(worked * (1_000_000_000 / ticks)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// What looks at a second's distance say, of an end of I/Os and a share of CPU time in each.
    fn paces(deadline: u64, looks: &[(u64, u64)]) -> Vec<Pace> {
        let mut watch = Watch::new(Nanos(deadline * SECOND), Look::default());
        let (mut ended, mut cpu) = (0, 0);
        let look = |(second, (io, percent)): (usize, &(u64, u64))| {
            (ended, cpu) = (ended + io, cpu + percent * SECOND / 100);
            watch.look(Look { now: Nanos((second as u64 + 1) * SECOND), ended, cpu: Nanos(cpu) })
        };
        looks.iter().enumerate().map(look).collect()
    }

    #[test]
    fn an_idle_machine_in_which_nothing_ends_hangs_at_the_deadline() {
        let seen = paces(3, &[(1, 90), (0, 2), (0, 2), (0, 2)]);
        assert_eq!(seen, [Pace::Moves, Pace::Moves, Pace::Moves, Pace::Hangs(Nanos(3 * SECOND))]);
    }

    #[test]
    fn a_slow_machine_in_which_ios_end_never_hangs() {
        let slow: Vec<_> = (0..100).map(|second| (u64::from(second % 3 == 2), 0)).collect();
        assert!(paces(3, &slow).iter().all(|pace| *pace == Pace::Moves));
    }

    #[test]
    fn a_machine_that_works_is_given_more_time_and_then_loops() {
        let seen = paces(2, &[(0, 100); 12]);
        assert!(seen[..11].iter().all(|pace| *pace == Pace::Moves), "{seen:?}");
        assert_eq!(seen[11], Pace::Loops(Nanos(12 * SECOND)));
    }

    #[test]
    fn what_the_detectors_themselves_use_is_no_work() {
        assert_eq!(paces(2, &[(0, 5), (0, 5)])[1], Pace::Hangs(Nanos(2 * SECOND)));
    }

    #[test]
    fn work_is_what_is_neither_idle_nor_waiting() {
        let stat = "cpu  10 2 30 4000 50 6 7 0 0 0\ncpu0 5 1 15 2000 25 3 3 0 0 0\n";
        assert_eq!(parse_cpu(stat, 100), Some(Nanos(55 * 10_000_000)));
        assert_eq!(parse_cpu("intr 5\n", 100), None);
        assert_eq!(parse_cpu("cpu  1 2\n", 100), None);
    }
}
