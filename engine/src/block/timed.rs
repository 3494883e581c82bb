//! The timed device: a ramdisk whose I/O takes the time that a model says, several at once.
//!
//! # The model
//!
//! `depth` channels serve one queue, first come, first served: a G/G/k station. A bio that is submitted at `a` is given to
//! the channel that is free first, at `f`; it is served from `max(a, f)` on and ends `service` later, and then the channel
//! takes the next. `service` is `fixed(op)`, spread as [`Spread`] says, and the time in which its bytes pass through the
//! channel's even share of the device's `bandwidth`. So with every channel busy, the device does `depth / service` I/Os a
//! second, and moves `bandwidth` at most; the time in the device is the queue's length over that (Little's law).
//!
//! Times of service are the device's own: the CPU's work neither delays them nor adds up in them. What the CPU is busy
//! with only delays the moment at which an end is noticed. On threads the timers are real, and an end is noticed as late
//! as the operating system wakes a thread: some 50 to 100 µs, once per I/O.
//!
//! Invariants: at most `depth` bios are in service; data moves at the end of the service, by the device (it costs the CPU
//! nothing); the draws of a spread depend on the seed and the bio's number in order of service, so that one seed gives the
//! same times on every machine; all arithmetic is on integers.
//! Not here: seek distance, caches, internal parallelism that depends on the address, wear; priorities.

use std::sync::Arc;

use dmlab_units::{Bytes, Nanos, Sectors, Seed};

use super::bio::Bio;
use super::core::BlockCore;
use super::device::{DevId, Device, Driver, TIMED_MAJOR};
use super::opf::BioOp;
use super::ram::new_ram;
use super::status::BlkStatus;
use crate::sched::Task;
use crate::sched::cell::Tiny;
use crate::sync::{SpinSection, Work, Workqueue, WqFlags};
use crate::variants::Planted;

/// How far service times lie around their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// Not at all.
    #[default]
    Constant,
    /// Evenly, from 0 to twice the mean.
    Uniform,
    /// Exponentially: a station without memory, as M/M/k has it.
    Exponential,
}

/// How long a timed device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceModel {
    /// Bios that are served at once, at least 1.
    pub depth: u32,
    /// What a read takes beside its bytes.
    pub read: Nanos,
    /// What a write takes beside its bytes.
    pub write: Nanos,
    /// What a flush takes; without it the device has no write cache, and no flush reaches it.
    pub flush: Option<Nanos>,
    /// What a discard or write-zeroes takes, whatever its size.
    pub discard: Nanos,
    /// What the device moves in a second with all channels busy; `None` is without limit.
    pub bandwidth: Option<Bytes>,
    /// How these times are spread.
    pub spread: Spread,
    /// Whether the write cache is volatile, and the bytes that it is written back in: a power of two from 512 to 4096. Goes
    /// with `flush`.
    pub cache_unit: Option<usize>,
}

impl ServiceModel {
    /// The service time of bio number `number` (from 0).
    pub fn service(&self, op: BioOp, bytes: Bytes, seed: Seed, number: u64) -> Nanos {
        let fixed = match op {
            BioOp::Read => self.read,
            BioOp::Write => self.write,
            BioOp::Flush => self.flush.unwrap_or_default(),
            BioOp::Discard | BioOp::SecureErase | BioOp::WriteZeroes => self.discard,
        };
        let spread = match self.spread {
            Spread::Constant => fixed.0,
            Spread::Uniform => seed.nth(number).rng().below(fixed.0.saturating_mul(2).saturating_add(1)),
            Spread::Exponential => seed.nth(number).rng().exponential(fixed.0),
        };
        let transfer = self.bandwidth.filter(|bandwidth| *bandwidth > Bytes::ZERO).map_or(0, |bandwidth| {
            let share = u128::from(bytes.0) * u128::from(self.depth) * 1_000_000_000;
            u64::try_from(share.div_ceil(u128::from(bandwidth.0))).unwrap_or(u64::MAX)
        });
        Nanos(spread.saturating_add(transfer))
    }
}

/// A timed device of `capacity` sectors.
pub fn new_timed(
    core: &Arc<BlockCore>,
    (minor, name): (u32, &str),
    capacity: Sectors,
    model: ServiceModel,
    seed: Seed,
) -> Arc<Device> {
    let depth = if core.variants().planted == Planted::OneChannel { 1 } else { model.depth.max(1) };
    let runtime = core.runtime();
    let station = Station { free: vec![Nanos::ZERO; depth as usize], started: 0 };
    let flags = WqFlags { max_active: depth, mem_reclaim: false, worker_fails: None };
    let timed = Timed {
        medium: new_ram(core, name, capacity, false, model.cache_unit).into(),
        queue: Workqueue::new(runtime, name, flags),
        service: Arc::new(Service { model, seed, station: SpinSection::new(runtime, name, station) }),
        arrivals: SpinSection::new(runtime, &format!("{name} arrivals"), 0),
    };
    Device::new(core, DevId { major: TIMED_MAJOR, minor }, name, capacity, Box::new(timed))
}

struct Timed {
    medium: Arc<dyn Driver>,
    /// Its workers are the channels.
    queue: Workqueue,
    service: Arc<Service>,
    /// Bios that have arrived: names of work items.
    arrivals: SpinSection<u64>,
}

struct Service {
    model: ServiceModel,
    seed: Seed,
    station: SpinSection<Station>,
}

struct Station {
    /// When each channel is free.
    free: Vec<Nanos>,
    /// Bios whose service has begun.
    started: u64,
}

impl Service {
    /// When the service of the next bio ends.
    fn begin(&self, current: &Task, bio: &Bio, arrived: Nanos) -> Nanos {
        self.station.with(current, |station| {
            let number = station.started;
            station.started += 1;
            let channel = station.free.iter_mut().min().expect("there is at least one channel");
            let moves = matches!(bio.op(), BioOp::Read | BioOp::Write);
            let bytes = if moves { bio.sectors.bytes() } else { Bytes::ZERO };
            let service = self.model.service(bio.op(), bytes, self.seed, number);
            *channel = Nanos(arrived.max(*channel).0.saturating_add(service.0));
            *channel
        })
    }
}

impl Driver for Timed {
    fn submit_bio(&self, current: &Task, dev: &Arc<Device>, bio: Bio) {
        let _frame = current.enter("nvme_queue_rq");
        if let Some(bio) = dev.core().admit(current, dev, bio) {
            self.carry_out(current, dev, bio);
        }
    }

    fn carry_out(&self, current: &Task, dev: &Arc<Device>, bio: Bio) {
        let arrived = current.now();
        let number = self.arrivals.with(current, |arrivals| {
            *arrivals += 1;
            *arrivals
        });
        let (medium, service) = (Arc::clone(&self.medium), Arc::clone(&self.service));
        let (dev, bio) = (Arc::clone(dev), Tiny::new(Some(bio)));
        let work = Work::new(&format!("service {number}"), move |channel| {
            let taken = bio.lock_for(channel).take();
            let bio = taken.expect("a bio is served once");
            let end = service.begin(channel, &bio, arrived);
            channel.sleep(end.saturating_sub(channel.now()));
            let _frame = channel.enter("nvme_irq");
            if dev.core().is_gone(channel, &dev) {
                return bio.end(channel, BlkStatus::IoErr);
            }
            medium.carry_out(channel, &dev, bio);
        });
        self.queue.queue(current, &work);
    }

    fn has_write_cache(&self) -> bool {
        self.service.model.flush.is_some()
    }

    fn lose_cache(&self, current: &Task, pick: &mut dyn FnMut(u32) -> u32) {
        self.medium.lose_cache(current, pick);
    }

    fn takes(&self, op: BioOp) -> bool {
        self.medium.takes(op)
    }

    fn has_nowait(&self) -> bool {
        true
    }
}
