//! Steps about snapshots of a volume: snapshot, drop, merge.
//!
//! Invariants: a snapshot's name belongs to one volume, and to nothing else; what a snapshot step asks for can be made,
//! unless its `expect` admits that it cannot.
//! Not here: whether a snapshot is there when it is dropped, which depends on the order of events (the harness).

use dmlab_units::{Bytes, Nanos, Sectors};

use super::devices::{is_name, size};
use super::each;
use super::scope::{Declared, Scope, Sort};
use crate::fields::{Checked, Fields};
use crate::nearest;
use crate::node::{Kind, Node};
use crate::sink::{Sink, shown};
use crate::{
    Action, Cow, Device, DeviceKind, Driver, DropSnapshots, Errno, MergeSnapshot, MustBlock, Outcome, PowerCut, Repeat,
    SnapshotOf, Step, Store, TakeSnapshot, values,
};

const NAMES: &str = "the name of a snapshot: a-z, 0-9 and `_`, a letter first; or several, `snap{1..8}`";
const COW: &str = "`auto`, a size, or a device";
const STORES: &values::Words<Store> = &[("P", Store::P), ("PO", Store::PO), ("N", Store::N)];
/// LVM's default, 4 KiB.
const CHUNK: Sectors = Sectors(8);
/// What a persistent store takes for a chunk size of 0.
const CHUNK_OF_STORE: Sectors = Sectors(32);
/// `INT_MAX >> SECTOR_SHIFT`.
const CHUNK_MAX: u64 = i32::MAX as u64 >> 9;
/// Snapshots that one name may stand for, as many as there may be devices.
const NAMES_MAX: u64 = 256;
const WITHIN: Nanos = Nanos::secs(10);

/// Declares what the snapshot steps below `node` make. Says nothing of mistakes: whoever reads the steps will.
pub(super) fn declare(node: &Node, scope: &mut Scope) {
    let mut quiet = Sink::new("", "");
    match &node.kind {
        Kind::Seq(items) => items.iter().for_each(|item| declare(item, scope)),
        Kind::Map(entries) => {
            for (key, value) in entries {
                match key.text() {
                    Some("each") if value.get("do").is_some() => {
                        // Counted here it would be counted twice.
                        let counted = Scope::default();
                        if let Some(each) = each::read(value, &counted, &mut quiet) {
                            each.passes.iter().for_each(|(_, steps)| declare(steps, scope));
                        }
                    }
                    Some("snapshot") if value.get("of").is_some() => {
                        let of = value.get("of").and_then(Node::text).unwrap_or_default();
                        scope.make(format!("{of}-real"), DM);
                        for name in value.get("as").and_then(|node| names(node, &mut quiet)).unwrap_or_default() {
                            scope.make(name.clone(), DM);
                            scope.make(format!("{name}-cow"), DM);
                            scope.make(disk_of(&name), Sort::Leaf);
                            scope.make_snapshot(&name, of);
                        }
                    }
                    _ => declare(value, scope),
                }
            }
        }
        Kind::Scalar(_) | Kind::Broken => {}
    }
}

const DM: Sort = Sort::Dm { stacked: false, levels: 1 };

/// The ramdisk of a snapshot to which no device was given.
fn disk_of(snapshot: &str) -> String {
    format!("{snapshot}-pv")
}

/// The ramdisks that snapshot steps stand on. A name that is taken twice has one, of the larger size.
pub(super) fn disks(steps: &[Step]) -> Vec<Device> {
    let mut disks: Vec<Device> = Vec::new();
    visit(steps, &mut |take| {
        for Cow { on, sectors, .. } in take.takes.iter().filter(|cow| cow.on == disk_of(&cow.snapshot)) {
            match disks.iter_mut().find(|disk| disk.name == *on) {
                Some(Device { kind: DeviceKind::Ram(size), .. }) => *size = (*size).max(sectors.bytes()),
                _ => {
                    let kind = DeviceKind::Ram(sectors.bytes());
                    disks.push(Device { name: on.clone(), kind, cache: None, driver: Driver::Brd });
                }
            }
        }
    });
    disks
}

fn visit(steps: &[Step], see: &mut impl FnMut(&TakeSnapshot)) {
    for step in steps {
        match &step.action {
            Action::Snapshot(take) => see(take),
            Action::Parallel(tasks) | Action::Background(tasks) => {
                tasks.iter().for_each(|(_, steps)| visit(steps, see));
            }
            Action::Steps(steps)
            | Action::Repeat(Repeat { steps, .. })
            | Action::MustBlock(MustBlock { steps, .. })
            | Action::PowerCut(PowerCut { steps, .. }) => {
                visit(steps, see);
            }
            _ => {}
        }
    }
}

pub(super) fn snapshot(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let mut fields = Fields::open(node, "a `snapshot` step", sink)?;
    let of = fields.required("of", |node, sink| volume(node, scope, sink));
    let names = fields.required("as", names);
    let store = fields.or("store", Store::P, |node, sink| values::word(node, "an exception store", STORES, sink));
    let chunk =
        fields.or("chunk", CHUNK, |node, sink| values::number(node, 0..=u64::from(u32::MAX), sink).map(Sectors));
    let cow = fields.or("cow", Place::Auto, |node, sink| place(node, scope, sink));
    let outcome = fields.or("expect", Outcome::Ok, values::outcome);
    let span = fields.span();
    fields.finish()?;
    let (of, names, store, chunk, cow, outcome) = (of?, names?, store?, chunk?, cow?, outcome?);
    let at = |key: &str| node.get(key).map_or(span, |node| node.span);
    for name in &names {
        if scope.is_declared(name) {
            return sink.refuse(at("as"), format!("{} is a device of `devices` already", shown(name)));
        }
        if let Some(other) = scope.volume_of(name).filter(|other| *other != of.name) {
            return sink.refuse(at("as"), format!("{} is a snapshot of `{other}` already", shown(name)));
        }
    }
    let may_fail = outcome.admits_error(Errno::EINVAL);
    if !may_fail && let Some((message, help)) = wrong_chunk(chunk, store) {
        sink.error_help(at("chunk"), message, help);
        return None;
    }
    let chunk_made = if chunk == Sectors::ZERO { CHUNK_OF_STORE } else { chunk };
    let least = store.room(1, chunk_made);
    let sectors = match &cow {
        Place::Auto => of.tabled.and_then(|size| store.room(size.0.div_ceil(chunk_made.0), chunk_made)),
        Place::Size(size) => Sectors::from_bytes(*size),
        Place::On(device) => device.size.or(device.tabled),
    };
    let Some(sectors) = sectors else {
        let message =
            format!("it is not known how large `{}` is", if let Place::On(on) = &cow { &on.name } else { &of.name });
        sink.error_help(at("cow"), message, "give a size, such as `cow: 1MiB`");
        return None;
    };
    if let Place::On(device) = &cow {
        if names.len() > 1 {
            return sink.refuse(
                at("cow"),
                format!("`{}` holds the copies of one snapshot, not of {}", device.name, names.len()),
            );
        }
        if device.name == of.name || scope.volume_of(&device.name).is_some() {
            return sink
                .refuse(at("cow"), format!("`{}` cannot hold the copies of a snapshot of `{}`", device.name, of.name));
        }
    }
    if !may_fail && least.is_none_or(|least| sectors < least) {
        let least = least.unwrap_or(Sectors(u64::MAX));
        let message = format!(
            "{sectors} sectors are too few for one exception of {chunk_made} sectors in store {}",
            store.word()
        );
        sink.error_help(at("cow"), message, format!("at least {least} sectors, {}", least.bytes()));
        return None;
    }
    let on = |name: &str| match &cow {
        Place::On(device) => device.name.clone(),
        _ => disk_of(name),
    };
    let takes = names.into_iter().map(|snapshot| Cow { on: on(&snapshot), snapshot, sectors }).collect();
    Some(Action::Snapshot(TakeSnapshot { of: of.name, takes, store, chunk, outcome }))
}

/// What no constructor accepts, and what it would.
fn wrong_chunk(chunk: Sectors, store: Store) -> Option<(String, String)> {
    if chunk == Sectors::ZERO {
        let message = "a transient store has no chunk size of its own".to_owned();
        return (store == Store::N).then(|| (message, "give one in sectors, such as `chunk: 8`".to_owned()));
    }
    if !chunk.0.is_power_of_two() {
        let above = chunk.0.next_power_of_two();
        return Some((
            format!("a chunk of {chunk} sectors is not a power of two"),
            format!("{} or {above}", above / 2),
        ));
    }
    let most = CHUNK_MAX.next_power_of_two() / 2;
    (chunk.0 > CHUNK_MAX).then(|| (format!("a chunk of {chunk} sectors is too large"), format!("at most {most}")))
}

/// Where copies go to.
enum Place {
    Auto,
    Size(Bytes),
    On(Declared),
}

fn place(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Place> {
    match values::text_as(node, COW, sink)? {
        "auto" => Some(Place::Auto),
        text if text.starts_with(|c: char| c.is_ascii_digit()) => size(node, sink).map(Place::Size),
        _ => scope.device(node, sink).map(Place::On),
    }
}

/// A dm device that is no snapshot.
fn volume(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Declared> {
    let volume = scope.dm(node, sink)?;
    if let Some(of) = scope.volume_of(&volume.name) {
        let message = format!("`{}` is a snapshot itself", volume.name);
        sink.error_help(node.span, message, format!("dm has snapshots of volumes only, such as `{of}`"));
        return None;
    }
    Some(volume)
}

/// A name, or several: `snap{1..8}`.
fn names(node: &Node, sink: &mut Sink<'_>) -> Checked<Vec<String>> {
    let lists = values::one_or_more(node, "names of snapshots", sink, |item, sink| {
        let text = values::text_as(item, NAMES, sink)?;
        let expanded = match text.split_once('{') {
            None => Some(vec![text.to_owned()]),
            Some((stem, rest)) => expand(stem, rest),
        };
        let names = expanded.filter(|names| names.iter().all(|name| is_name(name)));
        if names.is_none() {
            sink.wanted(item, NAMES);
        }
        names
    })?;
    let names = lists.concat();
    if names.is_empty() {
        return sink.refuse(node.span, "no snapshot is named");
    }
    if let Some(twice) = (1..names.len()).find(|&index| names[..index].contains(&names[index])) {
        return sink.refuse(node.span, format!("{} is named twice", shown(&names[twice])));
    }
    Some(names)
}

/// `stem{first..last}`, what is behind the brace being `rest`.
fn expand(stem: &str, rest: &str) -> Option<Vec<String>> {
    let (first, last) = rest.strip_suffix('}')?.split_once("..")?;
    let (first, last) = (values::parse_number(first)?, values::parse_number(last)?);
    let is_list = first <= last && last - first < NAMES_MAX;
    is_list.then(|| (first..=last).map(|number| format!("{stem}{number}")).collect())
}

/// Snapshots that some step takes.
fn known(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Vec<SnapshotOf>> {
    let names = names(node, sink)?;
    let found = |snapshot: &String| match scope.volume_of(snapshot) {
        Some(of) => Some(SnapshotOf { snapshot: snapshot.clone(), of: of.to_owned() }),
        None if scope.is_of_anything() => Some(SnapshotOf { snapshot: snapshot.clone(), of: String::new() }),
        None => None,
    };
    if let Some(name) = names.iter().find(|name| found(name).is_none()) {
        let message = format!("no step takes a snapshot {}", shown(name));
        sink.error_help(node.span, message, nearest::help(name, &scope.snapshots()));
        return None;
    }
    Some(names.iter().filter_map(found).collect())
}

pub(super) fn drop(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    if !matches!(node.kind, Kind::Map(_)) {
        let snapshots = known(node, scope, sink)?;
        return Some(Action::Drop(DropSnapshots { snapshots, outcome: Outcome::Ok }));
    }
    let mut fields = Fields::open(node, "a `drop` step", sink)?;
    let snapshots = fields.required("snapshot", |node, sink| known(node, scope, sink));
    let outcome = fields.or("expect", Outcome::Ok, values::outcome);
    fields.finish()?;
    Some(Action::Drop(DropSnapshots { snapshots: snapshots?, outcome: outcome? }))
}

pub(super) fn merge(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let one = |node: &Node, sink: &mut Sink<'_>| match known(node, scope, sink)?.as_slice() {
        [snapshot] => Some(snapshot.clone()),
        several => sink.refuse(node.span, format!("one snapshot is merged at a time, not {}", several.len())),
    };
    if !matches!(node.kind, Kind::Map(_)) {
        let snapshot = one(node, sink)?;
        return Some(Action::Merge(MergeSnapshot { snapshot, within: WITHIN, outcome: Outcome::Ok }));
    }
    let mut fields = Fields::open(node, "a `merge` step", sink)?;
    let snapshot = fields.required("snapshot", one);
    let within = fields.or("within", WITHIN, values::span_of_time);
    let outcome = fields.or("expect", Outcome::Ok, values::outcome);
    fields.finish()?;
    Some(Action::Merge(MergeSnapshot { snapshot: snapshot?, within: within?, outcome: outcome? }))
}

#[cfg(test)]
mod tests;
