//! [`MirrorSet`]: a mirror's legs, lists and state (`struct mirror_set`), and what is done to them outside of the daemon.
//!
//! Invariants: a bio is on one list at most, or in flight; whoever puts one on an empty list wakes the daemon; the region
//! of a write counts it from just before it is sent until it has ended.
//! Not here: the daemon ([`super::daemon`]); limits on how often a message is logged.

use std::sync::Arc;

use dmlab_units::Sectors;

use super::legs::{Failed, LegError, Legs};
use super::log::CoreLog;
use super::regions::Regions;
use crate::block::{Bio, BlkStatus, Device};
use crate::dm::io_client::{IoClient, Region};
use crate::dm::{TargetHost, TargetRange};
use crate::kcopyd::Client;
use crate::sched::Task;
use crate::sync::{Confided, Count, Semaphore, SpinSection, Variable, WaitQueue, Work, Workqueue};
use crate::variants::Planted;

/// `MAX_RECOVERY`: regions recovered at a time.
pub(super) const MAX_RECOVERY: u64 = 1;

/// Where a leg lies: `struct mirror`.
pub(super) struct Leg {
    pub dev: Arc<Device>,
    pub offset: Sectors,
}

/// What `ms->lock` guards.
#[derive(Default)]
pub(super) struct Lists {
    pub reads: Vec<Bio>,
    pub writes: Vec<Bio>,
    pub failures: Vec<Bio>,
    /// Writes that wait for user space to do something about a failed leg.
    pub holds: Vec<Bio>,
}

/// A list that the daemon works off.
#[derive(Clone, Copy)]
pub(super) enum To {
    Reads,
    Writes,
    Failures,
}

pub(super) struct MirrorSet {
    pub host: Arc<TargetHost>,
    pub range: TargetRange,
    pub region_size: Sectors,
    pub region_count: u64,
    pub legs_at: Vec<Leg>,
    pub handle_errors: bool,
    pub keep_log: bool,
    pub lists: SpinSection<Lists>,
    pub regions: SpinSection<Regions<Bio>>,
    pub log: Confided<CoreLog>,
    pub legs: Confided<Legs>,
    pub suspended: Variable,
    pub recovery_in_flight: Count,
    /// Recoveries that may begin.
    pub recovery_count: Semaphore,
    pub recovery_stopped: WaitQueue,
    pub io_client: IoClient,
    pub kcopyd_client: Client,
    pub kmirrord_wq: Workqueue,
    pub kmirrord_work: Work,
    pub event_wq: Workqueue,
    pub trigger_event: Work,
    pub planted: Planted,
}

impl MirrorSet {
    pub(super) fn wake(&self, current: &Task) {
        self.kmirrord_wq.queue(current, &self.kmirrord_work);
    }

    pub(super) fn say(&self, current: &Task, text: &str) {
        self.host.log(current, format!("device-mapper: raid1: {text}"));
    }

    pub(super) fn leg_name(&self, leg: usize) -> String {
        self.legs_at[leg].dev.id().to_string()
    }

    /// `dm_rh_bio_to_region`, of a bio that still has the mapped device's sectors.
    pub(super) fn region_of(&self, bio: &Bio) -> u64 {
        // An empty flush lies nowhere.
        bio.sector.0.saturating_sub(self.range.begin.0) / self.region_size.0
    }

    /// `map_sector`.
    fn map_sector(&self, leg: usize, bio: &Bio) -> Sectors {
        match bio.sectors {
            Sectors::ZERO => Sectors::ZERO,
            _ => self.legs_at[leg].offset + self.range.offset(bio.sector),
        }
    }

    /// `map_bio`.
    pub(super) fn map_bio(&self, leg: usize, bio: &mut Bio) {
        bio.sector = self.map_sector(leg, bio);
        bio.set_dev(Arc::clone(&self.legs_at[leg].dev));
    }

    /// `map_region`.
    pub(super) fn map_region(&self, leg: usize, bio: &Bio) -> Region {
        let (dev, sector) = (Arc::clone(&self.legs_at[leg].dev), self.map_sector(leg, bio));
        Region { dev, sector, count: bio.sectors }
    }

    /// `queue_bio`.
    pub(super) fn queue_bio(&self, current: &Task, to: To, bio: Bio) {
        let was_empty = self.lists.with(current, |lists| {
            let list = match to {
                To::Reads => &mut lists.reads,
                To::Writes => &mut lists.writes,
                To::Failures => &mut lists.failures,
            };
            let was_empty = list.is_empty();
            list.push(bio);
            was_empty
        });
        if was_empty {
            self.wake(current);
        }
    }

    /// `fail_mirror`.
    pub(super) fn fail(&self, current: &Task, leg: usize, error: LegError) {
        let failed = self.legs.change(current, |legs| legs.fail(leg, error));
        match failed {
            Failed::Known => return,
            Failed::Event => {}
            Failed::PrimaryOutOfSync => {
                let name = self.leg_name(leg);
                let text = format!("Primary mirror ({name}) failed while out-of-sync: Reads may fail.");
                self.say(current, &text);
            }
            Failed::NoneLeft => self.say(current, "All sides of mirror have failed."),
        }
        self.event_wq.queue(current, &self.trigger_event);
    }

    /// `default_ok` and `mirror_available`: whether a read that has failed is worth another try.
    pub(super) fn can_retry(&self, current: &Task, bio: &Bio) -> bool {
        let (default_ok, any_ok) =
            self.legs.look(current, |legs| (!legs.has_failed(legs.default_leg()), legs.choose().is_some()));
        let region = self.region_of(bio);
        default_ok || any_ok && self.log.look(current, |log| log.in_sync(region))
    }

    /// `hold_bio`: keeps a write until user space has mended the mirror, which takes a suspend.
    pub(super) fn hold_bio(&self, current: &Task, bio: Bio) {
        let refused = self.lists.with(current, |lists| {
            if self.suspended.get() != 0 {
                return Some(bio);
            }
            lists.holds.push(bio);
            None
        });
        if let Some(bio) = refused {
            let requeued = self.host.noflush_suspending();
            bio.end(current, if requeued { BlkStatus::DmRequeue } else { BlkStatus::IoErr });
        }
    }

    /// One recovery less; tells a suspend when there is none left.
    pub(super) fn drop_recovery(&self, current: &Task) {
        self.recovery_in_flight.dec(current);
        if self.recovery_in_flight.is_zero() {
            self.recovery_stopped.wake_up_all(current);
        }
    }

    /// `mirror_presuspend`: what is held goes back, recovery stops, everything is sent.
    pub(super) fn presuspend(&self, current: &Task) {
        let _frame = current.enter("mirror_presuspend");
        self.suspended.set(1);
        let holds = self.lists.with(current, |lists| std::mem::take(&mut lists.holds));
        holds.into_iter().for_each(|bio| self.hold_bio(current, bio));
        {
            let _frame = current.enter("dm_rh_stop_recovery");
            (0..MAX_RECOVERY).for_each(|_| self.recovery_count.down(current));
        }
        self.recovery_stopped.wait_event(current, || self.recovery_in_flight.is_zero());
        self.kmirrord_wq.flush(current);
    }

    /// `mirror_resume`.
    pub(super) fn resume(&self, current: &Task) {
        let _frame = current.enter("mirror_resume");
        self.suspended.set(0);
        self.log.change(current, CoreLog::resume);
        (0..MAX_RECOVERY).for_each(|_| self.recovery_count.up(current));
        self.wake(current);
    }
}
