//! Stamps, and reading them back: whole sectors that say what they are, and what each must say.
//!
//! Of volumes and snapshots, and of what is stamped here and there, a [`Book`] is kept: there a sector must hold one of the
//! writings that may be its last, in a snapshot those of its volume at that time. Elsewhere a stamped sector has one form.
//!
//! Invariants: a sector is compared in every byte; what a step was to check and cannot is a failure, not a pass; the book is
//! told of a writing before it begins and after it ended, and a search of each look into it.
//! Not here: what may be in a sector (`book`), the form of a stamp (`pattern`).

use std::ops::Range;
use std::sync::PoisonError;

use dmlab_scenarios::{Errno, Extent, IoOp, Load, Outcome, Pass, Rw, Stomp};
use dmlab_units::{SECTOR_BYTES, Sectors};

use super::book::{Book, Written};
use super::pattern::{self, Label};
use super::{Flow, Script, Stopped};
use crate::backend::OpenDevice;

/// Sectors of one I/O of a stamp or a check.
const STAMP_SECTORS: Sectors = Sectors(2048);

/// Looks at the memory of one piece, which begins so many sectors after the first, before a write or after a read.
type PieceOfMemory<'a> = &'a mut dyn FnMut(&mut [u8], Sectors) -> Result<(), String>;

/// Why I/O in pieces ended early.
pub(super) enum Broken {
    /// This I/O failed so.
    Io(String, Errno),
    /// It is not what was to be read.
    Data(String),
}

pub(super) fn range(at: Sectors, sectors: Sectors) -> Range<u64> {
    at.0..at.0.saturating_add(sectors.0)
}

/// The sectors to which a load may write.
pub(super) fn written_by(load: &Load) -> Range<u64> {
    if matches!(load.rw, Rw::Read | Rw::RandRead) {
        return 0..0;
    }
    let begin = load.offset.0 / SECTOR_BYTES;
    let later = load.offset_increment.0.saturating_mul(u64::from(load.numjobs - 1));
    let end =
        load.size.map_or(u64::MAX, |size| begin.saturating_add(size.0.saturating_add(later).div_ceil(SECTOR_BYTES)));
    begin..end
}

impl Script {
    /// The label of a sector of `device`.
    pub(super) fn label(&self, device: &str, at: Sectors, generation: u64) -> Label {
        Label::new(self.seed, device, at, generation)
    }

    /// Whether the book has this device.
    pub(super) fn keeps(&self, device: &str) -> bool {
        self.kept.contains(device)
    }

    /// Looks into the book, or writes in it.
    pub(super) fn with_book<R>(&self, use_it: impl FnOnce(&mut Book) -> R) -> R {
        // Whoever does so conflicts, for a search, with everybody else who does.
        if let Some(flag) = self.book_flag.get() {
            flag.raise();
        }
        use_it(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A write of stamps, labelled for its first sector; the book is told of it.
    pub(super) fn booked(
        &self,
        device: &str,
        at: Sectors,
        sectors: Sectors,
        write: impl FnOnce(Label) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        if !self.keeps(device) {
            return write(self.label(device, at, 0));
        }
        let range = range(at, sectors);
        let (label, ticket) = self.with_book(|book| {
            let label = self.label(device, Sectors::ZERO, book.generation(device));
            (label, book.begin(device, &range, Written::Stamp(label)))
        });
        let result = write(Label { sector: at, ..label });
        self.with_book(|book| book.end(device, &range, ticket, result.is_ok()));
        result
    }

    /// I/O that writes to `device`, within `sectors`, what the book cannot know.
    pub(super) fn unbooked<R>(&self, device: &str, sectors: &Range<u64>, io: impl FnOnce() -> R) -> R {
        if sectors.is_empty() || !self.keeps(device) {
            return io();
        }
        let ticket = self.with_book(|book| book.begin(device, sectors, Written::Anything));
        let result = io();
        self.with_book(|book| book.end(device, sectors, ticket, true));
        result
    }

    pub(super) fn stamp(&self, flow: Flow<'_>, line: u32, pass: &Pass) -> Result<(), Stopped> {
        let Pass { extent: Extent { device, at, sectors }, outcome } = pass;
        let open = self.open(flow, line, device, *sectors)?;
        let mut what = String::new();
        let result = self.booked(device, *at, *sectors, |label| {
            let mut fill = |memory: &mut [u8], done| {
                pattern::fill(memory, Label { sector: *at + done, ..label });
                Ok(())
            };
            match pieces(&*open, device, (*at, *sectors), IoOp::Write, &mut fill) {
                Err(Broken::Io(piece, errno)) => {
                    what = piece;
                    Err(errno)
                }
                _ => Ok(()),
            }
        });
        if result.is_ok() {
            self.stamped(flow.actor, device, (*at, *sectors));
        }
        self.saw(flow, line, || format!("write of {device} {at}+{sectors}"), &result.map(|()| Vec::new()));
        let what = if what.is_empty() { format!("write of {device} {at}+{sectors}") } else { what };
        self.expect(line, &what, result, *outcome)
    }

    pub(super) fn stomp(&self, flow: Flow<'_>, line: u32, stomp: &Stomp) -> Result<(), Stopped> {
        let Stomp { device, percent, block, outcome } = stomp;
        let open = self.open(flow, line, device, *block)?;
        let blocks = open.capacity().0 / block.0;
        let count = (blocks * u64::from(*percent) / 100).max(1).min(blocks);
        let pass = self.with_book(|book| book.pass(flow.path, line));
        let mut rng = self.seed.derive("stomp").derive(flow.path).nth(u64::from(line)).nth(pass).rng();
        let mut order: Vec<u64> = (0..blocks).collect();
        for index in 0..count {
            order.swap(index as usize, (index + rng.below(blocks - index)) as usize);
        }
        order.truncate(count as usize);
        order.sort_unstable();
        for number in order {
            let at = Sectors(number * block.0);
            let result = self.booked(device, at, *block, |label| {
                open.with_slot(0, &mut |memory| pattern::fill(memory, label));
                open.submit(0, IoOp::Write, at, *block);
                open.reap().1.map_or(Ok(()), Err)
            });
            let what = format!("write of {device} {at}+{block}");
            self.saw(flow, line, || what.clone(), &result.map(|()| Vec::new()));
            self.expect(line, &what, result, *outcome)?;
        }
        Ok(())
    }

    /// Reads what was stamped on `extent` back from `on`, where it must begin at sector `from`.
    pub(super) fn verify(
        &self,
        flow: Flow<'_>,
        line: u32,
        extent: &Extent,
        on: &str,
        from: Sectors,
        outcome: Outcome,
    ) -> Result<(), Stopped> {
        let Extent { device, at, sectors } = extent;
        let what = if on == device { "read back".to_owned() } else { format!("looked for on {on} from sector {from}") };
        let open = self.open(flow, line, on, *sectors)?;
        let is_kept = self.keeps(device);
        if is_kept {
            self.with_book(|book| book.pin(device));
        }
        let mut check = |memory: &mut [u8], done| {
            let found = match is_kept {
                true => self.check_known(device, *at + done, memory, true),
                false => pattern::check(memory, self.label(device, *at + done, 0), device),
            };
            found.map_err(|error| format!("{error} ({what})"))
        };
        let result = pieces(&*open, on, (from, *sectors), IoOp::Read, &mut check);
        if is_kept {
            self.with_book(|book| book.unpin(device));
        }
        self.ended(flow, line, result, &format!("read of {on} {from}+{sectors}"), outcome)
    }

    /// Reads everything back of which the book knows what it must be.
    pub(super) fn verify_all(&self, flow: Flow<'_>, line: u32, device: &str) -> Result<(), Stopped> {
        let open = self.open(flow, line, device, STAMP_SECTORS)?;
        let known = self.with_book(|book| {
            book.pin(device);
            let extent = book.extent(device);
            book.known(device, &(extent.start..extent.end.min(open.capacity().0)))
        });
        let read = |(sectors, _): &(Range<u64>, Vec<Label>)| {
            let mut check = |memory: &mut [u8], done: Sectors| {
                self.check_known(device, Sectors(sectors.start) + done, memory, false)
            };
            let place = (Sectors(sectors.start), Sectors(sectors.end - sectors.start));
            pieces(&*open, device, place, IoOp::Read, &mut check)
        };
        let result = known.iter().try_for_each(read);
        self.with_book(|book| book.unpin(device));
        if known.is_empty() {
            return Err(self.fail(line, format!("nothing was stamped on {device} that could be read back")));
        }
        self.ended(flow, line, result, &format!("read of {device}"), Outcome::Ok)
    }

    /// Compares memory, read from sector `from` on, with what the book knows. With `all`, it must know of
    /// every sector.
    fn check_known(&self, device: &str, from: Sectors, memory: &[u8], all: bool) -> Result<(), String> {
        let sector_bytes = SECTOR_BYTES as usize;
        let sectors = range(from, Sectors((memory.len() / sector_bytes) as u64));
        let known = self.with_book(|book| book.known(device, &sectors));
        let mut next = sectors.start;
        for (range, labels) in known {
            if all && range.start > next {
                break;
            }
            let bytes = (range.start - sectors.start) as usize * sector_bytes
                ..(range.end - sectors.start) as usize * sector_bytes;
            pattern::check_any(&memory[bytes], &labels, Sectors(range.start), device)?;
            next = range.end;
        }
        match all && next < sectors.end {
            true => Err(format!("it is not known what sector {next} of {device} must hold")),
            false => Ok(()),
        }
    }

    pub(super) fn open<'a>(
        &self,
        flow: Flow<'a>,
        line: u32,
        device: &str,
        sectors: Sectors,
    ) -> Result<Box<dyn OpenDevice + 'a>, Stopped> {
        flow.actor.open(device, 1, sectors.min(STAMP_SECTORS)).map_err(|errno| {
            self.saw(flow, line, || format!("open of {device}"), &Err(errno));
            self.fail(line, format!("{device}: {errno:?}"))
        })
    }

    pub(super) fn ended(
        &self,
        flow: Flow<'_>,
        line: u32,
        result: Result<(), Broken>,
        what: &str,
        outcome: Outcome,
    ) -> Result<(), Stopped> {
        let found = match &result {
            Ok(()) => Ok(Vec::new()),
            Err(Broken::Io(_, errno)) => Err(*errno),
            Err(Broken::Data(message)) => Ok(vec![message.clone()]),
        };
        self.saw(flow, line, || what.to_owned(), &found);
        match result {
            Ok(()) => self.expect(line, what, Ok(()), outcome),
            Err(Broken::Io(piece, errno)) => self.expect(line, &piece, Err(errno), outcome),
            Err(Broken::Data(message)) => {
                self.note(|findings| findings.corruption.push(format!("line {line}: {message}")));
                Err(Stopped)
            }
        }
    }
}

/// I/O in pieces of at most [`STAMP_SECTORS`], which ends with the first error; `with` sees the memory before a write and
/// after a read.
pub(super) fn pieces(
    open: &dyn OpenDevice,
    device: &str,
    (at, sectors): (Sectors, Sectors),
    op: IoOp,
    with: PieceOfMemory<'_>,
) -> Result<(), Broken> {
    let slot = sectors.min(STAMP_SECTORS);
    let mut done = Sectors::ZERO;
    while done < sectors {
        let piece = slot.min(sectors - done);
        let mut result = Ok(());
        let mut use_it = |memory: &mut [u8]| result = with(&mut memory[..piece.bytes().0 as usize], done);
        if op == IoOp::Write {
            open.with_slot(0, &mut use_it);
        }
        open.submit(0, op, at + done, piece);
        if let (_, Some(errno)) = open.reap() {
            return Err(Broken::Io(format!("{op:?} of {device} {}+{piece}", at + done).to_lowercase(), errno));
        }
        if op == IoOp::Read {
            open.with_slot(0, &mut use_it);
        }
        result.map_err(Broken::Data)?;
        done += piece;
    }
    Ok(())
}
