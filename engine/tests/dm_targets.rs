//! What the core gives to a target and takes from it: the hooks in their order, per-bio data, the ended clone, messages,
//! events. A target of the tests' own notes what it is told in the kernel log.
//!
//! Not here: any target type of the engine.

mod support;

use std::sync::Arc;

use dmlab_engine::block::ram::new_ramdisk;
use dmlab_engine::block::{Bio, BioOp, BioVec, BlkStatus, BlockCore, Buffer, Device, EndIo, submit_bio};
use dmlab_engine::dm::target::CtrError;
use dmlab_engine::dm::{
    DeviceTable, DmControl, Ended, Errno, Mapped, SuspendFlags, Target, TargetArgs, TargetFeatures, TargetHost,
    TargetRange, TargetType,
};
use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::sync::Completion;
use dmlab_engine::variants::Variants;
use dmlab_units::Sectors;

static PROBE: TargetType =
    TargetType { name: "probe", version: [1, 0, 0], features: TargetFeatures::empty(), ctr: probe_ctr };
static TYPES: &[&TargetType] = &[&PROBE];

/// Sends each bio twice: when it has ended for the first time, it is kept and sent again.
struct Probe {
    host: Arc<TargetHost>,
    dev: Arc<Device>,
    refuses: bool,
}

fn probe_ctr(_current: &Task, args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    let dev = args.device(args.argv[0], "Device lookup failed")?;
    let refuses = args.argv.get(1) == Some(&"refuses");
    Ok(Box::new(Probe { host: Arc::clone(args.host), dev, refuses }))
}

impl Probe {
    fn note(&self, current: &Task, text: &str) {
        self.host.log(current, format!("{text}{}", if self.host.noflush_suspending() { ", noflush" } else { "" }));
    }
}

impl Target for Probe {
    fn map(&self, current: &Task, _dev: &Device, _range: &TargetRange, mut bio: Bio) -> Mapped {
        bio.set_per_bio_data(current, 7 + bio.sector.0);
        bio.set_dev(Arc::clone(&self.dev));
        Mapped::Remapped(bio)
    }

    fn num_flush_bios(&self) -> u64 {
        1
    }

    fn wants_end_io(&self) -> bool {
        true
    }

    fn end_io(&self, current: &Task, _range: &TargetRange, mut clone: Bio, status: BlkStatus) -> Ended {
        let data = clone.per_bio_data(current);
        if data == 0 {
            let bytes = clone.data().expect("a read has memory");
            bytes.buffer.with(current, |memory| memory[bytes.offset.0 as usize] = 0xff);
            return if status.is_ok() { Ended::Done(BlkStatus::NoSpc) } else { Ended::Requeue };
        }
        assert_eq!(data, 7 + clone.sector.0);
        self.note(current, &format!("again {}+{}", clone.sector, clone.sectors));
        clone.set_per_bio_data(current, 0);
        clone.set_dev(Arc::clone(&self.dev));
        submit_bio(current, clone);
        Ended::Incomplete
    }

    fn presuspend(&self, current: &Task) {
        self.note(current, "presuspend");
    }

    fn postsuspend(&self, current: &Task) {
        assert!(self.host.is_suspended() && self.host.is_post_suspending());
        self.note(current, "postsuspend");
    }

    fn preresume(&self, current: &Task) -> Result<(), Errno> {
        self.note(current, "preresume");
        if self.refuses { Err(Errno::EIO) } else { Ok(()) }
    }

    fn resume(&self, current: &Task) {
        self.note(current, "resume");
    }

    fn message(&self, current: &Task, host: &TargetHost, argv: &[&str]) -> Result<Option<String>, Errno> {
        match *argv {
            ["event"] => host.event(current),
            ["echo", word] => return Ok(Some(word.to_owned())),
            _ => return Err(Errno::ENODEV),
        }
        Ok(None)
    }

    fn devices(&self, range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        vec![(Arc::clone(&self.dev), Sectors::ZERO, range.len)]
    }

    fn status(&self, _current: &Task, noflush: bool) -> String {
        format!("noflush={noflush}")
    }

    fn table(&self, _current: &Task) -> String {
        self.dev.id().to_string()
    }

    fn dtr(&self, current: &Task) {
        self.note(current, "dtr");
    }
}

struct Rig {
    core: Arc<BlockCore>,
    dm: DmControl,
}

fn rig(current: &Task, variants: Variants) -> Arc<Rig> {
    let core = BlockCore::new(current.runtime(), variants, false);
    let devices = Arc::new(DeviceTable::new(current));
    devices.add(current, new_ramdisk(&core, 0, "r0", Sectors(64)));
    let dm = DmControl::new(current, &core, &devices, TYPES);
    Arc::new(Rig { core, dm })
}

impl Rig {
    fn device(&self, current: &Task, lines: &[&str]) -> Result<(), Errno> {
        self.dm.create(current, "t")?;
        self.load(current, lines)?;
        self.dm.resume(current, "t")
    }

    fn load(&self, current: &Task, lines: &[&str]) -> Result<(), Errno> {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        self.dm.load(current, "t", &lines)
    }

    fn log(&self) -> Vec<String> {
        self.core.kmsg()
    }
}

struct Waiter(Completion, std::sync::Mutex<BlkStatus>);

impl EndIo for Waiter {
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, _cookie: u64) {
        *self.1.lock().unwrap() = status;
        self.0.complete(current);
    }
}

fn read(current: &Task, rig: &Rig, at: u64, sectors: u64) -> (BlkStatus, Vec<u8>) {
    let dev = rig.dm.device(current, "t").unwrap();
    let buffer = Buffer::zeroed(Sectors(sectors));
    let waiter = Arc::new(Waiter(Completion::new(current.runtime(), "io"), std::sync::Mutex::default()));
    let (data, hook) = (BioVec::new(Arc::clone(&buffer)), Arc::clone(&waiter) as Arc<_>);
    submit_bio(current, Bio::new(current, BioOp::Read, dev, (Sectors(at), Sectors(sectors)), Some(data), (hook, 0)));
    waiter.0.wait(current);
    (*waiter.1.lock().unwrap(), buffer.with(current, |bytes| bytes.clone()))
}

fn on_both_with_every_split(model: fn(&Task, Variants)) {
    for split in ["loop", "depth-first", "clone-is-remainder", "trim"] {
        let mut variants = Variants::default();
        variants.set("split", split).unwrap();
        let outcomes = support::on_both(|| move |current: &Task| model(current, variants));
        for outcome in outcomes {
            assert!(outcome == Outcome::Finished, "{split}: {}", support::tell(&outcome));
        }
    }
}

#[test]
fn a_target_may_keep_an_ended_bio_and_sees_it_as_it_was_mapped() {
    on_both_with_every_split(|current, variants| {
        let rig = rig(current, variants);
        rig.device(current, &["0 8 probe 1:0", "8 8 probe 1:0"]).unwrap();
        let (status, bytes) = read(current, &rig, 4, 8);
        assert_eq!(status, BlkStatus::NoSpc);
        let marked: Vec<usize> = (0..8).filter(|sector| bytes[sector * 512] == 0xff).collect();
        assert_eq!(marked, [0, 4]);
        assert_eq!(rig.log().iter().filter(|line| line.starts_with("again")).count(), 2);
        assert!(rig.log().contains(&"again 8+4".to_owned()), "{:?}", rig.log());
        rig.dm.remove(current, "t").unwrap();
        rig.dm.check_at_rest(current).unwrap();
        assert!(rig.core.pools().iter().all(|pool| pool.at_rest()));
    });
}

#[test]
fn hooks_are_called_in_the_kernels_order() {
    on_both_with_every_split(|current, variants| {
        let rig = rig(current, variants);
        rig.device(current, &["0 8 probe 1:0"]).unwrap();
        rig.dm.suspend(current, "t", SuspendFlags::NOFLUSH).unwrap();
        assert_eq!(rig.log(), ["preresume", "resume", "presuspend, noflush", "postsuspend"]);
        rig.load(current, &["0 8 probe 1:0 refuses"]).unwrap();
        assert_eq!(rig.dm.resume(current, "t"), Err(Errno::EIO));
        let refused = "device-mapper: table: 254:0: probe: preresume failed, error = -5";
        assert_eq!(rig.log()[4..], ["preresume", refused, "dtr"]);
        rig.load(current, &["0 8 probe 1:0"]).unwrap();
        rig.dm.resume(current, "t").unwrap();
        assert_eq!(rig.log()[7..], ["preresume", "resume", "dtr"]);
        rig.dm.remove(current, "t").unwrap();
        assert_eq!(rig.log()[10..], ["presuspend, noflush", "postsuspend", "dtr"]);
    });
}

#[test]
fn messages_go_to_the_target_at_the_sector_and_bring_its_reply() {
    on_both_with_every_split(|current, variants| {
        let rig = rig(current, variants);
        let say = |sector, text| rig.dm.message(current, "t", Sectors(sector), text);
        rig.dm.create(current, "t").unwrap();
        assert_eq!(say(0, "echo x"), Err(Errno::EINVAL));
        rig.load(current, &["0 8 probe 1:0"]).unwrap();
        rig.dm.resume(current, "t").unwrap();
        assert_eq!(say(7, r"echo x\ y"), Ok(Some("x y".to_owned())));
        assert_eq!(say(0, "nonsense"), Err(Errno::ENODEV));
        assert_eq!(say(8, "echo x"), Err(Errno::EINVAL));
        assert_eq!(say(0, " "), Err(Errno::EINVAL));
        assert_eq!(say(0, "@nonsense"), Err(Errno::EINVAL));
        let told: Vec<String> = rig.log().into_iter().filter(|line| line.starts_with("device-mapper: ioctl")).collect();
        assert_eq!(
            told,
            [
                "device-mapper: ioctl: The device has no table.",
                "device-mapper: ioctl: Target message sector outside device.",
                "device-mapper: ioctl: Empty message received.",
                "device-mapper: ioctl: Unsupported message sent to DM core: @nonsense",
            ]
        );
        assert_eq!(rig.dm.status(current, "t", true).unwrap(), ["0 8 probe noflush=true"]);
    });
}

#[test]
fn who_waits_for_an_event_is_woken_by_the_target_or_by_the_removal() {
    on_both_with_every_split(|current, variants| {
        let rig = rig(current, variants);
        rig.device(current, &["0 8 probe 1:0"]).unwrap();
        assert_eq!(rig.dm.event_nr(current, "t"), Ok(0));
        let (there, woken) = (Arc::clone(&rig), Completion::new(current.runtime(), "woken"));
        let tells = woken.clone();
        current.spawn("dmeventd", move |task| {
            assert_eq!(there.dm.wait_event(task, "t", 0).unwrap(), ["0 8 probe noflush=false"]);
            tells.complete(task);
            // It may come too late to wait at all.
            assert!(matches!(there.dm.wait_event(task, "t", 1), Ok(_) | Err(Errno::ENXIO)));
            tells.complete(task);
        });
        rig.dm.message(current, "t", Sectors(0), "event").unwrap();
        woken.wait(current);
        assert_eq!(rig.dm.event_nr(current, "t"), Ok(1));
        // A target of a table that is not live raises none.
        rig.load(current, &["0 8 probe 1:0"]).unwrap();
        assert_eq!(rig.dm.event_nr(current, "t"), Ok(1));
        rig.dm.remove(current, "t").unwrap();
        woken.wait(current);
    });
}
