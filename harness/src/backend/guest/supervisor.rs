//! Supervises one boot of a guest: takes its events and its console, and ends it when it goes on no longer.
//!
//! Deadlines are of progress, not of time: a guest may be as slow as the machine makes it, as long as it prints while it
//! boots, sends its beats of life, and something moves in the cell that it runs.
//!
//! Invariants: whatever happens, the emulator has ended when [`supervise`] returns; what a guest prints is bounded; a guest
//! that goes down by itself is told from one that was ended here, and why.
//! Not here: what an end means for a cell (`run`).

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::GuestError;
use super::console::Console;
use super::frame::Decoder;
use super::job::Event;
use super::qemu::{Machine, Process};
use crate::kernels::Tools;

/// How long a guest may go without progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// While it boots: without a byte on its console.
    pub boot: Duration,
    /// Once `/init` runs: without a beat of life.
    pub silence: Duration,
    /// In a cell: with beats, but nothing moving.
    pub stall: Duration,
    /// Bytes that it may print while it boots, or within a cell.
    pub console_bytes: u64,
}

impl Patience {
    /// The same time for everything, for tests and for fast machines.
    pub const fn of(time: Duration) -> Self {
        Self { boot: time, silence: time, stall: time, ..Self::DEFAULT }
    }

    /// Enough for an emulated guest on a machine that is busy with other things.
    pub const DEFAULT: Self = Self {
        boot: Duration::from_secs(60),
        silence: Duration::from_secs(60),
        stall: Duration::from_secs(120),
        console_bytes: 1 << 20,
    };
}

/// Why a guest is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It did its job and turned the power off.
    Done,
    /// Its kernel panicked.
    Panicked,
    /// Its kernel gave up because there was no memory left.
    OutOfMemory,
    /// `/init` could not go on.
    Fatal(String),
    /// It printed nothing more before `/init` ran.
    NoBoot(Duration),
    /// `/init` ran and was heard no more.
    Silent(Duration),
    /// Nothing moved in a cell.
    Stalled(Duration),
    /// It printed too much.
    Flooded(u64),
    /// The emulator ended by itself or was killed.
    Died(String),
    /// dmlab was asked to stop, or needed no more of this guest.
    Stopped,
}

impl End {
    /// In words, as a part of a sentence about the guest.
    pub fn in_words(&self) -> String {
        match self {
            Self::Done => "it did its job".to_owned(),
            Self::Panicked => "its kernel panicked".to_owned(),
            Self::OutOfMemory => "its memory was used up".to_owned(),
            Self::Fatal(why) => format!("its init could not go on: {why}"),
            Self::NoBoot(quiet) => format!("it hung while it booted: nothing was printed for {} s", quiet.as_secs()),
            Self::Silent(quiet) => format!("it was silent for {} s", quiet.as_secs()),
            Self::Stalled(quiet) => format!("nothing moved for {} s", quiet.as_secs()),
            Self::Flooded(bytes) => format!("it flooded its console: {bytes} bytes without an end"),
            Self::Died(how) => format!("the emulator ended: {how}"),
            Self::Stopped => "it was stopped".to_owned(),
        }
    }
}

/// A guest that is no more.
pub(super) struct Ended {
    /// Why.
    pub(super) end: End,
    /// What its kernel printed.
    pub(super) console: Console,
    /// From the start of the emulator to the first event.
    pub(super) boot: Option<Duration>,
    /// Frames that were damaged.
    pub(super) damaged: u64,
}

/// What to do after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Wait for the next one.
    GoOn,
    /// Nothing more is wanted of this guest.
    Stop,
}

/// What threads read from an emulator's pipes.
enum Heard {
    Event(Box<Event>),
    Console(Vec<u8>),
    Said(Vec<u8>),
    Damaged,
}

/// Heard and not yet looked at: a guest that prints faster than dmlab looks has to wait.
const HEARD_MAX: usize = 64;
/// Between two looks at the process and the clock.
const LOOK: Duration = Duration::from_millis(50);
/// So much of what the emulator says is kept.
const SAID_BYTES_MAX: usize = 16 << 10;

/// Boots `machine` and hands its events to `on_event` until it is no more. Events come in the order in which they were
/// sent, with what the console has shown so far.
///
/// # Errors
/// The emulator cannot be started.
pub(super) fn supervise(
    machine: &Machine<'_>,
    tools: &Tools,
    patience: Patience,
    interrupt: &AtomicBool,
    on_event: &mut dyn FnMut(Event, &Console) -> Then,
) -> Result<Ended, GuestError> {
    let mut process = Process::start(machine, tools)?;
    let (sender, heard) = sync_channel(HEARD_MAX);
    let readers = read_all(&mut process, &sender);
    drop(sender);
    let mut watch = Watch::new(patience);
    let end = watch.until_the_end(&mut process, &heard, interrupt, on_event);
    process.kill();
    // What was printed last is the most telling, and may still be on its way.
    watch.take_the_rest(&heard, on_event);
    for reader in readers {
        // A reader has nothing to say but what it sent.
        let _ = reader.join();
    }
    let end = watch.last_word(end);
    Ok(Ended { end, console: watch.console, boot: watch.booted, damaged: watch.damaged })
}

/// Threads that read the emulator's pipes until they close.
fn read_all(process: &mut Process, sender: &SyncSender<Heard>) -> Vec<JoinHandle<()>> {
    let mut readers = Vec::new();
    if let Some(pipe) = process.console.take() {
        let sender = sender.clone();
        readers
            .push(thread::spawn(move || read(pipe, &mut |bytes| sender.send(Heard::Console(bytes.to_vec())).is_ok())));
    }
    if let Some(pipe) = process.said.take() {
        let sender = sender.clone();
        readers.push(thread::spawn(move || read(pipe, &mut |bytes| sender.send(Heard::Said(bytes.to_vec())).is_ok())));
    }
    if let Some(pipe) = process.events.take() {
        let sender = sender.clone();
        readers.push(thread::spawn(move || {
            let mut decoder = Decoder::default();
            read(pipe, &mut |bytes| {
                let (mut heard, before) = (Vec::new(), decoder.damaged);
                decoder.feed(bytes, &mut |text| match serde_json::from_str(text) {
                    Ok(event) => heard.push(Heard::Event(Box::new(event))),
                    Err(_) => heard.push(Heard::Damaged),
                });
                heard.extend((before..decoder.damaged).map(|_| Heard::Damaged));
                heard.into_iter().all(|heard| sender.send(heard).is_ok())
            });
        }));
    }
    readers
}

/// Reads until the end, or until nobody wants more.
fn read(mut pipe: impl Read, take: &mut dyn FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 16 << 10];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) if take(&buffer[..length]) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// What is known of a guest.
struct Watch {
    patience: Patience,
    started: Instant,
    console: Console,
    said: Vec<u8>,
    damaged: u64,
    booted: Option<Duration>,
    in_cell: bool,
    bye: bool,
    stopped: bool,
    /// When the console, an event, or a cell's progress was last seen.
    printed: Instant,
    alive: Instant,
    moved: Instant,
    progress: Option<u64>,
    /// The console's length when the boot or the cell began.
    printed_before: u64,
}

impl Watch {
    fn new(patience: Patience) -> Self {
        let now = Instant::now();
        Self {
            patience,
            started: now,
            console: Console::default(),
            said: Vec::new(),
            damaged: 0,
            booted: None,
            in_cell: false,
            bye: false,
            stopped: false,
            printed: now,
            alive: now,
            moved: now,
            progress: None,
            printed_before: 0,
        }
    }

    /// Why it is over, seen from outside.
    fn until_the_end(
        &mut self,
        process: &mut Process,
        heard: &Receiver<Heard>,
        interrupt: &AtomicBool,
        on_event: &mut dyn FnMut(Event, &Console) -> Then,
    ) -> End {
        loop {
            match heard.recv_timeout(LOOK) {
                Ok(heard) => {
                    if self.take(heard, on_event) == Then::Stop {
                        self.stopped = true;
                        return End::Stopped;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                // All pipes are closed; a process that is about to end needs a moment.
                Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOK),
            }
            if interrupt.load(Ordering::Relaxed) {
                return End::Stopped;
            }
            if let Some(status) = process.ended() {
                return End::Died(status.to_string());
            }
            if let Some(end) = self.out_of_patience(Instant::now()) {
                return end;
            }
        }
    }

    fn take(&mut self, heard: Heard, on_event: &mut dyn FnMut(Event, &Console) -> Then) -> Then {
        let now = Instant::now();
        match heard {
            Heard::Console(bytes) => {
                self.console.feed(&bytes);
                self.printed = now;
            }
            Heard::Said(bytes) => {
                let room = SAID_BYTES_MAX - self.said.len();
                self.said.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Heard::Damaged => self.damaged += 1,
            Heard::Event(event) => {
                self.note(&event, now);
                return on_event(*event, &self.console);
            }
        }
        Then::GoOn
    }

    fn note(&mut self, event: &Event, now: Instant) {
        self.alive = now;
        match event {
            Event::Hello { .. } => {
                self.booted = Some(now - self.started);
                self.moved = now;
            }
            Event::Begin { .. } => {
                (self.in_cell, self.moved, self.progress) = (true, now, None);
                self.printed_before = self.console.total();
            }
            Event::Beat { progress } => {
                if self.progress != Some(*progress) {
                    (self.progress, self.moved) = (Some(*progress), now);
                }
            }
            Event::End { .. } => self.in_cell = false,
            Event::Bye => self.bye = true,
            Event::Artefact { .. } | Event::Stuck { .. } | Event::Cells { .. } | Event::Fatal { .. } => {
                self.moved = now
            }
        }
    }

    fn out_of_patience(&self, now: Instant) -> Option<End> {
        let printed = self.console.total() - self.printed_before;
        if printed > self.patience.console_bytes {
            return Some(End::Flooded(printed));
        }
        let beyond = |since: Instant, patience: Duration| (now - since > patience).then(|| now - since);
        if self.booted.is_none() {
            return beyond(self.printed, self.patience.boot).map(End::NoBoot);
        }
        if let Some(quiet) = beyond(self.alive, self.patience.silence) {
            return Some(End::Silent(quiet));
        }
        self.in_cell.then(|| beyond(self.moved, self.patience.stall).map(End::Stalled))?
    }

    fn take_the_rest(&mut self, heard: &Receiver<Heard>, on_event: &mut dyn FnMut(Event, &Console) -> Then) {
        // The readers end when the pipes close, and with them this.
        while let Ok(heard) = heard.recv() {
            if self.stopped && matches!(heard, Heard::Event(_)) {
                continue;
            }
            self.stopped |= self.take(heard, on_event) == Then::Stop;
        }
    }

    /// What the end was, now that everything has been read.
    fn last_word(&self, seen: End) -> End {
        match seen {
            End::Died(_) if self.console.is_out_of_memory() => End::OutOfMemory,
            End::Died(_) if self.console.has_panicked() => End::Panicked,
            End::Died(_) if self.bye => End::Done,
            End::Died(how) => {
                let said = String::from_utf8_lossy(&self.said);
                let said = said.trim();
                End::Died(if said.is_empty() { how } else { format!("{how}: {said}") })
            }
            seen => seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Watch {
        Watch::new(Patience::of(Duration::from_secs(10)))
    }

    fn after(watch: &Watch, seconds: u64) -> Option<End> {
        watch.out_of_patience(watch.started + Duration::from_secs(seconds))
    }

    #[test]
    fn a_guest_that_prints_may_boot_for_as_long_as_it_likes() {
        let mut watch = watch();
        assert_eq!(after(&watch, 9), None);
        assert!(matches!(after(&watch, 11), Some(End::NoBoot(_))));
        watch.printed = watch.started + Duration::from_secs(100);
        assert_eq!(after(&watch, 109), None);
    }

    #[test]
    fn beats_keep_a_guest_alive_and_only_progress_keeps_a_cell_alive() {
        let mut watch = watch();
        let at = |watch: &Watch, seconds: u64| watch.started + Duration::from_secs(seconds);
        let hello = Event::Hello { release: "6.1".to_owned(), cpus: 2, uptime_ms: 1 };
        watch.note(&hello, at(&watch, 1));
        assert!(matches!(after(&watch, 12), Some(End::Silent(_))));
        watch.note(&Event::Beat { progress: 7 }, at(&watch, 11));
        assert_eq!(after(&watch, 20), None);
        watch.note(&Event::Begin { cell: 0 }, at(&watch, 20));
        for second in 21..40 {
            watch.note(&Event::Beat { progress: second }, at(&watch, second));
        }
        assert_eq!(after(&watch, 45), None);
        for second in 40..60 {
            watch.note(&Event::Beat { progress: 39 }, at(&watch, second));
        }
        assert!(matches!(after(&watch, 60), Some(End::Stalled(_))));
    }

    #[test]
    fn what_is_printed_is_counted_from_the_beginning_of_a_cell() {
        let mut watch = watch();
        watch.patience.console_bytes = 100;
        watch.console.feed(&[b'x'; 90]);
        assert_eq!(after(&watch, 1), None);
        watch.note(&Event::Begin { cell: 0 }, watch.started);
        watch.console.feed(&[b'x'; 90]);
        assert_eq!(after(&watch, 1), None);
        watch.console.feed(&[b'x'; 20]);
        assert_eq!(after(&watch, 1), Some(End::Flooded(110)));
    }

    #[test]
    fn an_emulator_that_ended_is_told_from_a_guest_that_was_done_or_panicked() {
        let mut watch = watch();
        let died = || End::Died("signal: 9".to_owned());
        watch.said = b"could not open the image\n".to_vec();
        assert_eq!(watch.last_word(died()), End::Died("signal: 9: could not open the image".to_owned()));
        watch.note(&Event::Bye, watch.started);
        assert_eq!(watch.last_word(died()), End::Done);
        watch.console.feed(b"[1.0] Kernel panic - not syncing: x\n");
        assert_eq!(watch.last_word(died()), End::Panicked);
        assert_eq!(watch.last_word(End::Stopped), End::Stopped);
        let mut watch = self::watch();
        watch.console.feed(b"[2.0] Kernel panic - not syncing: System is deadlocked on memory\n");
        assert_eq!(watch.last_word(died()), End::OutOfMemory, "no fault of dm's");
    }
}
