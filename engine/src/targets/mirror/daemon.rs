//! kmirrord: what a mirror's worker does each time it is woken: recover regions, send reads and writes, deal with writes
//! that failed.
//!
//! Invariants: a write to a region in sync goes to all legs and ends when all have ended; to a region out of sync it goes
//! to the default leg; to a region in recovery it waits. No region is copied while a write to it is in flight.
//! Not here: logs that can fail or that others share (`log_failure`, `is_remote_recovering`).

use std::sync::Arc;

use dmlab_units::Sectors;

use super::legs::LegError;
use super::regions::State;
use super::set::{Lists, MirrorSet, To};
use crate::block::opf::Opf;
use crate::block::submit::submit_bio_noacct;
use crate::block::{Bio, BioFlags, BioOp, BlkStatus};
use crate::dm::io_client::{IoRequest, Region};
use crate::kcopyd::{CopyFlags, CopyResult};
use crate::sched::Task;
use crate::variants::Planted;

impl MirrorSet {
    /// `do_mirror`.
    pub(super) fn do_mirror(self: &Arc<Self>, worker: &Task) {
        let _frame = worker.enter("do_mirror");
        let Lists { reads, writes, failures, .. } = self.lists.with(worker, |lists| Lists {
            holds: Vec::new(),
            reads: std::mem::take(&mut lists.reads),
            writes: std::mem::take(&mut lists.writes),
            failures: std::mem::take(&mut lists.failures),
        });
        self.update_states(worker);
        self.do_recovery(worker);
        reads.into_iter().for_each(|bio| self.do_read(worker, bio));
        self.do_writes(worker, writes);
        failures.into_iter().for_each(|bio| self.do_failure(worker, bio));
    }

    /// `dm_rh_update_states`.
    fn update_states(&self, worker: &Task) {
        let _frame = worker.enter("dm_rh_update_states");
        let ended = self.regions.with(worker, |regions| self.log.change(worker, |log| regions.update(log)));
        for (region, delayed) in ended.recovered {
            self.complete_resync_work(worker, region, delayed, true);
        }
        for (region, delayed) in ended.failed {
            self.complete_resync_work(worker, region, delayed, !self.handle_errors);
        }
    }

    /// What waited is sent before a suspend is told, so that it is in the queue that the suspend then flushes.
    fn complete_resync_work(&self, worker: &Task, region: u64, delayed: Vec<Bio>, success: bool) {
        let _frame = worker.enter("complete_resync_work");
        self.log.change(worker, |log| log.set_region_sync(region, success));
        delayed.into_iter().for_each(|bio| self.queue_bio(worker, To::Writes, bio));
        self.drop_recovery(worker);
        self.recovery_count.up(worker);
    }

    fn do_recovery(self: &Arc<Self>, worker: &Task) {
        let _frame = worker.enter("do_recovery");
        self.recovery_prepare(worker);
        while let Some(region) = self.regions.with(worker, |regions| regions.start_recovery()) {
            self.recover(worker, region);
        }
        let all_in_sync = self.log.look(worker, |log| log.sync_count() == self.region_count);
        if all_in_sync && !self.legs.look(worker, |legs| legs.in_sync) {
            self.host.event(worker);
            self.legs.change(worker, |legs| {
                legs.in_sync = true;
                legs.reset();
            });
        }
    }

    /// `dm_rh_recovery_prepare`: picks regions to recover, as many as may be at a time.
    fn recovery_prepare(&self, worker: &Task) {
        let _frame = worker.enter("dm_rh_recovery_prepare");
        // One more, so that a suspend that stops recovery meanwhile waits for this function.
        self.recovery_in_flight.inc();
        while self.recovery_count.down_trylock(worker) {
            self.recovery_in_flight.inc();
            let found =
                self.regions.with(worker, |regions| self.log.change(worker, |log| regions.prepare_recovery(log)));
            if !found {
                self.recovery_in_flight.drop_one();
                self.recovery_count.up(worker);
                break;
            }
        }
        self.drop_recovery(worker);
    }

    /// Copies a region from the default leg to all others.
    fn recover(self: &Arc<Self>, worker: &Task, region: u64) {
        let _frame = worker.enter("recover");
        let begin = Sectors(region * self.region_size.0);
        // The last one may be shorter.
        let count = self.region_size.min(self.range.len - begin);
        let default = self.legs.look(worker, |legs| legs.default_leg());
        let at = |leg: usize| {
            let leg = &self.legs_at[leg];
            Region { dev: Arc::clone(&leg.dev), sector: leg.offset + begin, count }
        };
        let others: Vec<usize> = (0..self.legs_at.len()).filter(|&leg| leg != default).collect();
        if self.planted == Planted::MirrorSkipsResync {
            return self.recovery_complete(worker, region, CopyResult::default());
        }
        let flags = if self.handle_errors { CopyFlags::empty() } else { CopyFlags::IGNORE_ERROR };
        let dests: Vec<Region> = others.iter().map(|&leg| at(leg)).collect();
        let ms = Arc::clone(self);
        let callback = move |task: &Task, result: CopyResult| ms.recovery_complete(task, region, result);
        self.kcopyd_client.copy(worker, &at(default), &dests, flags, Box::new(callback));
    }

    fn recovery_complete(&self, current: &Task, region: u64, result: CopyResult) {
        let _frame = current.enter("recovery_complete");
        // It does not change during a recovery.
        let default = self.legs.look(current, |legs| legs.default_leg());
        if result.read_err {
            self.say(current, "Unable to read primary mirror during recovery");
            self.fail(current, default, LegError::Sync);
        }
        if result.write_err != 0 {
            self.say(current, &format!("Write error during recovery (error = {:#x})", result.write_err));
            let others = (0..self.legs_at.len()).filter(|&leg| leg != default);
            for (bit, leg) in others.enumerate() {
                if result.write_err & 1 << bit != 0 {
                    self.fail(current, leg, LegError::Sync);
                }
            }
        }
        self.regions.with(current, |regions| regions.end_recovery(region, result.is_ok()));
        self.wake(current);
    }

    fn state_of(&self, worker: &Task, region: u64) -> State {
        self.regions.with(worker, |regions| self.log.look(worker, |log| regions.state(log, region)))
    }

    /// `do_reads`, for one of them.
    fn do_read(self: &Arc<Self>, worker: &Task, bio: Bio) {
        let _frame = worker.enter("do_reads");
        let in_sync = self.state_of(worker, self.region_of(&bio)).is_in_sync();
        let leg = self.legs.look(worker, |legs| {
            let default = legs.default_leg();
            if in_sync { legs.choose() } else { (!legs.has_failed(default)).then_some(default) }
        });
        match leg {
            Some(leg) => self.read_async_bio(worker, leg, bio),
            None => bio.end(worker, BlkStatus::IoErr),
        }
    }

    fn read_async_bio(self: &Arc<Self>, worker: &Task, leg: usize, bio: Bio) {
        let request = IoRequest { opf: Opf::new(BioOp::Read, BioFlags::empty()), memory: bio.data().cloned() };
        let region = self.map_region(leg, &bio);
        let ms = Arc::clone(self);
        let notify = move |task: &Task, error: u64| ms.read_callback(task, leg, bio, error);
        self.io_client.start(worker, &request, &[region], Box::new(notify));
    }

    fn read_callback(&self, current: &Task, leg: usize, bio: Bio, error: u64) {
        let _frame = current.enter("read_callback");
        if error == 0 {
            return bio.end(current, BlkStatus::Ok);
        }
        self.fail(current, leg, LegError::Read);
        let failure = format!("Read failure on mirror device {}.", self.leg_name(leg));
        if self.can_retry(current, &bio) {
            self.say(current, &format!("{failure} Trying alternative device."));
            return self.queue_bio(current, To::Reads, bio);
        }
        self.say(current, &format!("{failure}  Failing I/O."));
        bio.end(current, BlkStatus::IoErr);
    }

    fn do_writes(self: &Arc<Self>, worker: &Task, writes: Vec<Bio>) {
        let _frame = worker.enter("do_writes");
        let (mut sync, mut nosync, mut recover) = (Vec::new(), Vec::new(), Vec::new());
        for bio in writes {
            if !counts(&bio) {
                sync.push(bio);
                continue;
            }
            match self.state_of(worker, self.region_of(&bio)) {
                State::Clean | State::Dirty => sync.push(bio),
                State::NoSync => nosync.push(bio),
                State::Recovering => recover.push(bio),
            }
        }
        // Before any is sent, so that none of these regions is taken for recovery.
        for bio in sync.iter().chain(&nosync).filter(|bio| counts(bio)) {
            let region = self.region_of(bio);
            self.regions.with(worker, |regions| self.log.change(worker, |log| regions.inc(log, region)));
        }
        sync.into_iter().for_each(|bio| self.do_write(worker, bio));
        for bio in recover {
            let region = self.region_of(&bio);
            self.regions.with(worker, |regions| self.log.look(worker, |log| regions.delay(log, region, bio)));
        }
        for mut bio in nosync {
            let (failure, default) = self.legs.look(worker, |legs| (legs.leg_failure, legs.default_leg()));
            if failure && self.handle_errors && !self.keep_log {
                self.queue_bio(worker, To::Failures, bio);
            } else {
                self.map_bio(default, &mut bio);
                submit_bio_noacct(worker, bio);
            }
        }
    }

    /// Sends a write to all legs.
    fn do_write(self: &Arc<Self>, worker: &Task, bio: Bio) {
        let _frame = worker.enter("do_write");
        let flags = bio.flags() & (BioFlags::FUA | BioFlags::PREFLUSH);
        let (op, memory) = match bio.op() {
            op @ (BioOp::Discard | BioOp::Flush) => (op, None),
            _ => (BioOp::Write, bio.data().cloned()),
        };
        let request = IoRequest { opf: Opf::new(op, flags), memory };
        let mut regions: Vec<Region> = (0..self.legs_at.len()).map(|leg| self.map_region(leg, &bio)).collect();
        if self.planted == Planted::MirrorAcksEarly {
            let others = regions.split_off(1);
            self.io_client.start(worker, &request, &others, Box::new(|_, _| ()));
        }
        let ms = Arc::clone(self);
        let notify = move |task: &Task, error: u64| ms.write_callback(task, bio, error);
        self.io_client.start(worker, &request, &regions, Box::new(notify));
    }

    fn write_callback(&self, current: &Task, bio: Bio, error: u64) {
        let _frame = current.enter("write_callback");
        if error == 0 {
            return bio.end(current, BlkStatus::Ok);
        }
        // A discard that fails takes nothing away.
        if bio.op() == BioOp::Discard {
            return bio.end(current, BlkStatus::NotSupp);
        }
        for leg in (0..self.legs_at.len()).filter(|leg| error & 1 << leg != 0) {
            self.fail(current, leg, LegError::Write);
        }
        self.queue_bio(current, To::Failures, bio);
    }

    /// `do_failures`, for one of them.
    fn do_failure(&self, worker: &Task, bio: Bio) {
        let _frame = worker.enter("do_failures");
        self.legs.change(worker, |legs| legs.in_sync = false);
        self.mark_nosync(worker, &bio);
        if self.legs.look(worker, |legs| legs.valid().is_none()) {
            bio.end(worker, BlkStatus::IoErr);
        } else if self.handle_errors && !self.keep_log {
            if self.suspended.get() != 0 {
                // A bio that is pushed back comes here again at once, until the suspend gets on: cond_resched.
                worker.yield_now();
            }
            self.hold_bio(worker, bio);
        } else {
            // As if it had succeeded: one leg has it, and the region is known to be out of sync.
            bio.end(worker, BlkStatus::Ok);
        }
    }

    /// `dm_rh_mark_nosync`.
    fn mark_nosync(&self, worker: &Task, bio: &Bio) {
        let _frame = worker.enter("dm_rh_mark_nosync");
        if is_flush(bio) {
            return self.regions.with(worker, |regions| regions.note_flush_failure());
        }
        if bio.op() == BioOp::Discard {
            return;
        }
        let region = self.region_of(bio);
        let stopped =
            self.regions.with(worker, |regions| self.log.change(worker, |log| regions.mark_nosync(log, region)));
        if let Some(delayed) = stopped {
            self.complete_resync_work(worker, region, delayed, false);
        }
    }
}

fn is_flush(bio: &Bio) -> bool {
    bio.op() == BioOp::Flush || bio.flags().contains(BioFlags::PREFLUSH)
}

/// Whether a write counts as pending in its region: discards and what carries a flush do not.
pub(super) fn counts(bio: &Bio) -> bool {
    !is_flush(bio) && bio.op() != BioOp::Discard
}
