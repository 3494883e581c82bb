//! Tests of `load`.
//! Not here: what other files report about the same text.

use dmlab_units::{Nanos, Seed};

use super::super::testing::{assert_refused, step};
use super::*;
use crate::Errno;

fn read(text: &str) -> Load {
    match step(text) {
        Ok(Action::Run(load)) => load,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_load_without_words_is_fios_default() {
    assert_eq!(
        read("load: { on: t }"),
        Load {
            on: "t".to_owned(),
            rw: Rw::Read,
            rwmixread: 50,
            bs: Bytes::kib(4),
            iodepth: 1,
            numjobs: 1,
            offset: Bytes::ZERO,
            size: None,
            io_size: None,
            runtime: None,
            verify: false,
            randseed: None,
            outcome: Outcome::Ok,
        }
    );
}

#[test]
fn fios_words_mean_what_they_mean_there() {
    let text = "load: { on: t, rw: randrw, rwmixread: 70, bs: 8k, iodepth: 32, numjobs: 2, offset: 4k, size: 1m, \
                io_size: 4MiB, runtime: 100ms, verify: true, randseed: 0x2a, expect: EIO }";
    assert_eq!(
        read(text),
        Load {
            on: "t".to_owned(),
            rw: Rw::RandRw,
            rwmixread: 70,
            bs: Bytes::kib(8),
            iodepth: 32,
            numjobs: 2,
            offset: Bytes::kib(4),
            size: Some(Bytes::mib(1)),
            io_size: Some(Bytes::mib(4)),
            runtime: Some(Nanos::millis(100)),
            verify: true,
            randseed: Some(Seed(42)),
            outcome: Outcome::Errno(Errno::EIO),
        }
    );
    for (word, rw) in RW {
        assert_eq!(read(&format!("load: {{ on: t, rw: {word} }}")).rw, *rw);
    }
}

#[test]
fn values_out_of_range_are_refused() {
    assert_refused(
        step,
        &[
            ("load: { on: t, bs: 0 }", "x:5:24: \"0\" is not a multiple of 512 bytes above 0, at most 64MiB"),
            ("load: { on: t, bs: 700 }", "x:5:24: \"700\" is not a multiple of 512"),
            ("load: { on: t, bs: 65MiB }", "x:5:24: \"65MiB\" is not a multiple of 512"),
            ("load: { on: t, iodepth: 1025 }", "x:5:29: \"1025\" is not a whole number from 1 to 1024"),
            ("load: { on: t, numjobs: 0 }", "x:5:29: \"0\" is not a whole number from 1 to 256"),
            ("load: { on: t, rwmixread: 101 }", "x:5:31: \"101\" is not a whole number from 0 to 100"),
            (
                "load: { on: t, rw: randwrit }",
                "x:5:24: \"randwrit\" is not a pattern of fio's (did you mean `randwrite`?",
            ),
            ("load: { on: t, runtime: 0 }", "x:5:29: \"0\" is not a duration above 0"),
            ("load: { on: t, io_size: 0 }", "x:5:29: \"0\" is not a multiple of 512 bytes above 0"),
            ("load: { on: t, verify: crc32c }", "x:5:28: \"crc32c\" is not true or false"),
            ("load: { on: t, randseed: -1 }", "x:5:30: \"-1\" is not a seed"),
            ("load: { rw: read }", "x:5:11: `on` is missing in a `load` step"),
        ],
    );
}

#[test]
fn the_range_lies_within_the_device_and_has_room_for_a_block() {
    assert!(step("load: { on: d, offset: 60k, size: 4k }").is_ok());
    assert_refused(
        step,
        &[
            ("load: { on: d, offset: 60k, size: 8k }", "x:5:39: sectors 120..136 do not lie within `d`, which has 128"),
            ("load: { on: d, offset: 64k }", "x:5:28: sectors 128..136 do not lie within `d`"),
            ("load: { on: d, bs: 128k }", "x:5:11: sectors 0..256 do not lie within `d`"),
            ("load: { on: t, bs: 8k, size: 4k }", "x:5:34: a range of 4KiB has no room for one block of 8KiB"),
            (
                "load: { on: t, size: 18446744073709551104, offset: 1k }",
                "x:5:26: 36028797018963967 sectors from 2: no device",
            ),
        ],
    );
}
