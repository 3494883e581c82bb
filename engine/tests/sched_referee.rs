//! An outside referee: the same models under dmlab's explorer and under shuttle must have the same possible ends.
//!
//! Each task of a model posts what it has seen when it ends; an *end* is what all tasks have posted, with a gap for each
//! one that is stuck. On models small enough both engines run every schedule and the two sets of ends must be equal; on
//! larger ones a deadlock must be within the reach of both or of neither. An engine with other rules than ours shows
//! that both comparisons can fail.
//! Not here: the primitives' rules one by one (their own property tests), time, pools, workqueues.

mod referee;

use std::collections::BTreeSet;

use referee::engines::{InTurn, Order, Overtaking};
use referee::ledger::{End, is_stuck};
use referee::models::Model;
use referee::searches::{SCHEDULES_RANDOM, all_on_dmlab, all_on_shuttle, some_on_dmlab, some_on_shuttle};

const fn throttle(writers: u32, loops: u32, units: u32, fixed: bool) -> Model {
    Model::Throttle { writers, loops, units, fixed }
}

fn deadlocks(ends: &BTreeSet<End>) -> bool {
    ends.iter().any(is_stuck)
}

/// The ends of all schedules, which are those of both engines.
fn same_ends<O: Order>(model: Model) -> Result<BTreeSet<End>, String> {
    let (dmlab, shuttle) = (all_on_dmlab(model), all_on_shuttle::<O>(model));
    let only = |these: &BTreeSet<End>, those| these.difference(those).cloned().collect::<Vec<_>>();
    if dmlab == shuttle {
        Ok(dmlab)
    } else {
        let (ours, theirs) = (only(&dmlab, &shuttle), only(&shuttle, &dmlab));
        Err(format!("{model:?}: only dmlab ends with {ours:?}, only shuttle with {theirs:?}"))
    }
}

/// Whether a deadlock is within the reach of random schedules, of both engines' or of neither's.
fn same_reach<O: Order>(model: Model) -> Result<bool, String> {
    match (deadlocks(&some_on_dmlab(model)), deadlocks(&some_on_shuttle::<O>(model))) {
        (dmlab, shuttle) if dmlab == shuttle => Ok(dmlab),
        (true, _) => Err(format!("{model:?}: only dmlab deadlocks in {SCHEDULES_RANDOM} schedules")),
        (false, _) => Err(format!("{model:?}: only shuttle deadlocks in {SCHEDULES_RANDOM} schedules")),
    }
}

#[test]
fn every_schedule_of_a_small_model_ends_alike_in_both_engines() {
    // With the number of ends and whether one is a deadlock: a throttle of one unit cannot block its only writer.
    let models = [
        (Model::ReadTwice { fixed: true }, 3, false),
        (Model::ReadTwice { fixed: false }, 3, true),
        (Model::AbBa { fixed: true }, 6, false),
        (Model::AbBa { fixed: false }, 8, true),
        (throttle(1, 1, 1, true), 3, false),
        (throttle(1, 1, 1, false), 3, false),
        (Model::Pool { submitters: 2, fixed: false }, 3, true),
    ];
    for (model, count, deadlock) in models {
        let ends = same_ends::<InTurn>(model).unwrap_or_else(|difference| panic!("{difference}"));
        assert_eq!((ends.len(), deadlocks(&ends)), (count, deadlock), "{model:?}: {ends:?}");
    }
}

#[test]
fn a_deadlock_is_within_the_reach_of_both_engines_or_of_neither() {
    for fixed in [false, true] {
        let models = [throttle(2, 2, 1, fixed), Model::Pool { submitters: 3, fixed }, Model::AbBa { fixed }];
        for model in models {
            assert_eq!(same_reach::<InTurn>(model), Ok(!fixed));
        }
    }
}

#[test]
fn what_shuttle_finds_at_random_is_among_all_that_dmlab_finds() {
    for model in [throttle(1, 2, 1, false), throttle(1, 2, 1, true), Model::Pool { submitters: 2, fixed: true }] {
        let (all, some) = (all_on_dmlab(model), some_on_shuttle::<InTurn>(model));
        assert!(some.is_subset(&all), "{model:?}: {some:?} is not within {all:?}");
    }
}

#[test]
fn an_engine_in_which_readers_overtake_writers_is_told_apart() {
    let difference = same_ends::<Overtaking>(Model::ReadTwice { fixed: false }).unwrap_err();
    assert!(difference.contains("only dmlab ends with [[None, None]], only shuttle with []"), "{difference}");
    let difference = same_reach::<Overtaking>(throttle(2, 2, 1, false)).unwrap_err();
    assert!(difference.ends_with("only dmlab deadlocks in 1500 schedules"), "{difference}");
}
