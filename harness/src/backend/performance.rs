//! [`Performance`]: what a performance of a plan found out, on whichever backend.
//!
//! Invariant: what a backend cannot see is empty, and what is expected of it is not met or told as not looked at.
//! Not here: verdicts ([`crate::judge`]).

use std::collections::BTreeMap;

use dmlab_engine::sync::PoolStats;

use crate::script::Findings;

/// What a performance found out.
#[derive(Default)]
pub struct Performance {
    /// What the steps saw.
    pub findings: Findings,
    /// What was not at rest after everything was removed.
    pub leak: Option<String>,
    /// Pools by name, in order of creation.
    pub pools: Vec<PoolUse>,
    /// Driver entries, e.g. `t 0+16`.
    pub entry_order: Vec<String>,
    /// Counts of the machine.
    pub counters: BTreeMap<String, u64>,
    /// The kernel log.
    pub kmsg: Vec<String>,
}

/// A pool's name and what it has been through.
#[derive(Clone)]
pub struct PoolUse {
    /// Name, e.g. `t.bs`.
    pub name: String,
    /// Statistics.
    pub stats: PoolStats,
}
