//! [`IoFault`]: bios of a leaf device end in an error instead of being carried out, or are carried out late or not until
//! they are released.
//!
//! Fault model: a failing bio changes no data (a failed write is lost whole, a failed read fills nothing); only bios
//! that match operation and range are counted as events. A bio that hangs or is slow does all that it should once it
//! goes on; it never ends by itself with an error, and no timeout ends it. Kernel counterparts: dm-flakey, dm-dust, error tables,
//! fail_make_request; dm-delay, dm-dust and
//! null_blk's timeout injection for those that are late.

use dmlab_units::{Nanos, Sectors, Seed};

use crate::When;

/// Which operations a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultOp {
    /// Reads only.
    Read,
    /// Writes only.
    Write,
    /// Flushes only.
    Flush,
    /// Discards only.
    Discard,
    /// Secure erases only.
    SecureErase,
    /// Write-zeroes only.
    WriteZeroes,
    /// Everything.
    Any,
}

/// What becomes of a bio that a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It ends in an error before any data moves.
    Fail,
    /// It is held until it is released.
    Hang,
    /// It is carried out after this long.
    Delay(Nanos),
}

/// A failing range of a device.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct IoFault {
    /// Operations it is about.
    pub op: FaultOp,
    /// First sector of the range.
    pub start: Sectors,
    /// First sector after the range; `None` is the end of the device.
    pub end: Option<Sectors>,
    /// Which of the matching bios it strikes.
    pub when: When,
    /// What becomes of those.
    pub effect: Effect,
}

impl IoFault {
    /// Whether a bio of `op` over `sectors` sectors from `start` is one that this fault counts. A bio without data
    /// (a flush) matches by operation alone.
    pub fn matches(&self, op: FaultOp, start: Sectors, sectors: Sectors) -> bool {
        if self.op != FaultOp::Any && self.op != op {
            return false;
        }
        let overlaps = start + sectors > self.start && self.end.is_none_or(|end| start < end);
        sectors == Sectors::ZERO || overlaps
    }

    /// Whether it strikes matching bio number `event` (from 0).
    pub fn strikes(&self, seed: Seed, event: u64) -> bool {
        self.when.fails(seed, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_half_open() {
        let fault = IoFault {
            op: FaultOp::Write,
            start: Sectors(8),
            end: Some(Sectors(16)),
            when: When::Always,
            effect: Effect::Hang,
        };
        let hit = |start, sectors| fault.matches(FaultOp::Write, Sectors(start), Sectors(sectors));
        assert!(hit(8, 8) && hit(15, 1) && hit(0, 9) && hit(0, 64));
        assert!(!hit(0, 8) && !hit(16, 8));
        assert!(!fault.matches(FaultOp::Read, Sectors(8), Sectors(8)));
    }

    #[test]
    fn a_flush_has_no_place() {
        let fault = IoFault {
            op: FaultOp::Any,
            start: Sectors(8),
            end: Some(Sectors(16)),
            when: When::Always,
            effect: Effect::Fail,
        };
        assert!(fault.matches(FaultOp::Flush, Sectors(0), Sectors(0)));
    }
}
