//! [`scan`]: reports in a kernel log, each with what kind it is and its own lines.
//!
//! A report begins with a line that is known (`MARKS`) and ends where the kernel ends it: with the end of the trace, the
//! next report's begin, or a line that is none of its kind. Lines may carry the console's time stamps.
//!
//! Invariants: a line begins at most one report; a report has at most [`LINES_MAX`] lines; what matches nothing is silence.
//! Not here: reading the log, or stopping a guest that says such a thing.

use dmlab_results::Verdict;

/// Lines of a report that are kept.
pub const LINES_MAX: usize = 120;

/// What kind of report it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// The kernel gave up.
    Panic,
    /// KASAN saw memory used that is not there for it.
    Kasan,
    /// An access that traps, or an opcode that is none.
    Oops,
    /// A `BUG()`, a corrupt slab object, sleeping where it must not be, and the like.
    Bug,
    /// Locks taken in orders that do not go together, or in a context that they must not be taken in.
    Lockdep,
    /// A CPU that has not taken an interrupt for long.
    HardLockup,
    /// A CPU that has not scheduled for long.
    SoftLockup,
    /// A CPU or task that keeps a grace period from ending.
    RcuStall,
    /// A pool of workers that has not made a step for long.
    WorkqueueLockup,
    /// A task that sleeps uninterruptibly for long.
    HungTask,
    /// A `WARN()`.
    Warning,
}

impl Sign {
    /// What a run in which this was seen has come to, were there nothing graver.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Panic | Self::Kasan | Self::Oops | Self::Bug => Verdict::Crash,
            Self::HungTask => Verdict::Hang,
            Self::HardLockup | Self::SoftLockup | Self::RcuStall | Self::WorkqueueLockup => Verdict::Livelock,
            Self::Lockdep | Self::Warning => Verdict::Fail,
        }
    }

    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Kasan => "KASAN",
            Self::Oops => "oops",
            Self::Bug => "BUG",
            Self::Lockdep => "lockdep",
            Self::HardLockup => "hard lockup",
            Self::SoftLockup => "soft lockup",
            Self::RcuStall => "RCU stall",
            Self::WorkqueueLockup => "workqueue lockup",
            Self::HungTask => "hung task",
            Self::Warning => "warning",
        }
    }
}

/// What a line must contain to begin a report, the more special first.
const MARKS: &[(&str, Sign)] = &[
    ("Kernel panic - not syncing", Sign::Panic),
    ("BUG: KASAN: ", Sign::Kasan),
    ("BUG: soft lockup - CPU#", Sign::SoftLockup),
    ("BUG: workqueue lockup - pool", Sign::WorkqueueLockup),
    ("Watchdog detected hard LOCKUP", Sign::HardLockup),
    ("Watchdog detected LOCKUP", Sign::HardLockup),
    ("self-detected stall on CPU", Sign::RcuStall),
    ("detected stalls on CPUs/tasks", Sign::RcuStall),
    ("WARNING: possible circular locking dependency detected", Sign::Lockdep),
    ("WARNING: possible recursive locking detected", Sign::Lockdep),
    ("WARNING: possible irq lock inversion dependency detected", Sign::Lockdep),
    ("WARNING: inconsistent lock state", Sign::Lockdep),
    ("WARNING: bad unlock balance detected", Sign::Lockdep),
    ("WARNING: held lock freed", Sign::Lockdep),
    ("WARNING: suspicious RCU usage", Sign::Lockdep),
    ("WARNING: Nested lock was not taken", Sign::Lockdep),
    ("-safe -> ", Sign::Lockdep),
    ("[ BUG: Invalid wait context ]", Sign::Lockdep),
    ("BUG: Invalid wait context", Sign::Lockdep),
    ("Oops: ", Sign::Oops),
    ("general protection fault", Sign::Oops),
    ("kernel BUG at ", Sign::Bug),
    ("BUG: ", Sign::Bug),
    (" blocked for more than ", Sign::HungTask),
    ("WARNING: ", Sign::Warning),
];

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its kind.
    pub sign: Sign,
    /// Its lines, without time stamps.
    pub lines: Vec<String>,
}

impl Report {
    /// The line that it began with.
    pub fn title(&self) -> &str {
        self.lines.first().map_or("", String::as_str)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.sign.name())?;
        self.lines.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// The gravest of these reports.
pub fn gravest(reports: &[Report]) -> Option<&Report> {
    reports.iter().min_by_key(|report| report.sign)
}

/// All reports in a log, in order.
pub fn scan(log: &str) -> Vec<Report> {
    let mut reports: Vec<Report> = Vec::new();
    let mut open = false;
    for line in log.lines().map(plain) {
        if let Some(sign) = sign_of(line)
            && !(open && reports.last().is_some_and(|last| belongs_to(sign, last.sign)))
        {
            reports.push(Report { sign, lines: vec![line.to_owned()] });
            open = true;
            continue;
        }
        let Some(report) = reports.last_mut().filter(|_| open) else { continue };
        report.lines.push(line.to_owned());
        open = report.lines.len() < LINES_MAX && !ends(report.sign, line);
    }
    reports
}

/// The kind of the report that a line begins.
fn sign_of(line: &str) -> Option<Sign> {
    // BUG kmalloc-64 (Not tainted): Poison overwritten
    if line.starts_with("BUG ") && line.contains("ainted") {
        return Some(Sign::Bug);
    }
    let (mark, sign) = MARKS.iter().find(|(mark, _)| has_word(line, mark))?;
    let needs = match *mark {
        "-safe -> " => "lock order detected",
        " blocked for more than " => "INFO: task ",
        _ => "",
    };
    line.contains(needs).then_some(*sign)
}

/// Whether `mark` stands in a line, and not as the end of a longer word (`DEBUG: `).
fn has_word(line: &str, mark: &str) -> bool {
    let begins_word = mark.starts_with(|c: char| c.is_ascii_alphanumeric());
    let mut places = line.match_indices(mark).map(|(at, _)| line[..at].chars().next_back());
    places.any(|before| !begins_word || before.is_none_or(|before| !before.is_ascii_alphanumeric()))
}

/// Whether the begin of such a report is, within an open one, a part of it: an oops says several things of itself.
fn belongs_to(inner: Sign, outer: Sign) -> bool {
    match outer {
        Sign::Bug => inner == Sign::Oops,
        Sign::Oops => matches!(inner, Sign::Oops | Sign::Bug),
        Sign::Kasan => inner == Sign::Kasan,
        _ => false,
    }
}

/// Whether a line is the last of a report.
fn ends(sign: Sign, line: &str) -> bool {
    match sign {
        // What held the CPU, the registers and the trace; then the same registers once more.
        Sign::Oops | Sign::Bug | Sign::Warning => line.contains("---[ end trace") || line.starts_with("FIX "),
        Sign::Panic => line.contains("---[ end Kernel panic"),
        Sign::WorkqueueLockup => line.starts_with("Showing backtraces"),
        _ => line.trim() == "</TASK>",
    }
}

/// A line without `[   12.345678]` and the like.
fn plain(line: &str) -> &str {
    let line = line.trim_end();
    let stamped = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    match stamped {
        Some((stamp, rest)) if stamp.trim().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests;
