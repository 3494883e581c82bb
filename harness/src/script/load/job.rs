//! One job of a load: keeps a number of I/Os in flight.
//!
//! Invariants: with `verify` (and `trimwrite`) no two I/Os of a job that overlap are in flight at once, and what was
//! written is read back at the end, whole blocks; a flush is submitted when all writes before it have ended; a job that is
//! to stop submits nothing more. Where the clock does not measure, it is not looked at: rates, pauses, ramp and run time
//! mean nothing there.
//! Not here: which I/O is next (`places`), when it is due (`pace`), counting (`tally`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use dmlab_scenarios::{Errno, IoOp, Load, Rw};
use dmlab_units::{Nanos, Sectors, Seed};

use super::pace::Pace;
use super::places::{Place, Places};
use super::tally::{Ended, JobTally};
use crate::backend::OpenDevice;
use crate::script::pattern::{self, Label};
use crate::script::phases::{Mark, phase_at};
use crate::script::{Flow, Script};

/// What a job has to say beside its numbers.
#[derive(Default)]
pub(super) struct JobReport {
    pub corruption: Option<String>,
    pub open_error: Option<Errno>,
    /// Errors of all I/Os, also of those that are not in the results.
    pub errnos: BTreeMap<Errno, u64>,
}

/// An I/O under way.
struct Flight {
    place: Place,
    due: Option<Nanos>,
    submitted: Nanos,
    /// Of a write.
    generation: u64,
}

pub(super) struct Job<'a> {
    script: &'a Script,
    flow: Flow<'a>,
    open: &'a dyn OpenDevice,
    load: &'a Load,
    seed: Seed,
    measures: bool,
    /// In units: the smallest block.
    range: Range<u64>,
    flights: Vec<Option<Flight>>,
    /// How many of them there are.
    in_flight: usize,
    /// Of units that this job has written, with `verify`.
    generations: BTreeMap<u64, u64>,
    /// Of all units; never goes back, so that an old block is told from a new one.
    generation: u64,
    /// Written since the last look, where there is a backlog.
    backlog: BTreeSet<u64>,
    begin: Nanos,
    /// When the last one ended.
    last_end: Nanos,
    marks: Vec<Mark>,
    pub tally: JobTally,
    pub report: JobReport,
}

impl<'a> Job<'a> {
    /// A job on `range` (in units of the smallest block).
    pub(super) fn new(
        script: &'a Script,
        flow: Flow<'a>,
        open: &'a dyn OpenDevice,
        load: &'a Load,
        range: Range<u64>,
        seed: Seed,
    ) -> Self {
        let measures = flow.actor.measures();
        Self {
            script,
            flow,
            open,
            load,
            seed,
            measures,
            range,
            flights: (0..load.iodepth).map(|_| None).collect(),
            in_flight: 0,
            generations: BTreeMap::new(),
            generation: 0,
            backlog: BTreeSet::new(),
            begin: Nanos::ZERO,
            last_end: Nanos::ZERO,
            marks: Vec::new(),
            tally: JobTally::default(),
            report: JobReport::default(),
        }
    }

    pub(super) fn run(&mut self) {
        self.begin = self.now();
        let unit = self.load.bs.min().0;
        let passes = if self.load.rw == Rw::TrimWrite { 2 } else { 1 };
        let pass = (self.range.end - self.range.start) * unit * passes;
        let total = self.load.io_size.map_or(pass, |size| size.0);
        // Without a clock that moves, a load that is bounded by time alone makes one pass over its range.
        let runtime =
            self.load.runtime.filter(|_| self.measures).map(|time| Nanos(time.0.saturating_add(self.load.ramp_time.0)));
        let endless = runtime.is_some() && self.load.time_based;
        let has_room = self.range.end - self.range.start >= self.load.bs.max().0 / unit;
        let mut places = Places::new(self.load, self.range.clone(), self.seed);
        let mut pace = self.load.rate.filter(|_| self.measures).map(|rate| Pace::new(rate, self.seed));
        let (mut issued, mut ios, mut writes, mut batch) = (0, 0_u64, 0_u64, 0);
        while has_room && (endless || issued < total) && self.report.corruption.is_none() && !self.flow.is_to_stop() {
            let over = |job: &Self| runtime.is_some_and(|runtime| job.now().saturating_sub(job.begin) >= runtime);
            if over(self) {
                break;
            }
            let place = places.next();
            let due = pace.as_mut().map(|pace| Nanos(self.begin.0.saturating_add(pace.due(place.units * unit).0)));
            if batch == 0 {
                batch = self.load.iodepth_batch_submit;
                self.make_room(batch as usize);
            }
            if let Some(due) = due {
                let end = runtime.map_or(due, |runtime| due.min(Nanos(self.begin.0.saturating_add(runtime.0))));
                self.sleep_until(end);
                if over(self) {
                    break;
                }
            }
            if self.load.verify || self.load.rw == Rw::TrimWrite {
                while self.flights.iter().flatten().any(|flight| flight.place.overlaps(place)) {
                    self.reap();
                }
            }
            self.submit(place, due);
            (issued, ios, batch) = (issued + place.units * unit, ios + 1, batch - 1);
            if place.op == IoOp::Write {
                writes += 1;
                if self.load.fsync.is_some_and(|every| writes.is_multiple_of(u64::from(every))) {
                    self.flush();
                }
                if self.load.verify_backlog.is_some_and(|backlog| writes.is_multiple_of(u64::from(backlog))) {
                    self.drain();
                    let written = std::mem::take(&mut self.backlog);
                    self.read_back(&written);
                }
            }
            if let Some(think) = self.load.think.filter(|_| self.measures)
                && ios.is_multiple_of(u64::from(think.blocks))
            {
                self.drain();
                self.flow.actor.sleep(think.time);
            }
        }
        self.drain();
        self.tally.span = (Nanos(self.begin.0.saturating_add(self.load.ramp_time.0)).min(self.now()), self.now());
        if self.load.verify && self.report.corruption.is_none() {
            let written = self.generations.keys().copied().collect();
            self.read_back(&written);
        }
    }

    fn now(&self) -> Nanos {
        if self.measures { self.flow.actor.now() } else { Nanos::ZERO }
    }

    fn sleep_until(&self, due: Nanos) {
        let left = due.saturating_sub(self.now());
        if left > Nanos::ZERO {
            self.flow.actor.sleep(left);
        }
    }

    /// Waits until `slots` I/Os can be submitted; where there is no room at all, until a batch has ended.
    fn make_room(&mut self, slots: usize) {
        if self.in_flight == self.flights.len() {
            (0..self.load.iodepth_batch_complete).for_each(|_| self.reap());
        }
        while self.flights.len() - self.in_flight < slots {
            self.reap();
        }
    }

    fn drain(&mut self) {
        while self.in_flight > 0 {
            self.reap();
        }
    }

    fn sector(&self, unit: u64) -> Sectors {
        let sectors = Sectors::from_bytes(self.load.bs.min()).expect("checked: blocks are whole sectors");
        Sectors(unit * sectors.0)
    }

    fn label(&self, unit: u64, generation: u64) -> Label {
        Label::new(self.script.seed, &self.load.on, self.sector(unit), generation)
    }

    fn submit(&mut self, place: Place, due: Option<Nanos>) {
        let slot = self.flights.iter().position(Option::is_none).expect("room was made");
        self.generation += u64::from(place.op == IoOp::Write);
        let generation = self.generation;
        // Without verify the memory's first content does; filling it would be measured with the I/O.
        if place.op == IoOp::Write && self.load.verify {
            let label = self.label(place.first, generation);
            let bytes = self.sector(place.units).bytes().0 as usize;
            self.open.with_slot(slot as u32, &mut |memory| pattern::fill(&mut memory[..bytes], label));
        }
        let submitted = self.now();
        self.flights[slot] = Some(Flight { place, due, submitted, generation });
        self.in_flight += 1;
        let (at, sectors) = match place.op {
            IoOp::Flush => (Sectors::ZERO, Sectors::ZERO),
            _ => (self.sector(place.first), self.sector(place.units)),
        };
        self.open.submit(slot as u32, place.op, at, sectors);
    }

    /// A flush, when all writes have ended; it is waited for.
    fn flush(&mut self) {
        self.drain();
        self.submit(Place { op: IoOp::Flush, first: 0, units: 0 }, None);
        self.drain();
    }

    /// Waits for an I/O to end.
    fn reap(&mut self) {
        let (slot, error, at) = self.open.reap_at();
        let slot = slot as usize;
        let flight = self.flights[slot].take().expect("what is reaped was submitted");
        self.in_flight -= 1;
        self.count(&flight, error, at);
        if let Some(errno) = error {
            *self.report.errnos.entry(errno).or_default() += 1;
        }
        if !self.load.verify {
            return;
        }
        match (flight.place.op, error) {
            (IoOp::Read, None) => self.check(slot, flight.place),
            (IoOp::Write, None) => {
                self.generations.extend(flight.place.range().map(|unit| (unit, flight.generation)));
                if self.load.verify_backlog.is_some() {
                    self.backlog.extend(flight.place.range());
                }
            }
            (IoOp::Read | IoOp::Flush, _) => {}
            // What a failed write or a discard leaves behind is not known.
            _ => self.generations.retain(|unit, _| !flight.place.range().contains(unit)),
        }
    }

    /// The time between the last end and this one, as far as something was in flight. Ends are seen in their order, but
    /// perhaps late: what was submitted since is among the flights already.
    fn note_gap(&mut self, flight: &Flight, at: Nanos, ramped: Nanos) {
        let silent = at.saturating_sub(self.last_end.max(ramped));
        if self.tally.may_tell(silent) {
            let in_flight =
                self.flights.iter().flatten().map(|flight| flight.submitted).fold(flight.submitted, Nanos::min);
            self.tally.gap(in_flight.max(self.last_end).max(ramped), at);
        }
        self.last_end = self.last_end.max(at);
    }

    fn count(&mut self, flight: &Flight, error: Option<Errno>, at: Nanos) {
        let Flight { place, due, submitted, .. } = *flight;
        let ramped = Nanos(self.begin.0.saturating_add(self.load.ramp_time.0));
        if self.measures {
            self.script.phases.refresh(&mut self.marks);
            self.note_gap(flight, at, ramped);
            if at < ramped {
                return;
            }
        }
        let ended = Ended {
            op: place.op,
            bytes: self.sector(place.units).bytes().0,
            failed: error.is_some(),
            due,
            submitted,
            at,
        };
        self.tally.count(phase_at(&self.marks, at), &ended, self.measures);
    }

    /// What was read must be what was written, as far as this job has written it.
    fn check(&mut self, slot: usize, place: Place) {
        let unit = self.load.bs.min().0 as usize;
        for (index, number) in place.range().enumerate() {
            let Some(&generation) = self.generations.get(&number) else { continue };
            let label = self.label(number, generation);
            let mut result = Ok(());
            self.open.with_slot(slot as u32, &mut |memory| {
                result = pattern::check(&memory[index * unit..][..unit], label, &self.load.on);
            });
            self.report.corruption = self.report.corruption.take().or(result.err());
        }
    }

    /// Reads these units once more.
    fn read_back(&mut self, written: &BTreeSet<u64>) {
        for &unit in written {
            self.open.submit(0, IoOp::Read, self.sector(unit), self.sector(1));
            let (_, error) = self.open.reap();
            match error {
                Some(errno) => *self.report.errnos.entry(errno).or_default() += 1,
                None => self.check(0, Place { op: IoOp::Read, first: unit, units: 1 }),
            }
            if self.report.corruption.is_some() {
                return;
            }
        }
    }
}
