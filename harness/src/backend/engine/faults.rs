//! Fault plans as the engine's hooks: `dmlab-faults` decides, the engine asks.
//!
//! Invariants: each pool and each fault draws from a sub-seed of its own, so that adding a fault changes no other; the
//! last fault named wins where several match a pool, and the first that fails wins where several match an I/O; an open
//! plan (`When::Any`) is a choice of the schedule on the explorer and drawn from the seed on threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dmlab_engine::block::{BioOp, BlkStatus, Fate, IoFaultHook, SlabFaults};
use dmlab_engine::sync::Allocator;
use dmlab_faults::{Effect, FaultOp, IoFault, SlabFault};
use dmlab_scenarios::{Errno, Fault, device_and_pool};
use dmlab_units::{Sectors, Seed};

struct SlabPlan {
    faults: Vec<(String, SlabFault)>,
    seed: Seed,
}

struct FailingSlab {
    fault: SlabFault,
    seed: Seed,
    /// Failures so far, of those that were open to choice.
    chosen: AtomicU64,
}

impl Allocator for FailingSlab {
    fn fails(&self, event: u64) -> bool {
        self.fault.fails(self.seed, event)
    }

    fn is_permanent(&self) -> bool {
        self.fault.is_permanent()
    }

    fn open(&self) -> Option<u64> {
        let at_most = u64::from(self.fault.when.open()?);
        Some(at_most.saturating_sub(self.chosen.load(Ordering::Relaxed)))
    }

    fn use_up(&self) {
        self.chosen.fetch_add(1, Ordering::Relaxed);
    }
}

impl SlabFaults for SlabPlan {
    fn allocator_of(&self, pool: &str) -> Option<Arc<dyn Allocator>> {
        let (_, fault) = self.faults.iter().rev().find(|(pattern, _)| matches(pattern, pool))?;
        let seed = self.seed.derive(pool);
        Some(Arc::new(FailingSlab { fault: fault.clone(), seed, chosen: AtomicU64::new(0) }))
    }
}

/// Whether `pool`, e.g. `t.bs`, fits `pattern`, in which `*` stands for all devices or all of a device's pools. Device
/// names of lower levels hold a dot themselves (`top.1.bs`).
pub fn matches(pattern: &str, pool: &str) -> bool {
    let (Some((device, kind)), Some((pool_device, pool_kind))) = (device_and_pool(pattern), device_and_pool(pool))
    else {
        return pattern == "*" || pattern == pool;
    };
    (device == "*" || device == pool_device) && (kind == "*" || kind == pool_kind)
}

struct LeafFault {
    device: String,
    fault: IoFault,
    fate: Fate,
    seed: Seed,
    events: AtomicU64,
    /// Failures so far, of those that were open to choice.
    chosen: AtomicU64,
}

struct LeafFaults(Vec<LeafFault>);

impl IoFaultHook for LeafFaults {
    fn fate(
        &self,
        device: &str,
        op: BioOp,
        (sector, sectors): (Sectors, Sectors),
        mut choose: Option<&mut dyn FnMut() -> bool>,
    ) -> Option<Fate> {
        let op = match op {
            BioOp::Read => FaultOp::Read,
            BioOp::Write => FaultOp::Write,
            BioOp::Flush => FaultOp::Flush,
            BioOp::Discard => FaultOp::Discard,
            BioOp::SecureErase => FaultOp::SecureErase,
            BioOp::WriteZeroes => FaultOp::WriteZeroes,
        };
        let mut fate = None;
        for leaf in self.0.iter().filter(|leaf| leaf.device == device && leaf.fault.matches(op, sector, sectors)) {
            // Every matching fault counts the event, whether or not an earlier one has already failed it.
            let event = leaf.events.fetch_add(1, Ordering::Relaxed);
            let fails = match (leaf.fault.when.open(), &mut choose) {
                (Some(at_most), Some(choose)) => {
                    let left = || leaf.chosen.load(Ordering::Relaxed) < u64::from(at_most);
                    // Another bio may use up the last failure while this one is being decided.
                    let fails = left() && choose() && left();
                    leaf.chosen.fetch_add(u64::from(fails), Ordering::Relaxed);
                    fails
                }
                _ => leaf.fault.strikes(leaf.seed, event),
            };
            if fails {
                fate = fate.or(Some(leaf.fate));
            }
        }
        fate
    }
}

/// The engine's allocators under `faults`; `None` is all healthy.
pub(super) fn slab_faults(faults: &[Fault], seed: Seed) -> Option<Arc<dyn SlabFaults>> {
    let faults: Vec<_> = faults
        .iter()
        .filter_map(|fault| match fault {
            Fault::Slab { pool, fault } => Some((pool.clone(), fault.clone())),
            Fault::Io { .. } => None,
        })
        .collect();
    (!faults.is_empty()).then(|| Arc::new(SlabPlan { faults, seed: seed.derive("slab") }) as Arc<dyn SlabFaults>)
}

/// The engine's leaf devices under `faults`; `None` is all healthy.
pub(super) fn io_faults(faults: &[Fault], seed: Seed) -> Option<Arc<dyn IoFaultHook>> {
    let leaves: Vec<_> = faults
        .iter()
        .enumerate()
        .filter_map(|(index, fault)| match fault {
            Fault::Io { device, fault, errno } => Some(LeafFault {
                device: device.clone(),
                fault: fault.clone(),
                fate: match fault.effect {
                    Effect::Fail => Fate::Ends(status_of(*errno)),
                    Effect::Hang => Fate::Held,
                    Effect::Delay(delay) => Fate::Slow(delay),
                },
                seed: seed.derive("io").nth(index as u64),
                events: AtomicU64::new(0),
                chosen: AtomicU64::new(0),
            }),
            Fault::Slab { .. } => None,
        })
        .collect();
    (!leaves.is_empty()).then(|| Arc::new(LeafFaults(leaves)) as Arc<dyn IoFaultHook>)
}

/// Whether `device` may hold bios under `faults`.
pub(super) fn may_hold(faults: &[Fault], device: &str) -> bool {
    let holds = |fault: &Fault| matches!(fault, Fault::Io { device: on, fault, .. } if on == device && fault.effect == Effect::Hang);
    faults.iter().any(holds)
}

/// The block status that reaches user space as `errno`; anything else is an I/O error, as in the kernel.
const fn status_of(errno: Errno) -> BlkStatus {
    match errno {
        Errno::ENOSPC => BlkStatus::NoSpc,
        Errno::EOPNOTSUPP => BlkStatus::NotSupp,
        Errno::ENOMEM => BlkStatus::Resource,
        Errno::EAGAIN => BlkStatus::Again,
        _ => BlkStatus::IoErr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_devices_and_pools() {
        assert!(matches("t.bs", "t.bs") && matches("*.bs", "t.bs") && matches("t.*", "t.bs") && matches("*", "t.bs"));
        assert!(!matches("t.bs", "t.io_bs") && !matches("t.bs", "u.bs") && !matches("*.bs", "t.io_bs"));
        assert!(matches("top.1.bs", "top.1.bs") && !matches("top.bs", "top.1.bs"));
        assert!(
            matches("t.*", "t.kcopyd.jobs") && matches("*.kcopyd.jobs", "t.kcopyd.jobs") && matches("*.*", "t.a.b")
        );
        assert!(!matches("*.jobs", "t.kcopyd.jobs") && !matches("t.kcopyd", "t.kcopyd.jobs"));
    }
}
