//! Snapshots of volumes, layer by layer as LVM lays them out: `snapshot`, `drop`, `merge`, in dmsetup's verbs.
//!
//! The volume's table moves to `<volume>-real`; with the first snapshot the volume becomes a snapshot-origin on it, with the
//! last one gone it has its own table again. A snapshot is suspended volume, `<snapshot>-cow`, the snapshot's own device,
//! resume: so its volume stands still while it is taken, and the origin learns of its chunk size.
//!
//! Invariants: one change of a volume's layers at a time, as under LVM's lock of the volume group; what cannot be made is
//! unmade, and the volume is as it was; a volume that was suspended here is resumed here, whatever went wrong.
//! Not here: what devices hold (`book`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use dmlab_scenarios::{
    Action, Cow, DropSnapshots, Errno, IoOp, MergeSnapshot, SnapshotOf, Step, Store, SuspendHow, TakeSnapshot,
};
use dmlab_units::{Nanos, Sectors};

use super::{Flow, Script, Stopped, every};
use crate::backend::{Actor, Control};

/// Time between looks at a merge.
const LOOK_EVERY: Nanos = Nanos::millis(1);
/// What LVM wipes of a new COW device.
const WIPE_SECTORS: Sectors = Sectors(8);

/// A volume that has snapshots.
#[derive(Clone, Debug)]
pub(super) struct Volume {
    /// The table that it had, and `<volume>-real` has.
    table: Vec<String>,
    sectors: Sectors,
    snapshots: BTreeMap<String, Taken>,
}

/// How a snapshot was made.
#[derive(Clone, Debug)]
struct Taken {
    store: Store,
    chunk: Sectors,
}

/// Volumes that have snapshots, by name.
pub(super) type Volumes = BTreeMap<String, Volume>;

impl Volume {
    fn line(&self, target: &str) -> Vec<String> {
        vec![format!("0 {} {target}", self.sectors)]
    }

    fn origin(&self, name: &str) -> Vec<String> {
        self.line(&format!("snapshot-origin ${}", real(name)))
    }

    /// The line of a snapshot, or of its merge.
    fn of_snapshot(&self, target: &str, of: &str, snapshot: &str, taken: &Taken) -> Vec<String> {
        let (real, cow, store, chunk) = (real(of), cow(snapshot), taken.store.word(), taken.chunk);
        self.line(&format!("{target} ${real} ${cow} {store} {chunk}"))
    }
}

fn real(volume: &str) -> String {
    format!("{volume}-real")
}

fn cow(snapshot: &str) -> String {
    format!("{snapshot}-cow")
}

fn did(result: Result<Vec<String>, Errno>) -> Result<(), Errno> {
    result.map(drop)
}

/// Creates, loads and resumes; what cannot be made is not left behind.
fn make(actor: &dyn Actor, device: &str, table: &[String]) -> Result<(), Errno> {
    actor.control(Control::Create(device))?;
    let made = actor.control(Control::Load(device, table)).and_then(|_| resume(actor, device));
    if made.is_err() {
        did(actor.control(Control::Remove(device)))?;
    }
    made
}

fn suspend(actor: &dyn Actor, device: &str) -> Result<(), Errno> {
    did(actor.control(Control::Suspend { device, how: SuspendHow::default() }))
}

fn resume(actor: &dyn Actor, device: &str) -> Result<(), Errno> {
    did(actor.control(Control::Resume { device, how: SuspendHow::default() }))
}

/// Makes the beginning of a COW device look like no store.
fn wipe(actor: &dyn Actor, device: &str, sectors: Sectors) -> Result<(), Errno> {
    let open = actor.open(device, 1, sectors)?;
    open.with_slot(0, &mut |memory| memory.fill(0));
    open.submit(0, IoOp::Write, Sectors::ZERO, sectors);
    open.reap().1.map_or(Ok(()), Err)
}

impl Script {
    /// What is known of a volume.
    fn volume(&self, name: &str) -> Option<Volume> {
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Notes what has become of it. One without snapshots is a device like others.
    fn set_volume(&self, name: &str, volume: Volume) {
        let mut volumes = self.volumes.lock().unwrap_or_else(PoisonError::into_inner);
        match volume.snapshots.is_empty() {
            true => drop(volumes.remove(name)),
            false => drop(volumes.insert(name.to_owned(), volume)),
        }
    }

    /// Carries out a change of a volume's layers.
    fn change_volume(
        &self,
        actor: &dyn Actor,
        volume: &str,
        change: &mut dyn FnMut() -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let mut result = Ok(());
        actor.exclusively(&format!("volume {volume}"), &mut || result = change());
        result
    }

    pub(super) fn take(&self, flow: Flow<'_>, line: u32, take: &TakeSnapshot) -> Result<(), Stopped> {
        let result = self.change_volume(flow.actor, &take.of, &mut || self.take_all(flow.actor, take));
        let names: Vec<&str> = take.takes.iter().map(|cow| cow.snapshot.as_str()).collect();
        let what = format!("snapshot {} of {}", names.join(", "), take.of);
        self.saw(flow, line, || what.clone(), &result.map(|()| Vec::new()));
        self.expect(line, &what, result, take.outcome)
    }

    fn take_all(&self, actor: &dyn Actor, take: &TakeSnapshot) -> Result<(), Errno> {
        let of = &*take.of;
        let known = self.volume(of);
        let is_first = known.is_none();
        let mut volume = match known {
            Some(volume) => volume,
            None => {
                let table = actor.control(Control::Table(of))?;
                let sectors = end_of(table.last().ok_or(Errno::ENXIO)?).ok_or(Errno::EINVAL)?;
                Volume { table, sectors, snapshots: BTreeMap::new() }
            }
        };
        if take.takes.iter().any(|cow| volume.snapshots.contains_key(&cow.snapshot)) {
            return Err(Errno::EBUSY);
        }
        if is_first {
            make(actor, &real(of), &volume.table)?;
        }
        let mut cows = Vec::new();
        let made = take.takes.iter().try_for_each(|cow| {
            make_cow(actor, cow, take.store)?;
            cows.push(&*cow.snapshot);
            Ok(())
        });
        let since = self.with_book(|book| book.pin(of));
        let made = made.and_then(|()| {
            suspend(actor, of)?;
            let taken = self.take_suspended(actor, take, &mut volume, is_first);
            // Whatever came of it, the volume goes on.
            let resumed = resume(actor, of);
            taken.and(resumed)
        });
        match &made {
            Ok(()) => {
                self.with_book(|book| cows.iter().for_each(|snapshot| book.copy(of, snapshot, since)));
                self.set_volume(of, volume);
            }
            Err(_) => {
                for snapshot in cows.iter().rev() {
                    did(actor.control(Control::Remove(&cow(snapshot))))?;
                }
                if is_first {
                    did(actor.control(Control::Remove(&real(of))))?;
                }
            }
        }
        self.with_book(|book| book.unpin(of));
        made
    }

    /// What is done while the volume stands still; all of it or nothing.
    fn take_suspended(
        &self,
        actor: &dyn Actor,
        take: &TakeSnapshot,
        volume: &mut Volume,
        is_first: bool,
    ) -> Result<(), Errno> {
        let of = &*take.of;
        let taken = Taken { store: take.store, chunk: take.chunk };
        let mut made = Vec::new();
        let mut result = take.takes.iter().try_for_each(|cow| {
            let snapshot = &*cow.snapshot;
            make(actor, snapshot, &volume.of_snapshot("snapshot", of, snapshot, &taken))?;
            made.push(snapshot);
            Ok(())
        });
        if is_first && result.is_ok() {
            result = did(actor.control(Control::Load(of, &volume.origin(of))));
        }
        match result {
            Ok(()) => {
                let all = made.into_iter().map(|snapshot| (snapshot.to_owned(), taken.clone()));
                volume.snapshots.extend(all);
            }
            Err(_) => {
                for snapshot in made.into_iter().rev() {
                    did(actor.control(Control::Remove(snapshot)))?;
                }
            }
        }
        result
    }

    pub(super) fn drop_snapshots(&self, flow: Flow<'_>, line: u32, drops: &DropSnapshots) -> Result<(), Stopped> {
        drops.snapshots.iter().try_for_each(|snapshot| {
            let actor = flow.actor;
            let result = self.change_volume(actor, &snapshot.of, &mut || self.drop_one(actor, snapshot));
            let what = format!("drop of snapshot {} of {}", snapshot.snapshot, snapshot.of);
            self.saw(flow, line, || what.clone(), &result.map(|()| Vec::new()));
            self.expect(line, &what, result, drops.outcome)
        })
    }

    fn drop_one(&self, actor: &dyn Actor, SnapshotOf { snapshot, of }: &SnapshotOf) -> Result<(), Errno> {
        let mut volume = self.volume(of).ok_or(Errno::ENXIO)?;
        volume.snapshots.remove(snapshot).ok_or(Errno::ENXIO)?;
        let is_last = volume.snapshots.is_empty();
        suspend(actor, of)?;
        let removed = did(actor.control(Control::Remove(snapshot)));
        let removed = removed.and_then(|()| match is_last {
            true => did(actor.control(Control::Load(of, &volume.table))),
            false => Ok(()),
        });
        let resumed = resume(actor, of);
        removed.and(resumed)?;
        self.with_book(|book| book.remove(snapshot));
        self.unmake(actor, of, snapshot, volume)
    }

    /// Removes the layers below a snapshot that is gone.
    fn unmake(&self, actor: &dyn Actor, of: &str, snapshot: &str, volume: Volume) -> Result<(), Errno> {
        let is_last = volume.snapshots.is_empty();
        self.set_volume(of, volume);
        did(actor.control(Control::Remove(&cow(snapshot))))?;
        if is_last { did(actor.control(Control::Remove(&real(of)))) } else { Ok(()) }
    }

    pub(super) fn merge(&self, flow: Flow<'_>, line: u32, merge: &MergeSnapshot) -> Result<(), Stopped> {
        let SnapshotOf { snapshot, of } = &merge.snapshot;
        let what = format!("merge of snapshot {snapshot} into {of}");
        let mut waited = Ok(());
        let result = self.change_volume(flow.actor, of, &mut || {
            let volume = self.hand_over(flow.actor, &merge.snapshot)?;
            waited = self.wait_until_merged(flow, of, merge.within);
            if waited.is_err() {
                return Ok(());
            }
            self.end_merge(flow.actor, of, snapshot, volume)
        });
        self.saw(flow, line, || what.clone(), &result.map(|()| waited.clone().err().into_iter().collect()));
        match waited {
            Err(found) => Err(self.fail(line, format!("{what}: {found}"))),
            Ok(()) => self.expect(line, &what, result, merge.outcome),
        }
    }

    /// The exceptions of the snapshot become those of a merge on the volume's own device.
    fn hand_over(&self, actor: &dyn Actor, SnapshotOf { snapshot, of }: &SnapshotOf) -> Result<Volume, Errno> {
        let mut volume = self.volume(of).ok_or(Errno::ENXIO)?;
        let taken = volume.snapshots.remove(snapshot).ok_or(Errno::ENXIO)?;
        suspend(actor, snapshot)?;
        let line = volume.of_snapshot("snapshot-merge", of, snapshot, &taken);
        if let Err(errno) = actor.control(Control::Load(of, &line)) {
            resume(actor, snapshot)?;
            return Err(errno);
        }
        let since = self.with_book(|book| book.pin(of));
        let swapped = suspend(actor, of).and_then(|()| resume(actor, of));
        self.with_book(|book| {
            if swapped.is_ok() {
                book.merge(snapshot, of, since);
            }
            book.unpin(of);
        });
        swapped?;
        did(actor.control(Control::Remove(snapshot)))?;
        Ok(volume)
    }

    /// Looks until as much is allocated as the metadata takes. The error says what was found.
    fn wait_until_merged(&self, flow: Flow<'_>, of: &str, within: Nanos) -> Result<(), String> {
        let actor = flow.actor;
        let begin = actor.now();
        loop {
            let status = actor.control(Control::Status(of)).map_err(|errno| format!("status of {of}: {errno:?}"))?;
            let words: Vec<&str> = status.iter().flat_map(|line| line.split_whitespace()).skip(3).collect();
            match words[..] {
                [used, metadata] if used.split_once('/').is_some_and(|(used, _)| used == metadata) => return Ok(()),
                [_, _] => {}
                _ => return Err(format!("the status of {of} is {status:?}")),
            }
            let left = within.saturating_sub(actor.now().saturating_sub(begin));
            if left == Nanos::ZERO || flow.is_to_stop() {
                return Err(format!("not merged after {within}: {status:?}"));
            }
            actor.sleep(left.min(LOOK_EVERY));
        }
    }

    /// The volume is what it was before, or an origin of the snapshots that are left.
    fn end_merge(&self, actor: &dyn Actor, of: &str, snapshot: &str, volume: Volume) -> Result<(), Errno> {
        let table = if volume.snapshots.is_empty() { volume.table.clone() } else { volume.origin(of) };
        did(actor.control(Control::Load(of, &table)))?;
        suspend(actor, of)?;
        resume(actor, of)?;
        self.unmake(actor, of, snapshot, volume)
    }
}

fn make_cow(actor: &dyn Actor, Cow { snapshot, on, sectors }: &Cow, store: Store) -> Result<(), Errno> {
    let name = cow(snapshot);
    make(actor, &name, &[format!("0 {sectors} linear ${on} 0")])?;
    if store == Store::N {
        return Ok(());
    }
    wipe(actor, &name, WIPE_SECTORS.min(*sectors)).or_else(|errno| {
        did(actor.control(Control::Remove(&name)))?;
        Err(errno)
    })
}

/// The devices that snapshot steps make.
pub(super) fn made(steps: &[Step]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    every(steps, &mut |action| {
        if let Action::Snapshot(take) = action {
            names.insert(real(&take.of));
            names.extend(take.takes.iter().flat_map(|taken| [taken.snapshot.clone(), cow(&taken.snapshot)]));
        }
    });
    names
}

/// Where a line of a table ends.
fn end_of(line: &str) -> Option<Sectors> {
    let mut words = line.split(' ');
    let mut number = || words.next()?.parse::<u64>().ok();
    Some(Sectors(number()?.checked_add(number()?)?))
}
