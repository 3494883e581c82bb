//! The `dmlab` binary: hands over to the command line and turns what comes of it into an exit code.
//!
//! Not here: everything else (see `lib.rs`).

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(dmlab::cli::main().code())
}
