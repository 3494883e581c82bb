//! [`EngineDevice`]: an engine device, open for I/O.
//!
//! Invariants: a slot's memory is the device's while its I/O is under way; completions are reaped in the order in which
//! they came; the device counts as open until this is dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use dmlab_engine::block::{Bio, BioFlags, BioOp, BioVec, BlkStatus, Buffer, Device, EndIo, submit_bio};
use dmlab_engine::sched::Task;
use dmlab_engine::sync::{Completion, SpinSection};
use dmlab_scenarios::{Errno, IoFlag, IoOp};
use dmlab_units::{Nanos, Sectors};

use super::actor::errno_of_status;
use crate::backend::OpenDevice;

/// What has ended and was not reaped.
struct DoneQueue {
    ended: SpinSection<VecDeque<(u32, BlkStatus, Nanos)>>,
    count: Completion,
    /// Whether to look at the clock: in a search, a look is something learnt.
    measures: bool,
}

impl EndIo for DoneQueue {
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, cookie: u64) {
        let at = if self.measures { current.now() } else { Nanos::ZERO };
        self.ended.with(current, |ended| ended.push_back((cookie as u32, status, at)));
        self.count.complete(current);
    }
}

pub(super) struct EngineDevice<'a> {
    current: &'a Task,
    device: Arc<Device>,
    slots: Vec<Arc<Buffer>>,
    done: Arc<DoneQueue>,
}

impl<'a> EngineDevice<'a> {
    /// `measures`: completions are told with their time.
    pub(super) fn new(
        current: &'a Task,
        device: Arc<Device>,
        (slots, slot_sectors): (u32, Sectors),
        measures: bool,
    ) -> Self {
        device.open();
        let runtime = current.runtime();
        let name = format!("{} I/O", device.name());
        let ended = SpinSection::new(runtime, &name, VecDeque::new());
        let done = Arc::new(DoneQueue { ended, count: Completion::new(runtime, &name), measures });
        let slots = (0..slots).map(|_| Buffer::zeroed(slot_sectors)).collect();
        Self { current, device, slots, done }
    }
}

impl Drop for EngineDevice<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return self.device.close();
        }
        self.device.put(self.current);
    }
}

impl OpenDevice for EngineDevice<'_> {
    fn capacity(&self) -> Sectors {
        self.device.capacity()
    }

    fn submit_flagged(&self, slot: u32, op: IoOp, flags: &[IoFlag], at: Sectors, sectors: Sectors) {
        let op = op_of(op);
        let flags = flags.iter().copied().map(flag_of).collect();
        let data = op.has_data().then(|| BioVec::new(Arc::clone(&self.slots[slot as usize])));
        let hook = (Arc::clone(&self.done) as Arc<_>, u64::from(slot));
        let bio = Bio::new(self.current, op, Arc::clone(&self.device), (at, sectors), data, hook);
        submit_bio(self.current, bio.with_flags(flags));
    }

    fn reap_at(&self) -> (u32, Option<Errno>, Nanos) {
        self.done.count.wait(self.current);
        let ended = self.done.ended.with(self.current, VecDeque::pop_front);
        let (slot, status, at) = ended.expect("each completion was counted after it was queued");
        (slot, errno_of_status(status), at)
    }

    fn with_slot(&self, slot: u32, use_it: &mut dyn FnMut(&mut [u8])) {
        self.slots[slot as usize].with(self.current, |memory| use_it(memory));
    }
}

const fn op_of(op: IoOp) -> BioOp {
    match op {
        IoOp::Read => BioOp::Read,
        IoOp::Write => BioOp::Write,
        IoOp::Flush => BioOp::Flush,
        IoOp::Discard => BioOp::Discard,
        IoOp::SecureErase => BioOp::SecureErase,
        IoOp::WriteZeroes => BioOp::WriteZeroes,
    }
}

const fn flag_of(flag: IoFlag) -> BioFlags {
    match flag {
        IoFlag::Fua => BioFlags::FUA,
        IoFlag::Preflush => BioFlags::PREFLUSH,
        IoFlag::Sync => BioFlags::SYNC,
        IoFlag::Rahead => BioFlags::RAHEAD,
        IoFlag::Nowait => BioFlags::NOWAIT,
        IoFlag::Swap => BioFlags::SWAP,
    }
}
