//! Going wrong on purpose, in each of the ways that the supervisor is there for.
//!
//! Invariant: no drill ends by itself, but for a panic, which ends the machine.
//! Not here: what must come of them (the tests of guests).

use std::fs;
use std::io::Write;
use std::thread;
use std::time::Duration;

use super::line::Line;
use crate::backend::guest::job::{Drill, Event, Job};

/// Whether this job sends no beats.
pub(super) fn is_silent(job: &Job) -> bool {
    *job == Job::Drill(Drill::Silence)
}

/// What goes wrong before the host is told that `/init` runs.
pub(super) fn before_hello(drill: Drill) {
    if drill == Drill::HangInBoot {
        hang();
    }
}

/// Goes wrong, in a cell of its own.
pub(super) fn go_wrong(drill: Drill, line: &Line) -> Result<(), String> {
    line.tell(&Event::Begin { cell: 0 });
    match drill {
        Drill::Panic => {
            fs::write("/proc/sysrq-trigger", "c").map_err(|error| format!("/proc/sysrq-trigger: {error}"))?;
            hang()
        }
        Drill::Flood => loop {
            let mut console = fs::File::create("/dev/console").map_err(|error| format!("/dev/console: {error}"))?;
            while console.write_all(&[b'#'; 4096]).is_ok() {}
        },
        Drill::InitPanics => panic!("a drill"),
        Drill::HangInBoot | Drill::Stall | Drill::Silence => hang(),
    }
}

fn hang() -> ! {
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}
