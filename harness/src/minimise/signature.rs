//! [`signature()`]: what two failures must have in common to count as the same one.
//!
//! Invariant: numbers that depend on the size of the workload (sectors, counts) are left out; the line of a failed step
//! is not among them.
//! Not here: how failures are judged ([`crate::judge`]).

use std::collections::BTreeSet;

use dmlab_engine::sched::waits::StuckReport;
use dmlab_results::Verdict;

use crate::judge::Judgement;

/// The verdict, and with it: the wait-for cycle, or what stuck tasks wait for where there is no cycle; else the first
/// line of the report, which names the bug, the failed step or what leaked. `None` for what is no failure of the engine
/// under test, and so cannot be looked for.
pub fn signature(judgement: &Judgement) -> Option<String> {
    let verdict = judgement.verdict;
    match verdict {
        Verdict::Pass | Verdict::Skip | Verdict::Panic | Verdict::Error => None,
        Verdict::Livelock | Verdict::StepLimit => Some(verdict.to_string()),
        _ => {
            let stuck = judgement.stuck.as_ref().map(in_words);
            let what = stuck.unwrap_or_else(|| without_numbers(judgement.report.as_deref().unwrap_or_default()));
            Some(format!("{verdict}: {what}"))
        }
    }
}

fn in_words(report: &StuckReport) -> String {
    if !report.cycle.is_empty() {
        return report.signature();
    }
    let waits = report.others.iter().map(|link| format!("{} {}", link.op.name(), link.object));
    waits.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
}

/// The first line, its numbers replaced; the number of a scenario's line at its beginning stays.
fn without_numbers(report: &str) -> String {
    let first = report.lines().next().unwrap_or_default();
    let kept = match first.strip_prefix("line ") {
        Some(rest) => "line ".len() + rest.find(':').unwrap_or(0),
        None => 0,
    };
    let (kept, rest) = first.split_at(kept);
    let mut words = kept.to_owned();
    for c in rest.chars() {
        match c.is_ascii_digit() {
            false => words.push(c),
            true if words.len() > kept.len() && words.ends_with('#') => {}
            true => words.push('#'),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(verdict: Verdict, report: &str) -> Option<String> {
        signature(&Judgement { verdict, report: Some(report.to_owned()), stuck: None })
    }

    #[test]
    fn sizes_do_not_tell_failures_apart_and_lines_and_words_do() {
        let lost =
            |line, sector| of(Verdict::Corruption, &format!("line {line}: sector {sector} of t holds zeros\nkmsg: x"));
        assert_eq!(lost(9, 1), Some("corruption: line 9: sector # of t holds zeros".to_owned()));
        assert_eq!(lost(9, 1), lost(9, 234));
        assert_ne!(lost(9, 1), lost(8, 1));
        assert_ne!(of(Verdict::Crash, "BUG: one thing\ntask a"), of(Verdict::Crash, "BUG: another thing\ntask a"));
        assert_eq!(of(Verdict::Crash, "BUG: one thing\ntask a"), of(Verdict::Crash, "BUG: one thing\ntask b"));
        assert_ne!(of(Verdict::Fail, "line 9: x"), of(Verdict::Corruption, "line 9: x"));
    }

    #[test]
    fn what_is_no_failure_of_the_engine_has_no_signature() {
        for verdict in [Verdict::Pass, Verdict::Skip, Verdict::Panic, Verdict::Error] {
            assert_eq!(of(verdict, "interrupted"), None);
        }
        assert_eq!(of(Verdict::StepLimit, "no end after 5 operations"), Some("step-limit".to_owned()));
    }
}
