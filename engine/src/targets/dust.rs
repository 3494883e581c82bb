//! dust 1.0.0: reads of blocks on a list fail, as on a disk with bad sectors; writing to such a block makes it good again.
//!
//! Invariants: blocks are counted on the device below, the target's own offset included; no bio crosses a block; the
//! list works only while enabled; all messages, replies and lines of the log are the kernel's, its slips among them (the
//! number of a block that a write has removed is divided by the sectors of a block once too often).
//! Not here: shortening of long replies to the caller's buffer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use dmlab_units::Sectors;

use crate::block::{Bio, BioOp, Device};
use crate::dm::args::{kstrtouint, scan_u32, scan_u64};
use crate::dm::target::CtrError;
use crate::dm::{Errno, Mapped, Target, TargetArgs, TargetFeatures, TargetHost, TargetRange, TargetType};
use crate::sched::Task;
use crate::sync::{SpinSection, Variable};
use crate::variants::Planted;

pub(super) static TYPE: TargetType =
    TargetType { name: "dust", version: [1, 0, 0], features: TargetFeatures::empty(), ctr };

/// `DUST_MAX_BLKSZ_SECTORS`: 1 GiB.
const MAX_BLOCK_SECTORS: u64 = 2_097_152;
const SECTOR_BYTES: u32 = 512;

/// The bad blocks, each with how many writes of it fail yet.
#[derive(Default)]
struct BadBlocks(BTreeMap<u64, u8>);

/// What a write finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Good,
    /// It fails.
    Fails,
    /// The block was bad and is on the list no longer.
    Removed,
}

impl BadBlocks {
    /// `dust_add_block`: `false` if it is there already.
    fn add(&mut self, block: u64, wr_fail_cnt: u8) -> bool {
        let is_new = !self.0.contains_key(&block);
        if is_new {
            self.0.insert(block, wr_fail_cnt);
        }
        is_new
    }

    /// `__dust_map_write`.
    fn write(&mut self, block: u64) -> Found {
        match self.0.get_mut(&block) {
            None => Found::Good,
            Some(0) => {
                self.0.remove(&block);
                Found::Removed
            }
            Some(fails) => {
                *fails -= 1;
                Found::Fails
            }
        }
    }
}

struct Dust {
    dev: Arc<Device>,
    start: Sectors,
    /// Bytes of a block.
    blksz: u32,
    bad_blocks: SpinSection<BadBlocks>,
    fail_read_on_bb: Variable,
    quiet_mode: Variable,
    host: Arc<TargetHost>,
    planted: Planted,
}

/// `<dev> <offset> <block size>`
fn ctr(current: &Task, args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    let [dev, offset, blksz] = args.argv[..] else { return Err(CtrError::invalid("Invalid argument count")) };
    let blksz = block_size(blksz, args.range.len)?;
    let start = scan_u64(offset).ok_or_else(|| CtrError::invalid("Invalid device offset sector"))?;
    let dev = args.device(dev, "Device lookup failed").map_err(|error| CtrError::invalid(&error.message))?;
    let (runtime, device) = (current.runtime(), args.host.name());
    Ok(Box::new(Dust {
        dev,
        start: Sectors(start),
        blksz,
        bad_blocks: SpinSection::new(runtime, &format!("{device}.dust_lock"), BadBlocks::default()),
        fail_read_on_bb: Variable::new(runtime, &format!("{device}.fail_read_on_bb"), 0),
        quiet_mode: Variable::new(runtime, &format!("{device}.quiet_mode"), 0),
        host: Arc::clone(args.host),
        planted: args.planted,
    }))
}

fn block_size(text: &str, len: Sectors) -> Result<u32, CtrError> {
    let blksz = kstrtouint(text).filter(|&blksz| blksz > 0);
    let blksz = blksz.ok_or_else(|| CtrError::invalid("Invalid block size parameter"))?;
    if blksz < SECTOR_BYTES {
        return Err(CtrError::invalid("Block size must be at least 512"));
    }
    if !blksz.is_power_of_two() {
        return Err(CtrError::invalid("Block size must be a power of 2"));
    }
    if u64::from(blksz / SECTOR_BYTES) > len.0.min(MAX_BLOCK_SECTORS) {
        return Err(CtrError::invalid("Block size is too large"));
    }
    Ok(blksz)
}

impl Dust {
    fn sect_per_block(&self) -> u64 {
        u64::from(self.blksz / SECTOR_BYTES)
    }

    fn is_quiet(&self) -> bool {
        self.quiet_mode.get() != 0
    }

    fn log(&self, current: &Task, text: &str) {
        self.host.log(current, format!("device-mapper: dust: {text}"));
    }

    fn log_unless_quiet(&self, current: &Task, text: &str) {
        if !self.is_quiet() {
            self.log(current, text);
        }
    }

    /// Whether a bio of the block that `sector` of the device below is in goes on.
    fn passes(&self, current: &Task, op: BioOp, sector: Sectors) -> bool {
        if self.fail_read_on_bb.get() == 0 {
            return true;
        }
        let block = sector.0 / self.sect_per_block();
        if op == BioOp::Read {
            return self.bad_blocks.with(current, |bad| !bad.0.contains_key(&block));
        }
        let found = self.bad_blocks.with(current, |bad| match self.planted {
            Planted::DustKeepsBad if bad.0.get(&block) == Some(&0) => Found::Good,
            _ => bad.write(block),
        });
        if found == Found::Removed {
            let printed = block / self.sect_per_block();
            self.log_unless_quiet(current, &format!("block {printed} removed from badblocklist by write"));
        }
        found != Found::Fails
    }

    fn add_block(&self, current: &Task, block: u64, wr_fail_cnt: u8) -> Result<Option<String>, Errno> {
        if !self.bad_blocks.with(current, |bad| bad.add(block, wr_fail_cnt)) {
            self.log_unless_quiet(current, &format!("dust_add_block: block {block} already in badblocklist"));
            return Err(Errno::EINVAL);
        }
        let text = format!("dust_add_block: badblock added at block {block} with write fail count {wr_fail_cnt}");
        self.log_unless_quiet(current, &text);
        Ok(None)
    }

    fn remove_block(&self, current: &Task, block: u64) -> Result<Option<String>, Errno> {
        if self.bad_blocks.with(current, |bad| bad.0.remove(&block)).is_none() {
            self.log_unless_quiet(current, &format!("dust_remove_block: block {block} not found in badblocklist"));
            return Err(Errno::EINVAL);
        }
        self.log_unless_quiet(current, &format!("dust_remove_block: badblock removed at block {block}"));
        Ok(None)
    }

    /// The number of a block, if it is one and not too far beyond the end of the device.
    fn block(&self, current: &Task, text: &str) -> Result<u64, Errno> {
        let block = scan_u64(text).ok_or(Errno::EINVAL)?;
        self.check_range(current, block)
    }

    fn check_range(&self, current: &Task, block: u64) -> Result<u64, Errno> {
        if block > self.dev.capacity().0 / self.sect_per_block() {
            self.log(current, "selected block value out of range");
            return Err(Errno::EINVAL);
        }
        Ok(block)
    }

    fn unrecognized(&self, current: &Task, message: &str) -> Result<Option<String>, Errno> {
        self.log(current, &format!("unrecognized message '{message}' received"));
        Err(Errno::EINVAL)
    }

    /// A message of one word.
    fn command(&self, current: &Task, message: &str) -> Result<Option<String>, Errno> {
        match message.to_ascii_lowercase().as_str() {
            "addbadblock" | "removebadblock" | "queryblock" => {
                self.log(current, &format!("{message} requires an additional argument"));
                Err(Errno::EINVAL)
            }
            "disable" => {
                self.log(current, "disabling read failures on bad sectors");
                self.fail_read_on_bb.set(0);
                Ok(None)
            }
            "enable" => {
                self.log(current, "enabling read failures on bad sectors");
                self.fail_read_on_bb.set(1);
                Ok(None)
            }
            "quiet" => {
                self.quiet_mode.set(u64::from(!self.is_quiet()));
                Ok(None)
            }
            "countbadblocks" => {
                let count = self.bad_blocks.with(current, |bad| bad.0.len());
                Ok(Some(format!("countbadblocks: {count} badblock(s) found")))
            }
            "clearbadblocks" => {
                let cleared = self.bad_blocks.with(current, |bad| !std::mem::take(&mut bad.0).is_empty());
                let outcome = if cleared { "badblocks cleared" } else { "no badblocks found" };
                Ok(Some(format!("dust_clear_badblocks: {outcome}")))
            }
            "listbadblocks" => {
                let list = self.bad_blocks.with(current, |bad| {
                    bad.0.keys().fold(String::new(), |mut list, block| {
                        let _ = writeln!(list, "{block}");
                        list
                    })
                });
                Ok(Some(if list.is_empty() { "No blocks in badblocklist".to_owned() } else { list }))
            }
            _ => self.unrecognized(current, message),
        }
    }
}

impl Target for Dust {
    fn map(&self, current: &Task, _dev: &Device, range: &TargetRange, mut bio: Bio) -> Mapped {
        let _frame = current.enter("dust_map");
        range.remap(&mut bio, &self.dev, self.start);
        if self.passes(current, bio.op(), bio.sector) { Mapped::Remapped(bio) } else { Mapped::Kill(bio) }
    }

    fn max_io_len(&self) -> Option<Sectors> {
        Some(Sectors(self.sect_per_block()))
    }

    fn num_flush_bios(&self) -> u64 {
        1
    }

    fn num_discard_bios(&self) -> u64 {
        1
    }

    /// `dust_message`.
    fn message(&self, current: &Task, _host: &TargetHost, argv: &[&str]) -> Result<Option<String>, Errno> {
        let _frame = current.enter("dust_message");
        match *argv {
            [message] => self.command(current, message),
            [message, block] => {
                let block = self.block(current, block)?;
                match message.to_ascii_lowercase().as_str() {
                    "addbadblock" => self.add_block(current, block, 0),
                    "removebadblock" => self.remove_block(current, block),
                    "queryblock" => {
                        let is_bad = self.bad_blocks.with(current, |bad| bad.0.contains_key(&block));
                        let found = if is_bad { "found" } else { "not found" };
                        Ok(Some(format!("dust_query_block: block {block} {found} in badblocklist")))
                    }
                    _ => self.unrecognized(current, message),
                }
            }
            [message, block, wr_fail_cnt] => {
                let block = scan_u64(block).ok_or(Errno::EINVAL)?;
                let wr_fail_cnt = scan_u32(wr_fail_cnt).ok_or(Errno::EINVAL)?;
                let Ok(wr_fail_cnt) = u8::try_from(wr_fail_cnt) else {
                    self.log(current, "selected write fail count out of range");
                    return Err(Errno::EINVAL);
                };
                let block = self.check_range(current, block)?;
                if message.eq_ignore_ascii_case("addbadblock") {
                    self.add_block(current, block, wr_fail_cnt)
                } else {
                    self.unrecognized(current, message)
                }
            }
            _ => {
                self.log(current, &format!("invalid number of arguments '{}'", argv.len()));
                Err(Errno::EINVAL)
            }
        }
    }

    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        vec![(Arc::clone(&self.dev), self.start, range.len)]
    }

    fn status(&self, _current: &Task, _noflush: bool) -> String {
        let mode = if self.fail_read_on_bb.get() != 0 { "fail_read_on_bad_block" } else { "bypass" };
        format!("{} {mode} {}", self.dev.id(), if self.is_quiet() { "quiet" } else { "verbose" })
    }

    fn table(&self, _current: &Task) -> String {
        format!("{} {} {}", self.dev.id(), self.start, self.blksz)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn block_sizes_are_refused_in_the_kernels_words() {
        let refused = |text, len| block_size(text, Sectors(len)).unwrap_err().message;
        for text in ["", "x", "0", "-512", "4294967296"] {
            assert_eq!(refused(text, 64), "Invalid block size parameter", "{text:?}");
        }
        assert_eq!(refused("511", 64), "Block size must be at least 512");
        assert_eq!(refused("1000", 64), "Block size must be a power of 2");
        assert_eq!(refused("65536", 64), "Block size is too large");
        assert_eq!(refused("2147483648", 1 << 40), "Block size is too large");
        assert_eq!(block_size("32768", Sectors(64)), Ok(32768));
        assert_eq!(block_size("1073741824", Sectors(1 << 40)), Ok(1 << 30));
    }

    proptest! {
        /// Against the rule in words: a write fails as often as was said, then heals.
        #[test]
        fn a_bad_block_fails_so_many_writes_and_heals(fails: u8, steps in vec((0..4_u64, any::<bool>()), 1..80)) {
            let mut bad = BadBlocks::default();
            let mut left = BTreeMap::new();
            for (block, add) in steps {
                if add {
                    prop_assert_eq!(bad.add(block, fails), !left.contains_key(&block));
                    left.entry(block).or_insert(fails);
                    continue;
                }
                let expected = match left.get_mut(&block) {
                    None => Found::Good,
                    Some(0) => Found::Removed,
                    Some(left) => {
                        *left -= 1;
                        Found::Fails
                    }
                };
                if expected == Found::Removed {
                    left.remove(&block);
                }
                prop_assert_eq!(bad.write(block), expected);
                prop_assert_eq!(&bad.0, &left);
            }
        }
    }
}
