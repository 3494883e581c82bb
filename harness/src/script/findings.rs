//! [`Findings`]: what a performance saw, as data.
//!
//! Invariants: loads are told in the order of their lines, jobs in the order of their numbers, phases in the order of
//! their beginning, whatever finished first.

use dmlab_results::{Direction, Histogram, LoadRecord, StallRecord};
use dmlab_scenarios::{Load, Rw};
use dmlab_units::Nanos;

use super::load::{Counted, JobTally, PhaseTally};
use super::phases::{Mark, time_in};
use super::trace::Trace;

/// What a performance saw.
#[derive(Default)]
pub struct Findings {
    /// Steps whose expectation was not met.
    pub failures: Vec<String>,
    /// Data that was not what was written.
    pub corruption: Vec<String>,
    /// Loads that ended.
    pub loads: Vec<LoadFinding>,
    /// The phases of the scenario, as they began.
    pub phases: Vec<Mark>,
    /// I/Os that were carried out, loads and single bios.
    pub ios: u64,
    /// I/Os that ended in an error.
    pub io_errors: u64,
    /// What each step was answered, where the clock measures.
    pub trace: Trace,
}

/// A load and its jobs.
pub struct LoadFinding {
    /// Line of the step.
    pub line: u32,
    /// The load.
    pub load: Load,
    /// Its jobs, by number.
    pub jobs: Vec<JobTally>,
}

impl LoadFinding {
    /// What results call it.
    pub fn name(&self) -> String {
        let Load { name, rw, on, .. } = &self.load;
        name.clone().unwrap_or_else(|| format!("{} on {on} (line {})", rw_name(*rw), self.line))
    }

    /// The load as it goes into a record: an entry for each phase in which it ran, one if there are no phases.
    pub fn to_records(&self, marks: &[Mark]) -> Vec<LoadRecord> {
        let mut names = vec![None];
        for mark in marks {
            let name = Some(mark.name.as_str());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let ran_in = |name: &Option<&str>| marks.is_empty() || time_in(marks, *name, self.span()) > Nanos::ZERO;
        names.into_iter().filter(ran_in).map(|name| self.record(marks, name)).collect()
    }

    /// From the begin of the first job to the end of the last.
    fn span(&self) -> (Nanos, Nanos) {
        let begin = self.jobs.iter().map(|job| job.span.0).min().unwrap_or_default();
        (begin, self.jobs.iter().map(|job| job.span.1).max().unwrap_or_default())
    }

    fn record(&self, marks: &[Mark], phase: Option<&str>) -> LoadRecord {
        let Load { on, numjobs, iodepth, bs, rw, percentile_list, .. } = &self.load;
        let runtime = time_in(marks, phase, self.span()).0;
        let here: Vec<&PhaseTally> =
            self.jobs.iter().flat_map(|job| &job.phases).filter(|tally| tally.phase.as_deref() == phase).collect();
        let direction = |pick: fn(&PhaseTally) -> &Counted| {
            let counted = || here.iter().map(|tally| pick(tally));
            let merged = |latency: fn(&Counted) -> Option<&Histogram>| {
                let mut merged = Histogram::new();
                counted().filter_map(latency).for_each(|latency| merged.merge(latency));
                merged
            };
            let ios = counted().map(|counted| counted.ios).sum();
            let bytes = counted().map(|counted| counted.bytes).sum();
            let due = counted().any(|counted| counted.lat.is_some());
            let at = percentile_list.as_deref();
            Direction::measured(bytes, ios, runtime, &merged(|counted| counted.clat.as_ref()), at)
                .with_lat(due.then(|| merged(|counted| counted.lat.as_ref())), at)
        };
        let within = |(begin, length): &&(Nanos, Nanos)| {
            marks.is_empty() || super::phases::phase_at(marks, Nanos(begin.0 + length.0)) == phase
        };
        let mut stalls: Vec<StallRecord> = self
            .jobs
            .iter()
            .flat_map(|job| &job.stalls)
            .filter(within)
            .map(|(begin, length)| StallRecord { at_ns: begin.0, length_ns: length.0 })
            .collect();
        stalls.sort_by_key(|stall| (std::cmp::Reverse(stall.length_ns), stall.at_ns));
        stalls.truncate(STALLS_MAX);
        let some = |direction: Direction| (direction.total_ios > 0).then_some(direction);
        LoadRecord {
            jobname: self.name(),
            phase: phase.map(str::to_owned),
            on: on.clone(),
            numjobs: *numjobs,
            iodepth: *iodepth,
            bs: bs.max().0,
            rw: rw_name(*rw).to_owned(),
            read: direction(|tally| &tally.reads),
            write: direction(|tally| &tally.writes),
            trim: some(direction(|tally| &tally.trims)),
            sync: some(direction(|tally| &tally.syncs)),
            errors: here.iter().map(|tally| tally.errors).sum(),
            runtime_ns: runtime,
            stalls,
            oldest_inflight_ns: self.jobs.iter().map(|job| job.oldest_inflight.0).max().filter(|oldest| *oldest > 0),
        }
    }
}

/// So many of the longest stalls are told.
const STALLS_MAX: usize = 3;

/// fio's spelling.
const fn rw_name(rw: Rw) -> &'static str {
    match rw {
        Rw::Read => "read",
        Rw::Write => "write",
        Rw::RandRead => "randread",
        Rw::RandWrite => "randwrite",
        Rw::ReadWrite => "rw",
        Rw::RandRw => "randrw",
        Rw::Trim => "trim",
        Rw::RandTrim => "randtrim",
        Rw::TrimWrite => "trimwrite",
    }
}
