//! delay 1.4.0: holds bios back for so many milliseconds, by class: reads, writes (discards and their like too), flushes.
//!
//! Invariants: a bio is held until the first moment at which its time is over, and no suspend waits for that: from
//! `presuspend` on nothing is held, and what was held goes on its way at once, in the order of its coming. Within a class
//! bios stay in order.
//! Not here: the jiffy (times are exact), and the busy polling of delays below 50 ms (`dm-delay-flush-worker`): one worker
//! serves all delays and sleeps until the first of them is over, which is what the timer does for the longer ones.

use std::sync::Arc;

use dmlab_units::{Nanos, Sectors};

use crate::block::submit::submit_bio_noacct;
use crate::block::{Bio, BioFlags, BioOp, Device};
use crate::dm::args::{scan_u32, scan_u64};
use crate::dm::target::CtrError;
use crate::dm::{Mapped, Target, TargetArgs, TargetFeatures, TargetRange, TargetType};
use crate::sched::Task;
use crate::sync::{SpinSection, WaitQueue, Work, Workqueue, WqFlags};
use crate::variants::Planted;

pub(super) static TYPE: TargetType =
    TargetType { name: "delay", version: [1, 4, 0], features: TargetFeatures::empty(), ctr };

/// Places in [`DelayC::classes`].
const READ: usize = 0;
const WRITE: usize = 1;
const FLUSH: usize = 2;

/// `struct delay_class`: where bios of a class go, and when.
#[derive(Clone)]
struct DelayClass {
    dev: Arc<Device>,
    start: Sectors,
    delay_ms: u32,
}

/// A held bio: `struct dm_delay_info`.
struct Held {
    bio: Bio,
    class: usize,
    expires: Nanos,
}

/// What `delayed_bios_lock` guards.
struct Delayed {
    may_delay: bool,
    bios: Vec<Held>,
    /// How many are held of each class.
    ops: [u32; 3],
    /// The worker runs, or is about to, and will look at the list again before it ends.
    armed: bool,
}

impl Delayed {
    fn earliest(&self) -> Option<Nanos> {
        self.bios.iter().map(|held| held.expires).min()
    }
}

/// `struct delay_c`.
struct DelayC {
    classes: [DelayClass; 3],
    delayed: SpinSection<Delayed>,
    /// The worker sleeps here until something is due.
    timer: WaitQueue,
    planted: Planted,
}

struct Delay {
    dc: Arc<DelayC>,
    kdelayd_wq: Workqueue,
    flush_expired_bios: Work,
    argc: usize,
}

/// `<dev> <offset> <ms>`, for reads, then for writes, then for flushes; what is left out is as what comes before it.
fn ctr(current: &Task, args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    let argc = args.argv.len();
    if !matches!(argc, 3 | 6 | 9) {
        return Err(CtrError::invalid("Requires exactly 3, 6 or 9 arguments"));
    }
    let given = args.argv.chunks(3).map(|words| class(args, words)).collect::<Result<Vec<_>, _>>()?;
    let classes = [READ, WRITE, FLUSH].map(|class| given[class.min(given.len() - 1)].clone());
    let (runtime, device) = (current.runtime(), args.host.name());
    let delayed = Delayed { may_delay: true, bios: Vec::new(), ops: [0; 3], armed: false };
    let dc = Arc::new(DelayC {
        classes,
        delayed: SpinSection::new(runtime, &format!("{device}.delayed_bios_lock"), delayed),
        timer: WaitQueue::new(runtime, &format!("{device}.delay_timer")),
        planted: args.planted,
    });
    let to_flush = Arc::clone(&dc);
    Ok(Box::new(Delay {
        dc,
        kdelayd_wq: Workqueue::new(runtime, &format!("kdelayd/{device}"), WqFlags::RECLAIM),
        flush_expired_bios: Work::new("flush_expired_bios", move |worker| to_flush.flush_expired_bios(worker)),
        argc,
    }))
}

/// `delay_class_ctr`.
fn class(args: &TargetArgs<'_>, words: &[&str]) -> Result<DelayClass, CtrError> {
    let start = scan_u64(words[1]).ok_or_else(|| CtrError::invalid("Invalid device sector"))?;
    let delay_ms = scan_u32(words[2]).ok_or_else(|| CtrError::invalid("Invalid delay"))?;
    let dev = args.device(words[0], "Device lookup failed")?;
    Ok(DelayClass { dev, start: Sectors(start), delay_ms })
}

fn class_of(op: BioOp, flags: BioFlags) -> usize {
    match op {
        BioOp::Read => READ,
        BioOp::Flush => FLUSH,
        _ if flags.contains(BioFlags::PREFLUSH) => FLUSH,
        _ => WRITE,
    }
}

impl DelayC {
    /// `flush_delayed_bios`: sends what is due on its way, or everything. When the next is due.
    fn flush_delayed_bios(&self, current: &Task, flush_all: bool) -> Option<Nanos> {
        let _frame = current.enter("flush_delayed_bios");
        let now = current.now();
        let (due, next) = self.delayed.with(current, |delayed| {
            let is_due = |held: &Held| flush_all || held.expires <= now;
            let (due, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut delayed.bios).into_iter().partition(is_due);
            due.iter().for_each(|held| delayed.ops[held.class] -= 1);
            delayed.bios = rest;
            // With nothing left the worker ends; a suspend leaves it to the worker to find that out.
            delayed.armed &= flush_all || !delayed.bios.is_empty();
            (due, delayed.earliest())
        });
        if flush_all && self.planted == Planted::DelayDropsHeld {
            return next;
        }
        due.into_iter().for_each(|held| submit_bio_noacct(current, held.bio));
        next
    }

    /// The worker: goes on until nothing is held.
    fn flush_expired_bios(&self, worker: &Task) {
        let _frame = worker.enter("flush_expired_bios");
        while let Some(expires) = self.flush_delayed_bios(worker, false) {
            let left = expires.saturating_sub(worker.now());
            let changed = || self.delayed.with(worker, |delayed| delayed.earliest() != Some(expires));
            self.timer.wait_event_timeout(worker, left, changed);
        }
    }
}

impl Delay {
    /// `delay_bio`.
    fn delay_bio(&self, current: &Task, class: usize, bio: Bio) -> Mapped {
        let dc = &*self.dc;
        let delay_ms = dc.classes[class].delay_ms;
        if delay_ms == 0 {
            return Mapped::Remapped(bio);
        }
        let expires = current.now() + Nanos::millis(u64::from(delay_ms));
        let (refused, start, sooner) = dc.delayed.with(current, |delayed| {
            if !delayed.may_delay {
                return (Some(bio), false, false);
            }
            let sooner = delayed.earliest().is_some_and(|earliest| expires < earliest);
            delayed.ops[class] += 1;
            delayed.bios.push(Held { bio, class, expires });
            (None, !std::mem::replace(&mut delayed.armed, true), sooner)
        });
        if let Some(bio) = refused {
            return Mapped::Remapped(bio);
        }
        if start {
            self.kdelayd_wq.queue(current, &self.flush_expired_bios);
        } else if sooner {
            dc.timer.wake_up_all(current);
        }
        Mapped::Submitted
    }
}

impl Target for Delay {
    fn map(&self, current: &Task, _dev: &Device, range: &TargetRange, mut bio: Bio) -> Mapped {
        let _frame = current.enter("delay_map");
        let class = class_of(bio.op(), bio.flags());
        let to = &self.dc.classes[class];
        range.remap(&mut bio, &to.dev, to.start);
        self.delay_bio(current, class, bio)
    }

    fn num_flush_bios(&self) -> u64 {
        1
    }

    fn num_discard_bios(&self) -> u64 {
        1
    }

    fn presuspend(&self, current: &Task) {
        let _frame = current.enter("delay_presuspend");
        let armed = self.dc.delayed.with(current, |delayed| {
            delayed.may_delay = false;
            delayed.armed
        });
        self.dc.flush_delayed_bios(current, true);
        if armed {
            // timer_delete
            self.dc.timer.wake_up_all(current);
        }
    }

    fn resume(&self, current: &Task) {
        self.dc.delayed.with(current, |delayed| delayed.may_delay = true);
    }

    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        self.dc.classes.iter().map(|class| (Arc::clone(&class.dev), class.start, range.len)).collect()
    }

    fn status(&self, current: &Task, _noflush: bool) -> String {
        let [reads, writes, flushes] = self.dc.delayed.with(current, |delayed| delayed.ops);
        format!("{reads} {writes} {flushes}")
    }

    fn table(&self, _current: &Task) -> String {
        let classes = self.dc.classes.iter().take(self.argc / 3);
        let words = classes.map(|class| format!("{} {} {}", class.dev.id(), class.start, class.delay_ms));
        words.collect::<Vec<_>>().join(" ")
    }

    fn dtr(&self, current: &Task) {
        self.kdelayd_wq.drain(current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_of_one_class() {
        for op in BioOp::ALL {
            let wanted = match op {
                BioOp::Read => READ,
                BioOp::Flush => FLUSH,
                _ => WRITE,
            };
            assert_eq!(class_of(op, BioFlags::FUA), wanted, "{}", op.name());
        }
        assert_eq!(class_of(BioOp::Write, BioFlags::PREFLUSH), FLUSH);
    }
}
