//! flakey 1.5.0: works for so many seconds, then fails for so many: errors, lost writes, wrong bytes.
//!
//! Invariants: the clock starts when the table is loaded and counts whole seconds; what happens to a bio is decided when
//! it is mapped, by the interval that it comes in; a corrupted write leaves the memory of whoever wrote as it is; randomness
//! comes from the machine's seed, in the order in which bios ask for it.
//! Not here: zone management, which the kernel lets pass in either interval.

mod features;

use std::sync::Arc;

use dmlab_units::{Nanos, Rng, Sectors};

use self::features::{Config, Features, PROBABILITY_BASE};
use crate::block::bio::{Completion, bio_endio};
use crate::block::submit::submit_bio_noacct;
use crate::block::{Bio, BioOp, BioVec, BlkStatus, Buffer, Device, EndIo};
use crate::dm::target::CtrError;
use crate::dm::{Ended, Mapped, Target, TargetArgs, TargetFeatures, TargetRange, TargetType};
use crate::sched::Task;
use crate::sync::mempool::Element;
use crate::sync::{Gfp, Mempool, SpinSection};
use crate::variants::Planted;

pub(super) static TYPE: TargetType =
    TargetType { name: "flakey", version: [1, 5, 0], features: TargetFeatures::empty(), ctr };

/// `bio_can_corrupt`, as per-bio data.
const CAN_CORRUPT: u64 = 1;

struct Flakey {
    dev: Arc<Device>,
    config: Config,
    start_time: Nanos,
    random: SpinSection<Rng>,
    /// Copies of writes: no reserve, since `bio_kmalloc` has none.
    clones: Arc<Mempool>,
    planted: Planted,
}

fn ctr(current: &Task, args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    let start_time = current.now();
    let (dev, config) = Config::parse(&args.argv)?;
    let dev = args.device(dev, "Device lookup failed")?;
    let (core, device) = (args.host.core(), args.host.name());
    let random = core.random_seed().derive("flakey").derive(device).rng();
    Ok(Box::new(Flakey {
        dev,
        config,
        start_time,
        random: SpinSection::new(current.runtime(), &format!("{device}.random"), random),
        clones: core.new_pool(current, &format!("{device}.flakey"), 0),
        planted: args.planted,
    }))
}

impl Flakey {
    fn features(&self) -> &Features {
        &self.config.features
    }

    fn is_down(&self, current: &Task) -> bool {
        let elapsed = current.now().saturating_sub(self.start_time);
        match self.planted {
            Planted::FlakeyOffByOne => self.config.seconds_into_cycle(elapsed) > self.config.up_interval,
            _ => self.config.is_down(elapsed),
        }
    }

    /// Whether something happens that does so `rate` times of [`PROBABILITY_BASE`].
    fn happens(&self, current: &Task, rate: u32) -> bool {
        rate > 0 && self.random.with(current, |random| random.next() % u64::from(PROBABILITY_BASE)) < u64::from(rate)
    }

    /// `all_corrupt_bio_flags_match`.
    fn flags_match(&self, bio: &Bio) -> bool {
        let wanted = self.features().corrupt_bio_flags;
        bio.opf().bits() & wanted == wanted
    }

    /// `corrupt_bio_data`: puts the value into the byte that was asked for, if the bio is that long.
    fn corrupt_fixed(&self, current: &Task, bio: &Bio) {
        let fc = self.features();
        corrupt_bio_common(current, bio, u64::from(fc.corrupt_bio_byte - 1), fc.corrupt_bio_value);
    }

    /// `corrupt_bio_random`.
    fn corrupt_random(&self, current: &Task, bio: &Bio) {
        let (byte, value) = self.random.with(current, |random| (random.next() as u32, random.next() as u8));
        corrupt_bio_common(current, bio, u64::from(byte) % bio.sectors.bytes().0, value);
    }

    /// A write in the down interval that is neither dropped nor failed: the bio as it goes on, or what was put in its
    /// place.
    fn corrupt_write(&self, current: &Task, bio: Bio) -> Option<Bio> {
        let fc = self.features();
        let fixed = fc.corrupt_bio_byte > 0 && fc.corrupt_writes && self.flags_match(&bio);
        let random = self.happens(current, fc.random_write_corrupt);
        if !fixed && !random {
            return Some(bio);
        }
        let clone = match self.clone_bio(current, &bio) {
            Some(clone) => clone,
            // Without memory the write goes on unharmed.
            None => return Some(bio),
        };
        if fixed {
            self.corrupt_fixed(current, &clone);
        }
        if random {
            self.corrupt_random(current, &clone);
        }
        submit_bio_noacct(current, clone);
        None
    }

    /// `clone_bio`: a bio of its own over a copy of the memory, which ends `bio`.
    fn clone_bio(&self, current: &Task, bio: &Bio) -> Option<Bio> {
        let data = bio.data()?;
        let element = self.clones.alloc(current, Gfp::NoWait)?;
        let (from, len) = (data.offset.0 as usize, bio.sectors.bytes().0 as usize);
        let copy = Buffer::zeroed(bio.sectors);
        data.buffer.with(current, |memory| {
            copy.with(current, |copy| copy.copy_from_slice(&memory[from..from + len]));
        });
        let hook = FlakeyClone { done: Arc::clone(bio.done()), pool: Arc::clone(&self.clones), element };
        let (dev, range) = (Arc::clone(&self.dev), (bio.sector, bio.sectors));
        let clone = Bio::new(current, bio.op(), dev, range, Some(BioVec::new(copy)), (Arc::new(hook), 0));
        Some(clone.with_flags(bio.flags()))
    }
}

/// `corrupt_bio_common`: overwrites a byte of the bio's data, if it has so many.
fn corrupt_bio_common(current: &Task, bio: &Bio, byte: u64, value: u8) {
    let Some(data) = bio.data() else { return };
    if byte < bio.sectors.bytes().0 {
        data.buffer.with(current, |memory| memory[(data.offset.0 + byte) as usize] = value);
    }
}

/// The end of a copy is the end of what was copied.
struct FlakeyClone {
    done: Arc<dyn Completion>,
    pool: Arc<Mempool>,
    element: Element,
}

impl EndIo for FlakeyClone {
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, _cookie: u64) {
        let _frame = current.enter("clone_endio");
        let Some(clone) = Arc::into_inner(self) else { unreachable!("a copy ends once") };
        clone.pool.free(current, clone.element);
        bio_endio(current, clone.done, status);
    }
}

impl Target for Flakey {
    fn map(&self, current: &Task, _dev: &Device, range: &TargetRange, mut bio: Bio) -> Mapped {
        let _frame = current.enter("flakey_map");
        let is_down = self.is_down(current);
        let can_corrupt = is_down && bio.op().has_data() && bio.sectors > Sectors::ZERO;
        if is_down {
            let fc = self.features();
            if bio.op() == BioOp::Read {
                if fc.error_reads {
                    return Mapped::Kill(bio);
                }
                bio.set_per_bio_data(current, if can_corrupt { CAN_CORRUPT } else { 0 });
            } else if fc.drop_writes || fc.error_writes {
                bio.end(current, if fc.drop_writes { BlkStatus::Ok } else { BlkStatus::IoErr });
                return Mapped::Submitted;
            }
        }
        range.remap(&mut bio, &self.dev, self.config.start);
        if can_corrupt && bio.op() != BioOp::Read {
            return self.corrupt_write(current, bio).map_or(Mapped::Submitted, Mapped::Remapped);
        }
        Mapped::Remapped(bio)
    }

    fn num_flush_bios(&self) -> u64 {
        1
    }

    fn num_discard_bios(&self) -> u64 {
        1
    }

    fn wants_end_io(&self) -> bool {
        let fc = self.features();
        fc.corrupt_bio_byte > 0 && !fc.corrupt_writes || fc.random_read_corrupt > 0
    }

    fn end_io(&self, current: &Task, _range: &TargetRange, clone: Bio, status: BlkStatus) -> Ended {
        let may = status.is_ok() && clone.op() == BioOp::Read && clone.per_bio_data(current) == CAN_CORRUPT;
        if may {
            let fc = self.features();
            if fc.corrupt_bio_byte > 0 && !fc.corrupt_writes && self.flags_match(&clone) {
                self.corrupt_fixed(current, &clone);
            }
            if self.happens(current, fc.random_read_corrupt) {
                self.corrupt_random(current, &clone);
            }
        }
        Ended::Done(status)
    }

    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        vec![(Arc::clone(&self.dev), self.config.start, range.len)]
    }

    fn status(&self, _current: &Task, _noflush: bool) -> String {
        String::new()
    }

    fn table(&self, _current: &Task) -> String {
        format!("{} {}", self.dev.id(), self.config)
    }
}
