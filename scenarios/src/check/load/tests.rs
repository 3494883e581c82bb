//! Tests of `load`.
//! Not here: what other files report about the same text.

use dmlab_units::{Nanos, Seed};

use super::super::testing::{assert_refused, step};
use super::*;
use crate::Errno;

fn read(text: &str) -> Load {
    match step(text) {
        Ok(Action::Run(load)) => *load,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_load_without_words_is_fios_default() {
    assert_eq!(
        read("load: { on: t }"),
        Load {
            name: None,
            on: "t".to_owned(),
            rw: Rw::Read,
            rwmixread: 50,
            bs: BlockSizes::One(Bytes::kib(4)),
            iodepth: 1,
            iodepth_batch_submit: 1,
            iodepth_batch_complete: 1,
            numjobs: 1,
            offset: Bytes::ZERO,
            offset_increment: Bytes::ZERO,
            size: None,
            io_size: None,
            runtime: None,
            time_based: false,
            ramp_time: Nanos::ZERO,
            rate: None,
            random_distribution: Distribution::Random,
            norandommap: false,
            randseed: None,
            fsync: None,
            verify: false,
            verify_backlog: None,
            think: None,
            percentile_list: None,
            max_stall: None,
            outcome: Outcome::Ok,
        }
    );
}

#[test]
fn fios_words_mean_what_they_mean_there() {
    let text = "load: { name: w, on: t, rw: randrw, rwmixread: 70, bs: 8k, iodepth: 32, iodepth_batch_submit: 4, \
                iodepth_batch_complete: 8, numjobs: 2, offset: 4k, offset_increment: 1m, size: 1m, io_size: 4MiB, \
                runtime: 100ms, time_based: true, ramp_time: 5ms, rate_iops: 1000, rate_process: poisson, \
                random_distribution: zipf:1.2, norandommap: true, randseed: 0x2a, fsync: 8, verify: true, \
                verify_backlog: 16, thinktime: 1ms, thinktime_blocks: 3, percentile_list: [99.9, 50], max_stall: 2s, \
                expect: EIO }";
    assert_eq!(
        read(text),
        Load {
            name: Some("w".to_owned()),
            on: "t".to_owned(),
            rw: Rw::RandRw,
            rwmixread: 70,
            bs: BlockSizes::One(Bytes::kib(8)),
            iodepth: 32,
            iodepth_batch_submit: 4,
            iodepth_batch_complete: 8,
            numjobs: 2,
            offset: Bytes::kib(4),
            offset_increment: Bytes::mib(1),
            size: Some(Bytes::mib(1)),
            io_size: Some(Bytes::mib(4)),
            runtime: Some(Nanos::millis(100)),
            time_based: true,
            ramp_time: Nanos::millis(5),
            rate: Some(Rate::Poisson(1000)),
            random_distribution: Distribution::Zipf(1200),
            norandommap: true,
            randseed: Some(Seed(42)),
            fsync: Some(8),
            verify: true,
            verify_backlog: Some(16),
            think: Some(Think { time: Nanos::millis(1), blocks: 3 }),
            percentile_list: Some(vec![50_000, 99_900]),
            max_stall: Some(Nanos::secs(2)),
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

#[test]
fn block_sizes_are_one_a_range_or_a_split() {
    let bs = |words: &str| read(&format!("load: {{ on: t, {words} }}")).bs;
    assert_eq!(bs("bsrange: 4k-16k"), BlockSizes::Range(Bytes::kib(4), Bytes::kib(16)));
    let split = bs("bssplit: 8k/60:4k/40");
    assert_eq!(split, BlockSizes::Split(vec![(Bytes::kib(8), 60), (Bytes::kib(4), 40)]));
    assert_eq!((split.min(), split.max()), (Bytes::kib(4), Bytes::kib(8)));
    assert_refused(
        step,
        &[
            ("load: { on: t, bsrange: 4k }", "x:5:29: \"4k\" is not a range of block sizes"),
            ("load: { on: t, bsrange: 8k-4k }", "x:5:29: \"8k-4k\" is not a range of block sizes"),
            ("load: { on: t, bsrange: 4k-6k }", "x:5:29: \"4k-6k\" is not a range of block sizes"),
            ("load: { on: t, bssplit: 4k/60 }", "x:5:29: \"4k/60\" is not block sizes and their percents"),
            ("load: { on: t, bssplit: 4k/60:6k/40 }", "x:5:29: \"4k/60:6k/40\" is not block sizes"),
            ("load: { on: t, bs: 4k, bsrange: 4k-8k }", "x:5:37: `bsrange` says otherwise what `bs` says"),
        ],
    );
}

#[test]
fn distributions_are_fios() {
    let drawn =
        |text: &str| read(&format!("load: {{ on: t, rw: randread, random_distribution: {text} }}")).random_distribution;
    assert_eq!(drawn("random"), Distribution::Random);
    assert_eq!(drawn("zipf:0.99"), Distribution::Zipf(990));
    assert_eq!(drawn("pareto:0.2"), Distribution::Pareto(200));
    assert_eq!(drawn("normal:12.5"), Distribution::Normal(12_500));
    assert_eq!(drawn("zoned:60/10:40/90"), Distribution::Zoned(vec![(60, 10), (40, 90)]));
    let with = |text: &str| step(&format!("load: {{ on: t, rw: randread, random_distribution: {text} }}"));
    assert_refused(
        with,
        &[
            ("zpf:1.2", "x:5:55: \"zpf:1.2\" is not a distribution of fio's (did you mean `zipf:1.2`?"),
            ("zipf", "x:5:55: \"zipf\" is not a distribution of fio's (zipf's theta is above 0"),
            ("zipf:-1", "x:5:55: \"zipf:-1\" is not a distribution"),
            ("zipf:1.2345", "x:5:55: \"zipf:1.2345\" is not a distribution"),
            ("pareto:1", "x:5:55: \"pareto:1\" is not a distribution of fio's (pareto's power is between 0 and 1"),
            ("normal:101", "x:5:55: \"normal:101\" is not a distribution"),
            ("zoned:60/10:30/90", "x:5:55: \"zoned:60/10:30/90\" is not a distribution of fio's (zones are percents"),
        ],
    );
}

#[test]
fn words_that_mean_nothing_alone_are_refused() {
    assert_refused(
        step,
        &[
            ("load: { on: t, time_based: true }", "x:5:32: `time_based` means nothing without runtime"),
            ("load: { on: t, rate_process: poisson }", "x:5:34: `rate_process` means nothing without rate_iops"),
            ("load: { on: t, rate: 1m, rate_process: poisson }", "x:5:44: a Poisson process counts I/Os, not bytes"),
            ("load: { on: t, rate: 1m, rate_iops: 5 }", "x:5:41: `rate_iops` says otherwise what `rate` says"),
            ("load: { on: t, verify_backlog: 5 }", "x:5:36: `verify_backlog` means nothing without verify: true"),
            ("load: { on: t, thinktime_blocks: 5 }", "x:5:38: `thinktime_blocks` means nothing without thinktime"),
            ("load: { on: t, norandommap: true }", "x:5:33: `norandommap` means nothing without a random pattern"),
            ("load: { on: t, fsync: 5 }", "x:5:27: `fsync` means nothing without a pattern in `rw` that writes"),
            ("load: { on: t, iodepth_batch_submit: 5 }", "x:5:42: a batch of 5 is more than the 1 I/Os in flight"),
            ("load: { on: t, percentile_list: [0] }", "x:5:38: \"0\" is not a percentile above 0"),
            ("load: { on: t, percentile_list: [] }", "x:5:37: a list of 1 to 20 percentiles is wanted"),
            ("load: { on: t, max_stall: 0 }", "x:5:31: \"0\" is not a duration above 0"),
            ("load: { on: t, bsrange: 4k-8k, rw: randread, random_distribution: zipf:1 }", "x:5:71: blocks of several"),
            (
                "load: { on: t, verify: true, numjobs: 2, size: 8k, offset_increment: 4k }",
                "x:5:74: with `verify` no two jobs may share a block, and these ranges overlap",
            ),
            (
                "load: { on: d, numjobs: 3, size: 32k, offset_increment: 32k }",
                "x:5:61: sectors 128..192 do not lie within `d`",
            ),
        ],
    );
    let found = step("load: { on: t, time_based: true, fsync: 5, norandommap: true, rtae: 5 }").unwrap_err();
    assert!(found.contains("did you mean `rate`?"), "{found}");
    let found = step("load: { on: t, time_based: true, fsync: 5, norandommap: true }").unwrap_err();
    assert_eq!(found.lines().count(), 3, "{found}");
}
