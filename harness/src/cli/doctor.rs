//! `dmlab doctor`: what this machine can run, and why not.
//!
//! Not here: looking (`doctor`).

use dmlab_results::ExitCode;

use super::Failure;
use super::args::DoctorArgs;
use super::output::Output;
use crate::doctor::{Machine, Need, RealProbes, Report};

pub(super) fn doctor(args: &DoctorArgs, output: &Output) -> Result<ExitCode, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let machine = Machine {
        root: args.root.clone(),
        path: std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect(),
        results: args.results.clone(),
        probes: &RealProbes,
    };
    let report = Report::of(&machine);
    output.print(&if args.json { report.to_json() } else { report.to_text() });
    let needs = if args.need.is_empty() { &[Need::Engine][..] } else { &args.need };
    Ok(if needs.iter().all(|need| report.can(*need)) { ExitCode::Ok } else { ExitCode::Setup })
}
