//! mirror 1.14.0: the same data on several legs (dm-raid1), with a dirty log in memory.
//!
//! Reading order: `log` (what is in sync), `regions` (what happens to regions now), `legs` (which have failed), `set`
//! (all of it together), `daemon` (kmirrord).
//!
//! Invariants: reads of a region in sync go straight to the default leg, or to another one if that has failed; everything
//! else goes through the daemon; `map` never sleeps.
//! Not here: the `disk` log and those of user space; `raid1_resync_throttle`.

mod daemon;
mod legs;
mod log;
mod regions;
mod set;

use std::sync::{Arc, Weak};

use dmlab_units::Sectors;

use self::daemon::counts;
use self::legs::{LegError, Legs};
use self::log::CoreLog;
use self::regions::Regions;
use self::set::{Leg, Lists, MirrorSet, To};
use crate::block::{Bio, BioFlags, BioOp, BlkStatus, Device};
use crate::dm::args::{scan_u32, scan_u64};
use crate::dm::io_client::IoClient;
use crate::dm::target::CtrError;
use crate::dm::{Ended, Mapped, Target, TargetArgs, TargetFeatures, TargetRange, TargetType};
use crate::kcopyd::Client;
use crate::sched::Task;
use crate::sync::{Confided, Count, Semaphore, SpinSection, Variable, WaitQueue, Work, Workqueue, WqFlags};

pub(super) static TYPE: TargetType =
    TargetType { name: "mirror", version: [1, 14, 0], features: TargetFeatures::empty(), ctr };

/// `MAX_NR_MIRRORS`: as many as kcopyd has destinations, and the source.
const MAX_NR_MIRRORS: u32 = 9;

/// Per-bio data of a read that went straight to leg n: n + 1.
const NOT_RECORDED: u64 = 0;

struct Mirror(Arc<MirrorSet>);

/// `<log type> <#words> <words…> <#legs> (<dev> <offset>)… [<#features> handle_errors keep_log]`
fn ctr(current: &Task, args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    let argv: Vec<&str> = std::mem::take(&mut args.argv);
    let (log, rest) = create_dirty_log(current, args, &argv)?;
    let count = rest.first().and_then(|word| scan_u32(word)).filter(|count| (2..=MAX_NR_MIRRORS).contains(count));
    let count = count.ok_or_else(|| CtrError::invalid("Invalid number of mirrors"))? as usize;
    let rest = &rest[1..];
    if rest.len() < 2 * count {
        return Err(CtrError::invalid("Too few mirror arguments"));
    }
    let (legs_at, rest) = rest.split_at(2 * count);
    let legs_at = legs_at.chunks(2).map(|words| leg(args, words)).collect::<Result<Vec<_>, _>>()?;
    let (handle_errors, keep_log) = parse_features(rest)?;
    let mirror = Mirror(mirror_set(current, args, log, legs_at, (handle_errors, keep_log)));
    mirror.0.wake(current);
    Ok(Box::new(mirror))
}

/// `create_dirty_log`: the log, and the words behind it.
fn create_dirty_log<'a>(
    current: &Task,
    args: &TargetArgs<'_>,
    argv: &'a [&'a str],
) -> Result<(CoreLog, &'a [&'a str]), CtrError> {
    let [kind, count, rest @ ..] = argv else {
        return Err(CtrError::invalid("Insufficient mirror log arguments"));
    };
    let count = scan_u32(count).ok_or_else(|| CtrError::invalid("Invalid mirror log argument count"))? as usize;
    if count > rest.len() {
        return Err(CtrError::invalid("Insufficient mirror log arguments"));
    }
    let (words, rest) = rest.split_at(count);
    let log = match *kind {
        "core" => CoreLog::new(words, args.range.len),
        kind => Err(format!("Module for logging type \"{kind}\" not found.")),
    };
    let log = log.map_err(|warning| {
        args.host.log(current, format!("device-mapper: dirty region log: {warning}"));
        CtrError::invalid("Error creating mirror dirty log")
    })?;
    Ok((log, rest))
}

/// `get_mirror`.
fn leg(args: &TargetArgs<'_>, words: &[&str]) -> Result<Leg, CtrError> {
    let offset = scan_u64(words[1]).ok_or_else(|| CtrError::invalid("Invalid offset"))?;
    let dev = args.device(words[0], "Device lookup failure")?;
    Ok(Leg { dev, offset: Sectors(offset) })
}

/// `parse_features`, and that nothing follows: `handle_errors` and `keep_log`.
fn parse_features(argv: &[&str]) -> Result<(bool, bool), CtrError> {
    let Some((count, words)) = argv.split_first() else { return Ok((false, false)) };
    let count = scan_u32(count).ok_or_else(|| CtrError::invalid("Invalid number of features"))? as usize;
    if count > words.len() {
        return Err(CtrError::invalid("Not enough arguments to support feature count"));
    }
    let (mut handle_errors, mut keep_log) = (false, false);
    for word in &words[..count] {
        match *word {
            "handle_errors" => handle_errors = true,
            "keep_log" => keep_log = true,
            _ => return Err(CtrError::invalid("Unrecognised feature requested")),
        }
    }
    if keep_log && !handle_errors {
        return Err(CtrError::invalid("keep_log feature requires the handle_errors feature"));
    }
    if words.len() > count {
        return Err(CtrError::invalid("Too many mirror arguments"));
    }
    Ok((handle_errors, keep_log))
}

/// `alloc_context`, and the rest of what a mirror needs.
fn mirror_set(
    current: &Task,
    args: &TargetArgs<'_>,
    log: CoreLog,
    legs_at: Vec<Leg>,
    (handle_errors, keep_log): (bool, bool),
) -> Arc<MirrorSet> {
    let (runtime, core, device) = (current.runtime(), args.host.core(), args.host.name());
    let named = |part: &str| format!("{device}.{part}");
    let work = |name: &str, ms: &Weak<MirrorSet>, function: fn(&Arc<MirrorSet>, &Task)| {
        let ms = Weak::clone(ms);
        Work::new(name, move |worker| {
            if let Some(ms) = ms.upgrade() {
                function(&ms, worker);
            }
        })
    };
    Arc::new_cyclic(|ms| MirrorSet {
        host: Arc::clone(args.host),
        range: args.range,
        region_size: log.region_size(),
        region_count: log.region_count(),
        handle_errors,
        keep_log,
        lists: SpinSection::new(runtime, &named("lock"), Lists::default()),
        regions: SpinSection::new(runtime, &named("region_lock"), Regions::default()),
        log: Confided::new(runtime, &named("log"), log),
        legs: Confided::new(runtime, &named("legs"), Legs::new(legs_at.len(), handle_errors, keep_log)),
        legs_at,
        suspended: Variable::new(runtime, &named("suspend"), 0),
        recovery_in_flight: Count::new(runtime, &named("recovery_in_flight")),
        recovery_count: Semaphore::new(runtime, &named("recovery_count"), 0),
        recovery_stopped: WaitQueue::new(runtime, &named("recovery_stopped")),
        io_client: IoClient::new(current, core, &named("mirror")),
        kcopyd_client: Client::new(current, core, &named("kcopyd"), None),
        kmirrord_wq: Workqueue::new(runtime, &format!("kmirrord/{device}"), WqFlags::RECLAIM),
        kmirrord_work: work("do_mirror", ms, MirrorSet::do_mirror),
        event_wq: Workqueue::new(runtime, &format!("dm_raid1_wq/{device}"), WqFlags::RECLAIM),
        trigger_event: work("trigger_event", ms, |ms, worker| ms.host.event(worker)),
        planted: args.planted,
    })
}

impl Target for Mirror {
    fn map(&self, current: &Task, _dev: &Device, _range: &TargetRange, mut bio: Bio) -> Mapped {
        let _frame = current.enter("mirror_map");
        let (ms, region) = (&*self.0, self.0.region_of(&bio));
        if bio.op() != BioOp::Read {
            bio.set_per_bio_data(current, region);
            ms.queue_bio(current, To::Writes, bio);
            return Mapped::Submitted;
        }
        if !ms.log.look(current, |log| log.in_sync(region)) {
            if bio.flags().contains(BioFlags::RAHEAD) {
                return Mapped::Kill(bio);
            }
            ms.queue_bio(current, To::Reads, bio);
            return Mapped::Submitted;
        }
        let Some(leg) = ms.legs.look(current, Legs::choose) else { return Mapped::Kill(bio) };
        bio.set_per_bio_data(current, leg as u64 + 1);
        ms.map_bio(leg, &mut bio);
        Mapped::Remapped(bio)
    }

    fn wants_end_io(&self) -> bool {
        true
    }

    fn end_io(&self, current: &Task, _range: &TargetRange, clone: Bio, status: BlkStatus) -> Ended {
        let _frame = current.enter("mirror_end_io");
        let ms = &*self.0;
        let noted = clone.per_bio_data(current);
        if clone.op() != BioOp::Read {
            if counts(&clone) && ms.regions.with(current, |regions| regions.dec(noted)) {
                ms.wake(current);
            }
            return Ended::Done(status);
        }
        if status.is_ok() || status == BlkStatus::NotSupp || clone.flags().contains(BioFlags::RAHEAD) {
            return Ended::Done(status);
        }
        if noted == NOT_RECORDED {
            ms.say(current, "Mirror read failed.");
            return Ended::Done(status);
        }
        let leg = (noted - 1) as usize;
        ms.say(current, &format!("Mirror read failed from {}. Trying alternative device.", ms.leg_name(leg)));
        ms.fail(current, leg, LegError::Read);
        if ms.can_retry(current, &clone) {
            clone.set_per_bio_data(current, NOT_RECORDED);
            ms.queue_bio(current, To::Reads, clone);
            return Ended::Incomplete;
        }
        ms.say(current, "All replicated volumes dead, failing I/O");
        Ended::Done(status)
    }

    fn max_io_len(&self) -> Option<Sectors> {
        Some(self.0.region_size)
    }

    fn num_flush_bios(&self) -> u64 {
        1
    }

    fn num_discard_bios(&self) -> u64 {
        1
    }

    fn presuspend(&self, current: &Task) {
        self.0.presuspend(current);
    }

    fn resume(&self, current: &Task) {
        self.0.resume(current);
    }

    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        self.0.legs_at.iter().map(|leg| (Arc::clone(&leg.dev), leg.offset, range.len)).collect()
    }

    fn status(&self, current: &Task, _noflush: bool) -> String {
        let ms = &*self.0;
        let names: Vec<String> = (0..ms.legs_at.len()).map(|leg| ms.leg_name(leg)).collect();
        let in_sync = ms.log.look(current, CoreLog::sync_count);
        let letters = ms.legs.look(current, Legs::letters);
        format!("{} {} {in_sync}/{} 1 {letters} 1 core", names.len(), names.join(" "), ms.region_count)
    }

    fn table(&self, current: &Task) -> String {
        let ms = &*self.0;
        let mut line = format!("{} {}", ms.log.look(current, CoreLog::table), ms.legs_at.len());
        for leg in &ms.legs_at {
            line += &format!(" {} {}", leg.dev.id(), leg.offset);
        }
        match (ms.handle_errors, ms.keep_log) {
            (true, true) => line += " 2 handle_errors keep_log",
            (true, false) => line += " 1 handle_errors",
            (false, _) => {}
        }
        line
    }

    fn dtr(&self, current: &Task) {
        let ms = &*self.0;
        ms.kmirrord_wq.flush(current);
        ms.event_wq.flush(current);
        ms.kcopyd_client.destroy(current);
        ms.kmirrord_wq.drain(current);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn features_are_refused_in_the_kernels_words() {
        let refused = |argv: &[&str]| parse_features(argv).unwrap_err().message;
        assert_eq!(refused(&["x"]), "Invalid number of features");
        assert_eq!(refused(&["2", "handle_errors"]), "Not enough arguments to support feature count");
        assert_eq!(refused(&["1", "Handle_errors"]), "Unrecognised feature requested");
        assert_eq!(refused(&["1", "keep_log"]), "keep_log feature requires the handle_errors feature");
        assert_eq!(refused(&["0", "x"]), "Too many mirror arguments");
        assert_eq!(parse_features(&["2", "keep_log", "handle_errors"]), Ok((true, true)));
        assert_eq!(parse_features(&[]), Ok((false, false)));
    }

    proptest! {
        #[test]
        fn whatever_the_words_features_are_read_or_refused(words in prop::collection::vec(
            prop_oneof![Just("handle_errors"), Just("keep_log"), Just("0"), Just("1"), Just("2"), Just("x")], 0..5)
        ) {
            if let Ok((handle_errors, keep_log)) = parse_features(&words) {
                prop_assert!(handle_errors || !keep_log);
                prop_assert_eq!(words.contains(&"handle_errors"), handle_errors);
            }
        }
    }
}
