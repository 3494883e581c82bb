//! `dmlab stress`: holds the kernel backend to its promise that nothing is left behind. Hidden, because it tests dmlab and
//! not dm.
//!
//! Cycles create, load, suspend, resume and remove a device, a hundred in a run. Kills end runs with `SIGKILL` at times that the
//! seed draws, and clean up behind each.
//!
//! Invariants: what stays after a clean-up makes the exit code 1 and is named.
//! Not here: what there is to remove ([`crate::backend::kernel::cleanup`]).

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use dmlab_results::{ExitCode, Verdict};
use dmlab_scenarios::Document;

use super::Failure;
use super::args::StressArgs;
use super::output::Output;
use crate::backend::kernel::modules::Modules;
use crate::backend::kernel::{self, RunningKernel};
use crate::campaign;
use crate::plan::{Plan, Wishes};

/// A killed process that has not gone after this long waits for what it has left itself.
const GONE: Duration = Duration::from_secs(5);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(2);
/// Cycles in one run.
const CYCLES_AT_ONCE: u32 = 100;

pub(super) fn stress(args: &StressArgs, output: &Output, interrupt: &Arc<AtomicBool>) -> Result<ExitCode, Failure> {
    let mut done = 0;
    while done < args.cycles {
        // Whoever reads this sees that something moves.
        let next = (args.cycles - done).min(CYCLES_AT_ONCE);
        cycles(next, interrupt)?;
        done += next;
        output.print(&format!("{done} cycles of create, load, suspend, resume, remove\n"));
    }
    let mut removed = 0;
    let mut in_time = 0;
    let whole = args.scenarios.iter().map(|scenario| whole(scenario)).collect::<Result<Vec<_>, _>>()?;
    for number in 0..u64::from(args.kills) {
        let turn = number as usize % whole.len().max(1);
        let (Some(scenario), Some(whole)) = (args.scenarios.get(turn), whole.get(turn)) else {
            return Err(Failure::Usage("--kills needs scenarios to be killed in".to_owned()));
        };
        let most = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX);
        let after = args.seed.derive("kill").nth(number).rng().below(most + 1);
        in_time += u32::from(kill(scenario, Duration::from_micros(after))?);
        let when = format!("kill {} in {scenario} after {after} us", number + 1);
        let cleaned = clean(&when)?;
        output.print(&format!("{when}: {cleaned} cleaned up\n"));
        removed += cleaned;
    }
    if args.kills > 0 {
        let kills = args.kills;
        output.print(&format!("{kills} kills, {in_time} of them before the end; {removed} things were cleaned up\n"));
    }
    clean("the end")?;
    output.print("nothing is left\n");
    Ok(ExitCode::Ok)
}

/// A run of so many cycles.
fn cycles(times: u32, interrupt: &Arc<AtomicBool>) -> Result<(), Failure> {
    let text = format!(
        "scenario: stress/cycles\nabout: Cycles of a device's life.\n\
         devices: {{ d: {{ ram: 1MiB }}, t: {{ dm: \"0 2048 linear $d 0\" }} }}\n\
         steps:\n  - repeat: {{ times: {times}, do: [create: t, suspend: t, resume: t, remove: t] }}\n"
    );
    let document = Document::parse("cycles", &text).map_err(|found| Failure::Usage(found.to_string()))?;
    let kernel = RunningKernel::open(Modules::of_running_kernel());
    let kernel = Arc::new(kernel.map_err(|error| Failure::Setup(error.to_string()))?);
    let wishes = Wishes { kernel: Some(kernel), ..Wishes::default() };
    let plans = Plan::of(&Arc::new(document), &wishes).map_err(|found| Failure::Usage(found.to_string()))?;
    for plan in plans {
        let run = campaign::run(&plan, interrupt);
        if run.record.verdict != Verdict::Pass {
            let report = run.record.report.unwrap_or_default();
            return Err(Failure::Setup(format!("the cycles ended in {}: {report}", run.record.verdict)));
        }
    }
    Ok(())
}

fn run_of(scenario: &str) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe().map_err(not_started)?);
    command.args(["run", "--backend", "kernel", "--quiet", "--i-know-this-can-wedge-the-host", scenario]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

fn not_started(error: std::io::Error) -> Failure {
    Failure::Setup(format!("dmlab cannot be started: {error}"))
}

/// How long a whole run takes, which must end well.
fn whole(scenario: &str) -> Result<Duration, Failure> {
    let begin = Instant::now();
    let ended = run_of(scenario)?.stdout(Stdio::piped()).stderr(Stdio::piped()).output().map_err(not_started)?;
    if ended.status.success() {
        return Ok(begin.elapsed());
    }
    let said = [ended.stdout, ended.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Err(Failure::Setup(format!("{scenario} does not end well by itself: {}\n{}", ended.status, said.trim())))
}

/// Starts a run and kills it after so long; whether it was still there.
fn kill(scenario: &str, after: Duration) -> Result<bool, Failure> {
    let wrong = |error: std::io::Error| Failure::Setup(error.to_string());
    let mut child: Child = run_of(scenario)?.spawn().map_err(not_started)?;
    std::thread::sleep(after);
    let in_time = child.try_wait().map_err(wrong)?.is_none();
    child.kill().map_err(wrong)?;
    let begin = Instant::now();
    while child.try_wait().map_err(wrong)?.is_none() && begin.elapsed() < GONE {
        std::thread::sleep(LOOK);
    }
    Ok(in_time)
}

/// Cleans up, and looks once more; how much was removed.
fn clean(when: &str) -> Result<usize, Failure> {
    let look = |dry_run| kernel::cleanup(dry_run).map_err(|error| Failure::Setup(error.to_string()));
    let removed = look(false)?;
    let left = look(true)?;
    let stays: Vec<String> = removed
        .left
        .iter()
        .filter_map(|left| Some(format!("{} {}: {}", left.kind, left.name, left.stays.as_ref()?)))
        .chain(left.left.iter().map(|left| format!("{} {}", left.kind, left.name)))
        .chain(left.alive.iter().map(|run| format!("run {run} counts as alive")))
        .collect();
    if stays.is_empty() {
        return Ok(removed.left.len());
    }
    Err(Failure::Left(format!("{when}: this stays:\n{}", stays.join("\n"))))
}
