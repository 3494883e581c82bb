//! [`JobTally`]: what a job counts: I/Os, bytes, errors and latencies of each phase, and how long nothing ended.
//!
//! Invariants: an I/O counts in the phase in which it ended, and not at all while the load ramps up; where the clock does
//! not measure, there is one phase and no latency; recording allocates at most once for each phase and direction.
//! Not here: rates and percentiles (the results).

use dmlab_results::Histogram;
use dmlab_scenarios::IoOp;
use dmlab_units::Nanos;

/// Longer gaps than this are told: a thousandth of a second is long for any device here.
const STALL_MIN: Nanos = Nanos::millis(1);
/// So many of the longest are told.
const STALLS_MAX: usize = 3;

/// What a job did.
#[derive(Clone, Debug, Default)]
pub struct JobTally {
    /// When what is counted began and ended.
    pub span: (Nanos, Nanos),
    /// By phase, in the order in which they were first counted in.
    pub phases: Vec<PhaseTally>,
    /// The longest times with I/O in flight of which none ended: begin and length, the longest first.
    pub stalls: Vec<(Nanos, Nanos)>,
    /// The longest of them, whatever its length.
    pub longest_stall: Nanos,
    /// The longest time that an I/O was in flight.
    pub oldest_inflight: Nanos,
}

/// What a job did in one phase.
#[derive(Clone, Debug, Default)]
pub struct PhaseTally {
    /// Its name; `None` is before the first.
    pub phase: Option<String>,
    /// Reads.
    pub reads: Counted,
    /// Writes.
    pub writes: Counted,
    /// Discards.
    pub trims: Counted,
    /// Flushes after writes.
    pub syncs: Counted,
    /// I/Os of any kind that failed.
    pub errors: u64,
}

/// I/Os in one direction.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// How many.
    pub ios: u64,
    /// How many bytes.
    pub bytes: u64,
    /// From submission to end.
    pub clat: Option<Histogram>,
    /// From the time it was due to its end, where there is a rate.
    pub lat: Option<Histogram>,
}

/// An I/O that has ended.
pub(super) struct Ended {
    pub op: IoOp,
    pub bytes: u64,
    pub failed: bool,
    pub due: Option<Nanos>,
    pub submitted: Nanos,
    pub at: Nanos,
}

impl JobTally {
    /// One I/O more. `phase` is where it ended, `None` without a name; `measures`: the times mean something.
    pub(super) fn count(&mut self, phase: Option<&str>, ended: &Ended, measures: bool) {
        let index = match self.phases.iter().position(|tally| tally.phase.as_deref() == phase) {
            Some(index) => index,
            None => {
                self.phases.push(PhaseTally { phase: phase.map(str::to_owned), ..PhaseTally::default() });
                self.phases.len() - 1
            }
        };
        let tally = &mut self.phases[index];
        tally.errors += u64::from(ended.failed);
        let counted = match ended.op {
            IoOp::Read => &mut tally.reads,
            IoOp::Write | IoOp::WriteZeroes => &mut tally.writes,
            IoOp::Discard | IoOp::SecureErase => &mut tally.trims,
            IoOp::Flush => &mut tally.syncs,
        };
        counted.ios += 1;
        counted.bytes += ended.bytes;
        if measures {
            let since = |begin: Nanos| ended.at.saturating_sub(begin);
            counted.clat.get_or_insert_default().record(since(ended.submitted).0);
            if let Some(due) = ended.due {
                counted.lat.get_or_insert_default().record(since(due).0);
            }
            self.oldest_inflight = self.oldest_inflight.max(since(ended.submitted));
        }
    }

    /// Whether a gap of this length would change anything.
    pub(super) fn may_tell(&self, length: Nanos) -> bool {
        length > self.longest_stall.min(STALL_MIN)
    }

    /// From `begin` to `end` something was in flight, and nothing ended.
    pub(super) fn gap(&mut self, begin: Nanos, end: Nanos) {
        let length = end.saturating_sub(begin);
        self.longest_stall = self.longest_stall.max(length);
        if length < STALL_MIN {
            return;
        }
        let place = self.stalls.partition_point(|(_, known)| *known >= length);
        self.stalls.insert(place, (begin, length));
        self.stalls.truncate(STALLS_MAX);
    }

    /// I/Os in all phases, without flushes.
    pub fn ios(&self) -> u64 {
        self.phases.iter().map(|phase| phase.reads.ios + phase.writes.ios + phase.trims.ios).sum()
    }

    /// I/Os that failed, in all phases.
    pub fn errors(&self) -> u64 {
        self.phases.iter().map(|phase| phase.errors).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gaps_are_kept_and_short_ones_are_none() {
        let mut tally = JobTally::default();
        for (begin, length) in [(0, 2), (10, 5), (20, 3), (30, 4)] {
            tally.gap(Nanos::millis(begin), Nanos::millis(begin + length));
        }
        tally.gap(Nanos(0), Nanos(10));
        let found: Vec<_> = tally.stalls.iter().map(|(_, length)| length.0 / 1_000_000).collect();
        assert_eq!(found, [5, 4, 3]);
        assert_eq!(tally.longest_stall, Nanos::millis(5));
    }

    #[test]
    fn latency_counts_from_submission_and_from_the_due_time() {
        let mut tally = JobTally::default();
        let ended =
            |due, failed| Ended { op: IoOp::Read, bytes: 512, failed, due, submitted: Nanos(300), at: Nanos(1000) };
        tally.count(Some("a"), &ended(Some(Nanos(100)), false), true);
        tally.count(None, &ended(None, true), false);
        let [named, plain] = &tally.phases[..] else { panic!() };
        assert_eq!(named.reads.clat.as_ref().unwrap().to_latency().max, 700);
        assert_eq!(named.reads.lat.as_ref().unwrap().to_latency().max, 900);
        assert!(plain.reads.clat.is_none() && plain.errors == 1 && plain.phase.is_none());
        assert_eq!((tally.ios(), tally.errors(), tally.oldest_inflight), (2, 1, Nanos(700)));
    }
}
