//! [`Table`]: a loaded table, from dmsetup's own syntax, refused where the kernel refuses it.
//!
//! Invariants: targets are in order, adjoin each other and begin at sector 0; every device of a table is held open for
//! as long as the table is in a slot ([`Slot`]), and not by whoever still looks at it; pools belong to the table and are
//! sized when it is loaded (dm-spec §1.5).
//! Not here: swapping tables ([`super::mapped_device`]), request-based type rules, immutable and singleton targets.

use std::sync::Arc;

use dmlab_units::Sectors;

use super::accounting::IoAccounting;
use super::deferred::Deferred;
use super::errno::Errno;
use super::host::TargetHost;
use super::target::{Target, TargetArgs, TargetFeatures, TargetRange, TargetType};
use crate::block::{BioSet, BlockCore, Device};
use crate::sched::Task;
use crate::sync::Mempool;
use crate::sync::mempool::Element;
use crate::variants::{CloneVecs, Planted, Split, Variants};

/// A target, its type and its place.
pub struct TableTarget {
    /// The kind.
    pub kind: &'static TargetType,
    /// The part of the device it covers.
    pub range: TargetRange,
    /// What it does.
    pub target: Box<dyn Target>,
}

/// The memory pools of a table, by the names that reports give them (dm-spec §1.1).
pub struct Pools {
    /// `struct dm_io`, where it is a pool of its own (`loop`, `depth-first`, `clone-is-remainder`).
    pub io_pool: Option<Arc<Mempool>>,
    /// Clones (`struct dm_target_io`).
    pub bs: BioSet,
    /// `struct dm_io` with its first clone in one (`trim`).
    pub io_bs: Option<BioSet>,
}

/// A loaded table.
pub struct Table {
    accounting: Arc<IoAccounting>,
    targets: Vec<TableTarget>,
    pools: Pools,
    host: Arc<TargetHost>,
    variants: Variants,
    deferred: Arc<Deferred>,
}

/// What loading a table needs to know.
pub struct TableContext<'a> {
    /// Name of the device, for pools.
    pub device: &'a str,
    /// The new table's way to it.
    pub host: &'a Arc<TargetHost>,
    /// The device's I/O in flight.
    pub accounting: &'a Arc<IoAccounting>,
    /// What the device has put off.
    pub deferred: &'a Arc<Deferred>,
    /// The machine's block layer.
    pub core: &'a Arc<BlockCore>,
    /// Known target types.
    pub types: &'a [&'static TargetType],
    /// The current `reserved_bio_based_ios`.
    pub reserved_bio_based_ios: u64,
    /// Finds devices.
    pub get_device: &'a dyn Fn(&str) -> Result<Arc<Device>, Errno>,
}

impl Table {
    /// `table_load`: builds a table from lines of `start length type args`.
    ///
    /// # Errors
    /// The kernel's error number; what the kernel would print is in the kernel log.
    pub fn load(current: &Task, lines: &[String], context: &TableContext<'_>) -> Result<Slot, Errno> {
        let _frame = current.enter("table_load");
        let mut targets = Vec::with_capacity(lines.len());
        let refuse = |message: &str| {
            context.core.log(current, format!("device-mapper: table: {}: {message}", context.host.dev()));
            Errno::EINVAL
        };
        if lines.is_empty() {
            context.core.log(current, "device-mapper: ioctl: populate_table: no targets specified".to_owned());
            return Err(Errno::EINVAL);
        }
        let mut end = Sectors::ZERO;
        for line in lines {
            let words = split_args(line);
            let target = Self::add_target(current, &words, (end, &targets), context, &refuse).inspect_err(|_| {
                context.core.log(current, "device-mapper: ioctl: error adding target to table".to_owned());
            })?;
            end = target.range.begin + target.range.len;
            targets.push(target);
        }
        let flushes = targets.iter().map(|target| target.target.num_flush_bios()).max().unwrap_or(0);
        let pools = Pools::new(current, context, flushes);
        let (accounting, deferred) = (Arc::clone(context.accounting), Arc::clone(context.deferred));
        let variants = *context.core.variants();
        let table = Self { accounting, targets, pools, host: Arc::clone(context.host), variants, deferred };
        Ok(Slot::new(table))
    }

    fn add_target(
        current: &Task,
        words: &[String],
        (end, before): (Sectors, &[TableTarget]),
        context: &TableContext<'_>,
        refuse: &dyn Fn(&str) -> Errno,
    ) -> Result<TableTarget, Errno> {
        let [begin, len, name, argv @ ..] = words else {
            return Err(refuse("a table line is: start length type arguments"));
        };
        let (Ok(begin), Ok(len)) = (begin.parse::<Sectors>(), len.parse::<Sectors>()) else {
            return Err(refuse("start and length are numbers of sectors"));
        };
        let range = TargetRange { begin, len };
        if len == Sectors::ZERO {
            return Err(refuse("zero-length target"));
        }
        if begin.checked_add(len).is_none_or(|end| end.0 > i64::MAX as u64 / 512) {
            return Err(refuse("too large device"));
        }
        let Some(kind) = context.types.iter().copied().find(|kind| kind.name == name) else {
            return Err(refuse(&format!("{name}: unknown target type")));
        };
        if let Some(complaint) = mixes(before, kind) {
            return Err(refuse(&complaint));
        }
        if begin != end && context.core.variants().planted != Planted::AcceptsGaps {
            return Err(refuse(&format!("{name}: Gap in table (-EINVAL)")));
        }
        let argv = argv.iter().map(String::as_str).collect();
        let planted = context.core.variants().planted;
        let mut args = TargetArgs { range, argv, planted, host: context.host, get_device: context.get_device };
        let target = (kind.ctr)(current, &mut args).map_err(|error| {
            refuse(&format!("{name}: {} (-{})", error.message, error.errno));
            error.errno
        })?;
        Ok(TableTarget { kind, range, target })
    }

    /// `dm_table_find_target`.
    #[inline]
    pub fn find(&self, sector: Sectors) -> Option<(usize, &TableTarget)> {
        let index = match &*self.targets {
            [_] => 0,
            targets => targets.partition_point(|target| target.range.begin + target.range.len <= sector),
        };
        let target = self.targets.get(index)?;
        (sector < target.range.begin + target.range.len).then_some((index, target))
    }

    /// The targets, in order.
    pub fn targets(&self) -> &[TableTarget] {
        &self.targets
    }

    /// The I/O in flight of the device that it belongs to.
    #[inline]
    pub const fn accounting(&self) -> &Arc<IoAccounting> {
        &self.accounting
    }

    /// The table's pools.
    #[inline]
    pub const fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The machine's variants.
    #[inline]
    pub(super) const fn variants(&self) -> &Variants {
        &self.variants
    }

    /// What its device has put off.
    #[inline]
    pub(super) const fn deferred(&self) -> &Arc<Deferred> {
        &self.deferred
    }

    /// Its way to the device it is for.
    pub const fn host(&self) -> &Arc<TargetHost> {
        &self.host
    }

    /// `dm_table_get_size`.
    pub fn size(&self) -> Sectors {
        self.targets.last().map_or(Sectors::ZERO, |target| target.range.begin + target.range.len)
    }

    /// The devices it stands on, with the area used of each.
    pub fn devices(&self) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        self.targets.iter().flat_map(|target| target.target.devices(&target.range)).collect()
    }

    /// `dm_table_get_immutable_target_type`.
    pub fn immutable_type(&self) -> Option<&'static TargetType> {
        let kind = self.targets.first()?.kind;
        kind.features.contains(TargetFeatures::IMMUTABLE).then_some(kind)
    }

    /// `dm_table_get_wildcard_target`: whether it may replace an immutable one.
    pub fn has_wildcard(&self) -> bool {
        self.targets.iter().any(|target| target.kind.features.contains(TargetFeatures::WILDCARD))
    }

    /// `t->devices`: every device once, the one that was named last first.
    pub fn unique_devices(&self) -> Vec<Arc<Device>> {
        let mut unique: Vec<Arc<Device>> = Vec::new();
        for (device, _, _) in self.devices() {
            if !unique.iter().any(|known| known.id() == device.id()) {
                unique.insert(0, device);
            }
        }
        unique
    }
}

/// Whether a target type may not follow those that the table has: singleton and immutable types (dm-spec §7.4).
fn mixes(before: &[TableTarget], kind: &'static TargetType) -> Option<String> {
    let first = before.first()?.kind;
    if first.features.contains(TargetFeatures::SINGLETON) {
        return Some(format!("target type {} must appear alone in table", first.name));
    }
    if kind.features.contains(TargetFeatures::SINGLETON) {
        return Some(format!("{}: singleton target type must appear alone in table", kind.name));
    }
    let immutable = first.features.contains(TargetFeatures::IMMUTABLE);
    let clash =
        immutable && !std::ptr::eq(first, kind) || !immutable && kind.features.contains(TargetFeatures::IMMUTABLE);
    clash.then(|| format!("{}: immutable target type cannot be mixed with other target types", kind.name))
}

/// A table in the active or inactive slot of its device: holds the devices below open until it is dropped, which is
/// `dm_table_destroy` as far as others can see it. (Not left to the last reference to the table, which a worker that has
/// just ended the last bio may still have in hand.)
pub struct Slot {
    table: Arc<Table>,
    /// The devices below have been closed.
    closed: bool,
}

impl Slot {
    fn new(table: Table) -> Self {
        table.devices().iter().for_each(|(device, _, _)| device.open());
        Self { table: Arc::new(table), closed: false }
    }

    /// The table in it.
    pub const fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// `dm_table_destroy`: the targets' destructors, then the devices below.
    pub fn destroy(mut self, current: &Task) {
        self.table.targets().iter().for_each(|target| target.target.dtr(current));
        self.closed = true;
        self.table.devices().iter().for_each(|(device, _, _)| device.put(current));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.closed {
            self.table.devices().iter().for_each(|(device, _, _)| device.close());
        }
    }
}

impl Pools {
    /// `free_io`, of a `dm_io` that did not come to be used.
    pub(super) fn free_io(&self, current: &Task, element: Element) {
        self.io().free(current, element);
    }

    /// Where `struct dm_io` is from.
    pub(super) fn io(&self) -> &Mempool {
        match &self.io_pool {
            Some(pool) => pool,
            None => self.io_bs.as_ref().expect("a table has one or the other").pool(),
        }
    }

    /// `dm_table_alloc_md_mempools`: every pool has room for the duplicates of one flush, whatever the parameter says.
    fn new(current: &Task, context: &TableContext<'_>, flushes: u64) -> Self {
        let TableContext { device, core, .. } = context;
        let reserve = context.reserved_bio_based_ios.max(flushes);
        let set = |name: &str| BioSet::new(current, core, &format!("{device}.{name}"), reserve, true);
        let (trims, copies) = (core.variants().split == Split::Trim, core.variants().clone_vecs == CloneVecs::Copied);
        let bvecs = copies.then(|| format!("{device}.bvecs"));
        Self {
            io_pool: (!trims).then(|| core.new_pool(current, &format!("{device}.io_pool"), reserve)),
            bs: BioSet::with_vecs(current, core, &format!("{device}.bs"), reserve, bvecs.as_deref()),
            io_bs: trims.then(|| set("io_bs")),
        }
    }
}

/// `dm_split_args`: words at white space; a backslash makes the next character ordinary, and is one itself at the end.
pub(super) fn split_args(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.get_or_insert_default().push(characters.next().unwrap_or('\\')),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_split_as_the_kernel_does() {
        assert_eq!(split_args(" 0 16  linear 1:0\t0 "), ["0", "16", "linear", "1:0", "0"]);
        assert_eq!(split_args(r"a\ b c\\d \"), ["a b", r"c\d", r"\"]);
        assert!(split_args("   ").is_empty());
    }

    proptest! {
        #[test]
        fn no_line_panics(line in ".{0,64}") {
            split_args(&line);
        }
    }
}
