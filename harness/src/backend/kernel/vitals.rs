//! [`Vitals`]: what each flow of control of a performance is doing, and since when: what detectors look at, and what
//! reports of hangs tell.
//!
//! Invariants: a flow writes down what it is about to wait for before it does; progress counts whatever began or ended,
//! so that two equal counts mean that nothing happened between.
//! Not here: what the kernel says of a task (detectors find it by the flow's `tid`).

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::stage::locked;

/// A flow of control: an OS thread.
#[derive(Clone, Debug)]
pub struct Flow {
    /// As the scenario calls it; `main` is the scenario's own list of steps.
    pub name: String,
    /// Its task in the kernel: `/proc/self/task/<tid>/stack`, `…/wchan`, `…/stat`.
    pub tid: i32,
    /// Line of the step that it carries out; 0 before the first.
    pub line: u32,
    /// What it is in, e.g. `suspend t` or `2 I/Os on t`; empty between operations.
    pub doing: String,
    /// Since when.
    pub since: Instant,
    /// Whether it has ended.
    pub ended: bool,
}

/// As a line of a report.
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.doing.is_empty() { "between two operations" } else { &self.doing };
        let place = if self.line == 0 { String::new() } else { format!("line {}: ", self.line) };
        write!(f, "{} (tid {}): {place}{what}, for {:.1} s", self.name, self.tid, self.since.elapsed().as_secs_f64())
    }
}

/// The flows of one performance.
#[derive(Debug, Default)]
pub struct Vitals {
    flows: Mutex<Vec<Flow>>,
    progress: AtomicU64,
}

impl Vitals {
    /// All flows, in the order in which they began.
    pub fn flows(&self) -> Vec<Flow> {
        locked(&self.flows).clone()
    }

    /// A number that grows with everything that begins or ends.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// The flows that have not ended, longest at the same thing first, a line each.
    pub fn report(&self) -> String {
        let mut flows: Vec<Flow> = self.flows().into_iter().filter(|flow| !flow.ended).collect();
        flows.sort_by_key(|flow| flow.since);
        flows.iter().map(|flow| format!("{flow}\n")).collect()
    }

    pub(super) fn enter(&self, name: &str) -> usize {
        self.note_progress();
        let mut flows = locked(&self.flows);
        flows.push(Flow {
            name: name.to_owned(),
            tid: super::sys::gettid(),
            line: 0,
            doing: String::new(),
            since: Instant::now(),
            ended: false,
        });
        flows.len() - 1
    }

    pub(super) fn change(&self, flow: usize, change: impl FnOnce(&mut Flow)) {
        self.note_progress();
        let mut flows = locked(&self.flows);
        flows[flow].since = Instant::now();
        change(&mut flows[flow]);
    }

    /// Writes down what is waited for, without progress: asked again and again, it is still the same wait.
    pub(super) fn waits(&self, flow: usize, what: &str) {
        let mut flows = locked(&self.flows);
        if flows[flow].doing != what {
            flows[flow].since = Instant::now();
            flows[flow].doing = what.to_owned();
        }
    }

    pub(super) fn name(&self, flow: usize) -> String {
        locked(&self.flows)[flow].name.clone()
    }

    pub(super) fn note_progress(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }
}
