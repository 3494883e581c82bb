//! Every way to search gives the same: one model of each kind of trouble, searched with every combination of reductions,
//! with one, two and three workers, whole and in shards, against a plain enumeration.
//!
//! Verified: ends as the tasks themselves saw them, and states at the end. Not here: random models
//! (`search_programs.rs`), how searches end (`search_ends.rs`).

mod exhaustive;

use std::sync::Arc;

use dmlab_engine::sched::Task;
use dmlab_engine::sched::digest::Statistics;
use dmlab_engine::sched::explorer::search::SearchOptions;
use dmlab_engine::sync::{RwSem, Semaphore, Variable};

use exhaustive::program::{Do, Program};
use exhaustive::{Body, Compared, Log, Make, compare, enumerate, plain};

/// More schedules than any model here has.
const RUNS_MAX: u64 = 200_000;

/// All ways agree, and the model has so many ends.
#[track_caller]
fn agree(make: Make<'_>, base: &SearchOptions, ends: usize) {
    match compare(make, base, RUNS_MAX, &[1, 2, 3], &[2, 3]) {
        Ok(Compared::Same { ends: there, .. }) => {
            assert_eq!(there, ends, "{:#?}", enumerate(make, base.timers_any, RUNS_MAX));
        }
        other => panic!("{other:?}"),
    }
}

/// Pools healthy, one unit in each semaphore, ordered workqueues.
fn program(tasks: Vec<Vec<Do>>) -> Program {
    Program {
        units: [1; 2],
        allocators: [0; 2],
        active: [1, 2],
        no_workers: [0; 2],
        works: Vec::new(),
        tasks,
        data: false,
    }
}

#[track_caller]
fn program_agrees(program: &Program, ends: usize) {
    agree(&|log| program.body(log), &plain(), ends);
}

fn lock(n: u8, inside: Vec<Do>) -> Do {
    Do::Lock(n, inside)
}

#[test]
fn two_mutexes_in_both_orders() {
    let abba = vec![vec![lock(0, vec![lock(1, vec![])])], vec![lock(1, vec![lock(0, vec![])])]];
    program_agrees(&program(abba.clone()), 2);
    let data = Program { data: true, ..program(abba) };
    program_agrees(&data, 3);
}

#[test]
fn trylocks_see_whether_a_mutex_was_given_back() {
    let task = || vec![Do::TryLock(0, vec![Do::Count(0)]), Do::TryLock(0, vec![])];
    program_agrees(&program(vec![task(), task()]), 12);
}

#[test]
fn a_writer_between_a_reader_and_itself() {
    let recursive = vec![Do::Read(0, vec![Do::Read(0, vec![])])];
    program_agrees(&program(vec![recursive.clone(), vec![Do::Write(0, vec![])], vec![Do::Read(0, vec![])]]), 3);
    let data =
        Program { data: true, ..program(vec![recursive, vec![Do::Write(0, vec![])], vec![Do::Write(0, vec![])]]) };
    program_agrees(&data, 9);
}

#[test]
fn units_of_a_semaphore_taken_for_good_or_for_a_try() {
    let user = || vec![Do::Down(0), Do::Up(0)];
    let tries = Program { units: [2, 0], ..program(vec![user(), user(), vec![Do::DownTry(0), Do::DownTry(0)]]) };
    program_agrees(&tries, 7);
    let across = program(vec![vec![Do::Down(0), Do::Down(1)], vec![Do::Down(1), Do::Down(0), Do::Up(0)]]);
    program_agrees(&across, 3);
}

#[test]
fn a_pool_whose_elements_are_freed_by_others() {
    for allocator in 0..4 {
        let tasks = vec![vec![Do::Stash(0, true), Do::Alloc(0, true, vec![])], vec![Do::Count(0), Do::FreeStashed(0)]];
        program_agrees(&Program { allocators: [allocator; 2], ..program(tasks) }, 2);
    }
    let impatient = vec![
        vec![Do::Alloc(0, false, vec![Do::Count(0)])],
        vec![Do::Alloc(0, true, vec![Do::Alloc(0, false, vec![])])],
    ];
    program_agrees(&Program { allocators: [1; 2], ..program(impatient) }, 2);
    let healed = vec![vec![Do::Stash(0, true), Do::Stash(0, true)], vec![Do::SetAllocator(0, 0)]];
    program_agrees(&Program { allocators: [1; 2], ..program(healed) }, 1);
}

#[test]
fn statistics_of_a_pool_are_states_where_they_are_wanted() {
    let tasks = vec![vec![Do::Alloc(0, true, vec![])], vec![Do::Alloc(0, true, vec![])]];
    for allocator in [0, 1, 2] {
        let program = Program { allocators: [allocator; 2], ..program(tasks.clone()) };
        agree(
            &|log| program.body(log),
            &SearchOptions { statistics: Statistics { peaks: true, counts: true }, ..plain() },
            1,
        );
    }
}

#[test]
fn a_retry_of_a_pool_races_with_a_free() {
    let tasks = vec![vec![Do::Stash(0, true), Do::FreeStashed(0)], vec![Do::Alloc(0, true, vec![])]];
    let program = Program { allocators: [3; 2], ..program(tasks) };
    agree(&|log| program.body(log), &SearchOptions { timers_any: true, ..plain() }, 1);
}

#[test]
fn work_items_one_or_two_at_a_time_and_without_workers() {
    let works = vec![vec![Do::Count(0)], vec![Do::Up(1)]];
    for (queue, ends) in [(0, 2), (1, 6)] {
        let tasks = vec![vec![Do::Queue(queue, 0), Do::Flush(queue)], vec![Do::Queue(queue, 1)]];
        program_agrees(&Program { works: works.clone(), ..program(tasks) }, ends);
    }
    let rescued = vec![vec![Do::Queue(0, 0), Do::Drain(0)], vec![Do::Queue(0, 0)]];
    program_agrees(&Program { works, no_workers: [1, 0], ..program(rescued) }, 4);
}

#[test]
fn completions_with_several_on_either_side() {
    let wait = || vec![Do::Wait(0), Do::Get(0)];
    program_agrees(
        &program(vec![wait(), vec![Do::Complete(0), Do::Count(0), Do::Set(0, 7)], vec![Do::Complete(0)]]),
        2,
    );
    program_agrees(&program(vec![wait(), wait(), vec![Do::Complete(0), Do::Count(0)]]), 2);
    program_agrees(&program(vec![vec![Do::Wait(0), Do::Wait(0)], vec![Do::CompleteAll(0)], vec![Do::Complete(0)]]), 1);
}

#[test]
fn a_wait_queue_with_a_condition_elsewhere() {
    let waker = vec![Do::Count(0), Do::WakeUp(0)];
    program_agrees(&program(vec![vec![Do::WaitEvent(0)], waker.clone()]), 1);
    // Whoever wakes first and counts then may be missed.
    program_agrees(&program(vec![vec![Do::WaitEvent(0)], vec![Do::WakeUp(0), Do::Count(0)]]), 2);
}

#[test]
fn readers_of_a_domain_around_publish_and_synchronize() {
    let reader = || vec![Do::ReadWith(0, vec![Do::Get(0)])];
    program_agrees(&program(vec![reader(), reader(), vec![Do::Publish(0, 2), Do::Synchronize(0), Do::Set(0, 7)]]), 9);
}

/// Both orders of the lock lead to the same state, and only after one of them is the look ordered after the change.
#[test]
fn a_race_that_only_one_of_two_ways_into_a_state_shows_is_seen() {
    let changes = vec![Do::Section(0), Do::Set(0, 7), Do::Lock(0, vec![])];
    let looks = vec![Do::Lock(0, vec![]), Do::Section(1), Do::Get(0)];
    program_agrees(&program(vec![changes.clone(), looks.clone()]), 2);
    program_agrees(&program(vec![looks, changes]), 2);
}

#[test]
fn the_last_reference_is_dropped_by_whoever_comes_last() {
    program_agrees(&program(vec![vec![Do::RefPut(0), Do::Count(0)], vec![Do::Count(0), Do::RefPut(0)]]), 3);
    program_agrees(&program(vec![vec![Do::RefGet(0), Do::RefPut(0)], vec![Do::RefPut(0)], vec![Do::Count(0)]]), 1);
}

#[test]
fn choices_of_tasks_and_tasks_of_tasks() {
    let chooses = vec![Do::Choose(3), Do::Count(0)];
    program_agrees(&program(vec![chooses, vec![Do::Count(0), Do::Choose(2)]]), 12);
    let spawns = vec![Do::Count(0), Do::Spawn(vec![Do::Count(0), Do::Spawn(vec![Do::Count(0)])])];
    program_agrees(&program(vec![spawns, vec![Do::Count(0)]]), 4);
    // A child that touches something before its first operation does so in its parent's step.
    program_agrees(
        &program(vec![vec![Do::Choose(2), Do::Spawn(vec![Do::Set(0, 7)])], vec![Do::Count(1), Do::Get(0)]]),
        4,
    );
}

#[test]
fn what_a_woken_task_touches_belongs_to_the_step_that_wakes_it() {
    let waits = vec![Do::Wait(0), Do::Get(0)];
    program_agrees(
        &program(vec![waits, vec![Do::CompleteAll(0), Do::Publish(1, 2), Do::Set(0, 8)], vec![Do::Count(0)]]),
        2,
    );
}

#[test]
fn two_readers_are_in_no_order_although_the_first_has_given_back() {
    let tasks = vec![vec![Do::Write(1, vec![Do::Read(0, vec![])])], vec![Do::Read(0, vec![Do::Write(1, vec![])])]];
    program_agrees(&Program { data: true, ..program(tasks) }, 2);
    let tasks = vec![vec![Do::ReadWith(0, vec![])], vec![Do::ReadWith(0, vec![]), Do::Publish(0, 2)]];
    program_agrees(&program(tasks), 2);
}

/// The throttle of copy-on-write jobs, before (`fixed == false`) and after the fix.
fn throttle(log: Log, fixed: bool) -> Body {
    Box::new(move |current: &Task| {
        let runtime = current.runtime();
        let lock = Arc::new(RwSem::new(runtime, "origins_lock", ()));
        let units = Arc::new(Semaphore::new(runtime, "cow_count", 1));
        let jobs = Arc::new(Semaphore::new(runtime, "jobs", 0));
        let (there, cows, started) = (Arc::clone(&lock), Arc::clone(&units), Arc::clone(&jobs));
        current.spawn("writer", move |current| {
            for job in 0..2 {
                if fixed {
                    cows.down(current);
                }
                let _read = there.read(current);
                if !fixed {
                    cows.down(current);
                }
                started.up(current);
                log.note(current.name(), job);
            }
        });
        let there = Arc::clone(&lock);
        current.spawn("snapshot_ctr", move |current| drop(there.write(current)));
        for _ in 0..2 {
            jobs.down(current);
            let _read = lock.read(current);
            units.up(current);
        }
    })
}

#[test]
fn the_throttle_before_and_after_its_fix() {
    agree(&|log| throttle(log, false), &plain(), 2);
    agree(&|log| throttle(log, true), &plain(), 1);
}

#[test]
fn an_update_is_lost_between_a_look_and_a_change() {
    let lost = |log: Log| -> Body {
        Box::new(move |current: &Task| {
            let total = Arc::new(Variable::new(current.runtime(), "total", 0));
            for n in 0..3 {
                let (total, log) = (Arc::clone(&total), log.clone());
                current.spawn(["adder.0", "adder.1", "adder.2"][n], move |current| {
                    current.choose("the only way", 1);
                    let before = total.get();
                    current.choose("the only way", 1);
                    total.set(before + 1);
                    log.note("total", total.get());
                });
            }
        })
    };
    agree(&lost, &plain(), 5);
}
