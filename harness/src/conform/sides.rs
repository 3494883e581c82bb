//! The engine as a side of a comparison.
//!
//! Invariants: it runs once, fairly, on the virtual clock, with the algorithms of the kernel that it is compared with, so
//! that what it says is the same every time.
//! Not here: kernels, which are run by the backends.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_results::Verdict;

use super::Seen;
use crate::backend::engine::perform_virtually;
use crate::judge::judge;
use crate::plan::{Plan, RunOn};

/// What the engine sees of a plan's cell.
pub fn engine(plan: &Plan, interrupt: &Arc<AtomicBool>) -> Seen {
    if let Some(why) = &plan.skip {
        return Seen { verdict: Verdict::Skip, report: Some(why.clone()), trace: crate::script::Trace::default() };
    }
    let plan = Plan { run_on: RunOn::Virtual, ..plan.clone() };
    let (result, performance) = perform_virtually(&plan, interrupt);
    let judgement = judge(&result.outcome, &performance);
    Seen { verdict: judgement.verdict, report: judgement.report, trace: performance.findings.trace }
}
