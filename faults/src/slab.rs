//! [`SlabFault`]: the allocator behind a memory pool fails, so that the pool must live off its reserve.
//!
//! Fault model: both attempts of `mempool_alloc` (without and with waiting) ask the plan, each as an event of its
//! own; elements already handed out stay good; the reserve is never touched. Kernel counterpart: failslab filtered
//! by cache.

use dmlab_units::Seed;

use crate::When;

/// A failing allocator.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SlabFault {
    /// Which allocations fail.
    pub when: When,
}

impl SlabFault {
    /// Whether allocation number `event` (from 0, per pool) fails.
    pub fn fails(&self, seed: Seed, event: u64) -> bool {
        self.when.fails(seed, event)
    }

    /// Whether the allocator will never recover by itself.
    pub const fn is_permanent(&self) -> bool {
        self.when.is_permanent()
    }
}
