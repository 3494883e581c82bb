//! [`Senses`]: the detectors at a performance on the running kernel: what its log says, and who is stuck.
//!
//! A report of a crash in the log ends a performance at once. Where nothing has moved for the deadline, the tasks that
//! sleep uninterruptibly are looked at: two or more that wait for something else than the end of their own I/O, on a machine
//! whose CPUs are idle, wait for each other. While CPUs work, a performance is given more time (`detect::progress`): a slow
//! machine is not a hang.
//!
//! Invariants: what was logged before the performance began is not held against it; a look takes a few reads, and walks
//! `/proc` only when nothing has moved for long.
//! Not here: reading texts (`detect`), what it comes to (`judge`).

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use dmlab_units::Nanos;
use nix::fcntl::OFlag;

use super::stage::{Detector, Ending};
use super::vitals::Vitals;
use crate::detect::kmsg::{Report, gravest, scan};
use crate::detect::progress::{Look, Pace, Watch, parse_cpu};
use crate::detect::tasks::{StuckTask, stuck_tasks};

/// Between two looks at what takes more than a few microseconds.
const EVERY: Duration = Duration::from_millis(200);

/// A kernel has timers of its own (grace periods, writeback, a device that is asked again): so long it may be idle.
const DEADLINE_MIN: Duration = Duration::from_secs(5);

/// A record of `/dev/kmsg` is at most so long (`PRINTK_MESSAGE_MAX` and its head).
const RECORD_BYTES_MAX: usize = 8192;

/// Records that are read in one look.
const RECORDS_MAX: usize = 2000;

/// Innermost functions of tasks that wait for their own I/O, or for nothing in particular.
const OWN_IO: &[&str] =
    &["__blkdev_direct_IO_simple", "bio_wait", "blk_wait_io", "blkdev_direct_IO", "io_cqring_wait", "submit_bio_wait"];

/// Looks at a performance.
pub(super) struct Senses {
    log: Option<File>,
    /// What was logged since the performance began.
    said: String,
    watch: Watch,
    began: Instant,
    looked: Instant,
}

impl Senses {
    /// Begins to look.
    pub(super) fn new(deadline: Duration) -> Self {
        let log = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open("/dev/kmsg").ok();
        let now = Instant::now();
        let deadline = Nanos(u64::try_from(deadline.max(DEADLINE_MIN).as_nanos()).unwrap_or(u64::MAX));
        let watch = Watch::new(deadline, Look { now: Nanos::ZERO, ended: 0, cpu: cpu() });
        let mut senses = Self { log, said: String::new(), watch, began: now, looked: now };
        // What was said before.
        senses.listen();
        senses.said.clear();
        senses
    }

    /// Takes in what was logged since.
    fn listen(&mut self) {
        let Some(log) = &mut self.log else { return };
        let mut record = [0; RECORD_BYTES_MAX];
        for _ in 0..RECORDS_MAX {
            match log.read(&mut record) {
                Ok(0) => break,
                Ok(length) => {
                    self.said.push_str(text_of(&String::from_utf8_lossy(&record[..length])));
                    self.said.push('\n');
                }
                // Overtaken by the log: what is gone is gone, the next read goes on behind it.
                Err(error) if error.raw_os_error() == Some(nix::libc::EPIPE) => {}
                Err(_) => break,
            }
        }
    }
}

impl Detector for Senses {
    fn look(&mut self, vitals: &Vitals) -> Option<Ending> {
        if self.looked.elapsed() < EVERY {
            return None;
        }
        self.looked = Instant::now();
        let before = self.said.len();
        self.listen();
        if self.said.len() > before
            && let Some(report) = crash(&scan(&self.said))
        {
            return Some(Ending::Crash(report));
        }
        let now = Nanos(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        // I/Os of devices do not count: one that is split for ever ends as often as one likes.
        let look = Look { now, ended: vitals.progress(), cpu: cpu() };
        let head = match self.watch.look(look) {
            Pace::Moves => return None,
            Pace::Hangs(silent) => format!("nothing has moved for {}", in_seconds(silent)),
            Pace::Loops(silent) => {
                let silent = in_seconds(silent);
                format!("no step and no I/O of the scenario has ended for {silent} while CPUs worked all the time")
            }
        };
        // Also where CPUs work: on a slow machine looking is work for them, too.
        Some(stuck(&stuck_tasks(Path::new("/proc")), &format!("{head}:\n{}", vitals.report())))
    }
}

/// For people: what was measured has more digits than anybody wants.
fn in_seconds(time: Nanos) -> String {
    format!("{:.1} s", Duration::from(time).as_secs_f64())
}

/// What stuck tasks make of a performance in which nothing moves.
fn stuck(tasks: &[StuckTask], head: &str) -> Ending {
    let mut text = head.trim_end().to_owned();
    for task in tasks {
        text.push_str(&format!("\n{task}"));
    }
    let waits_for_others =
        |task: &&StuckTask| task.stack.first().is_some_and(|innermost| !OWN_IO.contains(&innermost.as_str()));
    match tasks.iter().filter(waits_for_others).count() {
        0 | 1 => Ending::Hang(text),
        count => Ending::Deadlock(format!("{count} tasks wait for each other\n{text}")),
    }
}

/// The gravest report that says that the kernel is broken.
fn crash(reports: &[Report]) -> Option<String> {
    let broken: Vec<Report> =
        reports.iter().filter(|report| report.sign.verdict() == dmlab_results::Verdict::Crash).cloned().collect();
    gravest(&broken).map(ToString::to_string)
}

/// The text of a record of `/dev/kmsg`: `6,339,5140900,-;text` and lines with more about it, which begin with a blank.
fn text_of(record: &str) -> &str {
    let text = record.split_once(';').map_or(record, |(_, text)| text);
    text.lines().next().unwrap_or_default()
}

fn cpu() -> Nanos {
    /// `USER_HZ`, which is 100 on every architecture of interest.
    const TICKS: u64 = 100;
    parse_cpu(&fs::read_to_string("/proc/stat").unwrap_or_default(), TICKS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(pid: u32, stack: &[&str]) -> StuckTask {
        let stack = stack.iter().map(|function| (*function).to_owned()).collect();
        StuckTask { pid, comm: "x".to_owned(), wchan: None, work: None, stack }
    }

    #[test]
    fn two_tasks_that_wait_for_more_than_their_io_wait_for_each_other() {
        let writer = task(1, &["start_copy", "__origin_write", "do_origin"]);
        let copier = task(2, &["do_origin", "pending_complete"]);
        let other = task(3, &["blk_wait_io", "submit_bio_wait"]);
        let Ending::Deadlock(text) = stuck(&[writer.clone(), copier, other.clone()], "head\n") else {
            panic!("no deadlock")
        };
        assert!(text.starts_with("2 tasks wait for each other\nhead\ntask:x state:D pid:1"), "{text}");
        assert!(text.contains("pid:3"), "who stands behind is shown too: {text}");
        assert!(matches!(stuck(&[writer, other], "head"), Ending::Hang(_)));
        assert!(matches!(stuck(&[], "head"), Ending::Hang(text) if text == "head"));
    }

    #[test]
    fn a_record_of_the_log_is_its_text() {
        assert_eq!(text_of("6,339,5140900,-;a text; and more\n SUBSYSTEM=block\n"), "a text; and more");
        assert_eq!(text_of("no record"), "no record");
    }

    #[test]
    fn only_what_breaks_a_kernel_ends_a_performance() {
        assert_eq!(crash(&scan("WARNING: CPU: 0 PID: 1 at x\n---[ end trace 0 ]---\n")), None);
        let text = crash(&scan("WARNING: x\n---[ end trace 0 ]---\nBUG: unable to handle page fault\n")).unwrap();
        assert!(text.starts_with("BUG:\n  BUG: unable to handle page fault"), "{text}");
    }
}
