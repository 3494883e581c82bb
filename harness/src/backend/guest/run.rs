//! Runs cells in guests: one kernel after the other or beside each other, as many boots as it takes.
//!
//! Invariants: each cell of each kernel has one record, whatever becomes of the guest that was to run it; a guest whose
//! kernel is broken runs no further cell, another boot goes on behind it; at most [`GUESTS_MAX`] run at once.
//! Not here: one boot (`boot`), files of failures (`bundle`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dmlab_results::{CellRecord, Verdict};
use dmlab_scenarios::{DeviceKind, Document};
use dmlab_units::Seed;

use super::GuestError;
use super::boot::Guests;
use super::bundle::Bundle;
use super::console::Console;
use super::job::{Cells, Event, Job, Named};
use super::supervisor::{End, Ended, Then};
use crate::cycles;
use crate::detect::kmsg::scan;
use crate::detect::tasks::{StuckTask, hung_tasks};
use crate::kernels::Kernel;
use crate::script::Errand;

/// Guests at once.
pub const GUESTS_MAX: usize = 2;

/// Lines of the console that a report shows.
const CONSOLE_LINES: usize = 20;

/// The axis of kernels in records.
pub const KERNEL_AXIS: &str = "kernel";

/// What came of a kernel, by its place in the list.
type OfKernel = (usize, Result<Vec<CellRecord>, GuestError>);

/// What is to be run in guests.
pub struct Tour<'a> {
    /// What guests share.
    pub guests: &'a Guests,
    /// On which kernels.
    pub kernels: &'a [Kernel],
    /// Which scenarios.
    pub documents: &'a [Arc<Document>],
    /// What is done beside the steps of some of them, by their files.
    pub errands: &'a BTreeMap<String, Errand>,
    /// `--variant`.
    pub overrides: &'a [(String, String)],
    /// The run's seed.
    pub seed: Seed,
    /// Where failures are kept, if anywhere.
    pub artefacts: Option<&'a Path>,
    /// Ends it.
    pub interrupt: &'a Arc<AtomicBool>,
}

impl Tour<'_> {
    /// The records of all cells, kernel by kernel in their order. `on_cell` hears of what begins.
    ///
    /// # Errors
    /// No guest could be started at all.
    pub fn run(&self, on_cell: &(dyn Fn(String) + Sync)) -> Result<Vec<CellRecord>, GuestError> {
        let cells = Cells::of(self.documents, self.errands, self.overrides, self.seed);
        let devices_mib = devices_mib(self.documents);
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<OfKernel>> = Mutex::default();
        let at_once = thread::available_parallelism().map_or(1, |cpus| cpus.get() / 2).clamp(1, GUESTS_MAX);
        thread::scope(|scope| {
            for _ in 0..at_once.min(self.kernels.len()) {
                scope.spawn(|| {
                    while let Some((at, kernel)) = take(&next, self.kernels) {
                        let visit = Visit::new(self, kernel, on_cell);
                        let records = visit.run(&cells, devices_mib);
                        results.lock().unwrap_or_else(PoisonError::into_inner).push((at, records));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(at, _)| *at);
        let mut records = Vec::new();
        for (_, of_kernel) in results {
            records.extend(of_kernel?);
        }
        Ok(records)
    }
}

fn take<'a>(next: &AtomicUsize, kernels: &'a [Kernel]) -> Option<(usize, &'a Kernel)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((at, kernels.get(at)?))
}

/// The memory that the devices of the largest cell take, in MiB.
fn devices_mib(documents: &[Arc<Document>]) -> u64 {
    let of_device = |kind: &DeviceKind| match kind {
        DeviceKind::Ram(size) => size.0,
        // A loop device over memory, as large as it is written.
        DeviceKind::File(file) if file.path.is_none() => file.size.0,
        _ => 0,
    };
    let of_document = |document: &Arc<Document>| {
        let scenarios = document.cells().into_iter().filter_map(|cell| document.scenario(&cell).ok());
        scenarios.map(|scenario| scenario.devices.iter().map(|device| of_device(&device.kind)).sum::<u64>()).max()
    };
    documents.iter().filter_map(of_document).max().unwrap_or(0) >> 20
}

/// One kernel's part of a tour.
struct Visit<'a> {
    tour: &'a Tour<'a>,
    kernel: &'a Kernel,
    on_cell: &'a (dyn Fn(String) + Sync),
    /// All cells, once the first guest has told.
    cells: Vec<Named>,
    /// The first cell that has no record.
    next: usize,
    /// The cell that runs, and since when.
    open: Option<(usize, Instant)>,
    bundle: Bundle,
    /// Who was stuck when it ended badly.
    stuck: Vec<StuckTask>,
    fatal: Option<String>,
    records: Vec<CellRecord>,
}

impl<'a> Visit<'a> {
    fn new(tour: &'a Tour<'a>, kernel: &'a Kernel, on_cell: &'a (dyn Fn(String) + Sync)) -> Self {
        Self {
            tour,
            kernel,
            on_cell,
            cells: Vec::new(),
            next: 0,
            open: None,
            bundle: Bundle::default(),
            stuck: Vec::new(),
            fatal: None,
            records: Vec::new(),
        }
    }

    fn run(mut self, cells: &Cells, devices_mib: u64) -> Result<Vec<CellRecord>, GuestError> {
        loop {
            let before = self.next;
            (self.on_cell)(format!("booting {}", self.kernel.name));
            let job = Job::Run(cells.starting(self.next));
            let guests = self.tour.guests;
            let interrupt = self.tour.interrupt;
            let kernel = self.kernel;
            let ended =
                guests.boot(kernel, &job, devices_mib, interrupt, &mut |event, console| self.hear(event, console))?;
            if interrupt.load(Ordering::Relaxed) {
                return Ok(self.records);
            }
            let end = self.fatal.take().map_or(ended.end.clone(), End::Fatal);
            match self.open.take() {
                Some((cell, since)) => self.fell(cell, since.elapsed(), &end, &ended),
                None if self.is_complete() => return Ok(self.records),
                None if self.next == before => return Ok(self.give_up(&end, &ended)),
                None => {}
            }
            if self.is_complete() {
                return Ok(self.records);
            }
        }
    }

    fn is_complete(&self) -> bool {
        !self.cells.is_empty() && self.next >= self.cells.len()
    }

    fn hear(&mut self, event: Event, console: &Console) -> Then {
        match event {
            Event::Hello { .. } | Event::Beat { .. } | Event::Bye => {}
            Event::Cells { cells } => self.cells = cells,
            Event::Begin { cell } => {
                self.open = Some((cell, Instant::now()));
                self.bundle = Bundle::begin(console);
                self.stuck.clear();
                let name = self.cells.get(cell).map(|named| named.scenario.as_str()).unwrap_or_default();
                (self.on_cell)(format!("{name} [{}]", self.kernel.name));
            }
            Event::Stuck { tasks } => self.stuck = tasks,
            Event::Artefact { name, text } => self.bundle.add(name, text),
            Event::Fatal { why } => self.fatal = Some(why),
            Event::End { cell, record, spoiled } => {
                self.open = None;
                self.next = cell + 1;
                let mut record = *record;
                "guest".clone_into(&mut record.backend);
                record.variant.push((KERNEL_AXIS.to_owned(), self.kernel.name.clone()));
                self.keep(record, console);
                if spoiled {
                    return Then::Stop;
                }
            }
        }
        Then::GoOn
    }

    /// The guest ended while this cell ran.
    fn fell(&mut self, cell: usize, time: Duration, end: &End, ended: &Ended) {
        self.next = cell + 1;
        let (verdict, mut report) = verdict_of(end, &ended.console);
        if ended.damaged > 0 {
            report.push_str(&format!("\n{} frames were damaged on their way", ended.damaged));
        }
        let Some(named) = self.cells.get(cell) else { return };
        let mut record = blank(named, self.kernel, verdict, report);
        record.wall_ns = Some(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        if self.stuck.is_empty() {
            // A guest that says nothing more may have had its kernel say who is stuck.
            self.stuck = hung_tasks(&scan(&ended.console.text()));
        }
        self.keep(record, &ended.console);
    }

    /// No cell comes up on this kernel: each has a record that says so.
    fn give_up(mut self, end: &End, ended: &Ended) -> Vec<CellRecord> {
        let report = format!(
            "the guest did not come up to run it: {}\n{}",
            end.in_words(),
            ended.console.death().unwrap_or_else(|| ended.console.last(CONSOLE_LINES))
        );
        if self.cells.is_empty() {
            let of_document = |document: &Arc<Document>| Named {
                scenario: document.id().to_owned(),
                variant: Vec::new(),
                expected: Verdict::Pass.to_string(),
                seed: self.tour.seed.0,
            };
            self.cells = self.tour.documents.iter().map(of_document).collect();
        }
        let verdict = if matches!(end, End::Fatal(_)) { Verdict::Panic } else { Verdict::Error };
        for named in &self.cells[self.next.min(self.cells.len())..] {
            self.records.push(blank(named, self.kernel, verdict, report.clone()));
        }
        self.records
    }

    /// Says of tasks that are stuck whether they are those of the engine's deadlock.
    fn compare(&mut self, record: &mut CellRecord, bundle: &mut Bundle) {
        let tasks = std::mem::take(&mut self.stuck);
        let document = self.tour.documents.iter().find(|document| document.id() == record.scenario);
        let Some(document) = document.filter(|_| record.verdict.is_stuck()) else { return };
        (self.on_cell)(format!("{}: the engine's deadlocks, to compare [{}]", record.scenario, self.kernel.name));
        let cell: Vec<(String, String)> =
            record.variant.iter().filter(|(axis, _)| axis != KERNEL_AXIS).cloned().collect();
        let compared = cycles::compare(document, &cell, &self.kernel.release, &tasks, self.tour.interrupt);
        if let Some(compared) = compared {
            let text = compared.in_words();
            append(record, &text);
            bundle.add("cycle.txt".to_owned(), format!("{text}\n"));
            record.cycle = Some(compared.to_record());
        }
    }

    /// Keeps a record, and of a failure what was found.
    fn keep(&mut self, mut record: CellRecord, console: &Console) {
        let mut bundle = std::mem::take(&mut self.bundle);
        self.compare(&mut record, &mut bundle);
        if let Some(folder) = self.tour.artefacts.filter(|_| !record.ok) {
            let kept = match bundle.write(folder, &record, console) {
                Ok(path) => format!("what was found is in {}", path.display()),
                Err(why) => format!("what was found could not be kept {why}"),
            };
            append(&mut record, &kept);
        }
        self.records.push(record);
    }
}

/// Puts a text behind the others of a report.
fn append(record: &mut CellRecord, text: &str) {
    let report = record.report.get_or_insert_default();
    if !report.is_empty() {
        report.push('\n');
    }
    report.push_str(text);
}

/// What a guest's end says of the cell that ran.
fn verdict_of(end: &End, console: &Console) -> (Verdict, String) {
    let verdict = match end {
        End::Panicked => Verdict::Crash,
        End::Silent(_) | End::Stalled(_) | End::Flooded(_) => Verdict::Hang,
        End::Fatal(_) => Verdict::Panic,
        End::NoBoot(_) | End::Died(_) | End::Done | End::OutOfMemory => Verdict::Error,
        End::Stopped => Verdict::Skip,
    };
    let shown = console.death().unwrap_or_else(|| console.last(CONSOLE_LINES));
    (verdict, format!("the guest: {}\n{shown}", end.in_words()))
}

/// The record of a cell of which nothing is known but its end.
fn blank(named: &Named, kernel: &Kernel, verdict: Verdict, report: String) -> CellRecord {
    let ok = named.expected == verdict.as_str();
    let mut variant = named.variant.clone();
    variant.push((KERNEL_AXIS.to_owned(), kernel.name.clone()));
    CellRecord {
        scenario: named.scenario.clone(),
        variant,
        backend: "guest".to_owned(),
        runtime: "threads".to_owned(),
        seed: named.seed,
        plan: serde_json::Value::Null,
        expected: named.expected.clone(),
        expected_strength: None,
        verdict,
        ok,
        mismatches: if ok { Vec::new() } else { vec![format!("verdict {verdict}, expected {}", named.expected)] },
        report: Some(report),
        trace_file: None,
        wall_ns: None,
        virtual_ns: None,
        exploration: None,
        loads: Vec::new(),
        pools: Vec::new(),
        counters: Default::default(),
        entry_order: Vec::new(),
        cycle: None,
        trace: None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::backend::guest::{Accel, Patience};
    use crate::kernels::Tools;

    fn named(n: u32) -> Named {
        let variant = vec![("n".to_owned(), n.to_string())];
        let expected = if n == 1 { "crash" } else { "pass" }.to_owned();
        Named { scenario: "a/b".to_owned(), variant, expected, seed: 7 }
    }

    fn ended(end: End, printed: &str) -> Ended {
        let mut console = Console::default();
        console.feed(printed.as_bytes());
        Ended { end, console, boot: None, damaged: 0 }
    }

    /// Gives a visit of three cells, the second of which is expected to crash, to `body`.
    fn visit(artefacts: Option<&Path>, body: impl FnOnce(Visit<'_>)) {
        visit_of(&[], artefacts, body);
    }

    /// The same, of these scenarios.
    fn visit_of(documents: &[Arc<Document>], artefacts: Option<&Path>, body: impl FnOnce(Visit<'_>)) {
        let tools = Tools::default();
        let guests = Guests { tools, cache: PathBuf::new(), patience: Patience::DEFAULT, accel: Accel::Tcg };
        let kernel = Kernel {
            name: "6.1".to_owned(),
            release: "6.1.0".to_owned(),
            image: PathBuf::new(),
            modules: None,
            origin: String::new(),
        };
        let interrupt = Arc::default();
        let tour = Tour {
            guests: &guests,
            kernels: std::slice::from_ref(&kernel),
            documents,
            errands: &BTreeMap::new(),
            overrides: &[],
            seed: Seed(1),
            artefacts,
            interrupt: &interrupt,
        };
        let quiet = |_: String| {};
        let mut visit = Visit::new(&tour, &kernel, &quiet);
        visit.hear(Event::Cells { cells: (0..3).map(named).collect() }, &Console::default());
        body(visit);
    }

    #[test]
    fn a_guest_that_ends_in_a_cell_gives_that_cell_its_verdict() {
        let panicked = "[1.0] kernel BUG at x.c:1!\n[1.1] Kernel panic - not syncing: Fatal exception\n";
        let quiet = Duration::from_secs(9);
        let cases = [
            (End::Panicked, Verdict::Crash, "kernel BUG at x.c:1!"),
            (End::Silent(quiet), Verdict::Hang, "it was silent for 9 s"),
            (End::Stalled(quiet), Verdict::Hang, "nothing moved for 9 s"),
            (End::Flooded(7), Verdict::Hang, "it flooded its console: 7 bytes"),
            (End::Died("signal: 9".to_owned()), Verdict::Error, "the emulator ended: signal: 9"),
            (End::OutOfMemory, Verdict::Error, "its memory was used up"),
            (End::Fatal("no root".to_owned()), Verdict::Panic, "no root"),
        ];
        for (end, verdict, told) in cases {
            visit(None, |mut visit| {
                assert_eq!(visit.hear(Event::Begin { cell: 0 }, &Console::default()), Then::GoOn);
                visit.fell(0, Duration::from_secs(1), &end, &ended(end.clone(), panicked));
                let [record] = &visit.records[..] else { panic!("one record") };
                assert_eq!((record.verdict, record.ok, visit.next), (verdict, false, 1), "{end:?}");
                assert_eq!(record.variant_text(), "n=0 kernel=6.1");
                assert!(record.report.as_ref().unwrap().contains(told), "{record:?}");
            });
        }
    }

    /// The kernel's report of snapshot/cow-throttle on 6.12 with the semaphore put back.
    const HUNG: &str = include_str!("../../detect/texts/cow-semaphore-hung.txt");

    /// The record of that cell when the guest has told of these tasks, and what its bundle says of them.
    fn stuck(tasks: Vec<StuckTask>) -> (CellRecord, Option<String>) {
        let entry = dmlab_scenarios::catalog().iter().find(|entry| entry.id() == "snapshot/cow-throttle").unwrap();
        let document = Document::parse(entry.path, entry.text).unwrap_or_else(|found| panic!("{found}"));
        let variant = [("cow_throttle", "semaphore"), ("threshold", "1")];
        let named = Named {
            scenario: entry.id().to_owned(),
            variant: variant.map(|(axis, value)| (axis.to_owned(), value.to_owned())).to_vec(),
            expected: "pass".to_owned(),
            seed: 1,
        };
        let folder = tempfile::tempdir().unwrap();
        let mut found = None;
        visit_of(&[Arc::new(document)], Some(folder.path()), |mut visit| {
            let mut record = blank(&named, visit.kernel, Verdict::Deadlock, "tasks wait for each other".to_owned());
            record.variant.pop();
            visit.hear(Event::Begin { cell: 0 }, &Console::default());
            visit.hear(Event::Stuck { tasks }, &Console::default());
            visit.hear(Event::End { cell: 0, record: Box::new(record), spoiled: true }, &Console::default());
            found = visit.records.pop();
        });
        let folder = folder.path().join("snapshot-cow-throttle_cow_throttle-semaphore_threshold-1_kernel-6.1");
        assert!(folder.is_dir(), "a failure is kept");
        (found.unwrap(), std::fs::read_to_string(folder.join("cycle.txt")).ok())
    }

    #[test]
    fn a_deadlock_says_whether_it_is_the_engines_in_its_report_in_the_record_and_in_the_bundle() {
        let mut tasks = hung_tasks(&scan(HUNG));
        for (same, told) in [(true, "the same cycle as the engine's: "), (false, "not the engine's cycle: ")] {
            let (record, kept) = stuck(tasks.clone());
            let report = record.report.unwrap();
            assert!(report.starts_with("tasks wait for each other\n") && report.contains(told), "{report}");
            assert_eq!(record.cycle.map(|cycle| cycle.same), Some(same));
            assert!(kept.unwrap().contains(told));
            // Without the one who would give the semaphore back it is another one.
            tasks.retain(|task| task.work.is_none());
        }
        let (record, kept) = stuck(Vec::new());
        assert_eq!((record.cycle, kept), (None, None), "nobody was stuck, so there is nothing to compare");
    }

    #[test]
    fn a_crash_that_was_expected_is_as_expected() {
        visit(None, |mut visit| {
            visit.fell(1, Duration::from_secs(1), &End::Panicked, &ended(End::Panicked, "BUG: x\n"));
            assert!(visit.records[0].ok && visit.records[0].mismatches.is_empty());
        });
    }

    #[test]
    fn cells_behind_one_that_spoils_the_kernel_wait_for_another_boot() {
        visit(None, |mut visit| {
            let record = Box::new(blank(&named(0), visit.kernel, Verdict::Deadlock, String::new()));
            let then = visit.hear(Event::End { cell: 0, record, spoiled: true }, &Console::default());
            assert_eq!((then, visit.next, visit.is_complete()), (Then::Stop, 1, false));
        });
    }

    #[test]
    fn a_kernel_on_which_nothing_comes_up_is_an_error_of_every_cell_with_the_end_of_its_console() {
        visit(None, |mut visit| {
            visit.next = 1;
            let end = End::NoBoot(Duration::from_secs(60));
            let records = visit.give_up(&end, &ended(end.clone(), "[0.5] the last line\n"));
            assert_eq!(records.len(), 2);
            for record in records {
                assert_eq!((record.verdict, record.ok), (Verdict::Error, false));
                let report = record.report.unwrap();
                assert!(report.contains("it hung while it booted") && report.contains("the last line"), "{report}");
            }
        });
    }

    #[test]
    fn what_was_found_of_a_failure_is_kept_in_a_folder_of_its_own_that_the_report_names() {
        let folder = tempfile::tempdir().unwrap();
        visit(Some(folder.path()), |mut visit| {
            for _ in 0..2 {
                visit.hear(Event::Begin { cell: 0 }, &Console::default());
                let artefact = Event::Artefact { name: "../stacks.txt".to_owned(), text: "a stack".to_owned() };
                visit.hear(artefact, &Console::default());
                visit.fell(0, Duration::from_secs(1), &End::Panicked, &ended(End::Panicked, "BUG: x\n"));
            }
            for (record, name) in visit.records.iter().zip(["a-b_n-0_kernel-6.1", "a-b_n-0_kernel-6.1-2"]) {
                let path = folder.path().join(name);
                assert!(record.report.as_ref().unwrap().ends_with(&format!("what was found is in {}", path.display())));
                assert_eq!(std::fs::read_to_string(path.join("stacks.txt")).unwrap(), "a stack");
                assert_eq!(std::fs::read_to_string(path.join("console.txt")).unwrap(), "BUG: x\n");
            }
        });
    }
}
