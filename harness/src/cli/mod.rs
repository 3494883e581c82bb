//! The command line: the only place that parses arguments, prints, handles signals and decides the exit code.
//!
//! Reading order: [`args`] (what can be typed), `select` (which scenarios are meant), then a file per command, and
//! `output` (where text goes and in which colours).
//!
//! Exit codes: 0 all as expected, 1 an expectation failed, 2 usage or scenario error, 3 set-up error, 5 an unexpected
//! deadlock or hang, 70 a bug in dmlab, 130 interrupted.
//! Not here: anything that a program without a terminal could want.

pub mod args;
mod cleanup;
mod compare;
mod conform;
mod cow;
mod doctor;
mod explore;
mod figure;
mod found;
mod guests;
mod input;
mod kernel;
mod list;
mod merge;
mod output;
mod progress;
mod replay;
mod run;
mod schema;
mod select;
mod stress;
mod validate;
mod variants;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use dmlab_results::ExitCode;

use self::args::{Args, Command};
use self::output::Output;

/// Why a command ended before it could judge anything.
pub(crate) enum Failure {
    /// The arguments or a scenario are wrong; the text says where and what would be right.
    Usage(String),
    /// The machine would not let it: a file that cannot be written, say.
    Setup(String),
    /// Something was left behind that should have been removed.
    Left(String),
    /// Somebody wanted it to end; nothing is left behind.
    Interrupted,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are answers, not errors; clap knows which stream they belong on.
            let asked_for = !error.use_stderr();
            return match error.print() {
                Ok(()) | Err(_) if asked_for => ExitCode::Ok,
                _ => ExitCode::Usage,
            };
        }
    };
    let output = Output::new(args.color);
    let interrupt = match watch_signals() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            output.error(&format!("cannot watch for signals: {error}"));
            return ExitCode::Setup;
        }
    };
    let result = match &args.command {
        Command::Run(args) => run::run(args, &output, &interrupt),
        Command::Explore(args) => explore::explore(args, &output, &interrupt),
        Command::Compare(args) => compare::compare(args, &output, &interrupt),
        Command::Conform(args) => conform::conform(args, &output, &interrupt),
        Command::Merge(args) => merge::merge(args, &output),
        Command::Replay(args) => replay::replay(args, &output, &interrupt),
        Command::List(args) => list::list(args, &output),
        Command::Variants(args) => variants::variants(args, &output),
        Command::Doctor(args) => doctor::doctor(args, &output),
        Command::Figure(args) => figure::figure(args, &output, &interrupt),
        Command::Stress(args) => stress::stress(args, &output, &interrupt),
        Command::Cleanup(args) => cleanup::cleanup(args, &output),
        Command::Cow(args) => cow::cow(args, &output),
        Command::Kernel(args) => kernel::kernel(args, &output, &interrupt),
        Command::GuestInit => guests::init(),
        Command::Hog => guests::hog(),
        Command::Schema => schema::schema(&output),
        Command::Validate(args) => validate::validate(args, &output),
    };
    match result {
        Ok(code) => code,
        Err(Failure::Usage(text)) => {
            output.error(&text);
            ExitCode::Usage
        }
        Err(Failure::Setup(text)) => {
            output.error(&text);
            ExitCode::Setup
        }
        Err(Failure::Left(text)) => {
            output.error(&text);
            ExitCode::ExpectationFailed
        }
        Err(Failure::Interrupted) => {
            output.note("interrupted");
            ExitCode::Interrupted
        }
    }
}

/// Sets a flag on the first SIGINT or SIGTERM, so that a run can tear down and report; the second one ends the process
/// at once.
fn watch_signals() -> std::io::Result<Arc<AtomicBool>> {
    let interrupt = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let code = i32::from(ExitCode::Interrupted.code());
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&interrupt))?;
        signal_hook::flag::register(signal, Arc::clone(&interrupt))?;
    }
    Ok(interrupt)
}
