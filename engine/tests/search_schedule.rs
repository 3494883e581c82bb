//! Tasks that do something between asking for what they must wait for and sleeping: the kernel's `schedule()` calling plug
//! callbacks, here `TaskLocal::schedule`. What they wait for may be granted meanwhile, and does not come before what they
//! do there.
//!
//! Verified: every way to search gives what a plain enumeration gives, where what is done there are operations. Not here:
//! looks at shared words that are none (`TaskLocal::schedule` must not do that), what dm does there (the scenarios
//! `bio/offload-on-schedule` and `bio/hidden-list`).

mod exhaustive;

use std::any::Any;
use std::sync::Arc;

use dmlab_engine::sched::{Task, TaskLocal};
use dmlab_engine::sync::{Mutex, Semaphore, SpinSection};

use exhaustive::{Body, Compared, Log, Make, compare, enumerate, plain};

/// More schedules than any model here has.
const RUNS_MAX: u64 = 200_000;

/// What is done when the task is about to sleep.
struct Callback(Box<dyn Fn(&Task)>);

impl TaskLocal for Callback {
    fn schedule(&self, current: &Task) {
        (self.0)(current);
    }

    fn is_called_back(&self) -> bool {
        true
    }

    fn keeps(&self) -> Vec<String> {
        Vec::new()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn before_sleeping(current: &Task, callback: impl Fn(&Task) + 'static) {
    current.local(|| Callback(Box::new(callback)));
}

/// All ways agree, and the model has so many ends.
#[track_caller]
fn agree(make: Make<'_>, ends: usize) {
    match compare(make, &plain(), RUNS_MAX, &[1, 2], &[2, 3]) {
        Ok(Compared::Same { ends: there, .. }) => assert_eq!(there, ends, "{:#?}", enumerate(make, false, RUNS_MAX)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_task_sees_before_it_sleeps_does_not_come_after_what_wakes_it() {
    let make = |log: Log| -> Body {
        Box::new(move |current: &Task| {
            let runtime = current.runtime();
            let (ready, data) = (Semaphore::new(runtime, "ready", 0), SpinSection::new(runtime, "data", 0));
            let shared = Arc::new((ready, data));
            let (waiting, log) = (Arc::clone(&shared), log.clone());
            current.spawn("waiter", move |current| {
                let (looking, noting) = (Arc::clone(&waiting), log.clone());
                before_sleeping(current, move |current| noting.note("waiter", looking.1.with(current, |data| *data)));
                waiting.0.down(current);
                log.note("waiter", 10 + waiting.1.with(current, |data| *data));
            });
            shared.1.with(current, |data| *data += 1);
            shared.0.up(current);
            shared.1.with(current, |data| *data += 1);
        })
    };
    // Without sleeping: 1 or 2 afterwards. With: 0, 1 or 2 before, and then 1 or 2, but not less than before.
    agree(&make, 2 + 5);
}

#[test]
fn what_is_given_back_before_sleeping_can_undo_a_deadlock() {
    let make = |undo: bool| {
        move |_: Log| -> Body {
            Box::new(move |current: &Task| {
                let runtime = current.runtime();
                let (lock, given) = (Mutex::new(runtime, "lock", ()), Semaphore::new(runtime, "given", 0));
                let shared = Arc::new((lock, given));
                let holding = Arc::clone(&shared);
                current.spawn("holder", move |current| {
                    let _held = holding.0.lock(current);
                    holding.1.down(current);
                });
                let giving = Arc::clone(&shared);
                let once = std::cell::Cell::new(undo);
                before_sleeping(current, move |current| {
                    if once.replace(false) {
                        giving.1.up(current);
                    }
                });
                drop(shared.0.lock(current));
                if undo {
                    shared.1.up(current);
                }
            })
        }
    };
    // The holder is stuck if nobody ever gives, with the lock in hand or behind the other.
    agree(&make(true), 1);
    agree(&make(false), 2);
}
