//! The model on loom, emulated with mutex and condition variable (see [`super::emulated`]).
//!
//! Invariant: a search ends at its time bound, give or take [`SCHEDULES_PER_LOOK`] schedules.
//! Not here: seeds and bounds on schedules. loom enumerates, always in the same order.

use std::panic;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::child;
use super::emulated::LoomCv;
use super::model::{Throttle, throttle};
use super::{Bounds, Exhausted, Tally};

/// More than any run of these models takes.
const BRANCHES_MAX: usize = 100_000;
/// Schedules between two looks at the clock.
const SCHEDULES_PER_LOOK: usize = 50;

/// All schedules in loom's order, as many as fit into the time.
pub(crate) fn in_order(model: Throttle, _seed: u64, bounds: Bounds) -> Tally {
    run(model, None, bounds.time_max, &Arc::default())
}

/// All schedules, for at most `time_max`.
pub(crate) fn exhaust(model: Throttle, time_max: Duration) -> Exhausted {
    let Tally { schedules: runs, seconds, .. } = run(model, None, time_max, &Arc::default());
    // loom does not say why it stopped, but it never stops early otherwise.
    Exhausted { runs, states: None, seconds, proved: seconds < time_max.as_secs_f64() }
}

/// The first deadlock; for a child process only, which a deadlock ends.
pub(crate) fn seek(model: Throttle, _seed: u64, bounds: Bounds) -> Tally {
    seek_within(model, None, bounds.time_max)
}

/// The same among the schedules with at most two preemptions.
pub(crate) fn seek_within_two(model: Throttle, _seed: u64, bounds: Bounds) -> Tally {
    seek_within(model, Some(2), bounds.time_max)
}

fn seek_within(model: Throttle, preemptions_max: Option<usize>, time_max: Duration) -> Tally {
    let begun = Arc::new(AtomicU64::new(0));
    let (count, started) = (Arc::clone(&begun), Instant::now());
    // The last moment at which this process is in order: the destructors that follow run on stuck stacks.
    panic::set_hook(Box::new(move |info| {
        if info.payload_as_str().is_some_and(|text| text.contains("deadlock")) {
            let (schedules, seconds) = (count.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
            child::answer(&Tally { schedules, seconds, deadlock: true });
            process::exit(0);
        }
        eprintln!("{info}");
        process::exit(1);
    }));
    run(model, preemptions_max, time_max, &begun)
}

fn run(model: Throttle, preemptions_max: Option<usize>, time_max: Duration, begun: &Arc<AtomicU64>) -> Tally {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = BRANCHES_MAX;
    builder.checkpoint_interval = SCHEDULES_PER_LOOK;
    builder.max_duration = Some(time_max);
    builder.preemption_bound = preemptions_max;
    let count = Arc::clone(begun);
    let started = Instant::now();
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        throttle::<LoomCv>(&(), model);
    });
    let seconds = started.elapsed().as_secs_f64();
    Tally { schedules: begun.load(Ordering::Relaxed), seconds, deadlock: false }
}
