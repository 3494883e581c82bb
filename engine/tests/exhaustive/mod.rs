//! What the tests of the exhaustive search share: a reference that has no reductions at all and shares no code with the
//! search, and the comparison of every combination of reductions with it.
//!
//! Invariants: an [`End`] is written down by the tasks themselves, outside of the engine, so that a digest which leaves
//! something out cannot hide it; runs that a reduction cut off count for nothing.
//! Not here: the models.

#![allow(dead_code)]

pub(crate) mod program;
pub(crate) mod rigs;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use dmlab_engine::sched::explorer::search::{Performed, SearchEnd, SearchOptions, SearchReport, search};
use dmlab_engine::sched::explorer::strategy::View;
use dmlab_engine::sched::explorer::{Explorer, Limits, Shard, Strategy};
use dmlab_engine::sched::waits::StuckReport;
use dmlab_engine::sched::{Outcome, Task, TaskId};

/// What tasks saw, each for itself.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<BTreeMap<String, Vec<u64>>>>);

impl Log {
    /// `task` saw `word`.
    pub(crate) fn note(&self, task: &str, word: u64) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match log.get_mut(task) {
            Some(words) => words.push(word),
            None => drop(log.insert(task.to_owned(), vec![word])),
        }
    }

    fn take(&self) -> BTreeMap<String, Vec<u64>> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How a run ended: the outcome in words, and what each task saw.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End {
    pub(crate) outcome: String,
    pub(crate) seen: BTreeMap<String, Vec<u64>>,
}

/// What the root task is to do.
pub(crate) type Body = Box<dyn FnOnce(&Task) + Send>;
/// A model: makes a root task that writes to the log.
pub(crate) type Make<'a> = &'a (dyn Fn(Log) -> Body + Sync);

/// Limits that no model here reaches.
pub(crate) fn limits() -> Limits {
    Limits { steps_max: 10_000, interrupt: Arc::default() }
}

/// Who is stuck, and at what: a function of the state, unlike the guess who could help.
pub(crate) fn stuck(report: &StuckReport) -> String {
    let links = report.cycle.iter().chain(&report.others);
    let links: BTreeSet<String> =
        links.map(|link| format!("{} in {} {}", link.task, link.op.name(), link.object)).collect();
    links.into_iter().collect::<Vec<_>>().join(", ")
}

/// An outcome in words.
pub(crate) fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Finished => String::new(),
        Outcome::Deadlock(report) | Outcome::Hang(report) => format!("stuck: {}", stuck(report)),
        Outcome::Crash(bug) => format!("BUG: {} in {}", bug.message, bug.task),
        other => format!("{other:?}"),
    }
}

/// One run.
pub(crate) fn perform(make: Make<'_>, explorer: &mut Explorer, strategy: &mut dyn Strategy) -> Performed<End> {
    let log = Log::default();
    let result = explorer.run(strategy, make(log.clone()));
    let mut seen = log.take();
    // A crash ends a run wherever the other tasks are; which of them has come how far then is of no interest to anybody.
    if let Outcome::Crash(bug) = &result.outcome {
        seen.retain(|task, _| *task == bug.task);
    }
    let told = Some(End { outcome: words(&result.outcome), seen });
    Performed { result, told }
}

/// The plainest enumeration there is: every ready task at every step.
#[derive(Default)]
struct Plain {
    /// What there is to choose from, and which of it is taken.
    stack: Vec<(Vec<u32>, usize)>,
    depth: usize,
}

impl Plain {
    fn take(&mut self, options: impl FnOnce() -> Vec<u32>) -> u32 {
        if self.depth == self.stack.len() {
            self.stack.push((options(), 0));
        }
        let (options, taken) = &self.stack[self.depth];
        self.depth += 1;
        options[*taken]
    }

    fn next(&mut self) -> bool {
        while let Some((options, taken)) = self.stack.last_mut() {
            *taken += 1;
            if *taken < options.len() {
                return true;
            }
            self.stack.pop();
        }
        false
    }
}

impl Strategy for Plain {
    fn begin(&mut self, _run: u64) {
        self.depth = 0;
    }

    fn pick(&mut self, view: &View<'_>) -> TaskId {
        TaskId(self.take(|| view.ready().iter().map(|task| task.0).collect()))
    }

    fn choose(&mut self, _task: TaskId, options: u32) -> u32 {
        self.take(|| (0..options).collect())
    }
}

/// Every end of the model and the number of its schedules; `None` when there are more than `runs_max`.
pub(crate) fn enumerate(make: Make<'_>, timers_any: bool, runs_max: u64) -> Option<(BTreeSet<End>, u64)> {
    let mut explorer = Explorer::new(limits()).timers_any(timers_any);
    let (mut plain, mut ends, mut runs) = (Plain::default(), BTreeSet::new(), 0);
    loop {
        ends.extend(perform(make, &mut explorer, &mut plain).told);
        runs += 1;
        if !plain.next() {
            return Some((ends, runs));
        }
        if runs == runs_max {
            return None;
        }
    }
}

/// Nothing reduced.
pub(crate) fn plain() -> SearchOptions {
    SearchOptions {
        sleep_sets: false,
        releases_first: false,
        state_cache: false,
        keep_going: true,
        terminals: true,
        runs_max: u64::MAX,
        cache_bytes_max: 64 << 20,
        ..SearchOptions::default()
    }
}

/// Every combination of reductions, with a name.
pub(crate) fn ways() -> Vec<(String, SearchOptions)> {
    let mut ways = Vec::new();
    for mask in 1..8_u32 {
        let name: String = "src".chars().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1).map(|(_, c)| c).collect();
        let options = SearchOptions {
            sleep_sets: mask & 1 != 0,
            releases_first: mask & 2 != 0,
            state_cache: mask & 4 != 0,
            ..plain()
        };
        if mask & 1 == 0 {
            ways.push((format!("{name} bound"), SearchOptions { preemptions_max: Some(1000), ..options.clone() }));
        }
        ways.push((name, options));
    }
    ways.push(("bound".to_owned(), SearchOptions { preemptions_max: Some(1000), ..plain() }));
    ways
}

/// Ends of runs that were not cut off.
pub(crate) fn whole(report: &SearchReport<End>) -> BTreeSet<End> {
    report.told.iter().filter(|telling| !telling.cut).map(|telling| telling.told.clone()).collect()
}

/// What a search came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) ends: BTreeSet<End>,
    pub(crate) terminals: BTreeSet<[u64; 2]>,
    /// Runs, unless the search had to start over.
    pub(crate) runs: Option<u64>,
    pub(crate) doubt: bool,
    /// What it learnt; several where shards learnt different things.
    pub(crate) learnt: BTreeSet<[u64; 2]>,
}

/// Searches with `options`.
pub(crate) fn found(make: Make<'_>, options: &SearchOptions) -> Found {
    let run = |explorer: &mut Explorer, strategy: &mut dyn Strategy| perform(make, explorer, strategy);
    let report = search(&limits(), options, &run, &|_| ControlFlow::Continue(()));
    assert_eq!((report.end.clone(), report.bounded), (SearchEnd::Told, false), "every run tells here");
    let ends = whole(&report);
    let runs = (report.counts.restarts == 0).then_some(report.counts.runs);
    Found {
        ends,
        terminals: report.terminals,
        runs,
        doubt: report.doubt.is_some(),
        learnt: BTreeSet::from([report.learnt]),
    }
}

/// As [`found`], in `of` shards.
pub(crate) fn found_in_shards(make: Make<'_>, options: &SearchOptions, of: u64) -> Found {
    (0..of).fold(Found::default(), |mut sum, index| {
        let part = found(make, &SearchOptions { shard: Shard::new(index, of), ..options.clone() });
        sum.ends.extend(part.ends);
        sum.terminals.extend(part.terminals);
        sum.doubt |= part.doubt;
        sum.learnt.extend(part.learnt);
        sum
    })
}

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// All agree; so many schedules and ends.
    Same { runs: u64, ends: usize },
    /// Too many schedules for a plain enumeration.
    TooMany,
    /// The search says itself that it proves nothing.
    Doubt,
    /// Runs end in a `BUG`: what the other tasks would have done is not known to the search.
    Crashes,
}

/// Says how `found` differs from what there is.
fn difference(name: &str, what: &Found, there: &Found) -> Result<(), String> {
    let missed: Vec<&End> = there.ends.difference(&what.ends).collect();
    let invented: Vec<&End> = what.ends.difference(&there.ends).collect();
    let keys = (what.terminals.len(), there.terminals.len());
    let same_keys = what.terminals == there.terminals;
    if missed.is_empty() && invented.is_empty() && same_keys {
        return Ok(());
    }
    Err(format!(
        "{name}: missed {missed:?}, invented {invented:?}, {} of {} states (same: {same_keys})",
        keys.0, keys.1
    ))
}

/// Compares every way to search with a plain enumeration. `jobs` and `shards` beyond 1 are tried with `jobs_for`.
pub(crate) fn compare(
    make: Make<'_>,
    base: &SearchOptions,
    runs_max: u64,
    jobs: &[usize],
    shards: &[u64],
) -> Result<Compared, String> {
    let Some((ends, runs)) = enumerate(make, base.timers_any, runs_max) else { return Ok(Compared::TooMany) };
    let base = SearchOptions { timers_any: base.timers_any, statistics: base.statistics, ..plain() };
    let there = found(make, &base);
    if there.doubt {
        return Ok(Compared::Doubt);
    }
    if there.runs.is_some_and(|counted| counted != runs) || there.ends != ends {
        return Err(format!("the plain search: {:?} runs instead of {runs}, {:?} / {ends:?}", there.runs, there.ends));
    }
    if ends.iter().any(|end| end.outcome.starts_with("BUG")) {
        return Ok(Compared::Crashes);
    }
    if there.terminals.len() < ends.len() {
        return Err(format!("{} states at the end for {} ends: {ends:#?}", there.terminals.len(), ends.len()));
    }
    for (name, way) in ways() {
        let way = SearchOptions { timers_any: base.timers_any, statistics: base.statistics, ..way };
        for &jobs in jobs {
            let what = found(make, &SearchOptions { jobs, ..way.clone() });
            if what.doubt {
                return Ok(Compared::Doubt);
            }
            difference(&format!("{name} x{jobs}"), &what, &there)?;
        }
        for &of in shards {
            let what = found_in_shards(make, &way, of);
            // Shards that learnt different things are parts of different trees: together they prove nothing.
            if what.learnt.len() == 1 {
                difference(&format!("{name} /{of}"), &what, &there)?;
            }
        }
    }
    Ok(Compared::Same { runs, ends: ends.len() })
}
