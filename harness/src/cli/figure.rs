//! `dmlab figure`: measures a figure on the virtual clock and writes its page and its picture.
//!
//! Invariant: either both files are replaced, each in one step, or an error says which was not.
//! Not here: what is measured ([`crate::figure`]), what the files look like (`dmlab-results`).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_results::ExitCode;

use super::Failure;
use super::args::{Figure, FigureArgs};
use super::output::Output;
use super::progress::Progress;
use crate::figure::cow_throttle;

pub(super) fn figure(args: &FigureArgs, output: &Output, interrupt: &Arc<AtomicBool>) -> Result<ExitCode, Failure> {
    let Figure::CowThrottle = args.figure;
    let progress = Progress::new(cow_throttle::CELLS, args.quiet);
    let on_cell = |title: &str| {
        progress.end();
        progress.begin(title.to_owned());
    };
    let measured = cow_throttle::measure(interrupt, &on_cell);
    progress.end();
    let figure = measured.map_err(Failure::Setup)?;
    for (name, text) in [("cow-throttle.md", figure.markdown()), ("cow-throttle.svg", figure.svg())] {
        let path = args.folder.join(name);
        output.write(&path, &text)?;
        output.note(&path.display().to_string());
    }
    Ok(ExitCode::Ok)
}
