//! Progress on a terminal: which cell runs, how many are done. Nothing when standard error is no terminal.
//!
//! Invariant: nothing is drawn while a cell is being timed (the bar moves between cells).

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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
