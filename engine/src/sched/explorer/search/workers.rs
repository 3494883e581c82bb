//! [`search`]: the search as a whole: several workers that share what is left, starting over when too much was believed,
//! and what is to be said in the end.
//!
//! Whoever has nothing left asks; whoever has choices left gives one away, the one nearest to the root.
//!
//! Invariants: with one worker the same model gives the same search, run by run; the search ends when no worker has
//! anything left, or when one of them says why it must.
//! Not here: the search itself (`frames`).

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::super::super::outcome::Outcome;
use super::super::driver::{Explorer, Limits};
use super::super::tracker::Classes;
use super::cache::Cache;
use super::frames::{Cut, Dfs, Prefix, Way};
use super::{Model, SearchCounts, SearchEnd, SearchOptions, SearchProgress, SearchReport, Telling};

/// Runs between two reports of progress, and between two looks for somebody who has nothing to do.
const RUNS_PER_LOOK: u64 = 64;

/// What all workers of one attempt share.
struct Shared<'a, T> {
    options: &'a SearchOptions,
    cache: Arc<Cache>,
    board: Mutex<Board<T>>,
    work: Condvar,
    stop: AtomicBool,
    hungry: AtomicU64,
    runs: AtomicU64,
}

/// What workers tell each other.
struct Board<T> {
    open: Vec<Prefix>,
    busy: usize,
    end: Option<SearchEnd>,
    classes: Classes,
    changed: bool,
    counts: SearchCounts,
    bounded: bool,
    polls: bool,
    told: Vec<Telling<T>>,
    lock_order: BTreeSet<String>,
    terminals: BTreeSet<[u64; 2]>,
}

impl<T> Shared<'_, T> {
    fn board(&self) -> MutexGuard<'_, Board<T>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, board: &mut Board<T>, end: SearchEnd) {
        board.end.get_or_insert(end);
        self.stop.store(true, Ordering::Relaxed);
        self.work.notify_all();
    }

    /// The next part to search; `None` when there is nothing left for anybody.
    fn next(&self) -> Option<Prefix> {
        let mut board = self.board();
        board.busy -= 1;
        self.hungry.fetch_add(1, Ordering::Relaxed);
        loop {
            let over = self.stop.load(Ordering::Relaxed) || (board.open.is_empty() && board.busy == 0);
            if let Some(prefix) = board.open.pop().filter(|_| !over) {
                board.busy += 1;
                self.hungry.fetch_sub(1, Ordering::Relaxed);
                return Some(prefix);
            }
            if over {
                self.work.notify_all();
                return None;
            }
            board = self.work.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Searches `model`. `on_progress` is called now and then, by whichever worker; what it returns ends the search.
pub fn search<T: Send>(
    limits: &Limits,
    options: &SearchOptions,
    model: &impl Model<T>,
    on_progress: &(dyn Fn(&SearchProgress) -> ControlFlow<()> + Sync),
) -> SearchReport<T> {
    let mut classes = Classes::new(options.releases_first);
    let mut before = SearchCounts::default();
    let mut lock_order = BTreeSet::new();
    loop {
        let board = Board {
            open: vec![Prefix::default()],
            busy: options.jobs.max(1),
            end: None,
            classes: classes.clone(),
            changed: false,
            counts: before,
            bounded: false,
            polls: false,
            told: Vec::new(),
            lock_order: std::mem::take(&mut lock_order),
            terminals: BTreeSet::new(),
        };
        let shared = Shared {
            options,
            cache: Arc::new(Cache::new(options.cache_bytes_max)),
            board: Mutex::new(board),
            work: Condvar::new(),
            stop: AtomicBool::new(false),
            hungry: AtomicU64::new(0),
            runs: AtomicU64::new(before.runs),
        };
        std::thread::scope(|scope| {
            for _ in 1..options.jobs {
                scope.spawn(|| work(&shared, limits, &classes, model, on_progress));
            }
            work(&shared, limits, &classes, model, on_progress);
        });
        let states = shared.cache.states();
        let mut board = shared.board.into_inner().unwrap_or_else(PoisonError::into_inner);
        board.counts.states = states;
        if board.changed && board.end.is_none() {
            classes = board.classes;
            classes.take_changed();
            lock_order = board.lock_order;
            before = SearchCounts { restarts: board.counts.restarts + 1, states: 0, ..board.counts };
            continue;
        }
        return report(board);
    }
}

fn report<T>(mut board: Board<T>) -> SearchReport<T> {
    let unordered = board.classes.unordered().map(|class| {
        format!("tasks that are woken together touch {class}: their order is none of the search's choices")
    });
    let polls = board.polls.then(|| "the model polls (cond_resched in a loop)".to_owned());
    let end = board.end.unwrap_or(if board.told.is_empty() { SearchEnd::Exhausted } else { SearchEnd::Told });
    board.told.sort_by_key(|telling| telling.run);
    SearchReport {
        end,
        bounded: board.bounded,
        counts: board.counts,
        told: board.told,
        doubt: unordered.or(polls),
        lock_order: board.lock_order.into_iter().collect(),
        terminals: board.terminals,
        contended: board.classes.contended(),
        learnt: board.classes.fingerprint(),
    }
}

/// One worker.
fn work<T: Send>(
    shared: &Shared<'_, T>,
    limits: &Limits,
    classes: &Classes,
    model: &impl Model<T>,
    on_progress: &(dyn Fn(&SearchProgress) -> ControlFlow<()> + Sync),
) {
    let options = shared.options;
    let way = Way {
        sleep_sets: options.sleep_sets && options.preemptions_max.is_none(),
        releases_first: options.releases_first,
        state_cache: options.state_cache,
        preemptions_max: options.preemptions_max,
        shard: options.shard,
    };
    let mut explorer = Explorer::tracking(limits.clone(), options.timers_any, options.statistics);
    explorer.with_tracker(|tracker| *tracker.classes_mut() = classes.clone());
    let mut own = Own::default();
    while let Some(prefix) = shared.next() {
        let mut dfs = Dfs::new(way, Arc::clone(&shared.cache), prefix);
        loop {
            own.run(shared, &mut explorer, &mut dfs, model);
            if own.since_look >= RUNS_PER_LOOK || shared.hungry.load(Ordering::Relaxed) > 0 {
                own.look(shared, limits, &mut dfs, on_progress);
            }
            if shared.stop.load(Ordering::Relaxed) || !dfs.backtrack() {
                break;
            }
        }
        own.bounded |= dfs.bounded;
    }
    let mut board = shared.board();
    own.hand_in(&mut board);
    board.bounded |= own.bounded;
    board.lock_order.extend(explorer.lock_order_findings());
    explorer.with_tracker(|tracker| {
        board.polls |= tracker.polls();
        board.classes.merge(tracker.classes());
    });
}

/// What a worker has counted and not handed in yet.
#[derive(Default)]
struct Own {
    counts: SearchCounts,
    since_look: u64,
    bounded: bool,
    terminals: BTreeSet<[u64; 2]>,
}

impl Own {
    fn run<T: Send>(&mut self, shared: &Shared<'_, T>, explorer: &mut Explorer, dfs: &mut Dfs, model: &impl Model<T>) {
        // Before it is performed: several workers must not all take the last one.
        let number = shared.runs.fetch_add(1, Ordering::Relaxed) + 1;
        if number > shared.options.runs_max {
            shared.end(&mut shared.board(), SearchEnd::RunsMax);
            return;
        }
        let performed = model(explorer, dfs);
        let (changed, terminal) = explorer.with_tracker(|tracker| {
            dfs.finish(tracker.print());
            (tracker.classes_mut().take_changed(), tracker.key())
        });
        self.since_look += 1;
        self.counts.runs += 1;
        self.counts.steps += performed.result.steps;
        self.counts.depth_max = self.counts.depth_max.max(dfs.choices());
        self.counts.pruned += u64::from(dfs.cut().is_some());
        let end = match (dfs.cut(), &performed.result.outcome) {
            _ if performed.told.is_some() => (!shared.options.keep_going).then_some(SearchEnd::Told),
            (Some(Cut::CacheFull), _) => Some(SearchEnd::CacheFull { states: shared.cache.states() }),
            (Some(Cut::TooManyTasks), _) => Some(SearchEnd::TooManyTasks),
            (_, Outcome::Interrupted) => Some(SearchEnd::Stopped),
            (None, Outcome::StepLimit { .. } | Outcome::Livelock { .. }) => Some(SearchEnd::StepLimit),
            _ => None,
        };
        if shared.options.terminals && dfs.cut().is_none() {
            self.terminals.insert(terminal.key());
        }
        if performed.told.is_none() && !changed && end.is_none() {
            return;
        }
        let mut board = shared.board();
        if let Some(told) = performed.told {
            let cut = dfs.cut().is_some();
            board.told.push(Telling { run: number, choices: explorer.choices(), cut, told });
        }
        if let Some(end) = end {
            shared.end(&mut board, end);
        } else if changed {
            // What was explored under the old belief is void.
            board.changed = true;
            shared.stop.store(true, Ordering::Relaxed);
            shared.work.notify_all();
        }
    }

    fn look<T>(
        &mut self,
        shared: &Shared<'_, T>,
        limits: &Limits,
        dfs: &mut Dfs,
        on_progress: &(dyn Fn(&SearchProgress) -> ControlFlow<()> + Sync),
    ) {
        let mut board = shared.board();
        if shared.hungry.load(Ordering::Relaxed) > board.open.len() as u64
            && let Some(prefix) = dfs.split()
        {
            board.open.push(prefix);
            shared.work.notify_one();
        }
        if self.since_look < RUNS_PER_LOOK {
            return;
        }
        self.since_look = 0;
        self.hand_in(&mut board);
        let counts = SearchCounts { states: shared.cache.states(), ..board.counts };
        let flow = on_progress(&SearchProgress { counts, done: dfs.done() });
        if flow.is_break() || limits.interrupt.load(Ordering::Relaxed) {
            shared.end(&mut board, SearchEnd::Stopped);
        }
    }

    fn hand_in<T>(&mut self, board: &mut Board<T>) {
        let SearchCounts { runs, pruned, steps, depth_max, .. } = std::mem::take(&mut self.counts);
        board.counts.runs += runs;
        board.counts.pruned += pruned;
        board.counts.steps += steps;
        board.counts.depth_max = board.counts.depth_max.max(depth_max);
        board.terminals.append(&mut self.terminals);
    }
}
