//! dm's control operations on the engine alone: type rules, names, internal suspend, freezing, deferred removal.
//!
//! Not here: I/O and data (the catalogue).

mod support;

use std::sync::Arc;

use dmlab_engine::block::{Bio, BlockCore, Device};
use dmlab_engine::dm::target::CtrError;
use dmlab_engine::dm::{
    DeviceTable, DmControl, Errno, Holder, Mapped, SuspendFlags, Target, TargetArgs, TargetFeatures, TargetRange,
    TargetType, Which,
};
use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::sync::{Completion, Confided};
use dmlab_engine::targets;
use dmlab_engine::variants::Variants;
use dmlab_units::Sectors;

static ALONE: TargetType =
    TargetType { name: "alone", version: [1, 0, 0], features: TargetFeatures::SINGLETON, ctr: nothing };
static STAYS: TargetType =
    TargetType { name: "stays", version: [1, 0, 0], features: TargetFeatures::IMMUTABLE, ctr: nothing };

struct Nothing;

fn nothing(_current: &Task, _args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    Ok(Box::new(Nothing))
}

impl Target for Nothing {
    fn map(&self, _current: &Task, _dev: &Device, _range: &TargetRange, bio: Bio) -> Mapped {
        Mapped::Kill(bio)
    }

    fn num_flush_bios(&self) -> u64 {
        0
    }

    fn devices(&self, _range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        Vec::new()
    }

    fn status(&self, _current: &Task, _noflush: bool) -> String {
        String::new()
    }

    fn table(&self, _current: &Task) -> String {
        String::new()
    }
}

struct Rig {
    core: Arc<BlockCore>,
    dm: DmControl,
}

fn rig(current: &Task) -> Arc<Rig> {
    static TYPES: std::sync::LazyLock<Vec<&'static TargetType>> =
        std::sync::LazyLock::new(|| targets::TYPES.iter().copied().chain([&ALONE, &STAYS]).collect());
    let core = BlockCore::new(current.runtime(), Variants::default(), false);
    let devices = Arc::new(DeviceTable::new(current));
    let dm = DmControl::new(current, &core, &devices, &TYPES);
    Arc::new(Rig { core, dm })
}

impl Rig {
    fn load(&self, current: &Task, name: &str, lines: &[&str]) -> Result<(), Errno> {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        self.dm.load(current, name, &lines)
    }

    fn device(&self, current: &Task, name: &str, lines: &[&str]) {
        self.dm.create(current, name).unwrap();
        self.load(current, name, lines).unwrap();
        self.dm.resume(current, name).unwrap();
    }

    fn last_words(&self) -> String {
        self.core.kmsg().last().cloned().unwrap_or_default()
    }
}

fn on_both(model: fn(&Task)) {
    for outcome in support::on_both(|| model) {
        assert!(outcome == Outcome::Finished, "{}", support::tell(&outcome));
    }
}

#[test]
fn singleton_and_immutable_targets_are_not_mixed_and_not_replaced() {
    on_both(|current| {
        let rig = rig(current);
        rig.dm.create(current, "t").unwrap();
        for lines in [["0 8 alone", "8 8 zero"], ["0 8 zero", "8 8 alone"], ["0 8 stays", "8 8 zero"]] {
            assert_eq!(rig.load(current, "t", &lines), Err(Errno::EINVAL), "{lines:?}");
        }
        let told: Vec<String> = rig.core.kmsg().into_iter().filter(|line| line.contains(": table: ")).collect();
        assert_eq!(
            told,
            [
                "device-mapper: table: 254:0: target type alone must appear alone in table",
                "device-mapper: table: 254:0: alone: singleton target type must appear alone in table",
                "device-mapper: table: 254:0: zero: immutable target type cannot be mixed with other target types",
            ]
        );
        rig.load(current, "t", &["0 8 stays", "8 8 stays"]).unwrap();
        rig.dm.resume(current, "t").unwrap();
        assert_eq!(rig.load(current, "t", &["0 8 zero"]), Err(Errno::EINVAL));
        assert_eq!(rig.last_words(), "device-mapper: ioctl: can't replace immutable target type stays");
        rig.load(current, "t", &["0 8 error"]).unwrap();
        rig.dm.resume(current, "t").unwrap();
        rig.load(current, "t", &["0 8 zero"]).unwrap();
    });
}

#[test]
fn names_and_uuids_are_refused_in_the_kernels_words() {
    on_both(|current| {
        let rig = rig(current);
        assert_eq!(rig.dm.create(current, "a/b").err(), Some(Errno::EINVAL));
        assert_eq!(rig.last_words(), "device-mapper: ioctl: device name cannot contain '/'");
        assert_eq!(rig.dm.create(current, "control").err(), Some(Errno::EINVAL));
        rig.dm.create_with_uuid(current, "t", Some("U-1")).unwrap();
        assert_eq!(rig.dm.create_with_uuid(current, "u", Some("U-1")).err(), Some(Errno::EBUSY));
        rig.dm.create(current, "u").unwrap();
        assert_eq!(rig.dm.rename(current, "t", "u"), Err(Errno::EBUSY));
        let words = "device-mapper: ioctl: Unable to change name on mapped device t to one that already exists: u";
        assert_eq!(rig.last_words(), words);
        assert_eq!(rig.dm.rename(current, "gone", "v"), Err(Errno::ENXIO));
        assert_eq!(rig.dm.rename(current, "t", ""), Err(Errno::EINVAL));
        assert_eq!(rig.dm.set_uuid(current, "u", "U-1"), Err(Errno::EBUSY));
        assert_eq!(rig.dm.set_uuid(current, "t", "U-2"), Err(Errno::EINVAL));
        rig.dm.rename(current, "t", "v").unwrap();
        let names: Vec<(String, Option<String>)> =
            rig.dm.list(current).into_iter().map(|info| (info.name, info.uuid)).collect();
        assert_eq!(names, [("u".to_owned(), None), ("v".to_owned(), Some("U-1".to_owned()))]);
        rig.load(current, "v", &["0 8 zero"]).unwrap();
        assert_eq!(rig.dm.table_of(current, "v", Which::Inactive).unwrap(), ["0 8 zero "]);
        rig.dm.clear(current, "v").unwrap();
        assert!(rig.dm.table_of(current, "v", Which::Inactive).unwrap().is_empty());
        assert_eq!(rig.dm.clear(current, "t"), Err(Errno::ENXIO));
    });
}

#[test]
fn an_internal_suspend_nests_and_a_users_waits_for_its_end() {
    on_both(|current| {
        let rig = rig(current);
        rig.device(current, "t", &["0 8 zero"]);
        let info = |current: &Task| rig.dm.list(current).remove(0);
        let md = rig.dm.mapped_device(current, "t").unwrap();
        md.internal_suspend(current);
        md.internal_suspend(current);
        assert!(!info(current).suspended && info(current).suspended_internally);
        let (there, done) = (Arc::clone(&rig), Completion::new(current.runtime(), "suspended"));
        let tells = done.clone();
        current.spawn("dmsetup", move |task| {
            there.dm.suspend(task, "t", SuspendFlags::LOCKFS).unwrap();
            tells.complete(task);
        });
        md.internal_resume(current);
        assert!(info(current).suspended_internally && !info(current).suspended);
        md.internal_resume(current);
        done.wait(current);
        assert!(info(current).suspended && !info(current).suspended_internally);
        // Inside a user's suspend it only counts.
        md.internal_suspend(current);
        assert!(info(current).suspended && info(current).suspended_internally);
        md.internal_resume(current);
        assert!(info(current).suspended);
        rig.dm.resume(current, "t").unwrap();
        assert!(!info(current).suspended);
    });
}

#[test]
fn an_internal_resume_too_many_is_a_bug() {
    let outcome = support::explore_once(|current| {
        let rig = rig(current);
        rig.device(current, "t", &["0 8 zero"]);
        rig.dm.mapped_device(current, "t").unwrap().internal_resume(current);
    });
    assert!(support::crash(outcome.outcome).to_string().contains("without an internal suspend"));
}

/// Notes when it is frozen and thawed; may refuse.
struct FileSystem {
    notes: Confided<Vec<&'static str>>,
    refuses: bool,
}

impl Holder for FileSystem {
    fn freeze(&self, current: &Task) -> Result<(), Errno> {
        self.notes.change(current, |notes| notes.push("freeze"));
        if self.refuses { Err(Errno::EBUSY) } else { Ok(()) }
    }

    fn thaw(&self, current: &Task) {
        self.notes.change(current, |notes| notes.push("thaw"));
    }
}

#[test]
fn what_lives_on_a_device_is_frozen_unless_the_suspend_skips_that() {
    on_both(|current| {
        let rig = rig(current);
        rig.device(current, "t", &["0 8 zero"]);
        let new = |refuses| Arc::new(FileSystem { notes: Confided::new(current.runtime(), "fs", Vec::new()), refuses });
        let notes = |fs: &FileSystem| fs.notes.look(current, Clone::clone);
        let md = rig.dm.mapped_device(current, "t").unwrap();
        let fs = new(false);
        md.set_holder(current, Some(Arc::clone(&fs) as Arc<_>));
        for flags in [SuspendFlags::empty(), SuspendFlags::NOFLUSH | SuspendFlags::LOCKFS, SuspendFlags::NOFLUSH] {
            rig.dm.suspend(current, "t", flags).unwrap();
            rig.dm.resume(current, "t").unwrap();
            assert!(notes(&fs).is_empty(), "{flags:?}");
        }
        rig.dm.suspend(current, "t", SuspendFlags::LOCKFS).unwrap();
        assert_eq!(notes(&fs), ["freeze"]);
        rig.dm.resume(current, "t").unwrap();
        assert_eq!(notes(&fs), ["freeze", "thaw"]);
        for (flags, wanted) in [(SuspendFlags::empty(), 2), (SuspendFlags::LOCKFS, 4)] {
            // A resume that suspends by itself does so with its own flags.
            rig.dm.load(current, "t", &["0 8 zero".to_owned()]).unwrap();
            rig.dm.resume_flagged(current, "t", flags).unwrap();
            assert_eq!(notes(&fs).len(), wanted, "{flags:?}");
        }
        let busy = new(true);
        md.set_holder(current, Some(Arc::clone(&busy) as Arc<_>));
        assert_eq!(rig.dm.suspend(current, "t", SuspendFlags::LOCKFS), Err(Errno::EBUSY));
        assert!(!rig.dm.list(current)[0].suspended);
        assert_eq!(notes(&busy), ["freeze"]);
    });
}
