//! Reading devices, as a whole and block by block.
//!
//! Invariant: at most [`READ_SECTORS`] are asked for at once.
//! Not here: what the bytes mean.

use dmlab_scenarios::{Errno, IoOp};
use dmlab_units::Sectors;

use super::store::digest;
use crate::backend::{Actor, OpenDevice};

/// One read.
const READ_SECTORS: u64 = 128;
/// Sectors that are told as one digest.
const BLOCK_SECTORS: u64 = 32;

/// The bytes of a device from a sector on, to its end where no number is given.
pub(super) fn bytes(
    actor: &dyn Actor,
    device: &str,
    from: Sectors,
    sectors: Option<Sectors>,
) -> Result<Vec<u8>, Errno> {
    let open = actor.open(device, 1, Sectors(READ_SECTORS))?;
    let end = sectors.map_or(open.capacity(), |sectors| Sectors(from.0 + sectors.0).min(open.capacity()));
    let mut bytes = Vec::new();
    let mut at = from.0;
    while at < end.0 {
        let count = (end.0 - at).min(READ_SECTORS);
        read(&*open, at, count, &mut bytes)?;
        at += count;
    }
    Ok(bytes)
}

/// Each block of a device in a line: its first sector, and the digest of its bytes or the error.
pub(super) fn blocks(actor: &dyn Actor, device: &str) -> Result<Vec<String>, Errno> {
    let open = actor.open(device, 1, Sectors(BLOCK_SECTORS))?;
    let end = open.capacity().0;
    let mut lines = Vec::new();
    let mut at = 0;
    while at < end {
        let mut bytes = Vec::new();
        let said = match read(&*open, at, (end - at).min(BLOCK_SECTORS), &mut bytes) {
            Ok(()) => format!("{:016x}", digest(&bytes)),
            Err(errno) => format!("{errno:?}"),
        };
        lines.push(format!("{at}: {said}"));
        at += BLOCK_SECTORS;
    }
    Ok(lines)
}

fn read(open: &dyn OpenDevice, at: u64, count: u64, into: &mut Vec<u8>) -> Result<(), Errno> {
    open.submit(0, IoOp::Read, Sectors(at), Sectors(count));
    open.reap().1.map_or(Ok(()), Err)?;
    let len = Sectors(count).bytes().0 as usize;
    open.with_slot(0, &mut |memory| into.extend_from_slice(&memory[..len]));
    Ok(())
}
