//! Tests of `devices`.
//! Not here: what other files report about the same text.

use super::super::testing::{assert_refused, devices};
use super::*;

#[test]
fn every_kind_of_device_is_read() {
    let scenario = devices(
        "{ d: { ram: 64KiB }, null: { null: 1GiB }, m: { barrier: $d }, a: { dm: ['0 16 linear $d 0', \"16 16 zero\"] }, \
         top: { dm: '0 16 linear $below 0', over: $d, levels: 64 } }",
    );
    let devices = scenario.unwrap().devices;
    let kinds: Vec<DeviceKind> = devices.iter().map(|device| device.kind.clone()).collect();
    assert_eq!(
        kinds,
        [
            DeviceKind::Ram(Bytes::kib(64)),
            DeviceKind::Null(Bytes(1 << 30)),
            DeviceKind::Barrier { below: "d".to_owned() },
            DeviceKind::Dm {
                table: vec!["0 16 linear $d 0".to_owned(), "16 16 zero".to_owned()],
                over: None,
                levels: 1,
            },
            DeviceKind::Dm { table: vec!["0 16 linear $below 0".to_owned()], over: Some("d".to_owned()), levels: 64 },
        ]
    );
    let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(names, ["d", "null", "m", "a", "top"]);
}

#[test]
fn sizes_that_no_device_has_are_refused() {
    assert_refused(
        devices,
        &[
            ("{ d: { ram: 0 } }", "x:3:24: \"0\" is not a multiple of 512 bytes above 0, at most 1TiB"),
            ("{ d: { ram: 100 } }", "x:3:24: \"100\" is not a multiple of 512"),
            ("{ d: { null: 2TiB } }", "x:3:25: \"2TiB\" is not a multiple of 512"),
            ("{ d: { ram: -4k } }", "x:3:24: \"-4k\" is not a size such as"),
            ("{ d: { ram: NaN } }", "x:3:24: \"NaN\" is not a size such as"),
            ("{ d: { ram: 99999999999999999999 } }", "x:3:24: \"99999999999999999999\" is not a size such as"),
            ("{ d: { ram: } }", "x:3:19: nothing is not a text"),
        ],
    );
}

#[test]
fn a_device_is_exactly_one_thing() {
    assert_refused(
        devices,
        &[
            ("{ d: {} }", "x:3:17: a device is one of ram, null, timed, file, barrier and dm; here is none"),
            (
                "{ d: { ram: 1k, null: 1k } }",
                "x:3:17: a device is one of ram, null, timed, file, barrier and dm; here is ram and null",
            ),
            (
                "{ d: { rma: 1k } }",
                "x:3:19: \"rma\" is not a key of a device (did you mean `ram`? allowed here: ram, null",
            ),
            ("{ d: ram }", "x:3:17: \"ram\" is not a device: a map"),
            ("{ d: { ram: 1k, levels: 2 } }", "x:3:36: `levels` is about dm devices; this one is ram"),
            ("{}", "x:3:12: a scenario without devices"),
            ("[d]", "x:3:12: a list is not a map of devices"),
        ],
    );
}

#[test]
fn devices_stand_on_earlier_ones() {
    assert_refused(
        devices,
        &[
            ("{ m: { barrier: $d }, d: { ram: 1k } }", "x:3:28: \"d\" is declared only in line 3"),
            ("{ m: { barrier: $m } }", "x:3:28: \"m\" is declared only in line 3"),
            (
                "{ dev: { ram: 1k }, m: { barrier: $deé } }",
                "x:3:46: \"deé\" is not a declared device (did you mean `dev`?",
            ),
            ("{ d: { ram: 1k }, m: { barrier: d } }", "x:3:44: \"d\" is not a device, written `$name` (write `$d`)"),
            ("{ d: { ram: 1k }, t: { dm: '0 2 linear $e 0' } }", "x:3:51: \"e\" is not a declared device"),
        ],
    );
}

#[test]
fn names_are_lower_case_words() {
    for name in ["D", "1d", "a-b", "below", "d.1", "é"] {
        let found = devices(&format!("{{ {name}: {{ ram: 1k }} }}")).unwrap_err();
        assert_eq!(found, format!("x:3:14: {name:?} is not a name of a device: a-z, 0-9 and `_`, a letter first"));
    }
}

#[test]
fn a_stack_has_a_ground_and_lines_that_name_it() {
    assert_refused(
        devices,
        &[
            ("{ d: { ram: 1k }, t: { dm: '0 2 linear $below 0' } }", "x:3:51: `$below` has a meaning only"),
            (
                "{ d: { ram: 1k }, t: { dm: '0 2 linear $d 0', over: $d } }",
                "x:3:64: `over` without a line that names `$below`",
            ),
            (
                "{ d: { ram: 1k }, t: { dm: '0 2 linear $d 0', levels: 2 } }",
                "x:3:66: `levels` above 1 need `over: $device`",
            ),
            (
                "{ d: { ram: 1k }, t: { dm: '0 2 linear $below 0', over: $d, levels: 65 } }",
                "x:3:80: \"65\" is not a whole number from 1 to 64",
            ),
            (
                "{ d: { ram: 1k }, t: { dm: '0 2 linear $below 0', over: $d, levels: 0 } }",
                "x:3:80: \"0\" is not a whole number from 1 to 64",
            ),
        ],
    );
}

#[test]
fn too_many_devices_are_refused() {
    let all: String = (0..=DEVICES_MAX).map(|index| format!("  d{index}: {{ ram: 1k }}\n")).collect();
    assert_eq!(devices(&format!("\n{all}")).unwrap_err(), "x:260:3: more than the 256 devices allowed");
}

#[test]
fn a_device_with_a_mistake_is_believed_everywhere_else() {
    let found = devices("{ d: { ram: 1 }, m: { barrier: $d }, t: { dm: '0 2 linear $d 0' } }").unwrap_err();
    assert_eq!(found.lines().count(), 1, "{found}");
}

#[test]
fn volatile_caches_go_with_devices_that_can_have_them() {
    let caches = devices(
        "{ a: { ram: 64KiB, volatile_cache: true }, b: { timed: { size: 64KiB, flush: 1ms }, volatile_cache: true, \
         atomic: 4k }, c: { ram: 64KiB, volatile_cache: false } }",
    );
    let atomic = |device: &Device| device.cache.map(|cache| cache.atomic.0);
    assert_eq!(caches.unwrap().devices.iter().map(atomic).collect::<Vec<_>>(), [Some(512), Some(4096), None]);
    for (text, wanted) in [
        ("{ a: { null: 64KiB, volatile_cache: true } }", "this one is null"),
        (
            "{ a: { timed: { size: 64KiB }, volatile_cache: true } }",
            "a timed device without `flush` has no write cache",
        ),
        ("{ a: { ram: 64KiB, atomic: 4k } }", "`volatile_cache` is not true"),
        ("{ a: { ram: 64KiB, volatile_cache: true, atomic: 1536 } }", "is not a power of two"),
        ("{ a: { ram: 64KiB, volatile_cache: true, atomic: 8k } }", "\"8k\" is not"),
    ] {
        let found = devices(text).unwrap_err();
        assert!(found.contains(wanted), "{text}: {found}");
    }
}

#[test]
fn a_ramdisk_may_be_any_driver_of_a_kernel_and_nothing_else_may() {
    let scenario = devices("{ a: { ram: 1MiB, driver: scsi_debug }, b: { ram: 1MiB } }").unwrap();
    let drivers: Vec<Driver> = scenario.devices.iter().map(|device| device.driver).collect();
    assert_eq!(drivers, [Driver::ScsiDebug, Driver::Brd]);
    assert_refused(
        devices,
        &[
            ("{ d: { null: 1MiB, driver: null_blk } }", "x:3:39: `driver` is about ram devices; this one is null"),
            ("{ d: { ram: 1MiB, driver: nvme } }", "x:3:38: \"nvme\" is not a driver"),
        ],
    );
}
