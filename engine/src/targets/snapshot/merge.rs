//! Merging a snapshot back into its origin: one run of chunks after another, the last exceptions first.
//!
//! Before a run is copied, every other snapshot of the origin has to have what it overwrites, and writes to the run's
//! chunks on the COW device have to have ended; new ones wait until the run is merged.
//!
//! Invariants: one copy at a time; exceptions leave the store after the origin has been flushed, and the tables after they
//! have left the store; after an error merging stops for good, and I/O goes on as if there were none.
//! Not here: how bios are mapped meanwhile ([`super::merge_map`]), which exceptions are next (the store).

use std::sync::Arc;

use dmlab_units::Sectors;

use super::state::Snapshot;
use super::tables::RemoveError;
use crate::block::submit::submit_bio_noacct;
use crate::block::{Bio, BlkStatus};
use crate::dm::io_client::{IoClient, IoRequest, Region, flush_request};
use crate::kcopyd::{CopyFlags, CopyResult};
use crate::sched::{Runtime, Task};
use crate::stores::store::MergeRun;
use crate::sync::{Confided, Variable, WaitQueue};

/// What a merging snapshot keeps besides.
pub(super) struct Merge {
    /// `RUNNING_MERGE` and `SHUTDOWN_MERGE` of `state_bits`, and who waits for the former to be cleared.
    running: Variable,
    shutdown: Variable,
    stopped: WaitQueue,
    /// Under the lock: the chunks that are being merged, and writes that wait for them.
    pub(super) window: Confided<Window>,
    pub(super) failed: Variable,
    /// For flushes, where there is merging.
    io: Option<IoClient>,
}

/// The chunks that are being merged.
#[derive(Default)]
pub(super) struct Window {
    pub(super) first: u64,
    pub(super) chunks: u64,
    /// `bios_queued_during_merge`, already pointed at the origin.
    pub(super) bios: Vec<Bio>,
}

/// Why merging goes no further.
enum Stop {
    /// There is nothing left to merge, or somebody wants it to stop.
    Shut,
    /// It failed.
    Failed,
}

impl Merge {
    pub(super) fn new(runtime: &Runtime, name: &str, io: Option<IoClient>) -> Self {
        let named = |part: &str| format!("{name}.{part}");
        Self {
            running: Variable::new(runtime, &named("RUNNING_MERGE"), 0),
            shutdown: Variable::new(runtime, &named("SHUTDOWN_MERGE"), 0),
            stopped: WaitQueue::new(runtime, &named("merge_stopped")),
            window: Confided::new(runtime, &named("merging_chunks"), Window::default()),
            failed: Variable::new(runtime, &named("merge_failed"), 0),
            io,
        }
    }

    /// Whether a merge is under way.
    pub(super) fn is_running(&self) -> bool {
        self.running.get() != 0
    }

    /// `merge_shutdown`.
    fn shut(&self, current: &Task) {
        self.running.set(0);
        if self.shutdown.get() != 0 {
            self.stopped.wake_up_all(current);
        }
    }
}

impl Snapshot {
    /// `start_merge`.
    pub(super) fn start_merge(self: &Arc<Self>, current: &Task) {
        let _frame = current.enter("start_merge");
        if !self.merge.is_running() {
            self.merge.running.set(1);
            self.merge_next_chunks(current);
        }
    }

    /// `stop_merge`: waits until the run that is under way is merged.
    pub(super) fn stop_merge(&self, current: &Task) {
        let _frame = current.enter("stop_merge");
        self.merge.shutdown.set(1);
        self.merge.stopped.wait_event(current, || !self.merge.is_running());
        self.merge.shutdown.set(0);
    }

    /// `snapshot_merge_next_chunks`.
    fn merge_next_chunks(self: &Arc<Self>, current: &Task) {
        let _frame = current.enter("snapshot_merge_next_chunks");
        match self.next_run(current) {
            Ok(run) => self.copy_run(current, run),
            Err(stop) => {
                if matches!(stop, Stop::Failed) {
                    let _held = self.lock.write(current);
                    self.merge.failed.set(1);
                }
                self.merge.shut(current);
            }
        }
    }

    fn next_run(&self, current: &Task) -> Result<MergeRun, Stop> {
        if self.merge.shutdown.get() != 0 {
            return Err(Stop::Shut);
        }
        if !self.is_valid() {
            self.err(current, "Snapshot is invalid: can't merge");
            return Err(Stop::Shut);
        }
        let store = self.store(current);
        let merging = store.merging().expect("a store that cannot merge is refused by the constructor");
        match merging.prepare_merge(current) {
            Ok(run) => run.ok_or(Stop::Shut),
            Err(_) => {
                self.err(current, "Read error in exception store: shutting down merge");
                Err(Stop::Failed)
            }
        }
    }

    fn copy_run(self: &Arc<Self>, current: &Task, run: MergeRun) {
        let chunk = self.chunk_size(current).0;
        let sector = |last: u64| Sectors((last + 1).saturating_sub(run.chunks).saturating_mul(chunk));
        let first = (run.last.old_chunk + 1).saturating_sub(run.chunks);
        let size = Sectors(run.chunks * chunk);
        let to = sector(run.last.old_chunk);
        let count = size.min(self.origin.capacity().saturating_sub(to));
        let dest = Region { dev: Arc::clone(&self.origin), sector: to, count };
        let from = Region { dev: Arc::clone(&self.cow), sector: sector(run.last.new_chunk), count };
        // Other snapshots first. Each time any exception anywhere is done, look again.
        let step = self.max_io_len().unwrap_or(Sectors(chunk));
        let mut known = self.registry.done_count();
        while self.registry.origin_write_extent(current, &self.origin, (to, size), step) {
            self.registry.wait_for_done(current, known);
            known = self.registry.done_count();
        }
        {
            let _held = self.lock.write(current);
            self.merge.window.change(current, |window| (window.first, window.chunks) = (first, run.chunks));
        }
        (first..first + run.chunks).for_each(|chunk| self.tracked.wait(current, chunk));
        let snap = Arc::downgrade(self);
        let callback = Box::new(move |worker: &Task, result: CopyResult| {
            let snap = snap.upgrade().expect("a snapshot outlives its copies");
            snap.merge_callback(worker, result);
        });
        self.kcopyd.copy(current, &from, &[dest], CopyFlags::empty(), callback);
    }

    /// `merge_callback`: a run is copied.
    fn merge_callback(self: &Arc<Self>, worker: &Task, result: CopyResult) {
        let _frame = worker.enter("merge_callback");
        match self.finish_run(worker, result) {
            Ok(()) => self.merge_next_chunks(worker),
            Err(complaint) => {
                if let Some(complaint) = complaint {
                    self.err(worker, complaint);
                }
                let bios = {
                    let _held = self.lock.write(worker);
                    self.merge.failed.set(1);
                    self.close_window(worker)
                };
                bios.into_iter().for_each(|bio| bio.end(worker, BlkStatus::IoErr));
                self.merge.shut(worker);
            }
        }
    }

    fn finish_run(&self, worker: &Task, result: CopyResult) -> Result<(), Option<&'static str>> {
        if result.read_err {
            return Err(Some("Read error: shutting down merge."));
        }
        if result.write_err != 0 {
            return Err(Some("Write error: shutting down merge."));
        }
        let origin = Region { dev: Arc::clone(&self.origin), sector: Sectors::ZERO, count: Sectors::ZERO };
        let flush: IoRequest = flush_request();
        let io = self.merge.io.as_ref().expect("a merging snapshot has a client for flushes");
        io.run(worker, &flush, &[origin]).map_err(|_| Some("Flush after merge failed: shutting down merge"))?;
        let chunks = self.merge.window.look(worker, |window| window.chunks);
        let store = self.store(worker);
        let merging = store.merging().expect("a store that cannot merge is refused by the constructor");
        merging
            .commit_merge(worker, chunks)
            .map_err(|_| Some("Write error in exception store: shutting down merge"))?;
        self.remove_merged(worker)
    }

    /// `remove_single_exception_chunk`: takes the run out of the table, last chunk first, and lets its writes go.
    fn remove_merged(&self, worker: &Task) -> Result<(), Option<&'static str>> {
        let _frame = worker.enter("remove_single_exception_chunk");
        let bios = {
            let _held = self.lock.write(worker);
            let (first, chunks) = self.merge.window.look(worker, |window| (window.first, window.chunks));
            for chunk in (first..first + chunks).rev() {
                let removed = self.slots.with(worker, chunk, |slot| slot.completed.remove(chunk));
                removed.map_err(|error| {
                    let message = match error {
                        RemoveError::Missing => {
                            format!("Corruption detected: exception for block {chunk} is on disk but not in memory")
                        }
                        RemoveError::Middle(from, to) => {
                            format!("Attempt to merge block {chunk} from the middle of a chunk range [{from} - {to}]")
                        }
                    };
                    self.err(worker, &message);
                    None
                })?;
            }
            self.close_window(worker)
        };
        bios.into_iter().for_each(|bio| submit_bio_noacct(worker, bio));
        Ok(())
    }

    /// `__release_queued_bios_after_merge`.
    fn close_window(&self, worker: &Task) -> Vec<Bio> {
        self.merge.window.change(worker, |window| std::mem::take(window).bios)
    }
}
