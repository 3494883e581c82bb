//! `mount`: something lives on a device, and writes when it is frozen.
//!
//! Invariant: each freeze writes the same sectors, stamped as a `stamp` step stamps them, and then flushes; its first error
//! is the freeze's. So there is no state between freezes that a search would have to know.
//! Not here: when a freeze takes place (the backend).

use dmlab_scenarios::{Errno, Extent, IoOp, Pass};
use dmlab_units::Sectors;

use super::pattern::{self, Label};
use super::{Script, Stopped};
use crate::backend::{Actor, OpenDevice};

/// Sectors of one write of a freeze.
const PIECE_SECTORS: Sectors = Sectors(2048);

impl Script {
    pub(super) fn mount(&self, actor: &dyn Actor, line: u32, pass: &Pass) -> Result<(), Stopped> {
        let Pass { extent, outcome } = pass;
        let (seed, dirty) = (self.seed, extent.clone());
        let write_out = move |open: &dyn OpenDevice| {
            let Extent { device, at, sectors } = &dirty;
            let mut done = Sectors::ZERO;
            while done < *sectors {
                let piece = PIECE_SECTORS.min(*sectors - done);
                let label = Label::new(seed, device, *at + done, 0);
                open.with_slot(0, &mut |memory| pattern::fill(memory, label));
                ended(open, IoOp::Write, *at + done, piece)?;
                done += piece;
            }
            ended(open, IoOp::Flush, Sectors::ZERO, Sectors::ZERO)
        };
        let slot = extent.sectors.min(PIECE_SECTORS);
        let mounted = actor.mount(&extent.device, slot, Box::new(write_out));
        self.expect(line, &format!("mount of {}", extent.device), mounted, *outcome)
    }
}

/// One I/O, waited for.
fn ended(open: &dyn OpenDevice, op: IoOp, at: Sectors, sectors: Sectors) -> Result<(), Errno> {
    open.submit(0, op, at, sectors);
    open.reap().1.map_or(Ok(()), Err)
}
