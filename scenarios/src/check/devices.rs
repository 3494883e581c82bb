//! `devices`: what the scenario stands on, in order.
//!
//! Invariants: names are unique and lower case; each device names only devices before it; sizes are whole sectors;
//! `$below` and `over` come together.
//! Not here: the lines of tables (`table`), finding devices again (`scope`).

use dmlab_units::{Bytes, Sectors};

use super::scope::{Declared, Scope, Sort};
use super::table::{self, BELOW, Lines};
use super::timed::timed;
use crate::fields::{Checked, Fields};
use crate::node::{Kind, Node};
use crate::sink::{Sink, shown};
use crate::{Device, DeviceKind, Driver, FileDevice, Timed, VolatileCache, values};

const SIZE_MAX: Bytes = Bytes(1 << 40);
const LEVELS_MAX: u32 = 64;
const ATOMIC_MIN: Bytes = Bytes(512);
const ATOMIC_MAX: Bytes = Bytes(4096);
const DEVICES_MAX: usize = 256;
const WHAT: &str = "a device";
const DRIVERS: &values::Words<Driver> =
    &[("brd", Driver::Brd), ("loop", Driver::Loop), ("null_blk", Driver::NullBlk), ("scsi_debug", Driver::ScsiDebug)];

/// Reads all devices. The scope knows each of them afterwards, also those with mistakes.
pub(super) fn devices(node: Option<&Node>, sink: &mut Sink<'_>) -> (Scope, Checked<Vec<Device>>) {
    let entries = match node.map(|node| &node.kind) {
        Some(Kind::Map(entries)) => entries,
        other => {
            if let (Some(node), Some(Kind::Scalar(_) | Kind::Seq(_))) = (node, other) {
                sink.wanted(node, "a map of devices, each with what it is made of");
            }
            return (Scope::of_anything(), None);
        }
    };
    if let Some((key, _)) = entries.get(DEVICES_MAX) {
        sink.error(key.span, format!("more than the {DEVICES_MAX} devices allowed"));
        return (Scope::of_anything(), None);
    }
    let names = entries.iter().filter_map(|(key, _)| Some((key.text()?.to_owned(), key.span.line))).collect();
    let mut scope = Scope::new(names);
    let devices = values::each(entries, sink, |(key, value), sink| {
        let name = key.text()?.to_owned();
        let named = is_name(&name);
        if !named {
            let message = format!("{} is not a name of a device: a-z, 0-9 and `_`, a letter first", shown(&name));
            sink.error(key.span, message);
        }
        let read = kind(value, &scope, sink);
        scope.declare(declared(&name, read.as_ref().map(|(kind, ..)| kind), &scope));
        named.then_some(())?;
        let (kind, cache, driver) = read?;
        Some(Device { name, kind, cache, driver })
    });
    if entries.is_empty()
        && let Some(node) = node
    {
        sink.error(node.span, "a scenario without devices tests nothing");
    }
    (scope, devices)
}

pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && text != "below"
}

fn declared(name: &str, kind: Option<&DeviceKind>, scope: &Scope) -> Declared {
    let (sort, size) = match kind {
        Some(DeviceKind::Ram(size) | DeviceKind::Null(size)) => (Sort::Leaf, Sectors::from_bytes(*size)),
        Some(DeviceKind::File(file)) => (Sort::Leaf, Sectors::from_bytes(file.size)),
        Some(DeviceKind::Timed(timed)) => (Sort::Leaf, Sectors::from_bytes(timed.size)),
        Some(DeviceKind::Barrier { below }) => (Sort::Barrier, scope.find(below).and_then(|below| below.size)),
        Some(DeviceKind::Dm { over, levels, .. }) => (Sort::Dm { stacked: over.is_some(), levels: *levels }, None),
        None => (Sort::Unknown, None),
    };
    let tabled = match kind {
        Some(DeviceKind::Dm { table, .. }) => table.last().and_then(|line| end_of(line)),
        _ => None,
    };
    Declared { name: name.to_owned(), sort, size, tabled }
}

/// Where a line of a table ends.
fn end_of(line: &str) -> Option<Sectors> {
    let mut words = line.split_whitespace();
    let mut number = || words.next()?.parse::<u64>().ok();
    Some(Sectors(number()?.checked_add(number()?)?))
}

fn kind(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<(DeviceKind, Option<VolatileCache>, Driver)> {
    let stacked = node.get("over").is_some();
    let mut fields = Fields::open(node, WHAT, sink)?;
    let ram = fields.optional("ram", size);
    let null = fields.optional("null", size);
    let timed = fields.optional("timed", timed);
    let file = fields.optional("file", file);
    let barrier = fields.optional("barrier", |node, sink| scope.reference(node, sink));
    let dm = fields.optional("dm", |node, sink| table::lines(node, Lines::Table, stacked, scope, sink));
    let over = fields.optional("over", |node, sink| scope.reference(node, sink));
    let levels = fields.optional("levels", |node, sink| values::count(node, 1..=LEVELS_MAX, sink));
    let is_volatile = fields.or("volatile_cache", false, values::truth);
    let atomic = fields.optional("atomic", atomic);
    let driver = fields.optional("driver", |node, sink| values::word(node, "a driver", DRIVERS, sink));
    let span = fields.span();
    fields.finish()?;
    let kinds: Vec<&str> =
        ["ram", "null", "timed", "file", "barrier", "dm"].into_iter().filter(|kind| node.get(kind).is_some()).collect();
    if kinds.len() != 1 {
        let found = if kinds.is_empty() { "none".to_owned() } else { kinds.join(" and ") };
        return sink
            .refuse(span, format!("a device is one of ram, null, timed, file, barrier and dm; here is {found}"));
    }
    for key in ["over", "levels"] {
        if let Some(node) = node.get(key)
            && kinds != ["dm"]
        {
            sink.error(node.span, format!("`{key}` is about dm devices; this one is {}", kinds.concat()));
            return None;
        }
    }
    let driver = driver?;
    if let Some(node) = node.get("driver")
        && kinds != ["ram"]
    {
        return sink.refuse(node.span, format!("`driver` is about ram devices; this one is {}", kinds.concat()));
    }
    let cache = cache(node, kinds[0], timed.as_ref().and_then(Option::as_ref), (is_volatile?, atomic?), sink)?;
    let (ram, null, timed, file, barrier, dm, over, levels) =
        (ram?, null?, timed?, file?, barrier?, dm?, over?, levels?);
    let leaf = ram
        .map(DeviceKind::Ram)
        .or(null.map(DeviceKind::Null))
        .or(timed.map(DeviceKind::Timed))
        .or(file.map(DeviceKind::File));
    let barrier = barrier.map(|below| DeviceKind::Barrier { below: below.name });
    let Some(table) = dm else { return Some((leaf.or(barrier)?, cache, driver.unwrap_or_default())) };
    let names_below = table.iter().any(|line| line.split_whitespace().any(|token| token == BELOW));
    if let Some(over) = node.get("over")
        && !names_below
    {
        return sink.refuse(over.span, "`over` without a line that names `$below`: the device would not stand on it");
    }
    if let Some(node) = node.get("levels")
        && over.is_none()
        && levels != Some(1)
    {
        return sink.refuse(node.span, "`levels` above 1 need `over: $device`, what the lowest stands on");
    }
    Some((DeviceKind::Dm { table, over: over.map(|over| over.name), levels: levels.unwrap_or(1) }, None, Driver::Brd))
}

/// What a power cut may take from a device of `kind`.
fn cache(
    node: &Node,
    kind: &str,
    timed: Option<&Timed>,
    (is_volatile, atomic): (bool, Option<Bytes>),
    sink: &mut Sink<'_>,
) -> Checked<Option<VolatileCache>> {
    let place = |key: &str| node.get(key).map_or(node.span, |node| node.span);
    if !is_volatile {
        if atomic.is_some() {
            return sink
                .refuse(place("atomic"), "`atomic` is about a volatile cache, and `volatile_cache` is not true");
        }
        return Some(None);
    }
    if !matches!(kind, "ram" | "timed") {
        let message = format!("`volatile_cache` is about ram and timed devices; this one is {kind}");
        return sink.refuse(place("volatile_cache"), message);
    }
    if kind == "timed" && timed.is_none_or(|timed| timed.flush.is_none()) {
        let message = "a timed device without `flush` has no write cache that could be volatile";
        return sink.refuse(place("volatile_cache"), message);
    }
    Some(Some(VolatileCache { atomic: atomic.unwrap_or(ATOMIC_MIN) }))
}

fn atomic(node: &Node, sink: &mut Sink<'_>) -> Checked<Bytes> {
    let bytes = values::bytes(node, ATOMIC_MIN..=ATOMIC_MAX, sink)?;
    if !bytes.0.is_power_of_two() {
        return sink.refuse(node.span, format!("{bytes} is not a power of two"));
    }
    Some(bytes)
}

fn file(node: &Node, sink: &mut Sink<'_>) -> Checked<FileDevice> {
    let mut fields = Fields::open(node, "a `file` device", sink)?;
    let size = fields.required("size", size);
    let path = fields.optional("path", values::filled);
    fields.finish()?;
    Some(FileDevice { size: size?, path: path? })
}

pub(super) fn size(node: &Node, sink: &mut Sink<'_>) -> Checked<Bytes> {
    values::bytes(node, Bytes(1)..=SIZE_MAX, sink)
}

#[cfg(test)]
mod tests;
