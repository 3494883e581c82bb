//! The bench in a process of its own, for searches that end in a deadlock: loom aborts its process upon one, and shuttle
//! says several lines about each on stderr, whatever it is told.
//!
//! Invariants: a child answers one line per search, `deadlock` or `none` with the schedules and the seconds; a child
//! that fails is a panic here, with all that it said.
//! Not here: what is searched (the bench's `main` finds it by name).

use std::process::Command;

use super::model::Throttle;
use super::{Bounds, Tally};

/// The first argument of a child.
pub(crate) const CHILD: &str = "--child";

/// Starts a child that searches the buggy `model` once per seed, with what the bench calls `name`.
pub(crate) fn ask(name: &str, model: Throttle, seeds: u64, bounds: Bounds) -> Vec<Tally> {
    assert!(!model.fixed, "a child searches for deadlocks");
    let numbers = [u64::from(model.writers), u64::from(model.loops), u64::from(model.units), seeds];
    let time_max = u64::try_from(bounds.time_max.as_millis()).unwrap_or(u64::MAX);
    let program = std::env::current_exe().expect("the bench knows its own file");
    let output = Command::new(program)
        .args([CHILD, name])
        .args(numbers.map(|number| number.to_string()))
        .args([bounds.schedules_max, time_max].map(|number| number.to_string()))
        // A backtrace per deadlock would take longer than the search.
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("the bench can be started again");
    let told = String::from_utf8_lossy(&output.stdout);
    let complain = |why: &str| -> ! {
        let errors = String::from_utf8_lossy(&output.stderr);
        panic!("the child for {name} {why}: {}, stdout {told:?}, stderr {errors}", output.status)
    };
    if !output.status.success() {
        complain("failed");
    }
    let tally = |line: &str| -> Option<Tally> {
        let words: Vec<&str> = line.split(' ').collect();
        let [verdict, schedules, seconds] = words[..] else { return None };
        let deadlock = ["none", "deadlock"].iter().position(|known| *known == verdict)? == 1;
        Some(Tally { schedules: schedules.parse().ok()?, seconds: seconds.parse().ok()?, deadlock })
    };
    let tallies: Option<Vec<Tally>> = told.lines().map(tally).collect();
    match tallies {
        Some(tallies) if tallies.len() as u64 == seeds => tallies,
        _ => complain("did not answer as it should"),
    }
}

/// What a child is to do: the name, the model, the number of seeds and the bounds that [`ask`] passed.
///
/// # Panics
/// When the arguments are not those of [`ask`].
pub(crate) fn asked(arguments: &[String]) -> (&str, Throttle, u64, Bounds) {
    let [name, numbers @ ..] = arguments else { panic!("{CHILD} wants a name") };
    let number = |text: &String| text.parse().unwrap_or_else(|_| panic!("{CHILD}: {text:?} is no number"));
    let numbers: Vec<u64> = numbers.iter().map(number).collect();
    let [writers, loops, units, seeds, schedules_max, millis] = numbers[..] else {
        panic!("{CHILD} wants writers, loops, units, seeds, schedules and milliseconds, not {numbers:?}")
    };
    let model = Throttle::buggy(writers as u32, loops as u32, units as u32);
    (name, model, seeds, Bounds { schedules_max, time_max: std::time::Duration::from_millis(millis) })
}

/// Prints a child's answer to one search.
pub(crate) fn answer(tally: &Tally) {
    let verdict = if tally.deadlock { "deadlock" } else { "none" };
    println!("{verdict} {} {}", tally.schedules, tally.seconds);
}
