//! The file device: a leaf that keeps its data in a file or on a block device, through io_uring and past the page cache
//! where the system allows. For threads only: its I/O takes the time that it takes.
//!
//! A work item is with the ring as long as anything is under way. It alone touches the ring; who submits puts the bio on
//! a list and wakes the item through a pipe. While it waits in the kernel it looks up every now and then, so that a run can
//! be ended; when nothing has ended for [`PATIENCE`] that is a `BUG`: the file hangs, not the model.
//!
//! Invariants: a bio ends when its I/O has ended, with `EIO` if the device has been unplugged meanwhile; flushes are
//! `fdatasync`; discards are refused. What the system does not allow (no io_uring, no `O_DIRECT`) is said in the kernel log
//! of the run.
//! Not here: the rules for what may be overwritten (`place`), unsafe code ([`crate::backend::ring`]).

mod place;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, PipeWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dmlab_engine::block::{Bio, BioOp, BlkStatus, Device, Driver};
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::Task;
use dmlab_engine::sync::{Work, Workqueue, WqFlags};
use dmlab_scenarios::FileDevice;
use dmlab_units::Sectors;

use place::Place;

use crate::backend::ring::{Aligned, Ended, Ring, What};

/// Major number of loop devices, which is what they are to the kernel.
const LOOP_MAJOR: u32 = 7;
/// Between two looks at whether the run is over.
const LOOK: Duration = Duration::from_millis(5);
/// A file whose I/O takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bios on their way to the ring, and whether somebody is with it.
#[derive(Default)]
struct Incoming {
    bios: VecDeque<(Arc<Device>, Bio)>,
    /// The item waits, or is about to: it must be woken for what comes.
    waits: bool,
}

/// What the ring knows of, used by the work item alone.
struct Service {
    ring: Ring,
    bios: BTreeMap<u64, (Arc<Device>, Bio)>,
    numbers: u64,
    _place: Option<Place>,
}

struct Shared {
    name: String,
    incoming: Mutex<Incoming>,
    service: Mutex<Service>,
    wake: PipeWriter,
}

struct FileDriver {
    shared: Arc<Shared>,
    queue: Workqueue,
    work: Work,
}

/// Adds a file device to `machine`.
///
/// # Errors
/// Why there cannot be one, in words.
pub(super) fn add(
    current: &Task,
    machine: &Machine,
    name: &str,
    file: &FileDevice,
    sectors: Sectors,
) -> Result<Arc<Device>, String> {
    let place = Place::new(file.path.as_deref().map(Path::new), file.size)?;
    let log = |what: &str, why: &str| machine.core().log(current, format!("{name}: {what}: {why}"));
    if let Err(why) = &place.direct {
        log("no O_DIRECT, through the page cache", why);
    }
    let wrong = |error: io::Error| error.to_string();
    let (listen, wake) = io::pipe().map_err(wrong)?;
    let (ring, refused) = Ring::new(place.file.try_clone().map_err(wrong)?, listen);
    if let Some(error) = refused {
        log("no io_uring, one I/O after the other", &error.to_string());
    }
    let service = Service { ring, bios: BTreeMap::new(), numbers: 0, _place: Some(place) };
    let shared =
        Arc::new(Shared { name: name.to_owned(), incoming: Mutex::default(), service: Mutex::new(service), wake });
    let there = Arc::clone(&shared);
    let work = Work::new("file", move |worker| there.serve(worker));
    let flags = WqFlags { max_active: 1, mem_reclaim: false, worker_fails: None };
    let driver = FileDriver { shared, queue: Workqueue::new(current.runtime(), name, flags), work };
    Ok(machine.add_leaf(current, name, LOOP_MAJOR, sectors, Box::new(driver)))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Driver for FileDriver {
    fn submit_bio(&self, current: &Task, dev: &Arc<Device>, bio: Bio) {
        let _frame = current.enter("loop_queue_rq");
        if let Some(bio) = dev.core().admit(current, dev, bio) {
            self.carry_out(current, dev, bio);
        }
    }

    fn carry_out(&self, current: &Task, dev: &Arc<Device>, bio: Bio) {
        if dev.core().is_gone(current, dev) {
            return bio.end(current, BlkStatus::IoErr);
        }
        let mut incoming = locked(&self.shared.incoming);
        incoming.bios.push_back((Arc::clone(dev), bio));
        let waits = std::mem::take(&mut incoming.waits);
        drop(incoming);
        if waits {
            // A full pipe wakes as well as one byte more would.
            let _ = (&self.shared.wake).write(&[0]);
        }
        self.queue.queue(current, &self.work);
    }

    fn has_write_cache(&self) -> bool {
        true
    }
}

impl Shared {
    /// Serves the ring until nothing is under way and nothing has come.
    fn serve(&self, worker: &Task) {
        let mut service = locked(&self.service);
        let mut last = Instant::now();
        loop {
            self.take_in(worker, &mut service);
            if service.ring.is_idle() {
                return;
            }
            let ended = match service.ring.wait(LOOK) {
                Ok(ended) => ended,
                Err(error) => worker.bug(format!("{}: io_uring_enter: {error}", self.name)),
            };
            locked(&self.incoming).waits = false;
            if !ended.is_empty() {
                last = Instant::now();
            }
            for (token, memory, result) in ended {
                let (dev, bio) = service.bios.remove(&token).expect("what has ended was begun");
                finish(worker, &dev, bio, (token, memory, result));
            }
            if last.elapsed() > PATIENCE {
                worker.bug(format!("{}: no I/O has ended for {} s: the file hangs", self.name, PATIENCE.as_secs()));
            }
            // Ends this task when the run is over.
            worker.yield_now();
        }
    }

    /// Hands what has come to the ring, as far as there is room.
    fn take_in(&self, worker: &Task, service: &mut Service) {
        while service.ring.has_room() {
            let mut incoming = locked(&self.incoming);
            let Some((dev, bio)) = incoming.bios.pop_front() else {
                incoming.waits = true;
                return;
            };
            drop(incoming);
            let what = match bio.op() {
                BioOp::Read => What::Read,
                BioOp::Flush => What::Sync,
                _ => What::Write,
            };
            let len = if what == What::Sync { 0 } else { bio.sectors.bytes().0 as usize };
            let mut memory = Aligned::zeroed(len);
            if let (What::Write, Some(data)) = (what, bio.data()) {
                let from = data.offset.0 as usize;
                data.buffer.with(worker, |bytes| memory.as_mut().copy_from_slice(&bytes[from..from + len]));
            }
            let token = service.numbers;
            service.numbers += 1;
            service.ring.begin(token, what, bio.sector.bytes().0, memory);
            service.bios.insert(token, (dev, bio));
        }
    }
}

/// Ends `bio` to `dev` as its I/O has ended.
fn finish(worker: &Task, dev: &Device, bio: Bio, (_, mut memory, result): Ended) {
    let _frame = worker.enter("loop_handle_cmd");
    let status = match result {
        // As from a controller that is no longer there: what the file says of it nobody hears.
        _ if dev.core().is_gone(worker, dev) => BlkStatus::IoErr,
        Ok(moved) if moved < memory.as_mut().len() => BlkStatus::IoErr,
        Ok(_) => BlkStatus::Ok,
        Err(error) => match error.kind() {
            io::ErrorKind::StorageFull => BlkStatus::NoSpc,
            io::ErrorKind::OutOfMemory => BlkStatus::Resource,
            io::ErrorKind::Unsupported => BlkStatus::NotSupp,
            _ => BlkStatus::IoErr,
        },
    };
    if let (BioOp::Read, BlkStatus::Ok, Some(data)) = (bio.op(), status, bio.data()) {
        let (at, memory) = (data.offset.0 as usize, memory.as_mut());
        data.buffer.with(worker, |bytes| bytes[at..at + memory.len()].copy_from_slice(memory));
    }
    bio.end(worker, status);
}

#[cfg(test)]
mod tests {
    use dmlab_engine::block::{BioVec, Buffer, EndIo};
    use dmlab_engine::sched::{Outcome, threads};
    use dmlab_engine::variants::Variants;
    use dmlab_units::{Bytes, Nanos, Seed};

    use super::*;

    const PAGE: Sectors = Sectors(8);

    #[derive(Default)]
    struct Ends(Mutex<Vec<BlkStatus>>);

    impl EndIo for Ends {
        fn end_io(self: Arc<Self>, _current: &Task, status: BlkStatus, _cookie: u64) {
            locked(&self.0).push(status);
        }
    }

    #[test]
    fn io_that_is_with_the_file_when_the_device_is_unplugged_ends_with_an_error_however_it_went() {
        let ends = Arc::new(Ends::default());
        let hook: Arc<dyn EndIo> = Arc::clone(&ends) as Arc<dyn EndIo>;
        let config = threads::Config { seed: Seed(1), deadline: Nanos::secs(60), interrupt: Arc::default() };
        let ran = threads::run(&config, move |current| {
            let machine = Machine::new(current, Variants::default(), false);
            let file = FileDevice { size: Bytes::kib(64), path: None };
            let device = add(current, &machine, "f", &file, Sectors(128)).expect("there is space");
            let written = || {
                let data = Some(BioVec::new(Buffer::zeroed(PAGE)));
                let range = (Sectors::ZERO, PAGE);
                Bio::new(current, BioOp::Write, Arc::clone(&device), range, data, (Arc::clone(&hook), 0))
            };
            let done = || (0, Aligned::zeroed(4096), Ok(4096));
            finish(current, &device, written(), done());
            machine.unplug(current, &device);
            finish(current, &device, written(), done());
        });
        assert_eq!(ran.outcome, Outcome::Finished);
        assert_eq!(*locked(&ends.0), [BlkStatus::Ok, BlkStatus::IoErr]);
    }
}
