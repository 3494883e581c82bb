//! [`Ring`]: an io_uring over one file, or what stands in for it where the kernel lets nobody have one.
//!
//! Invariants: the memory of an I/O stays where it is until its completion has been seen, also when the ring is dropped;
//! offsets, lengths and memory are aligned for `O_DIRECT`. An entry's number is the index of its memory.
//! Not here: which I/O (the device), registered buffers, polling.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use io_uring::types::{Fd, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};
use nix::libc;

/// I/Os that may be under way at once, and one place more for the pipe that wakes the ring.
pub(in crate::backend) const ENTRIES: u32 = 256;
/// Marks the entry that waits for the pipe.
const WAKE: u64 = u64::MAX;
/// What `O_DIRECT` may ask of memory.
const ALIGNMENT: usize = 4096;

/// What is to be done with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend) enum What {
    /// Read into the memory.
    Read,
    /// Write from it.
    Write,
    /// Write, and on the medium before it ends (`RWF_DSYNC`).
    WriteThrough,
    /// Write, unless that would wait (`RWF_NOWAIT`).
    WriteNowait,
    /// Read, unless that would wait (`RWF_NOWAIT`).
    ReadNowait,
    /// `fdatasync`.
    Sync,
}

/// Memory as `O_DIRECT` wants it.
pub(in crate::backend) struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// `len` zeros.
    pub(in crate::backend) fn zeroed(len: usize) -> Self {
        let bytes = vec![0; len + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT);
        Self { bytes, start, len }
    }

    /// Only its first `len` bytes.
    pub(in crate::backend) fn cut(mut self, len: usize) -> Self {
        assert!(len <= self.bytes.len() - ALIGNMENT, "memory for an I/O is as large as the largest of its slot");
        self.len = len;
        self
    }

    /// All of it again.
    pub(in crate::backend) fn restored(mut self) -> Self {
        self.len = self.bytes.len() - ALIGNMENT;
        self
    }

    /// The memory.
    pub(in crate::backend) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

/// An I/O under way.
struct Flight {
    what: What,
    offset: u64,
    memory: Aligned,
}

/// I/O that has ended: whose, its memory, and the bytes that moved.
pub(in crate::backend) type Ended = (u64, Aligned, io::Result<usize>);

enum Engine {
    Uring(Box<IoUring>),
    /// `pread` and `pwrite`, one after the other, by whoever waits.
    Blocking,
}

/// I/O to one file.
pub(in crate::backend) struct Ring {
    engine: Engine,
    file: File,
    wake: PipeReader,
    /// Whether the ring looks at the pipe.
    listens: bool,
    flights: Vec<Option<(u64, Flight)>>,
    under_way: usize,
}

impl Ring {
    /// A ring over `file`, woken through `wake`; with what kept the kernel from giving an io_uring, if it did.
    pub(in crate::backend) fn new(file: File, wake: PipeReader) -> (Self, Option<io::Error>) {
        Self::of(file, wake, ENTRIES)
    }

    /// The same for at most `entries` I/Os at once.
    pub(in crate::backend) fn of(file: File, wake: PipeReader, entries: u32) -> (Self, Option<io::Error>) {
        let (engine, refused) = match IoUring::new((entries * 2).next_power_of_two()) {
            // A wait needs its time limit (5.11), or a run could not be ended.
            Ok(ring) if ring.params().is_feature_ext_arg() => (Engine::Uring(Box::new(ring)), None),
            Ok(_) => (Engine::Blocking, Some(io::Error::other("waiting with a time limit needs Linux 5.11"))),
            Err(error) => (Engine::Blocking, Some(error)),
        };
        let flights = (0..entries).map(|_| None).collect();
        (Self { engine, file, wake, listens: false, flights, under_way: 0 }, refused)
    }

    /// Whether one more can be under way.
    pub(in crate::backend) fn has_room(&self) -> bool {
        self.under_way < self.flights.len()
    }

    /// Whether nothing is under way.
    pub(in crate::backend) fn is_idle(&self) -> bool {
        self.under_way == 0
    }

    /// Begins I/O number `token`; there must be room.
    pub(in crate::backend) fn begin(&mut self, token: u64, what: What, offset: u64, memory: Aligned) {
        let slot = self.flights.iter().position(Option::is_none).expect("the caller has asked for room");
        let (_, flight) = self.flights[slot].insert((token, Flight { what, offset, memory }));
        self.under_way += 1;
        let Engine::Uring(ring) = &mut self.engine else { return };
        let (fd, memory) = (Fd(self.file.as_raw_fd()), flight.memory.as_mut());
        let len = u32::try_from(memory.len()).expect("a bio has less than 4 GiB");
        let entry = match what {
            What::Read => opcode::Read::new(fd, memory.as_mut_ptr(), len).offset(offset).build(),
            What::Write => opcode::Write::new(fd, memory.as_ptr(), len).offset(offset).build(),
            What::WriteThrough => {
                opcode::Write::new(fd, memory.as_ptr(), len).offset(offset).rw_flags(libc::RWF_DSYNC).build()
            }
            What::WriteNowait => {
                opcode::Write::new(fd, memory.as_ptr(), len).offset(offset).rw_flags(libc::RWF_NOWAIT).build()
            }
            What::ReadNowait => {
                opcode::Read::new(fd, memory.as_mut_ptr(), len).offset(offset).rw_flags(libc::RWF_NOWAIT).build()
            }
            What::Sync => opcode::Fsync::new(fd).flags(FsyncFlags::DATASYNC).build(),
        };
        push(ring, &entry.user_data(slot as u64));
    }

    /// Lets the kernel begin what was begun, without waiting for any of it.
    pub(in crate::backend) fn hand_over(&mut self) {
        if let Engine::Uring(ring) = &mut self.engine {
            // What could not be handed over now is with the next wait.
            let _ = ring.submit();
        }
    }

    /// Waits until something has ended, the pipe was written to, or `patience` is over; gives what has ended.
    pub(in crate::backend) fn wait(&mut self, patience: Duration) -> io::Result<Vec<Ended>> {
        let Engine::Uring(ring) = &mut self.engine else { return Ok(self.carry_out()) };
        if !self.listens {
            // No memory of ours is involved, so that this entry may outlive the ring's owner.
            let poll = opcode::PollAdd::new(Fd(self.wake.as_raw_fd()), POLLIN).build();
            push(ring, &poll.user_data(WAKE));
            self.listens = true;
        }
        let limit = Timespec::new().sec(patience.as_secs()).nsec(patience.subsec_nanos());
        match ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&limit)) {
            Ok(_) => {}
            Err(error) if is_no_failure(&error) => {}
            Err(error) => return Err(error),
        }
        let mut ended = Vec::new();
        let completions: Vec<(u64, i32)> = ring.completion().map(|entry| (entry.user_data(), entry.result())).collect();
        for (slot, result) in completions {
            if slot == WAKE {
                self.listens = false;
                // It was readable: this does not wait.
                let _ = self.wake.read(&mut [0; 64]);
                continue;
            }
            let (token, flight) = self.flights[slot as usize].take().expect("what completes was begun");
            self.under_way -= 1;
            let result = match u32::try_from(result) {
                Ok(moved) => Ok(moved as usize),
                Err(_) => Err(io::Error::from_raw_os_error(-result)),
            };
            ended.push((token, flight.memory, result));
        }
        Ok(ended)
    }

    /// Without a ring: does all that is under way.
    fn carry_out(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        for (token, mut flight) in self.flights.iter_mut().filter_map(Option::take) {
            let len = flight.memory.len;
            let result = match flight.what {
                What::Read => self.file.read_exact_at(flight.memory.as_mut(), flight.offset).map(|()| len),
                What::Write => self.file.write_all_at(flight.memory.as_mut(), flight.offset).map(|()| len),
                What::WriteThrough => {
                    let written = self.file.write_all_at(flight.memory.as_mut(), flight.offset);
                    written.and_then(|()| self.file.sync_data()).map(|()| len)
                }
                What::WriteNowait | What::ReadNowait => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
                What::Sync => self.file.sync_data().map(|()| 0),
            };
            ended.push((token, flight.memory, result));
        }
        self.under_way = 0;
        ended
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // The kernel reads and writes the memory of what is under way: it may go only afterwards. A file's I/O ends.
        while matches!(self.engine, Engine::Uring(_)) && self.under_way > 0 {
            if self.wait(Duration::from_secs(1)).is_err() {
                // What cannot be waited for keeps its memory for ever.
                std::mem::forget(std::mem::take(&mut self.flights));
                return;
            }
        }
    }
}

/// `POLLIN` of poll(2).
const POLLIN: u32 = 1;

/// A wait that was over without a completion is no failure.
fn is_no_failure(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(code) if [libc::ETIME, libc::EINTR, libc::EBUSY].contains(&code))
}

fn push(ring: &mut IoUring, entry: &squeue::Entry) {
    // SAFETY: the memory that an entry of `begin` points to is owned by `flights` and is neither moved (it is a heap
    // allocation) nor freed before the entry's completion has been seen, see `Drop`; the entry of the pipe has none.
    let pushed = unsafe { ring.submission().push(entry) };
    pushed.expect("there are twice as many places as I/Os");
}
