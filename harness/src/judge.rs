//! Verdicts and expectations: what a run came to, and whether that is what its scenario said.
//!
//! What is verified, in order of precedence: dmlab's own health (a Rust panic), crashes (a `BUG`, among them I1, I7 and
//! I9), deadlock and hang (I3), step limit, corruption (the data oracle), failed steps, then rest (I2: pools,
//! in-flight counts). Only a run with none of these is a pass.
//! Not verified here: speed, but for the bounds that a scenario sets (`loads`).
//!
//! Invariant: a run has one verdict; expectations that a verdict makes meaningless (peaks after a panic of dmlab) are
//! compared all the same.

mod loads;

use dmlab_engine::sched::Outcome;
use dmlab_engine::sched::waits::StuckReport;
use dmlab_results::{Proof, Strength, Verdict};
use dmlab_scenarios::{self as scenarios, Bound, Comparison, Expectation, LockOrder, Runtime};

use crate::backend::Performance;
use crate::backend::kernel::Ending;
use crate::plan::{Plan, RunOn};

/// What a run came to.
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The deadlock report, the bug, the failed steps; `None` for a pass.
    pub report: Option<String>,
    /// The stuck tasks, where there are some.
    pub stuck: Option<StuckReport>,
}

/// What `outcome` and `performance` come to.
pub fn judge(outcome: &Outcome, performance: &Performance) -> Judgement {
    let plain = |verdict, report: String| Judgement { verdict, report: Some(report), stuck: None };
    // A step that failed may be why others wait for ever.
    let earlier = performance.findings.failures.iter().map(|failure| format!("\nbefore that: {failure}"));
    let stuck = |verdict, report: &StuckReport| Judgement {
        verdict,
        report: Some(format!("{report}{}", earlier.collect::<String>())),
        stuck: Some(report.clone()),
    };
    match outcome {
        Outcome::Panic(message) => plain(Verdict::Panic, format!("dmlab itself is at fault: {message}")),
        Outcome::Crash(bug) => plain(Verdict::Crash, bug.to_string()),
        Outcome::Deadlock(report) => stuck(Verdict::Deadlock, report),
        Outcome::Hang(report) => stuck(Verdict::Hang, report),
        Outcome::Livelock { steps } => plain(
            Verdict::Livelock,
            format!("{steps} operations, the second half of them nothing but waiting in loops"),
        ),
        Outcome::StepLimit { steps } => plain(Verdict::StepLimit, format!("no end after {steps} operations")),
        Outcome::Interrupted => plain(Verdict::Skip, "interrupted".to_owned()),
        Outcome::Finished => finished(performance),
    }
}

fn finished(performance: &Performance) -> Judgement {
    let findings = &performance.findings;
    let (verdict, mut lines) = if !findings.corruption.is_empty() {
        (Verdict::Corruption, findings.corruption.clone())
    } else if !findings.failures.is_empty() {
        (Verdict::Fail, findings.failures.clone())
    } else if let Some(leak) = &performance.leak {
        (Verdict::Leak, vec![leak.clone()])
    } else {
        return Judgement { verdict: Verdict::Pass, report: None, stuck: None };
    };
    lines.extend(performance.kmsg.iter().map(|line| format!("kmsg: {line}")));
    Judgement { verdict, report: Some(lines.join("\n")), stuck: None }
}

/// The record's verdict for what a scenario can expect.
pub const fn verdict_of(expected: scenarios::Verdict) -> Verdict {
    match expected {
        scenarios::Verdict::Pass => Verdict::Pass,
        scenarios::Verdict::Fail => Verdict::Fail,
        scenarios::Verdict::Deadlock => Verdict::Deadlock,
        scenarios::Verdict::Hang => Verdict::Hang,
        scenarios::Verdict::Livelock => Verdict::Livelock,
        scenarios::Verdict::Crash => Verdict::Crash,
        scenarios::Verdict::Corruption => Verdict::Corruption,
        scenarios::Verdict::Leak => Verdict::Leak,
    }
}

/// Which of its scenario's expectations a run of `plan` does not meet, a sentence each. Where none of them speaks of the
/// verdict on this runtime, a pass is expected all the same.
pub fn mismatches(plan: &Plan, judgement: &Judgement, performance: &Performance) -> Vec<String> {
    let mut mismatches = Vec::new();
    let runtime = plan.run_on.stands_for();
    let here = || plan.scenario.expect.iter().filter(|expectation| expectation.on.is_none_or(|on| on == runtime));
    let expected = verdict_of(plan.expected_verdict());
    if here().all(|expectation| expectation.verdict.is_none()) && judgement.verdict != expected {
        mismatches.push(format!("verdict {}, expected {expected}", judgement.verdict));
    }
    for expectation in here() {
        let mut complain = |what: String| mismatches.push(format!("line {}: {what}", expectation.line));
        if let Some(wanted) = expectation.verdict.map(verdict_of)
            && wanted != judgement.verdict
        {
            complain(format!("verdict {}, expected {wanted}", judgement.verdict));
        }
        check_report(plan, expectation, judgement, &mut complain);
        if plan.run_on == RunOn::Kernel {
            // What only the engine sees of itself is told apart: `unseen`.
            for (name, bound) in &expectation.counters {
                if let Some(value) = counter(name, performance).filter(|value| !bound.holds(*value)) {
                    complain(format!("{name} is {value}, expected {bound}"));
                }
            }
            continue;
        }
        if !expectation.entry_order.is_empty() && expectation.entry_order != performance.entry_order {
            let (found, wanted) = (performance.entry_order.join(", "), expectation.entry_order.join(", "));
            complain(format!("bios entered drivers in the order [{found}], expected [{wanted}]"));
        }
        for (pool, bound) in &expectation.peak {
            check_peak(pool, *bound, performance, &mut complain);
        }
        for (name, bound) in &expectation.counters {
            match counter(name, performance) {
                Some(value) if bound.holds(value) => {}
                Some(value) => complain(format!("{name} is {value}, expected {}", bound)),
                None => complain(format!("there is no counter {name}; there are: {}", counter_names(performance))),
            }
        }
        for relation in &expectation.relations {
            check_relation(relation, performance, &mut complain);
        }
        // Explored schedules have no speed, and the scenario says nothing about them.
        for bounds in expectation.loads.iter().filter(|_| runtime == Runtime::Threads) {
            let line = bounds.line;
            loads::check(bounds, &performance.findings, &mut |what| mismatches.push(format!("line {line}: {what}")));
        }
    }
    mismatches
}

/// What is expected of a run of `plan` on a kernel and cannot be looked at there, a phrase each.
pub fn unseen(plan: &Plan) -> Vec<String> {
    if plan.run_on != RunOn::Kernel {
        return Vec::new();
    }
    let mut unseen = Vec::new();
    for expectation in &plan.scenario.expect {
        let mut add = |what: String| unseen.push(format!("line {}: {what}", expectation.line));
        if expectation.on == Some(Runtime::Explorer) {
            add("what is expected of the explorer".to_owned());
            continue;
        }
        if expectation.strength.is_some() || expectation.lock_order.is_some() {
            add("what a search is worth".to_owned());
        }
        if !expectation.entry_order.is_empty() {
            add("the order in which bios enter drivers".to_owned());
        }
        if !expectation.cycle.is_empty() {
            add("the names in the wait-for cycle".to_owned());
        }
        expectation.peak.iter().for_each(|(pool, _)| add(format!("the peak of {pool}")));
        for (name, _) in expectation.counters.iter().filter(|(name, _)| !COUNTERS_HERE.contains(&name.as_str())) {
            add(format!("the engine's counter {name}"));
        }
        expectation.relations.iter().for_each(|relation| add(format!("the relation {relation}")));
    }
    unseen
}

/// Counters that every backend has.
const COUNTERS_HERE: [&str; 2] = ["ios", "io_errors"];

/// What the performance of a plan on a kernel comes to.
pub fn judge_kernel(ending: &Ending, performance: &Performance) -> Judgement {
    let outcome = match ending {
        Ending::Finished => return finished(performance),
        Ending::Interrupted => Outcome::Interrupted,
        Ending::Panic(message) => Outcome::Panic(message.clone()),
        Ending::Hang(report) => return stuck_on_kernel(Verdict::Hang, report, performance),
        Ending::Deadlock(report) => return stuck_on_kernel(Verdict::Deadlock, report, performance),
        Ending::Crash(report) => return stuck_on_kernel(Verdict::Crash, report, performance),
    };
    judge(&outcome, performance)
}

fn stuck_on_kernel(verdict: Verdict, report: &str, performance: &Performance) -> Judgement {
    let earlier = performance.findings.failures.iter().map(|failure| format!("\nbefore that: {failure}"));
    Judgement { verdict, report: Some(format!("{report}{}", earlier.collect::<String>())), stuck: None }
}

/// The record's proof for the strength that a scenario can expect.
pub const fn proof_of(expected: scenarios::Strength) -> Proof {
    match expected {
        scenarios::Strength::Proved => Proof::Complete,
        scenarios::Strength::ProvedUpTo(preemptions) => Proof::UpTo(preemptions),
    }
}

/// Which strength an exploration of `plan` was to have and has not, in a sentence with the line of the expectation. Of a
/// shard, `found` is what its own part is worth.
pub fn strength_mismatch(plan: &Plan, found: &Strength) -> Option<String> {
    let explored = plan.run_on.stands_for() == Runtime::Explorer;
    let here = |expectation: &&Expectation| explored && expectation.on.is_none_or(|on| on == Runtime::Explorer);
    plan.scenario.expect.iter().filter(here).find_map(|expectation| {
        let wanted = proof_of(expectation.strength?);
        (!found.meets(wanted)).then(|| format!("line {}: strength {found}, expected {wanted}", expectation.line))
    })
}

/// What is wrong with the order in which an exploration of `plan` took locks: in circles, where nobody said so, or not,
/// where somebody did. Where a failure is expected and nothing is said, circles may be.
pub fn lock_order_mismatch(plan: &Plan, found: &[String]) -> Option<String> {
    let here = |expectation: &&Expectation| expectation.on.is_none_or(|on| on == Runtime::Explorer);
    let said = plan.scenario.expect.iter().filter(here).find_map(|expectation| {
        let order = expectation.lock_order?;
        Some((format!("line {}: ", expectation.line), order))
    });
    let fails = plan.expected_verdict() != scenarios::Verdict::Pass;
    match (said, found.first()) {
        (None, Some(_)) if fails => None,
        (None, Some(circle)) => Some(circle.clone()),
        (Some((place, LockOrder::Clean)), Some(circle)) => Some(format!("{place}{circle}")),
        (Some((place, LockOrder::Circular)), None) => {
            Some(format!("{place}locks were taken in one order only, expected a circular order"))
        }
        (None | Some((_, LockOrder::Clean)), None) | (Some((_, LockOrder::Circular)), Some(_)) => None,
    }
}

fn check_report(plan: &Plan, expectation: &Expectation, judgement: &Judgement, complain: &mut dyn FnMut(String)) {
    if !expectation.cycle.is_empty() && plan.run_on != RunOn::Kernel {
        let names = judgement.stuck.as_ref().map(StuckReport::cycle_names).unwrap_or_default();
        let missing: Vec<&str> =
            expectation.cycle.iter().map(String::as_str).filter(|name| !names.contains(name)).collect();
        if !missing.is_empty() {
            let found = names.into_iter().collect::<Vec<_>>().join(", ");
            complain(format!("{} not in the wait-for cycle [{found}]", missing.join(", ")));
        }
    }
    if let Some(text) = &expectation.message
        && !judgement.report.as_ref().is_some_and(|report| report.contains(text))
    {
        complain(format!("the report does not contain {text:?}"));
    }
}

fn check_relation(comparison: &Comparison, performance: &Performance, complain: &mut dyn FnMut(String)) {
    let value = |name: &str| counter(name, performance);
    let Some((left, right)) = comparison.sums(value) else {
        let missing: Vec<&str> = comparison.counters().filter(|name| value(name).is_none()).collect();
        return complain(format!(
            "there is no counter {}; there are: {}",
            missing.join(", "),
            counter_names(performance)
        ));
    };
    if !comparison.relation.holds(&left, &right) {
        complain(format!("{left} and {right}, expected {comparison}"));
    }
}

fn check_peak(pattern: &str, bound: Bound, performance: &Performance, complain: &mut dyn FnMut(String)) {
    let matching = performance.pools.iter().filter(|pool| crate::backend::engine::pool_matches(pattern, &pool.name));
    let mut any = false;
    for pool in matching {
        any = true;
        if !bound.holds(pool.stats.peak) {
            complain(format!("peak use of {} is {}, expected {}", pool.name, pool.stats.peak, bound));
        }
    }
    if !any {
        let names: Vec<&str> = performance.pools.iter().map(|pool| pool.name.as_str()).collect();
        complain(format!("no pool is called {pattern}; there are: {}", names.join(", ")));
    }
}

/// Counters that expectations can name: the machine's, `ios` and `io_errors`.
fn counter(name: &str, performance: &Performance) -> Option<u64> {
    match name {
        "ios" => Some(performance.findings.ios),
        "io_errors" => Some(performance.findings.io_errors),
        _ => performance.counters.get(name).copied(),
    }
}

fn counter_names(performance: &Performance) -> String {
    let machine = performance.counters.keys().map(String::as_str);
    ["ios", "io_errors"].into_iter().chain(machine).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dmlab_scenarios::Document;

    use super::*;
    use crate::plan::{RunOn, Wishes};

    fn plans(expect: &str) -> Vec<Plan> {
        let head = "scenario: a\nabout: x\ndevices: { d: { ram: 1k } }\nsteps: [{ sleep: 0 }]\n";
        let document = Document::parse("x", &format!("{head}expect:\n  - {expect}\n")).unwrap();
        Plan::of(&Arc::new(document), &Wishes::default()).unwrap_or_else(|found| panic!("{found}"))
    }

    fn mismatch(expect: &str, found: &Strength) -> Option<String> {
        let plans = plans(expect);
        strength_mismatch(plans.iter().find(|plan| plan.run_on == RunOn::Explorer).unwrap(), found)
    }

    #[test]
    fn a_strength_that_is_short_of_the_expected_one_is_told_with_both_and_the_line() {
        let sampled = Strength::NotFound { schedules: 1000 };
        assert_eq!(
            mismatch("{ strength: proved }", &sampled).as_deref(),
            Some("line 6: strength not found in 1000 schedules, expected proved")
        );
        let bounded = Strength::ProvedUpTo { preemptions: 2, schedules: 5, states: 7 };
        assert_eq!(
            mismatch("{ strength: proved }", &bounded).as_deref(),
            Some("line 6: strength proved up to 2 preemptions (5 schedules, 7 states), expected proved")
        );
        assert!(mismatch("{ strength: proved up to 3 preemptions }", &bounded).is_some());
        let full = Strength::NotProved { reason: "cache full".to_owned(), schedules: 5, states: 7 };
        assert!(mismatch("{ strength: proved up to 0 preemptions }", &full).is_some());
    }

    #[test]
    fn a_strength_that_is_as_expected_or_more_is_no_mismatch() {
        let proved = Strength::Proved { schedules: 5, states: 7 };
        let bounded = Strength::ProvedUpTo { preemptions: 2, schedules: 5, states: 7 };
        assert_eq!(mismatch("{ strength: proved }", &proved), None);
        assert_eq!(mismatch("{ strength: proved up to 2 preemptions }", &bounded), None);
        assert_eq!(mismatch("{ strength: proved up to 1 preemption }", &bounded), None);
        assert_eq!(mismatch("{ verdict: pass }", &Strength::NotFound { schedules: 1 }), None, "nothing is expected");
    }

    #[test]
    fn no_strength_is_expected_of_a_run_on_threads() {
        let plans = plans("{ strength: proved }");
        let threads = plans.iter().find(|plan| plan.run_on == RunOn::Threads).unwrap();
        assert_eq!(strength_mismatch(threads, &Strength::NotFound { schedules: 1 }), None);
    }
}
