//! [`ExitCode`]: what the process says to the shell, and [`exit_code`], which finds it in a record.
//!
//! Invariants: the numbers are documented and frozen, since scripts and CI depend on them; the gravest finding of a run
//! decides; a cell that came out as its scenario expects never changes the code, whatever its verdict.
//! Not here: exiting (the harness's main), the codes of other causes (the harness names `Usage` and `Setup` itself).

use crate::{CellRecord, Record, Verdict};

/// Exit codes of dmlab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// 0: every cell came out as expected, or was skipped with a reason.
    Ok = 0,
    /// 1: an expectation was not met.
    ExpectationFailed = 1,
    /// 2: the command line or a scenario is wrong; nothing was run.
    Usage = 2,
    /// 3: the set-up failed (no root, no device, no kernel image, disk full), so nothing can be said.
    Setup = 3,
    /// 5: a deadlock, hang or livelock where none was expected.
    UnexpectedHang = 5,
    /// 70: a bug in dmlab itself, or the panic of a guest's kernel that was not expected (`EX_SOFTWARE`).
    Bug = 70,
    /// 130: stopped by a signal (128 + `SIGINT`, as shells say it).
    Interrupted = 130,
}

impl ExitCode {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// The exit code of a run. From the gravest: interrupted, panic, unexpected deadlock or hang or livelock, error, any
/// other unmet expectation.
pub fn exit_code(record: &Record) -> ExitCode {
    if record.interrupted {
        return ExitCode::Interrupted;
    }
    record.cells.iter().filter_map(finding).max_by_key(|&code| gravity(code)).unwrap_or(ExitCode::Ok)
}

fn finding(cell: &CellRecord) -> Option<ExitCode> {
    // A panic and an error are findings even where `ok` is claimed, unless the scenario asked for just that: they mean
    // that the judgement itself may not have happened.
    let asked_for = cell.ok && cell.expected == cell.verdict.as_str();
    match cell.verdict {
        Verdict::Panic if !asked_for => Some(ExitCode::Bug),
        Verdict::Error if !asked_for => Some(ExitCode::Setup),
        verdict if !cell.ok && verdict.is_stuck() => Some(ExitCode::UnexpectedHang),
        _ if !cell.ok => Some(ExitCode::ExpectationFailed),
        _ => None,
    }
}

/// The order is not that of the numbers: that nothing could be set up says less than that something hung, but more
/// than a value out of bounds, which may be its consequence.
const fn gravity(code: ExitCode) -> u8 {
    match code {
        ExitCode::Ok => 0,
        ExitCode::ExpectationFailed => 1,
        ExitCode::Setup => 2,
        ExitCode::Usage => 3,
        ExitCode::UnexpectedHang => 4,
        ExitCode::Bug => 5,
        ExitCode::Interrupted => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn run(cells: &[(Verdict, bool)]) -> Record {
        let mut record = testing::record();
        record.cells = cells.iter().map(|&(verdict, ok)| CellRecord { verdict, ok, ..testing::cell() }).collect();
        record
    }

    #[test]
    fn the_numbers_are_frozen() {
        use ExitCode::*;
        let codes = [Ok, ExpectationFailed, Usage, Setup, UnexpectedHang, Bug, Interrupted].map(ExitCode::code);
        assert_eq!(codes, [0, 1, 2, 3, 5, 70, 130]);
    }

    #[test]
    fn each_verdict_has_its_code_when_it_is_not_expected() {
        for verdict in Verdict::ALL {
            let wanted = match verdict {
                Verdict::Deadlock | Verdict::Hang | Verdict::Livelock => 5,
                Verdict::Panic => 70,
                Verdict::Error => 3,
                _ => 1,
            };
            assert_eq!(exit_code(&run(&[(Verdict::Pass, true), (verdict, false)])).code(), wanted, "{verdict}");
        }
    }

    #[test]
    fn what_was_expected_is_no_failure() {
        for verdict in Verdict::ALL {
            let mut record = run(&[(verdict, true)]);
            record.cells[0].expected = verdict.to_string();
            assert_eq!(exit_code(&record), ExitCode::Ok, "{verdict}");
        }
        assert_eq!(exit_code(&run(&[])), ExitCode::Ok);
        assert_eq!(exit_code(&run(&[(Verdict::Skip, true)])), ExitCode::Ok);
    }

    #[test]
    fn a_panic_or_an_error_counts_even_where_the_cell_claims_to_be_ok() {
        assert_eq!(exit_code(&run(&[(Verdict::Panic, true)])), ExitCode::Bug);
        assert_eq!(exit_code(&run(&[(Verdict::Error, true)])), ExitCode::Setup);
    }

    #[test]
    fn the_gravest_finding_decides_in_any_order() {
        use Verdict::{Error, Fail, Hang, Panic, Pass};
        let ranked = [(Pass, true), (Fail, false), (Error, false), (Hang, false), (Panic, false)];
        let codes = [0, 1, 3, 5, 70];
        for count in 1..=ranked.len() {
            let mut cells = ranked[..count].to_vec();
            assert_eq!(exit_code(&run(&cells)).code(), codes[count - 1]);
            cells.reverse();
            assert_eq!(exit_code(&run(&cells)).code(), codes[count - 1]);
        }
        let mut record = run(&ranked);
        record.interrupted = true;
        assert_eq!(exit_code(&record), ExitCode::Interrupted);
    }
}
