//! Loads in fio's words: jobs that keep a number of I/Os in flight over a range of a device.
//!
//! Reading order: this file (a load and its jobs), `job` (the loop), `places` (which I/O is next) with `permutation` and
//! `distribution`, `pace` (when it is due), `tally` (what is counted).
//!
//! Invariants: everything that is drawn comes from the seed and the number of the job; with `verify` each job has a part
//! of the range to itself.
//! Not here: results (`findings`).

mod distribution;
mod job;
mod pace;
mod permutation;
mod places;
mod tally;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use dmlab_scenarios::{Errno, Load, Outcome};
use dmlab_units::{Bytes, Sectors};

use self::job::{Job, JobReport};
pub use self::tally::{Counted, JobTally, PhaseTally};
use super::findings::LoadFinding;
use super::{Flow, Script, Stopped};
use crate::backend::{Actor, Branch};

impl Script {
    /// Runs all jobs of a load and compares its errors with what the step expects.
    pub(super) fn load(self: &Arc<Self>, flow: Flow<'_>, line: u32, load: &Load) -> Result<(), Stopped> {
        let jobs: Arc<Mutex<Vec<(u32, JobTally, JobReport)>>> = Arc::default();
        let run = |number: u32| {
            let (script, load, jobs) = (Arc::clone(self), load.clone(), Arc::clone(&jobs));
            let (stop, path) = (flow.stop.cloned(), flow.path.to_owned());
            move |actor: &dyn Actor| {
                let flow = Flow { actor, path: &path, stop: stop.as_ref() };
                let (tally, report) = script.job(flow, line, &load, number);
                jobs.lock().unwrap_or_else(PoisonError::into_inner).push((number, tally, report));
            }
        };
        if load.numjobs == 1 {
            run(0)(flow.actor);
        } else {
            let branch = |number| Branch { name: format!("{}.job{number}", load.on), body: Box::new(run(number)) };
            flow.actor.fork((0..load.numjobs).map(branch).collect());
        }
        let mut jobs = std::mem::take(&mut *jobs.lock().unwrap_or_else(PoisonError::into_inner));
        jobs.sort_by_key(|(number, ..)| *number);
        let (jobs, reports): (Vec<_>, Vec<_>) = jobs.into_iter().map(|(_, tally, report)| (tally, report)).unzip();
        let ios: u64 = jobs.iter().map(JobTally::ios).sum();
        let errors: u64 = reports.iter().flat_map(|report| report.errnos.values()).sum();
        self.note(|findings| {
            findings.ios += ios;
            findings.io_errors += errors;
        });
        let kinds: BTreeSet<Errno> = reports.iter().flat_map(|report| report.errnos.keys().copied()).collect();
        let kinds = kinds.iter().map(|errno| format!("some I/O ended with {errno:?}")).collect();
        let open_error = reports.iter().find_map(|report| report.open_error);
        self.saw(flow, line, || format!("load on {}", load.on), &open_error.map_or(Ok(kinds), Err));
        let finding = LoadFinding { line, load: load.clone(), jobs };
        let judged = self.judge_load(line, load, errors, &reports).and_then(|()| self.judge_stalls(line, &finding));
        self.note(|findings| {
            let place = findings.loads.partition_point(|other| other.line <= line);
            findings.loads.insert(place, finding);
        });
        judged
    }

    fn judge_load(&self, line: u32, load: &Load, errors: u64, reports: &[JobReport]) -> Result<(), Stopped> {
        if let Some(message) = reports.iter().find_map(|report| report.corruption.clone()) {
            self.note(|findings| findings.corruption.push(format!("line {line}: {message}")));
            return Err(Stopped);
        }
        if let Some(errno) = reports.iter().find_map(|report| report.open_error) {
            return Err(self.fail(line, format!("load on {}: cannot open: {errno:?}", load.on)));
        }
        if let Some((errno, count)) =
            reports.iter().flat_map(|report| &report.errnos).find(|(errno, _)| !load.outcome.admits_error(**errno))
        {
            let wanted = match load.outcome {
                Outcome::Ok => "none to fail".to_owned(),
                outcome => format!("{outcome} only"),
            };
            let found = format!("{count} I/O(s) failed with {errno:?}, expected {wanted}");
            return Err(self.fail(line, format!("load on {}: {found}", load.on)));
        }
        if errors == 0 && !load.outcome.admits_success() {
            return Err(self.fail(line, format!("load on {}: no I/O failed, expected {}", load.on, load.outcome)));
        }
        Ok(())
    }

    fn judge_stalls(&self, line: u32, finding: &LoadFinding) -> Result<(), Stopped> {
        let longest = finding.jobs.iter().map(|job| job.longest_stall).max().unwrap_or_default();
        match finding.load.max_stall {
            Some(most) if longest > most => {
                let found = format!("no I/O ended for {longest} while some were in flight, expected at most {most}");
                Err(self.fail(line, format!("load on {}: {found}", finding.load.on)))
            }
            _ => Ok(()),
        }
    }

    fn job(&self, flow: Flow<'_>, line: u32, load: &Load, number: u32) -> (JobTally, JobReport) {
        let open = match flow.actor.open(&load.on, load.iodepth, sectors(load.bs.max())) {
            Ok(open) => open,
            Err(errno) => {
                return (JobTally::default(), JobReport { open_error: Some(errno), ..JobReport::default() });
            }
        };
        let seed = load.randseed.unwrap_or_else(|| self.seed.derive("offsets").nth(u64::from(line)));
        let range = units(load, open.capacity(), number);
        let mut job = Job::new(self, flow, &*open, load, range, seed.nth(u64::from(number)));
        job.run();
        (job.tally, job.report)
    }
}

fn sectors(bytes: Bytes) -> Sectors {
    Sectors::from_bytes(bytes).expect("checked: blocks are whole sectors")
}

/// The range of a job in units of the smallest block: all of the load's, or with `verify` an equal part of it, unless the
/// ranges of the jobs lie apart anyway.
fn units(load: &Load, capacity: Sectors, number: u32) -> Range<u64> {
    let (unit, number) = (load.bs.min().0, u64::from(number));
    let offset = load.offset.0 + load.offset_increment.0 * number;
    let left = capacity.bytes().0.saturating_sub(offset);
    let size = load.size.map_or(left, |size| size.0.min(left));
    let (first, all) = (offset / unit, size / unit);
    if !load.verify || load.offset_increment > Bytes::ZERO {
        return first..first + all;
    }
    let jobs = u64::from(load.numjobs);
    first + all * number / jobs..first + all * (number + 1) / jobs
}
