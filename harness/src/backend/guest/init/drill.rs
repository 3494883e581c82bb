//! Going wrong on purpose, in each of the ways that the supervisor is there for.
//!
//! Invariant: no drill ends by itself, but for a panic, which ends the machine, and those of leftovers.
//! Not here: what must come of them (the tests of guests).

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
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

/// Goes wrong, in a cell of its own; what moves all the same is progress.
pub(super) fn go_wrong(drill: Drill, line: &Line, progress: &AtomicU64) -> Result<(), String> {
    line.tell(&Event::Begin { cell: 0 });
    match drill {
        Drill::Leftovers => leftovers("50", "12", progress),
        Drill::AllLeftovers => leftovers("1000", "200", progress),
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

/// Ramdisks, disks of every other driver, snapshots, and faults under a leaf.
const KILLED: [&str; 4] =
    ["dm/linear-layout", "dm/linear-over-drivers", "snapshot/store-survives", "targets/mirror-leg-fails"];

/// `dmlab stress`. What it says goes to the console, and each line of it is progress.
fn leftovers(cycles: &str, kills: &str, progress: &AtomicU64) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("dmlab stress: {error}");
    let mut dmlab = Command::new("/proc/self/exe");
    dmlab.args(["stress", "--cycles", cycles, "--kills", kills]).args(KILLED).stdout(Stdio::piped());
    let mut child = dmlab.spawn().map_err(wrong)?;
    for said in child.stdout.take().into_iter().flat_map(|pipe| BufReader::new(pipe).lines()) {
        writeln!(std::io::stdout(), "{}", said.map_err(wrong)?).map_err(wrong)?;
        progress.fetch_add(1, Ordering::Relaxed);
    }
    match child.wait().map_err(wrong)? {
        status if status.success() => Ok(()),
        status => Err(format!("something stays of runs that were killed ({status}); the console says what")),
    }
}

fn hang() -> ! {
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}
