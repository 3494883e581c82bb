//! [`Findings`]: what a performance saw, as data.
//!
//! Invariants: loads are told in the order of their lines, jobs in the order of their numbers, whatever finished first.

use dmlab_results::{Direction, Histogram, LoadRecord};
use dmlab_scenarios::{Load, Rw};
use dmlab_units::{Nanos, Sectors};

/// What a performance saw.
#[derive(Default)]
pub struct Findings {
    /// Steps whose expectation was not met.
    pub failures: Vec<String>,
    /// Data that was not what was written.
    pub corruption: Vec<String>,
    /// Loads that ended.
    pub loads: Vec<LoadFinding>,
    /// I/Os that were carried out, loads and single bios.
    pub ios: u64,
    /// I/Os that ended in an error.
    pub io_errors: u64,
}

/// A load and its jobs.
pub struct LoadFinding {
    /// Line of the step.
    pub line: u32,
    /// The load.
    pub load: Load,
    /// Its jobs, by number.
    pub jobs: Vec<JobFinding>,
}

/// What one job of a load did.
#[derive(Default)]
pub struct JobFinding {
    /// When it began and ended.
    pub span: (Nanos, Nanos),
    /// Reads and their latencies; latencies only where the clock measures.
    pub reads: u64,
    /// Likewise.
    pub writes: u64,
    /// I/Os that failed.
    pub errors: u64,
    /// Latencies.
    pub read_latency: Option<Histogram>,
    /// Likewise.
    pub write_latency: Option<Histogram>,
}

impl LoadFinding {
    /// The load as it goes into a record.
    pub fn to_record(&self) -> LoadRecord {
        let begin = self.jobs.iter().map(|job| job.span.0).min().unwrap_or_default();
        let end = self.jobs.iter().map(|job| job.span.1).max().unwrap_or_default();
        let runtime = end.saturating_sub(begin).0;
        let bs = self.load.bs.0;
        let direction = |ios: fn(&JobFinding) -> u64, latency: fn(&JobFinding) -> Option<&Histogram>| {
            let mut merged = Histogram::new();
            self.jobs.iter().filter_map(latency).for_each(|latency| merged.merge(latency));
            let ios: u64 = self.jobs.iter().map(ios).sum();
            Direction::new(ios * bs, ios, runtime, &merged)
        };
        LoadRecord {
            jobname: format!("{} on {} (line {})", rw_name(self.load.rw), self.load.on, self.line),
            phase: None,
            on: self.load.on.clone(),
            numjobs: self.load.numjobs,
            iodepth: self.load.iodepth,
            bs,
            rw: rw_name(self.load.rw).to_owned(),
            read: direction(|job| job.reads, |job| job.read_latency.as_ref()),
            write: direction(|job| job.writes, |job| job.write_latency.as_ref()),
            errors: self.jobs.iter().map(|job| job.errors).sum(),
            runtime_ns: runtime,
        }
    }
}

/// fio's spelling.
const fn rw_name(rw: Rw) -> &'static str {
    match rw {
        Rw::Read => "read",
        Rw::Write => "write",
        Rw::RandRead => "randread",
        Rw::RandWrite => "randwrite",
        Rw::ReadWrite => "rw",
        Rw::RandRw => "randrw",
    }
}

/// Sectors in a load's block.
pub(super) fn block_sectors(load: &Load) -> Sectors {
    Sectors::from_bytes(load.bs).expect("checked: bs is whole sectors")
}
