//! [`Errand`]: what a performance does for conformance beside its steps. Leaves may hold something when the steps begin; and
//! when all dm devices are gone, persistent exception stores are looked at, whole leaves are kept, and a store is opened
//! once more and told.
//!
//! Reading order: this file, `look` (reading devices), `image` (a device as data), `store` (a store as data), `places`
//! (on which leaves stores are).
//!
//! Invariants: without an errand none of this happens; what is looked at is at rest, since nothing of dm is left but what the
//! errand itself makes, and that it removes.
//! Not here: comparing (`conform`).

pub(super) mod image;
mod look;
mod places;
pub(super) mod store;

use std::collections::BTreeMap;

use dmlab_scenarios::{Errno, IoOp, SuspendHow};
use dmlab_units::Sectors;
use serde::{Deserialize, Serialize};

use self::image::Image;
use self::store::StoreSeen;
use super::steps::describe;
use super::{Flow, Script};
use crate::backend::{Actor, Control};

/// The flow of control that opens a store once more.
pub const READING: &str = "reading";

/// What is done beside the steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// What leaves hold when the steps begin.
    pub preload: BTreeMap<String, Image>,
    /// Leaves that are told as they are when all is over.
    pub keep: Vec<String>,
    /// Devices with their tables that are made when all is over; of the last, status, table and data are told.
    pub reading: Vec<(String, Vec<String>)>,
}

impl Script {
    /// Gives leaves what they hold when the steps begin. The error says which could not be written.
    pub(super) fn preload(&self, actor: &dyn Actor) -> Result<(), String> {
        let Some(errand) = &self.errand else { return Ok(()) };
        for (leaf, image) in &errand.preload {
            let written = image.runs().try_for_each(|(at, bytes)| write(actor, leaf, at, &bytes));
            written.map_err(|errno| format!("{leaf} could not be given its contents: {errno:?}"))?;
        }
        Ok(())
    }

    /// Looks at what the steps have left, when nothing of dm is left. `actor` must see the leaves themselves.
    pub fn collect(&self, actor: &dyn Actor) {
        let Some(errand) = &self.errand else { return };
        for (name, place) in places::of(&self.scenario) {
            let seen = match look::bytes(actor, &place.leaf, place.from, place.sectors) {
                Ok(bytes) => StoreSeen::of(&bytes),
                Err(errno) => StoreSeen::unreadable(format!("{errno:?}")),
            };
            self.note(|findings| drop(findings.trace.stores.insert(name, seen)));
        }
        for leaf in &errand.keep {
            match look::bytes(actor, leaf, Sectors::ZERO, None) {
                Ok(bytes) => self.note(|findings| drop(findings.trace.images.insert(leaf.clone(), Image::of(&bytes)))),
                Err(errno) => drop(self.fail(0, format!("{leaf} could not be kept: {errno:?}"))),
            }
        }
        self.read_again(Flow { actor, path: READING, stop: None }, &errand.reading);
    }

    /// Makes devices, tells what the last of them says and holds, and removes all of them.
    fn read_again(&self, flow: Flow<'_>, devices: &[(String, Vec<String>)]) {
        let ask = |operation: Control<'_>| {
            let found = flow.actor.control(operation);
            self.saw(flow, 0, || describe(operation), &found);
            found
        };
        let mut made = Vec::new();
        let all = devices.iter().try_for_each(|(device, table)| {
            ask(Control::Create(device))?;
            made.push(device);
            ask(Control::Load(device, table))?;
            ask(Control::Resume { device, how: SuspendHow::default() }).map(drop)
        });
        if let (Ok(()), Some((last, _))) = (all, devices.last()) {
            let asked = ask(Control::Status(last)).and_then(|_| ask(Control::Table(last)));
            let data = asked.and_then(|_| look::blocks(flow.actor, last));
            self.saw(flow, 0, || format!("data of {last}"), &data);
            // Reading changes nothing.
            let _ = ask(Control::Status(last));
        }
        for device in made.into_iter().rev() {
            if let Err(errno) = ask(Control::Remove(device)) {
                self.fail(0, format!("remove {device}: {errno:?}"));
            }
        }
    }
}

fn write(actor: &dyn Actor, leaf: &str, at: Sectors, bytes: &[u8]) -> Result<(), Errno> {
    let sectors = Sectors(bytes.len() as u64 / dmlab_units::SECTOR_BYTES);
    let open = actor.open(leaf, 1, sectors)?;
    open.with_slot(0, &mut |memory| memory.copy_from_slice(bytes));
    open.submit(0, IoOp::Write, at, sectors);
    open.reap().1.map_or(Ok(()), Err)
}
