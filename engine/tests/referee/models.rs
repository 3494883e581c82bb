//! The models: small stories from device-mapper, each in an order that deadlocks and in one that does not.
//!
//! Invariant: a task posts, as its last act, what it has seen; so the ends tell schedules apart that no deadlock does.

use std::sync::Arc;

use super::engines::Engine;
use super::ledger::Ledger;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Model {
    /// dm-snapshot's COW throttle: writers take the lock for reading and a unit, snapshot_ctr writes, kcopyd takes the
    /// lock for reading and gives units back. `fixed`: the unit first.
    Throttle { writers: u32, loops: u32, units: u32, fixed: bool },
    /// Submitters take two of two pool elements each, a worker frees them. `fixed`: under a mutex.
    Pool { submitters: u32, fixed: bool },
    /// Two mutexes, taken in both orders, or in one (`fixed`).
    AbBa { fixed: bool },
    /// A reader that reads again under its lock while a writer may have come between. `fixed`: one after the other.
    ReadTwice { fixed: bool },
}

impl Model {
    /// How many tasks post.
    pub(crate) fn tasks(self) -> usize {
        match self {
            Self::Throttle { writers, .. } => writers as usize + 2,
            Self::Pool { submitters, .. } => submitters as usize + 1,
            Self::AbBa { .. } => 3,
            Self::ReadTwice { .. } => 2,
        }
    }

    /// One run, in the root task.
    pub(crate) fn play<E: Engine>(self, current: &E::Current, ledger: &Ledger) {
        match self {
            Self::Throttle { writers, loops, units, fixed } => {
                throttle::<E>(current, ledger, [writers, loops, units], fixed);
            }
            Self::Pool { submitters, fixed } => pool::<E>(current, ledger, submitters, fixed),
            Self::AbBa { fixed } => ab_ba::<E>(current, ledger, fixed),
            Self::ReadTwice { fixed } => read_twice::<E>(current, ledger, fixed),
        }
    }
}

/// The lock guards a generation; everybody posts those that it saw.
fn throttle<E: Engine>(current: &E::Current, ledger: &Ledger, [writers, loops, units]: [u32; 3], fixed: bool) {
    let lock = Arc::new(E::rw_sem(current, "origins_lock"));
    let units = Arc::new(E::semaphore(current, "cow_count", units));
    let jobs = Arc::new(E::semaphore(current, "jobs", 0));
    for writer in 0..writers {
        let (lock, units, jobs) = (Arc::clone(&lock), Arc::clone(&units), Arc::clone(&jobs));
        let ledger = ledger.clone();
        E::spawn(current, &format!("writer.{writer}"), move |current| {
            let mut seen = 0;
            for _ in 0..loops {
                if fixed {
                    E::down(current, &units);
                }
                seen += E::read(current, &lock, |generation| {
                    if !fixed {
                        E::down(current, &units);
                    }
                    E::up(current, &jobs);
                    generation
                });
            }
            ledger.post(2 + writer as usize, seen);
        });
    }
    let (theirs, to_post) = (Arc::clone(&lock), ledger.clone());
    E::spawn(current, "snapshot_ctr", move |current| {
        E::write(current, &theirs, |generation| *generation += 1);
        to_post.post(1, 0);
    });
    let mut seen = 0;
    for _ in 0..writers * loops {
        E::down(current, &jobs);
        seen += E::read(current, &lock, |generation| {
            E::up(current, &units);
            generation
        });
    }
    ledger.post(0, seen);
}

/// The mutex guards the number of bios sent; each submitter posts how many there were before its own.
fn pool<E: Engine>(current: &E::Current, ledger: &Ledger, submitters: u32, fixed: bool) {
    let elements = Arc::new(E::semaphore(current, "bio_set", 2));
    let bios = Arc::new(E::semaphore(current, "bios", 0));
    let [sent, whole] = ["sent", "whole"].map(|name| Arc::new(E::mutex(current, name)));
    for submitter in 0..submitters {
        let (elements, bios) = (Arc::clone(&elements), Arc::clone(&bios));
        let (sent, whole, ledger) = (Arc::clone(&sent), Arc::clone(&whole), ledger.clone());
        E::spawn(current, &format!("submitter.{submitter}"), move |current| {
            let alloc_both = || (0..2).for_each(|_| E::down(current, &elements));
            if fixed {
                E::lock(current, &whole, |_| alloc_both());
            } else {
                alloc_both();
            }
            let before = E::lock(current, &sent, |sent| {
                *sent += 1;
                *sent - 1
            });
            E::up(current, &bios);
            ledger.post(1 + submitter as usize, before);
        });
    }
    for _ in 0..submitters {
        E::down(current, &bios);
        (0..2).for_each(|_| E::up(current, &elements));
    }
    ledger.post(0, 0);
}

/// Each mutex counts its owners; everybody posts whom it came after.
fn ab_ba<E: Engine>(current: &E::Current, ledger: &Ledger, fixed: bool) {
    let locks = Arc::new(["a", "b"].map(|name| E::mutex(current, name)));
    for n in 0..2 {
        let (locks, ledger) = (Arc::clone(&locks), ledger.clone());
        E::spawn(current, ["forwards", "backwards"][n], move |current| {
            let first = if fixed { 0 } else { n };
            let count = |owners: &mut u64| {
                *owners += 1;
                *owners
            };
            let seen = E::lock(current, &locks[first], |owners| {
                10 * count(owners) + E::lock(current, &locks[1 - first], count)
            });
            ledger.post(1 + n, seen);
        });
    }
    // The root looks in from the side.
    ledger.post(0, E::lock(current, &locks[0], |owners| *owners));
}

/// The lock guards a generation; the reader posts both that it saw.
fn read_twice<E: Engine>(current: &E::Current, ledger: &Ledger, fixed: bool) {
    let lock = Arc::new(E::rw_sem(current, "lock"));
    let (theirs, to_post) = (Arc::clone(&lock), ledger.clone());
    E::spawn(current, "writer", move |current| {
        E::write(current, &theirs, |generation| *generation += 1);
        to_post.post(1, 0);
    });
    let again = || E::read(current, &lock, |generation| generation);
    let seen =
        if fixed { 10 * again() + again() } else { E::read(current, &lock, |generation| 10 * generation + again()) };
    ledger.post(0, seen);
}
