//! Where text goes: results to standard output, everything else to standard error; colours only where wanted.
//!
//! Invariants: a closed pipe is no error (`dmlab list | head`); nothing is printed but through here.

use std::io::{IsTerminal, Write};
use std::path::Path;

use dmlab_results::{WriteError, write_atomically};

use super::Failure;
use super::args::Color;

/// Standard output and error, and how to colour them.
pub(crate) struct Output {
    out_color: bool,
    err_color: bool,
}

impl Output {
    pub(crate) fn new(color: Color) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let wanted = |terminal: bool| match color {
            Color::Auto => terminal && !no_color,
            Color::Always => true,
            Color::Never => false,
        };
        Self { out_color: wanted(std::io::stdout().is_terminal()), err_color: wanted(std::io::stderr().is_terminal()) }
    }

    pub(crate) const fn out_color(&self) -> bool {
        self.out_color
    }

    pub(crate) const fn err_color(&self) -> bool {
        self.err_color
    }

    /// The terminal's width, or `None` for a pipe.
    pub(crate) fn width() -> Option<usize> {
        let terminal = console::Term::stdout();
        terminal.is_term().then(|| usize::from(terminal.size().1)).filter(|&width| width > 0)
    }

    /// To standard output, with a newline.
    pub(crate) fn print(&self, text: &str) {
        let text = text.strip_suffix('\n').unwrap_or(text);
        // A reader that has gone away wants no more.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }

    /// To standard error.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
    }

    /// To standard error, as an error.
    pub(crate) fn error(&self, text: &str) {
        let label = if self.err_color { "\u{1b}[1;31merror\u{1b}[0m" } else { "error" };
        // Rendered diagnostics bring their own label.
        let text = text.trim_end();
        let own_label = text.starts_with("error") || text.starts_with('\u{1b}');
        self.note(&if own_label { text.to_owned() } else { format!("{label}: {text}") });
    }

    /// To `path`, or to standard output for `-`.
    pub(crate) fn write(&self, path: &Path, text: &str) -> Result<(), Failure> {
        if path == Path::new("-") {
            self.print(text);
            return Ok(());
        }
        write_atomically(path, text.as_bytes()).map_err(|error: WriteError| Failure::Setup(error.to_string()))
    }
}
