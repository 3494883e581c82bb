//! What snapshots cost: writes that copy and writes that do not by lock and throttle, beside two memcpys of the same bytes;
//! looking up an exception among many; loading a store; creating a snapshot under load.
//!
//! `cargo bench -p dmlab --bench snapshot -- [--quick] [SECTION …]` prints the report, of the sections whose name contains
//! one of these texts. Samples are interleaved; a ratio of medians comes with its 95 % confidence interval, and beside it
//! stands the ratio of the fastest samples, since what else the machine does only ever adds.
//!
//! Invariant: everything runs on OS threads, on ramdisks whose pages are there before the clock starts.
//! Not here: the virtual clock (`block.rs` holds it against threads).

mod copies;
mod support;

use std::process::exit;

use copies::sections;
use support::rounds::{Effort, selected};

fn main() {
    let (mut effort, mut wanted) = (Effort::FULL, Vec::new());
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for argument in &arguments {
        match argument.as_str() {
            // `--test` is how criterion's benches are told to run once.
            "--quick" | "--test" => effort = Effort::QUICK,
            // From cargo.
            "--bench" => {}
            other if other.starts_with('-') => {
                eprintln!("snapshot: unknown argument {other:?}; usage: [--quick] [SECTION …]");
                exit(2);
            }
            text => wanted.push(text),
        }
    }
    let sections = selected(sections(), &wanted).unwrap_or_else(|wrong| {
        eprintln!("snapshot: {wrong}");
        exit(2);
    });
    sections.iter().for_each(|section| (section.show)(&section.name, effort));
}
