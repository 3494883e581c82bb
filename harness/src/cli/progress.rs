//! Progress on a terminal: which cell runs, how many are done, and how far an exploration is. Nothing when standard error
//! is no terminal.
//!
//! Invariants: nothing is drawn while a cell is being timed (the line moves between cells, and while schedules are
//! explored, which have no speed); an exploration redraws it ten times a second at most, however often it tells.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::watch::SearchProgress;

/// The shortest time between two redraws.
const REDRAW: Duration = Duration::from_millis(100);

/// A progress line.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Of `cells` cells; silent when `quiet`.
    pub(crate) fn new(cells: usize, quiet: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(cells as u64), ProgressDrawTarget::hidden());
        if !quiet && std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        let style = ProgressStyle::with_template("[{pos}/{len}] {elapsed} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    /// `title` begins.
    pub(crate) fn begin(&self, title: String) {
        self.0.set_message(title);
        self.0.tick();
    }

    /// Whether nothing is drawn.
    pub(crate) fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }

    /// Prints something, with the line out of the way.
    pub(crate) fn aside(&self, print: impl FnOnce()) {
        self.0.suspend(print);
    }

    /// The exploration of `title` begins: to be fed with what it tells.
    pub(crate) fn exploring(&self, title: String) -> ExploreProgress<'_> {
        ExploreProgress { bar: &self.0, title, pace: Mutex::new(Pace::new(Instant::now())) }
    }

    /// It has ended.
    pub(crate) fn end(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// How far one exploration is, on the line of a [`Progress`].
pub(crate) struct ExploreProgress<'a> {
    bar: &'a ProgressBar,
    title: String,
    pace: Mutex<Pace>,
}

impl ExploreProgress<'_> {
    /// Shows `seen`, unless something was shown just now or another thread is showing.
    pub(crate) fn show(&self, seen: &SearchProgress) {
        if self.bar.is_hidden() {
            return;
        }
        let Ok(mut pace) = self.pace.try_lock() else { return };
        if let Some(elapsed) = pace.step(Instant::now()) {
            // Draws, too.
            self.bar.set_message(line(&self.title, seen, elapsed));
        }
    }
}

/// When something was shown.
struct Pace {
    started: Instant,
    next: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { started: now, next: now }
    }

    /// The time since the beginning, if it is time to redraw.
    fn step(&mut self, now: Instant) -> Option<Duration> {
        if now < self.next {
            return None;
        }
        self.next = now + REDRAW;
        Some(now - self.started)
    }
}

/// For example `12,345 schedules, 4,115/s, 209 states, depth 34, 2 deadlocks, about 3 minutes left; a/b [explorer]`. The
/// title comes last, since a narrow terminal cuts the end off.
fn line(title: &str, seen: &SearchProgress, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { seen.schedules as f64 / seconds } else { 0.0 };
    let mut parts = vec![format!("{} schedules", HumanCount(seen.schedules))];
    if rate >= 1.0 {
        parts.push(format!("{}/s", HumanCount(rate as u64)));
    }
    if seen.states > 0 {
        parts.push(format!("{} states", HumanCount(seen.states)));
    }
    parts.push(format!("depth {}", HumanCount(seen.depth)));
    if seen.signatures > 0 {
        let s = if seen.signatures == 1 { "" } else { "s" };
        parts.push(format!("{} deadlock{s}", HumanCount(seen.signatures)));
    }
    let left = seen.todo_estimate.filter(|_| rate > 0.0).map(|todo| Duration::try_from_secs_f64(todo / rate));
    // An estimate may be beyond any time, or no number at all: then nobody knows.
    if let Some(Ok(left)) = left {
        parts.push(format!("about {} left", HumanDuration(left)));
    }
    format!("{}; {title}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: SearchProgress =
        SearchProgress { schedules: 12_000, states: 209, depth: 34, signatures: 2, todo_estimate: Some(720_000.0) };

    #[test]
    fn the_line_tells_speed_states_depth_deadlocks_and_what_is_left() {
        assert_eq!(
            line("a/b [explorer]", &SEEN, Duration::from_secs(3)),
            "12,000 schedules, 4,000/s, 209 states, depth 34, 2 deadlocks, about 3 minutes left; a/b [explorer]"
        );
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let seen = SearchProgress { states: 0, signatures: 0, todo_estimate: None, ..SEEN };
        assert_eq!(line("x", &seen, Duration::ZERO), "12,000 schedules, depth 34; x");
        for nonsense in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            let seen = SearchProgress { todo_estimate: Some(nonsense), ..SEEN };
            assert!(!line("x", &seen, Duration::from_secs(1)).contains("left"), "{nonsense}");
        }
    }

    #[test]
    fn there_are_ten_redraws_a_second_at_most() {
        let started = Instant::now();
        let mut pace = Pace::new(started);
        let shown = (0..10_000).filter(|&n| pace.step(started + Duration::from_micros(n * 100)).is_some()).count();
        assert_eq!(shown, 10);
    }

    #[test]
    fn without_a_terminal_nothing_is_drawn() {
        let progress = Progress::new(1, true);
        let exploring = progress.exploring("x".to_owned());
        exploring.show(&SEEN);
        assert!(progress.0.is_hidden() && progress.0.message().is_empty());
    }
}
