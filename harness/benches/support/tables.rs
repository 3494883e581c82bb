//! Tables of reports, in Markdown.
//!
//! Invariant: each is flushed, so that a long bench shows how far it is.
//! Not here: what stands in them.

use std::io::Write;

use tabled::builder::Builder;
use tabled::settings::object::{Columns, Object, Rows};
use tabled::settings::{Alignment, Style};

/// Prints a table under its title; its first row is the head, and numbers stand right.
pub(crate) fn print(title: &str, rows: Vec<Vec<String>>) {
    let mut table = Builder::from_iter(rows).build();
    table.with(Style::markdown());
    table.modify(Columns::new(1..).not(Rows::first()), Alignment::right());
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "\n{title}\n\n{table}").and_then(|()| out.flush());
    written.expect("somebody reads the report");
}
