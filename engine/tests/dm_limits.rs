//! Which tables a device refuses for what is below: areas beyond a device's end, and areas and lines that do not fit its
//! logical blocks.
//!
//! Not here: which operations the limits let through (`dm_duplicates.rs`).

mod support;

use std::sync::Arc;

use dmlab_engine::block::{Bio, BlkStatus, BlockCore, DevId, Device, Driver};
use dmlab_engine::dm::{DeviceTable, DmControl, Errno, SuspendFlags};
use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::targets;
use dmlab_engine::variants::Variants;
use dmlab_units::Sectors;

/// A disk of blocks of this many bytes.
struct Blocks(u64);

impl Driver for Blocks {
    fn submit_bio(&self, current: &Task, _dev: &Arc<Device>, bio: Bio) {
        bio.end(current, BlkStatus::Ok);
    }

    fn logical_block_size(&self) -> u64 {
        self.0
    }
}

/// `a` (1:0) has blocks of 512 bytes, `b` (1:1) of 4 KiB; both have 128 sectors.
fn rig(current: &Task) -> (Arc<BlockCore>, DmControl) {
    let core = BlockCore::new(current.runtime(), Variants::default(), false);
    let devices = Arc::new(DeviceTable::new(current));
    for (minor, (name, block)) in [("a", 512), ("b", 4096)].into_iter().enumerate() {
        let id = DevId { major: 1, minor: minor as u32 };
        devices.add(current, Device::new(&core, id, name, Sectors(128), Box::new(Blocks(block))));
    }
    let dm = DmControl::new(current, &core, &devices, targets::TYPES);
    (core, dm)
}

fn on_both(model: impl Fn(&Task) + Send + Copy + 'static) {
    for outcome in support::on_both(|| model) {
        assert!(outcome == Outcome::Finished, "{}", support::tell(&outcome));
    }
}

fn table(lines: &[&str]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

#[test]
fn a_first_table_that_does_not_fit_what_is_below_is_refused_in_the_kernels_words() {
    const REFUSED: &[(&[&str], &str)] = &[
        (&["0 64 linear 1:0 65"], "a too small for target: start=65, len=64, dev_size=128"),
        (&["0 8 linear 1:1 4"], "start=4 not aligned to h/w logical block size 4096 of b"),
        (&["0 12 linear 1:1 8"], "len=12 not aligned to h/w logical block size 4096 of b"),
        // The target's block is the largest of its devices.
        (&["0 16 striped 2 8 1:1 0 1:0 4"], "start=4 not aligned to h/w logical block size 4096 of a"),
        // A block of the device that begins on a would end on b, within one of b's.
        (
            &["0 4 linear 1:0 0", "4 8 linear 1:1 0"],
            "table line 1 (start sect 4 len 8) not aligned to h/w logical block size 4096",
        ),
        (
            &["0 8 linear 1:1 0", "8 4 linear 1:0 0"],
            "table line 2 (start sect 8 len 4) not aligned to h/w logical block size 4096",
        ),
    ];
    on_both(|current| {
        for (lines, words) in REFUSED {
            let (core, dm) = rig(current);
            dm.create(current, "t").unwrap();
            assert_eq!(dm.load(current, "t", &table(lines)), Err(Errno::EINVAL), "{lines:?}");
            let log = core.kmsg();
            assert!(log.iter().any(|line| line.ends_with(&format!(": {words}"))), "{lines:?}: {log:?}");
        }
    });
}

#[test]
fn a_device_has_the_largest_block_below_and_whole_blocks_may_be_cut_where_they_are_small() {
    on_both(|current| {
        let (_, dm) = rig(current);
        dm.create(current, "t").unwrap();
        let lines = ["0 4 linear 1:0 0", "4 4 linear 1:0 16", "8 8 linear 1:1 8"];
        dm.load(current, "t", &table(&lines)).unwrap();
        dm.resume(current, "t").unwrap();
        assert_eq!(dm.device(current, "t").unwrap().driver().logical_block_size(), 4096);
        dm.load(current, "t", &table(&["0 3 linear 1:0 5"])).unwrap();
        dm.resume(current, "t").unwrap();
        assert_eq!(dm.device(current, "t").unwrap().driver().logical_block_size(), 512);
    });
}

#[test]
fn a_later_table_is_refused_by_the_resume_and_the_blocks_of_a_dm_device_count_above_it() {
    on_both(|current| {
        let (_, dm) = rig(current);
        dm.create(current, "low").unwrap();
        dm.load(current, "low", &table(&["0 16 linear 1:1 0"])).unwrap();
        dm.resume(current, "low").unwrap();
        let low = dm.device(current, "low").unwrap().id();
        dm.create(current, "t").unwrap();
        dm.load(current, "t", &table(&["0 8 zero"])).unwrap();
        dm.resume(current, "t").unwrap();
        dm.load(current, "t", &[format!("0 8 linear {low} 4")]).unwrap();
        dm.suspend(current, "t", SuspendFlags::LOCKFS).unwrap();
        assert_eq!(dm.resume(current, "t"), Err(Errno::EINVAL));
        dm.load(current, "t", &[format!("0 8 linear {low} 8")]).unwrap();
        dm.resume(current, "t").unwrap();
    });
}

#[test]
fn a_table_of_a_hundred_thousand_lines_is_loaded_and_swapped_or_refused_as_a_whole() {
    const LINES: u64 = 100_000;
    let outcome = support::on_threads(|current| {
        let (_, dm) = rig(current);
        let mut lines: Vec<String> = (0..LINES).map(|line| format!("{line} 1 linear 1:0 {}", line % 128)).collect();
        dm.create(current, "t").unwrap();
        dm.load(current, "t", &lines).unwrap();
        dm.resume(current, "t").unwrap();
        assert_eq!(dm.device(current, "t").unwrap().capacity(), Sectors(LINES));
        let printed = dm.table(current, "t").unwrap();
        assert_eq!(printed.len() as u64, LINES);
        assert_eq!(printed[99_999], "99999 1 linear 1:0 31");
        // A gap, a type that is not there, an area beyond the device: each at the very end.
        for last in ["100000 1 linear 1:0 0", "99999 1 liner 1:0 0", "99999 1 linear 1:0 128"] {
            *lines.last_mut().unwrap() = last.to_owned();
            assert_eq!(
                dm.load(current, "t", &lines).and_then(|()| dm.resume(current, "t")),
                Err(Errno::EINVAL),
                "{last}"
            );
        }
        assert_eq!(dm.table(current, "t").unwrap()[99_999], "99999 1 linear 1:0 31", "the live one stays");
    });
    assert!(outcome.outcome == Outcome::Finished, "{}", support::tell(&outcome.outcome));
}
