//! [`explore`]: as many schedules of one plan as its search takes: sampled by a strategy, or all of them.
//!
//! Invariants: a schedule that tells is performed again from its recorded choices and must end in the same way (the
//! double-run check; the first schedule of a search and every [`DOUBLE_RUN_EVERY`]-th are checked too); sampled counts do
//! not depend on the number of threads.
//! Not here: what is wrong with a schedule (the caller says), what the whole is worth (`crate::campaign`).

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dmlab_engine::sched::digest::Statistics;
use dmlab_engine::sched::explorer::search::{
    Performed, SearchEnd, SearchOptions, SearchProgress as EngineProgress, SearchReport, search,
};
use dmlab_engine::sched::explorer::{
    BatchReport, Campaign, Choice, Choices, Explorer, Limits, Pct, Portfolio, Pos, Ran, Random, Shard, Strategy, Urw,
};
use dmlab_engine::sched::{Outcome, RunResult};
use dmlab_scenarios::{self as scenarios, Comparison};

use super::play::Play;
use super::stage::{ExplorerStage, Found, same_end};
use crate::backend::Performance;
use crate::plan::Plan;
use crate::tally::Tally;
use crate::watch::OnProgress;

/// Every n-th schedule is performed twice, to see whether it is deterministic.
const DOUBLE_RUN_EVERY: u64 = 1000;

/// PCT's depth where it is asked for by name: starved helpers take two changes of priority.
const PCT_DEPTH: u32 = 3;

/// Bounds that an open-ended search by preemptions goes through before it gives up finding its end.
const BOUND_MAX: u32 = 64;

/// A schedule, performed.
pub struct Seen {
    /// How it ended.
    pub result: RunResult,
    /// What it found out.
    pub performance: Performance,
}

/// What there is to say of a schedule.
#[derive(Clone, Debug, Default)]
pub struct Note {
    /// It ends the search, unless that is to go on.
    pub tells: bool,
    /// The signature of its deadlock.
    pub deadlock: Option<String>,
}

/// Says what there is to say of a schedule.
type Look<'a> = &'a (dyn Fn(&Seen) -> Note + Sync);

/// The first schedule that told.
pub struct Told {
    /// Its number, from 1.
    pub number: u64,
    /// What it came to.
    pub seen: Seen,
    /// The same once more, in words; `None` when it was another one: dmlab itself is at fault.
    pub again: Option<Found>,
}

/// Why a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// As many schedules as were asked for, or all there are.
    Done,
    /// The interrupt flag.
    Interrupted,
    /// The time is up.
    Time,
    /// Another reason why a search that was to be exhaustive is not, in words.
    GivenUp(String),
}

/// What came of a search.
pub struct Explored {
    /// Why it ended.
    pub end: End,
    /// The first schedule that told.
    pub told: Option<Told>,
    /// The first schedule of all.
    pub first: Option<Seen>,
    /// States that were told apart, where somebody did.
    pub states: Option<u64>,
    /// Schedules that were cut off because they lead nowhere new.
    pub pruned: Option<u64>,
    /// Choices on the deepest path, where somebody counted them.
    pub depth_max: Option<u64>,
    /// Preemptions up to which everything was covered; `None` where nothing was kept out.
    pub up_to: Option<u32>,
    /// Locks that were taken in circular order.
    pub lock_order: Vec<String>,
    /// Stands for what an exhaustive search learnt of conflicts ([`SearchReport::learnt`]).
    pub learnt: Option<[u64; 2]>,
}

/// Searches the schedules of `plan`, each of which `look` says what there is to say of, and which `tally` counts.
pub fn explore(
    plan: &Plan,
    interrupt: &Arc<AtomicBool>,
    look: Look<'_>,
    tally: &Mutex<Tally>,
    on_progress: OnProgress<'_>,
) -> Explored {
    let limits = Limits { steps_max: plan.scenario.steps_max, interrupt: Arc::clone(interrupt) };
    // No instant is that far away: whoever has so much time has no bound.
    let within = |time| Instant::now().checked_add(time);
    let budget = plan.scenario.budget.wall.and_then(|wall| within(Duration::from_nanos(wall.0)));
    let deadline = plan.explore.time.and_then(within).into_iter().chain(budget).min();
    let search = Search { plan, limits, deadline, look, tally, on_progress, first: Mutex::new(None) };
    if plan.explore.strategy.can_prove() { search.all() } else { search.sample() }
}

struct Search<'a> {
    plan: &'a Plan,
    limits: Limits,
    deadline: Option<Instant>,
    look: Look<'a>,
    tally: &'a Mutex<Tally>,
    on_progress: OnProgress<'a>,
    first: Mutex<Option<Seen>>,
}

/// A schedule that told, as the thread that performed it hands it over.
struct Telling {
    seen: Seen,
    choices: Vec<Choice>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Search<'_> {
    fn shard(&self) -> Shard {
        self.plan
            .explore
            .shard
            .map_or(Shard::WHOLE, |shard| Shard::new(u64::from(shard.index) - 1, u64::from(shard.of)))
    }

    fn perform(&self, explorer: &mut Explorer, strategy: &mut dyn Strategy, run: u64) -> Seen {
        let play = Play::new(&self.plan.scenario, self.plan.variants, self.plan.seed, false, None);
        let there = Arc::clone(&play);
        let result = explorer.run_nth(run, strategy, move |current| there.perform(current));
        Seen { result, performance: play.result() }
    }

    /// The double-run check: whether the schedule that `explorer` performed last ends in the same way once more.
    fn is_repeatable(&self, explorer: &mut Explorer, seen: &Seen) -> bool {
        let mut choices = Choices::new(explorer.choices());
        let mut again = Explorer::new(self.limits.clone()).timers_any(self.plan.explore.timers_any);
        let second = self.perform(&mut again, &mut choices, 0);
        // An interrupt may come in the second run alone.
        second.result.outcome == Outcome::Interrupted
            || (!choices.diverged
                && second.result.steps == seen.result.steps
                && same_end(&seen.result.outcome, &second.result.outcome))
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn told(&self, number: u64, telling: Telling) -> Told {
        let Telling { seen, choices } = telling;
        let found = ExplorerStage::new(self.plan, &Arc::default()).take(choices);
        let same = |found: &Found| {
            same_end(&seen.result.outcome, &found.result.outcome) && seen.result.steps == found.result.steps
        };
        Told { number, again: found.filter(same), seen }
    }

    fn why_stopped(&self) -> End {
        if self.limits.interrupt.load(Ordering::Relaxed) { End::Interrupted } else { End::Time }
    }

    fn keep_first(&self, seen: Seen) {
        locked(&self.first).get_or_insert(seen);
    }

    fn sample(&self) -> Explored {
        let plan = &self.plan.explore;
        let campaign = Campaign {
            jobs: plan.jobs,
            shard: self.shard(),
            runs_max: plan.bounds().0,
            limits: self.limits.clone(),
            timers_any: plan.timers_any,
        };
        let stop = AtomicBool::new(false);
        let lock_order = Mutex::new(BTreeSet::new());
        let run_one = |explorer: &mut Explorer, strategy: &mut dyn Strategy, run: u64| {
            let seen = self.perform(explorer, strategy, run);
            lock_order.lock().unwrap_or_else(PoisonError::into_inner).extend(explorer.lock_order_findings());
            if self.is_late() {
                stop.store(true, Ordering::Relaxed);
            }
            let interrupted = seen.result.outcome == Outcome::Interrupted;
            let note = if interrupted { Note::default() } else { (self.look)(&seen) };
            let repeatable =
                !run.is_multiple_of(DOUBLE_RUN_EVERY) || interrupted || self.is_repeatable(explorer, &seen);
            let steps = seen.result.steps;
            let kept =
                Kept { counts: !interrupted, steps, deadlock: note.deadlock, pools: seen.performance.pools.clone() };
            let told = (note.tells || !repeatable).then(|| (explorer.choices(), repeatable));
            // Only what is told, and the first of all, is looked at again.
            let told = told.map(|(choices, repeatable)| (Telling { seen, choices }, repeatable));
            Ran { steps, note: kept, told }
        };
        let mut told = None;
        let mut stopped = false;
        campaign.explore(
            &stop,
            || self.strategy(),
            run_one,
            |batch: BatchReport<'_, Kept, (Telling, bool)>| {
                let mut tally = locked(self.tally);
                stopped |= batch.stopped;
                for (run, kept) in batch.notes.into_iter().filter(|(_, kept)| kept.counts) {
                    tally.take_in(run + 1, kept.steps, kept.deadlock, kept.pools);
                }
                let left = (!plan.time_alone).then(|| plan.schedules as f64 - tally.schedules as f64);
                (self.on_progress)(&tally.progress(0, left));
                drop(tally);
                if let Some((run, (telling, repeatable))) = batch.told
                    && told.is_none()
                {
                    let mut first = self.told(run + 1, telling);
                    first.again = first.again.filter(|_| repeatable);
                    told = Some(first);
                }
                if told.is_some() && !plan.keep_going { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        if told.is_none() {
            // Whoever told nothing was not kept: the first schedule once more, for what the record says of a pass.
            let mut explorer = Explorer::new(self.limits.clone()).timers_any(plan.timers_any);
            self.keep_first(self.perform(&mut explorer, &mut *self.strategy(), 0));
        }
        let end = if stopped && told.is_none() { self.why_stopped() } else { End::Done };
        let first = locked(&self.first).take();
        let lock_order = lock_order.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect();
        Explored {
            end,
            told,
            first,
            states: None,
            pruned: None,
            depth_max: None,
            up_to: None,
            lock_order,
            learnt: None,
        }
    }

    fn strategy(&self) -> Box<dyn Strategy> {
        let seed = self.plan.seed.derive("strategy");
        match self.plan.explore.strategy {
            scenarios::Strategy::Random => Box::new(Random::new(seed)),
            scenarios::Strategy::Pct => Box::new(Pct::new(seed, PCT_DEPTH)),
            scenarios::Strategy::Pos => Box::new(Pos::new(seed)),
            scenarios::Strategy::Urw => Box::new(Urw::new(seed)),
            scenarios::Strategy::Portfolio | scenarios::Strategy::Exhaustive | scenarios::Strategy::Icb => {
                Box::new(Portfolio::new(seed))
            }
        }
    }

    /// Everything, or everything within one bound on preemptions after the other.
    fn all(&self) -> Explored {
        let bounds: Vec<Option<u32>> = match (self.plan.explore.strategy, self.plan.explore.bound) {
            (scenarios::Strategy::Icb, bound) => (0..=bound.unwrap_or(BOUND_MAX)).map(Some).collect(),
            _ => vec![None],
        };
        let (mut states, mut pruned, mut runs, mut depth_max) = (0, 0, 0, 0);
        // Of all bounds: what is told at a low one needs few preemptions.
        let (mut told, mut lock_order) = (None, BTreeSet::new());
        let mut last = None;
        for bound in bounds {
            let mut report = self.search(bound, runs);
            let first = report.told.drain(..).next();
            told = told.or_else(|| first.map(|telling| (runs + telling.run, telling.told)));
            lock_order.extend(report.lock_order.drain(..));
            let counts = report.counts;
            (states, depth_max) = (states.max(counts.states), depth_max.max(counts.depth_max));
            (pruned, runs) = (pruned + counts.pruned, runs + counts.runs);
            let covered = matches!(report.end, SearchEnd::Exhausted | SearchEnd::Told);
            let over = !covered || !report.bounded || (told.is_some() && !self.plan.explore.keep_going);
            last = Some((bound, report));
            if over {
                break;
            }
        }
        let (bound, report) = last.expect("there is a bound to begin with");
        let told = told.map(|(number, telling)| self.told(number, telling));
        let end = match (report.end, report.doubt) {
            (SearchEnd::Exhausted | SearchEnd::Told, None) => End::Done,
            (SearchEnd::Exhausted | SearchEnd::Told, Some(doubt)) => End::GivenUp(doubt),
            (SearchEnd::Stopped, _) => self.why_stopped(),
            (SearchEnd::RunsMax, _) => End::GivenUp(format!("given up after {runs} schedules")),
            (SearchEnd::CacheFull { states }, _) => End::GivenUp(format!("cache full at {states} states")),
            (SearchEnd::TooManyTasks, _) => End::GivenUp("more than 64 tasks".to_owned()),
            (SearchEnd::StepLimit, _) => {
                End::GivenUp(format!("a schedule is longer than {} operations", self.limits.steps_max))
            }
        };
        Explored {
            end,
            told,
            first: locked(&self.first).take(),
            states: Some(states),
            pruned: Some(pruned),
            depth_max: Some(depth_max),
            up_to: bound.filter(|_| report.bounded),
            lock_order: lock_order.into_iter().collect(),
            learnt: Some(report.learnt),
        }
    }

    fn search(&self, preemptions_max: Option<u32>, runs_before: u64) -> SearchReport<Telling> {
        let plan = &self.plan.explore;
        let options = SearchOptions {
            preemptions_max,
            cache_bytes_max: plan.cache_bytes_max,
            runs_max: plan.bounds().1.saturating_sub(runs_before),
            jobs: plan.jobs,
            shard: self.shard(),
            timers_any: plan.timers_any,
            statistics: self.statistics(),
            keep_going: plan.keep_going,
            ..SearchOptions::default()
        };
        let model = |explorer: &mut Explorer, strategy: &mut dyn Strategy| {
            let seen = self.perform(explorer, strategy, 0);
            let (result, interrupted) = (seen.result.clone(), seen.result.outcome == Outcome::Interrupted);
            if interrupted {
                return Performed { result, told: None };
            }
            let note = (self.look)(&seen);
            let number = {
                let mut tally = locked(self.tally);
                let number = tally.schedules;
                tally.take_in(number + 1, result.steps, note.deadlock, seen.performance.pools.clone());
                number
            };
            let tells = note.tells || (number.is_multiple_of(DOUBLE_RUN_EVERY) && !self.is_repeatable(explorer, &seen));
            let told = if tells {
                Some(Telling { seen, choices: explorer.choices() })
            } else {
                self.keep_first(seen);
                None
            };
            Performed { result, told }
        };
        let on_progress = |progress: &EngineProgress| {
            let counts = progress.counts;
            let todo = (progress.done > 0.0).then(|| counts.runs as f64 * (1.0 - progress.done) / progress.done);
            (self.on_progress)(&locked(self.tally).progress(counts.states, todo));
            if self.is_late() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        search(&self.limits, &options, &model, &on_progress)
    }

    /// Which counts that decide nothing in a run any expectation is about: two states that differ in them are then two.
    fn statistics(&self) -> Statistics {
        let expect = &self.plan.scenario.expect;
        let counts = |name: &str| matches!(name, "slab_failures" | "pool_waits");
        Statistics {
            peaks: expect.iter().any(|expectation| !expectation.peak.is_empty()),
            counts: expect.iter().any(|expectation| {
                let bounded = expectation.counters.iter().map(|(name, _)| name.as_str());
                bounded.chain(expectation.relations.iter().flat_map(Comparison::counters)).any(counts)
            }),
        }
    }
}

/// What is kept of every sampled schedule.
struct Kept {
    /// It was not cut short.
    counts: bool,
    steps: u64,
    deadlock: Option<String>,
    pools: Vec<crate::backend::PoolUse>,
}
