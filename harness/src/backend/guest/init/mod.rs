//! `/init` of a guest: dmlab as the first process of a kernel.
//!
//! Reading order: this file (from the first instruction to the power switch), `stage` (file systems and settings), `line`
//! (the serial line to the host), `cells` (running them), `evidence` (what is kept of a failure), `drill` (going wrong on
//! purpose).
//!
//! Invariants: whatever happens here, the host is told and the power goes off; a beat is sent every second as long as
//! threads run.
//! Not here: the other end of the line (`supervisor`).

mod cells;
mod drill;
mod evidence;
mod line;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::reboot::{RebootMode, reboot};

use self::line::Line;
use super::job::{Event, JOB_FILE, Job};

/// Between two beats.
const BEAT: Duration = Duration::from_secs(1);

/// Whether this process is the first one of its kernel.
pub fn is_first_process() -> bool {
    std::process::id() == 1
}

/// Does the job of a guest and turns its power off. Only the first process of a guest may call this: it mounts file
/// systems and ends the machine.
///
/// # Errors
/// This is not the first process of a kernel.
pub fn run() -> Result<(), String> {
    if !is_first_process() {
        return Err("this is for the first process of a guest only".to_owned());
    }
    let told = stage::mount_all();
    let line = Arc::new(Line::open());
    let work = AssertUnwindSafe(|| told.and_then(|()| work(&line)));
    let why = match catch_unwind(work) {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(_) => Some("it panicked; the console says where".to_owned()),
    };
    match why {
        Some(why) => line.tell(&Event::Fatal { why }),
        None => line.tell(&Event::Bye),
    }
    line.drain();
    // Never returns, or the kernel panics because its first process ends: the host understands both.
    reboot(RebootMode::RB_POWER_OFF).map(drop).map_err(|error| format!("cannot turn the power off: {error}"))
}

fn work(line: &Arc<Line>) -> Result<(), String> {
    let text = std::fs::read_to_string(JOB_FILE).map_err(|error| format!("{JOB_FILE}: {error}"))?;
    let job: Job = serde_json::from_str(&text).map_err(|error| format!("{JOB_FILE}: {error}"))?;
    if let Job::Drill(drill) = job {
        drill::before_hello(drill);
    }
    stage::settle()?;
    line.tell(&hello());
    let progress = Arc::new(AtomicU64::new(0));
    beat(Arc::clone(line), &progress, &job);
    match job {
        Job::Hello => Ok(()),
        Job::Drill(drill) => drill::go_wrong(drill, line, &progress),
        Job::Run(cells) => cells::run(&cells, line, &progress),
    }
}

fn hello() -> Event {
    let release = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds: f64 = uptime.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or_default();
    Event::Hello {
        release: release.unwrap_or_default(),
        cpus: thread::available_parallelism().map_or(0, |cpus| cpus.get() as u32),
        uptime_ms: (seconds * 1000.0) as u64,
    }
}

/// Starts the beats of life: the steps and I/Os so far, whatever counts them.
fn beat(line: Arc<Line>, progress: &Arc<AtomicU64>, job: &Job) {
    if drill::is_silent(job) {
        return;
    }
    let progress = Arc::clone(progress);
    thread::spawn(move || {
        loop {
            thread::sleep(BEAT);
            let moved = progress.load(Ordering::Relaxed).wrapping_add(stage::ios_completed());
            line.tell(&Event::Beat { progress: moved });
        }
    });
}
