//! Power cuts, and what must survive them.
//!
//! The ledger: of each device, which sectors hold what this script stamped, as far as it was told, and which of them are
//! durable: written with FUA, or written before a flush was submitted that ended well. Stamps and single bios are in it;
//! loads are not.
//!
//! Invariants: a step that fails while the power is gone is no finding; what was durable in front of a power cut must be
//! there afterwards, whole; only what somebody was told is ever demanded.
//! Not here: how power goes (the backend).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dmlab_scenarios::{Action, Extent, IoFlag, IoOp, Outcome, PowerCut, Scenario, Submit, Survives};
use dmlab_units::{SECTOR_BYTES, Sectors};

use super::pattern;
use super::stamps::pieces;
use super::{Flow, Script, Stopped};
use crate::backend::{Actor, Flag};

/// Who was told what, device by device.
#[derive(Default)]
struct Ledger {
    /// Stamps so far: what was discarded and stamped again is another stamp.
    stamps: u64,
    devices: BTreeMap<String, BTreeMap<u64, Stamped>>,
}

/// A sector that was stamped.
#[derive(Clone, Copy)]
struct Stamped {
    /// Number of the stamp; the same contents written again do not count.
    stamp: u64,
    is_durable: bool,
}

impl Ledger {
    fn stamp(&mut self, device: &str, sectors: std::ops::Range<u64>, is_durable: bool) {
        if !self.devices.contains_key(device) {
            self.devices.insert(device.to_owned(), BTreeMap::new());
        }
        let stamped = self.devices.get_mut(device).expect("it is there");
        for sector in sectors {
            self.stamps += 1;
            stamped.entry(sector).or_insert(Stamped { stamp: self.stamps, is_durable: false }).is_durable |= is_durable;
        }
    }
}

/// What a script knows about power.
pub(super) struct Power {
    /// Whether anything asks for it.
    matters: bool,
    ledger: Mutex<Ledger>,
    /// Up while the power is gone; not there before the first power cut.
    off: OnceLock<Arc<dyn Flag>>,
}

impl Power {
    /// Of a script of `scenario`.
    pub(super) fn of(scenario: &Scenario) -> Self {
        let mut matters = false;
        super::every(&scenario.steps, &mut |action| matters |= matches!(action, Action::PowerCut(_)));
        Self { matters, ledger: Mutex::default(), off: OnceLock::new() }
    }

    /// Whether the power is gone.
    pub(super) fn is_off(&self) -> bool {
        self.off.get().is_some_and(|off| off.is_up())
    }

    fn with<R>(&self, actor: &dyn Actor, use_it: impl FnOnce(&mut Ledger) -> R) -> R {
        let mut use_it = Some(use_it);
        let mut result = None;
        actor.confide(&mut || result = use_it.take().map(|use_it| use_it(&mut locked(&self.ledger))));
        result.expect("a backend uses what it is given once")
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn range(at: Sectors, sectors: Sectors) -> std::ops::Range<u64> {
    at.0..at.0 + sectors.0
}

impl Script {
    pub(super) fn power_cut(self: &Arc<Self>, flow: Flow<'_>, line: u32, cut: &PowerCut) -> Result<(), Stopped> {
        let actor = flow.actor;
        self.power.off.get_or_init(|| actor.power_is_off());
        actor.watch_power(cut.at);
        let ended = self.steps(flow, &cut.steps);
        if !self.power.is_off() {
            ended?;
            actor.cut_power();
        }
        *locked(&self.volumes) = super::volumes::Volumes::default();
        // Failures are findings again from here on.
        actor.restart(cut.loses).map_err(|why| self.fail_anyway(line, format!("after the power cut {why}")))
    }

    /// A write of a stamp has ended well.
    pub(super) fn stamped(&self, actor: &dyn Actor, device: &str, (at, sectors): (Sectors, Sectors)) {
        if self.power.matters {
            self.power.with(actor, |ledger| ledger.stamp(device, range(at, sectors), false));
        }
    }

    /// What a flush that is submitted now will have made durable when it ends.
    pub(super) fn before_bio(&self, actor: &dyn Actor, submit: &Submit) -> Vec<(u64, u64)> {
        let flushes = submit.op == IoOp::Flush || submit.flags.contains(&IoFlag::Preflush);
        if !self.power.matters || !flushes {
            return Vec::new();
        }
        self.power.with(actor, |ledger| {
            let stamped = ledger.devices.get(&submit.extent.device).into_iter().flatten();
            stamped.map(|(sector, stamped)| (*sector, stamped.stamp)).collect()
        })
    }

    /// A bio has ended.
    pub(super) fn after_bio(&self, actor: &dyn Actor, submit: &Submit, flushed: Vec<(u64, u64)>, is_ok: bool) {
        if !self.power.matters || submit.op == IoOp::Read {
            return;
        }
        let Extent { device, at, sectors } = &submit.extent;
        self.power.with(actor, |ledger| {
            let known = ledger.devices.get_mut(device);
            match (submit.op, known) {
                (IoOp::Write | IoOp::Flush, Some(known)) if is_ok => {
                    for (sector, stamp) in flushed {
                        known
                            .get_mut(&sector)
                            .filter(|now| now.stamp == stamp)
                            .into_iter()
                            .for_each(|now| now.is_durable = true);
                    }
                }
                // Nobody knows what is there, also when it failed.
                (IoOp::Discard | IoOp::SecureErase | IoOp::WriteZeroes, Some(known)) => {
                    known.retain(|sector, _| !range(*at, *sectors).contains(sector));
                }
                _ => {}
            }
            if submit.op == IoOp::Write && is_ok {
                ledger.stamp(device, range(*at, *sectors), submit.flags.contains(&IoFlag::Fua));
            }
        });
    }

    pub(super) fn survives(&self, flow: Flow<'_>, line: u32, survives: &Survives) -> Result<(), Stopped> {
        let Survives { of: Extent { device, at, sectors }, over, on, at: from } = survives;
        if let Some(kept) = [Some(device), over.as_ref()].into_iter().flatten().find(|name| self.keeps(name)) {
            let message =
                format!("{kept} is stamped anew each time, and `survives` knows one stamp of each sector only");
            return Err(self.fail(line, message));
        }
        let durable = self.power.with(flow.actor, |ledger| {
            let stamped = ledger.devices.get(device);
            let is_durable =
                |sector| stamped.and_then(|stamped| stamped.get(&sector)).is_some_and(|found| found.is_durable);
            range(*at, *sectors).map(is_durable).collect::<Vec<bool>>()
        });
        let open = self.open(flow, line, on, *sectors)?;
        let mut check = |memory: &mut [u8], done| {
            let first: Sectors = *at + done;
            memory.chunks_exact(SECTOR_BYTES as usize).zip(first.0..).try_for_each(|(found, sector)| {
                let is = |name: &str| pattern::check(found, self.label(name, Sectors(sector), 0), name);
                let Err(other) = is(device) else { return Ok(()) };
                if durable[(sector - at.0) as usize] {
                    return Err(format!("{other} after a power cut, and it was durable (looked for on {on})"));
                }
                match over {
                    Some(over) if is(over).is_err() => {
                        let message = "after a power cut, and not what was on";
                        Err(format!("{other} {message} {over} either (looked for on {on})"))
                    }
                    _ => Ok(()),
                }
            })
        };
        let result = pieces(&*open, on, (*from, *sectors), IoOp::Read, &mut check);
        self.ended(flow, line, result, &format!("read of {on} {from}+{sectors}"), Outcome::Ok)
    }
}
