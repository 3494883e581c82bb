//! [`KernelDevice`]: a block device of the running kernel, open for I/O past the page cache.
//!
//! Reads, writes and flushes go through an io_uring; what has no memory (discard, write zeroes) is an ioctl that a
//! thread of its own waits for. A write with FUA is one with `RWF_DSYNC`.
//!
//! Invariants: a slot's memory is the kernel's while its I/O is under way, and lives until it has ended; completions are
//! reaped in the order in which they came.
//! Not here: which operations and flags user space has at all (`can`).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, PipeWriter, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use dmlab_scenarios::{Errno, IoFlag, IoOp};
use dmlab_units::{Nanos, Sectors};
use nix::errno::Errno as Number;
use nix::fcntl::OFlag;

use super::actor::{World, errno_of};
use super::nodes::{self, Dev};
use super::sys::{self, RangeOp};
use crate::backend::OpenDevice;
use crate::backend::ring::{Aligned, Ring, What};

/// Between two looks of a waiter at whether the performance is over.
const LOOK: Duration = Duration::from_millis(50);

type Done = (u32, Result<(), Number>);

/// A device that is open for I/O.
pub(super) struct KernelDevice<'a> {
    world: &'a World,
    flow: usize,
    name: String,
    file: File,
    capacity: Sectors,
    ring: RefCell<Ring>,
    /// `None` while the kernel has it.
    slots: RefCell<Vec<Option<Aligned>>>,
    ended: RefCell<VecDeque<(u32, Option<Errno>, Nanos)>>,
    under_way: RefCell<u32>,
    wake: PipeWriter,
    done: (Sender<Done>, Receiver<Done>),
}

impl<'a> KernelDevice<'a> {
    /// Opens device `dev` with memory for `slots` I/Os.
    pub(super) fn open(
        world: &'a World,
        flow: usize,
        name: &str,
        dev: Dev,
        slots: u32,
        slot_sectors: Sectors,
    ) -> Result<Self, Errno> {
        let wrong = |error: io::Error| errno_of(Number::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO)));
        let file = nodes::open(dev, OFlag::O_DIRECT).map_err(wrong)?;
        let (listen, wake) = io::pipe().map_err(wrong)?;
        let (ring, _) = Ring::of(file.try_clone().map_err(wrong)?, listen, slots.max(1));
        let bytes = slot_sectors.bytes().0 as usize;
        Ok(Self {
            world,
            flow,
            name: name.to_owned(),
            file,
            capacity: nodes::sectors(dev),
            ring: RefCell::new(ring),
            slots: RefCell::new((0..slots).map(|_| Some(Aligned::zeroed(bytes))).collect()),
            ended: RefCell::default(),
            under_way: RefCell::new(0),
            wake,
            done: channel(),
        })
    }

    /// An operation without memory, by a thread of its own.
    fn begin_range(&self, slot: u32, op: RangeOp, at: Sectors, sectors: Sectors) {
        let (file, sender) = (self.file.try_clone(), self.done.0.clone());
        let wake = self.wake.try_clone();
        std::thread::spawn(move || {
            let result = match file {
                Ok(file) => sys::range(file.as_fd(), op, at.bytes().0, sectors.bytes().0),
                Err(_) => Err(Number::EMFILE),
            };
            // Nobody listens when the performance is over.
            let _ = sender.send((slot, result));
            if let Ok(mut wake) = wake {
                let _ = wake.write(&[0]);
            }
        });
    }

    fn note(&self, slot: u32, result: Result<(), Number>) {
        *self.under_way.borrow_mut() -= 1;
        self.ended.borrow_mut().push_back((slot, result.err().map(errno_of), self.world.now()));
        self.world.vitals.note_progress();
    }

    fn take_in(&self) {
        while let Ok((slot, result)) = self.done.1.try_recv() {
            self.note(slot, result);
        }
    }

    fn wait(&self) {
        self.take_in();
        if !self.ended.borrow().is_empty() {
            return;
        }
        let ended =
            self.ring.borrow_mut().wait(LOOK).unwrap_or_else(|error| panic!("{}: io_uring: {error}", self.name));
        for (slot, mut memory, result) in ended {
            let wanted = memory.as_mut().len();
            let slot = u32::try_from(slot).expect("tokens are slots");
            let result = match result {
                Ok(moved) if moved < wanted => Err(Number::EIO),
                Ok(_) => Ok(()),
                Err(error) => Err(Number::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO))),
            };
            self.give_back(slot, memory);
            self.note(slot, result);
        }
    }

    /// Memory that was cut to the I/O is put back as it was.
    fn give_back(&self, slot: u32, memory: Aligned) {
        if let Some(place @ None) = self.slots.borrow_mut().get_mut(slot as usize) {
            *place = Some(memory.restored());
        }
    }
}

impl OpenDevice for KernelDevice<'_> {
    fn capacity(&self) -> Sectors {
        self.capacity
    }

    fn submit_flagged(&self, slot: u32, op: IoOp, flags: &[IoFlag], at: Sectors, sectors: Sectors) {
        *self.under_way.borrow_mut() += 1;
        self.world.vitals.note_progress();
        let len = sectors.bytes().0 as usize;
        let has = |flag| flags.contains(&flag);
        let what = match op {
            IoOp::Read if has(IoFlag::Nowait) => What::ReadNowait,
            IoOp::Read => What::Read,
            IoOp::Write if has(IoFlag::Fua) => What::WriteThrough,
            IoOp::Write if has(IoFlag::Nowait) => What::WriteNowait,
            IoOp::Write => What::Write,
            IoOp::Flush => What::Sync,
            IoOp::Discard => return self.begin_range(slot, RangeOp::Discard, at, sectors),
            IoOp::SecureErase => return self.begin_range(slot, RangeOp::SecureErase, at, sectors),
            IoOp::WriteZeroes => return self.begin_range(slot, RangeOp::WriteZeroes, at, sectors),
        };
        let memory = match op {
            IoOp::Flush => Aligned::zeroed(0),
            _ => {
                let memory = self.slots.borrow_mut()[slot as usize].take().expect("one I/O at a time in a slot");
                memory.cut(len)
            }
        };
        let mut ring = self.ring.borrow_mut();
        ring.begin(u64::from(slot), what, at.bytes().0, memory);
        ring.hand_over();
    }

    fn reap_at(&self) -> (u32, Option<Errno>, Nanos) {
        loop {
            if let Some(ended) = self.ended.borrow_mut().pop_front() {
                self.world.vitals.change(self.flow, |flow| flow.doing.clear());
                return ended;
            }
            let under_way = *self.under_way.borrow();
            assert!(under_way > 0, "nothing was submitted that could be reaped");
            let what = format!("{under_way} I/Os on {}", self.name);
            self.world.vitals.waits(self.flow, &what);
            self.wait();
            self.world.checkpoint();
        }
    }

    fn with_slot(&self, slot: u32, use_it: &mut dyn FnMut(&mut [u8])) {
        let mut slots = self.slots.borrow_mut();
        let memory = slots[slot as usize].as_mut().expect("nobody uses a slot whose I/O is under way");
        use_it(memory.as_mut());
    }
}
