//! Power cuts on the engine: when, what is lost, and the machine's way back.
//!
//! In explored schedules the moment and each loss are choices of the schedule, so that a search tries all of them. On
//! threads and on the virtual clock they are drawn from the seed: how many writes and flushes go by first is drawn evenly
//! from 1 to 2, 4, 8, … 1024, and that bound evenly too, since nobody knows how many there will be.
//!
//! Invariants: nothing of dm is left when the power comes back; what is lost is decided then, when nothing runs.
//! Not here: what a cache may lose (the engine).

use std::sync::Arc;

use dmlab_engine::block::{BlockCore, CutAt as EngineCutAt};
use dmlab_scenarios::{CutAt, Loses};

use super::actor::EngineActor;
use crate::backend::{Actor, Control, Flag};

/// The largest power of two that a drawn moment is below.
const DRAWN_BITS_MAX: u32 = 10;

/// Up while the power is gone.
pub(super) struct Off(pub(super) Arc<BlockCore>);

impl Flag for Off {
    fn raise(&self) {
        self.0.cut_power();
    }

    fn is_up(&self) -> bool {
        self.0.power().is_off()
    }
}

/// Lets the power go at `at`.
pub(super) fn watch(actor: &EngineActor<'_>, at: CutAt) {
    let one_of = |first: u32| EngineCutAt::Before(u64::from(actor.current.choose("when the power goes", first)));
    let when = match at {
        CutAt::End => EngineCutAt::Never,
        CutAt::Nth(number) => EngineCutAt::Before(number - 1),
        CutAt::Within(first) => one_of(first),
        CutAt::Any if actor.world.measures => {
            one_of(2 << actor.current.choose("how soon the power goes", DRAWN_BITS_MAX))
        }
        CutAt::Any => EngineCutAt::Any,
    };
    actor.world.machine.core().power().watch(when);
}

/// Removes every dm device, an upper one before those that it holds open, and with `unmounts` what lives on them first.
///
/// # Errors
/// Which could not be removed.
pub(super) fn remove_all(actor: &EngineActor<'_>, unmounts: bool) -> Result<(), String> {
    let mut names = actor.world.machine.dm().names(actor.current);
    // What lives on a device holds it open; devices on which nothing does refuse.
    if unmounts {
        for name in &names {
            let _ = actor.unmount(name);
        }
    }
    while !names.is_empty() {
        let before = names.len();
        names.retain(|name| actor.control(Control::Remove(name)).is_err());
        if names.len() == before {
            return Err(format!("these devices could not be removed: {}", names.join(", ")));
        }
    }
    Ok(())
}

/// Removes every dm device, takes from volatile caches what is lost, and brings the power back.
///
/// # Errors
/// As [`remove_all`].
pub(super) fn restart(actor: &EngineActor<'_>, loses: Loses) -> Result<(), String> {
    let core = actor.world.machine.core();
    remove_all(actor, actor.world.mounts)?;
    let mut pick = |ways: u32| match loses {
        Loses::Nothing => 0,
        Loses::All => ways - 1,
        Loses::Any => actor.current.choose("what is lost of a volatile cache", ways),
    };
    for device in actor.world.leaves.values() {
        device.driver().lose_cache(actor.current, &mut pick);
    }
    core.restore_power();
    Ok(())
}
