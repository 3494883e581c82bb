//! Loads in fio's words: jobs that keep a number of I/Os in flight over a range of a device.
//!
//! Invariants: every block that is written carries a label; with `verify` each job has a part of the range to itself,
//! never has two I/Os on one block in flight, and reads all that it wrote back at the end, whole blocks; latency is the
//! time from submission to reaping.
//! Not here: rates, think time, block size mixes, fsync, distributions other than uniform.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use dmlab_results::Histogram;
use dmlab_scenarios::{Errno, IoOp, Load, Outcome, Rw};
use dmlab_units::{Nanos, Rng, Sectors};

use super::findings::{JobFinding, LoadFinding, block_sectors};
use super::pattern::{self, Label};
use super::{Flow, Script, Stopped};
use crate::backend::{Actor, Branch, OpenDevice};

impl Script {
    /// Runs all jobs of a load and compares its errors with what the step expects.
    pub(super) fn load(self: &Arc<Self>, flow: Flow<'_>, line: u32, load: &Load) -> Result<(), Stopped> {
        let jobs: Arc<Mutex<Vec<(u32, JobFinding, JobReport)>>> = Arc::default();
        let run = |number: u32| {
            let (script, load, jobs) = (Arc::clone(self), load.clone(), Arc::clone(&jobs));
            let stop = flow.stop.cloned();
            move |actor: &dyn Actor| {
                let (finding, report) = script.job(Flow { actor, stop: stop.as_ref() }, line, &load, number);
                jobs.lock().unwrap_or_else(PoisonError::into_inner).push((number, finding, report));
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
        let (findings, reports): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|(_, finding, report)| (finding, report)).unzip();
        let ios: u64 = findings.iter().map(|job| job.reads + job.writes).sum();
        let errors: u64 = findings.iter().map(|job| job.errors).sum();
        self.note(|findings| {
            findings.ios += ios;
            findings.io_errors += errors;
        });
        let finding = LoadFinding { line, load: load.clone(), jobs: findings };
        self.note(|findings| {
            let place = findings.loads.partition_point(|other| other.line <= line);
            findings.loads.insert(place, finding);
        });
        self.judge_load(line, load, errors, &reports)
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

    fn job(&self, flow: Flow<'_>, line: u32, load: &Load, number: u32) -> (JobFinding, JobReport) {
        let actor = flow.actor;
        let open = match actor.open(&load.on, load.iodepth, block_sectors(load)) {
            Ok(open) => open,
            Err(errno) => {
                return (JobFinding::default(), JobReport { open_error: Some(errno), ..JobReport::default() });
            }
        };
        let seed = load.randseed.unwrap_or_else(|| self.seed.derive("offsets").nth(u64::from(line)));
        let measures = actor.measures();
        let mut job = Job {
            script: self,
            flow,
            open: &*open,
            load,
            rng: seed.nth(u64::from(number)).rng(),
            blocks: blocks(load, open.capacity(), number),
            generations: BTreeMap::new(),
            flights: (0..load.iodepth).map(|_| None).collect(),
            finding: JobFinding {
                read_latency: measures.then(Histogram::new),
                write_latency: measures.then(Histogram::new),
                ..JobFinding::default()
            },
            report: JobReport::default(),
        };
        job.run();
        (job.finding, job.report)
    }
}

/// What a job has to say beside its numbers.
#[derive(Default)]
struct JobReport {
    corruption: Option<String>,
    open_error: Option<Errno>,
    errnos: BTreeMap<Errno, u64>,
}

/// The blocks of a job: all of the range, or with `verify` an equal part of it.
fn blocks(load: &Load, capacity: Sectors, number: u32) -> Range<u64> {
    let bs = load.bs.0;
    let (capacity, offset) = (capacity.bytes().0, load.offset.0);
    let size = load.size.map_or(capacity.saturating_sub(offset), |size| size.0.min(capacity.saturating_sub(offset)));
    let (first, all) = (offset / bs, size / bs);
    if !load.verify {
        return first..first + all;
    }
    let (jobs, number) = (u64::from(load.numjobs), u64::from(number));
    first + all * number / jobs..first + all * (number + 1) / jobs
}

/// An I/O under way.
struct Flight {
    block: u64,
    op: IoOp,
    submitted: Nanos,
    generation: u64,
}

struct Job<'a> {
    script: &'a Script,
    flow: Flow<'a>,
    open: &'a dyn OpenDevice,
    load: &'a Load,
    rng: Rng,
    blocks: Range<u64>,
    /// Of blocks that this job has written, with `verify`.
    generations: BTreeMap<u64, u64>,
    flights: Vec<Option<Flight>>,
    finding: JobFinding,
    report: JobReport,
}

impl Job<'_> {
    fn run(&mut self) {
        let begin = self.flow.actor.now();
        let blocks = self.blocks.end - self.blocks.start;
        let total = self.load.io_size.map_or(blocks, |size| size.0 / self.load.bs.0);
        // Without a clock that moves, a load that is bounded by time alone makes one pass over its range.
        let timed = self.load.runtime.filter(|_| self.flow.actor.measures());
        let endless = timed.is_some() && self.load.io_size.is_none();
        let mut issued = 0;
        while blocks > 0 && (endless || issued < total) && self.report.corruption.is_none() {
            if self.flow.is_to_stop() {
                break;
            }
            if timed.is_some_and(|runtime| self.flow.actor.now().saturating_sub(begin) >= runtime) {
                break;
            }
            let slot = match self.flights.iter().position(Option::is_none) {
                Some(slot) => slot,
                None => self.reap(),
            };
            let (block, op) = self.next(issued);
            if self.load.verify {
                while self.flights.iter().flatten().any(|flight| flight.block == block) {
                    self.reap();
                }
            }
            self.submit(slot, block, op);
            issued += 1;
        }
        while self.flights.iter().any(Option::is_some) {
            self.reap();
        }
        self.finding.span = (begin, self.flow.actor.now());
        if self.load.verify && self.report.corruption.is_none() {
            self.read_back();
        }
    }

    /// The place and the direction of I/O number `issued`.
    fn next(&mut self, issued: u64) -> (u64, IoOp) {
        let blocks = self.blocks.end - self.blocks.start;
        let random = matches!(self.load.rw, Rw::RandRead | Rw::RandWrite | Rw::RandRw);
        let place = if random { self.rng.below(blocks) } else { issued % blocks };
        let op = match self.load.rw {
            Rw::Read | Rw::RandRead => IoOp::Read,
            Rw::Write | Rw::RandWrite => IoOp::Write,
            Rw::ReadWrite | Rw::RandRw if self.rng.below(100) < u64::from(self.load.rwmixread) => IoOp::Read,
            Rw::ReadWrite | Rw::RandRw => IoOp::Write,
        };
        (self.blocks.start + place, op)
    }

    fn label(&self, block: u64, generation: u64) -> Label {
        let sector = Sectors(block * block_sectors(self.load).0);
        Label::new(self.script.seed, &self.load.on, sector, generation)
    }

    fn submit(&mut self, slot: usize, block: u64, op: IoOp) {
        let generation = self.generations.get(&block).copied().unwrap_or(0) + u64::from(op == IoOp::Write);
        // Without verify the memory's first content does; filling it would be measured with the I/O.
        if op == IoOp::Write && self.load.verify {
            let label = self.label(block, generation);
            self.open.with_slot(slot as u32, &mut |memory| pattern::fill(memory, label));
        }
        let sectors = block_sectors(self.load);
        let submitted = if self.flow.actor.measures() { self.flow.actor.now() } else { Nanos::ZERO };
        self.flights[slot] = Some(Flight { block, op, submitted, generation });
        self.open.submit(slot as u32, op, Sectors(block * sectors.0), sectors);
    }

    /// Waits for an I/O to end and gives its slot, free again.
    fn reap(&mut self) -> usize {
        let (slot, error) = self.open.reap();
        let slot = slot as usize;
        let flight = self.flights[slot].take().expect("what is reaped was submitted");
        let reads = flight.op == IoOp::Read;
        if let Some(latency) = if reads { &mut self.finding.read_latency } else { &mut self.finding.write_latency } {
            latency.record(self.flow.actor.now().saturating_sub(flight.submitted).0);
        }
        *(if reads { &mut self.finding.reads } else { &mut self.finding.writes }) += 1;
        if let Some(errno) = error {
            self.finding.errors += 1;
            *self.report.errnos.entry(errno).or_default() += 1;
            // What a failed write leaves behind is not known.
            self.generations.remove(&flight.block);
        } else if self.load.verify {
            self.check_or_note(slot, &flight);
        }
        slot
    }

    fn check_or_note(&mut self, slot: usize, flight: &Flight) {
        if flight.op == IoOp::Write {
            self.generations.insert(flight.block, flight.generation);
        } else if flight.generation > 0 {
            let label = self.label(flight.block, flight.generation);
            let on = &self.load.on;
            let mut result = Ok(());
            self.open.with_slot(slot as u32, &mut |memory| result = pattern::check(memory, label, on));
            self.report.corruption = self.report.corruption.take().or(result.err());
        }
    }

    /// Reads every block that was written, once more.
    fn read_back(&mut self) {
        let sectors = block_sectors(self.load);
        for (block, generation) in std::mem::take(&mut self.generations) {
            self.open.submit(0, IoOp::Read, Sectors(block * sectors.0), sectors);
            if let (_, Some(errno)) = self.open.reap() {
                *self.report.errnos.entry(errno).or_default() += 1;
                self.finding.errors += 1;
                continue;
            }
            self.check_or_note(0, &Flight { block, op: IoOp::Read, submitted: Nanos::ZERO, generation });
            if self.report.corruption.is_some() {
                return;
            }
        }
    }
}
