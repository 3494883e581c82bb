//! The arguments of flakey: intervals and features, read, checked and printed.
//!
//! Invariants: what is refused is refused in the kernel's words and in its order; what the kernel lets pass by accident
//! (words behind the features, a count that is too small for the words of `corrupt_bio_byte`) passes here too; what
//! `to_words` prints is read as the same again.
//! Not here: the device, what is done with any of it.

use std::fmt::{self, Display, Formatter};

use dmlab_units::{Nanos, Sectors};

use crate::dm::args::{Arg, ArgSet, scan_u64};
use crate::dm::target::CtrError;

/// `PROBABILITY_BASE`.
pub(super) const PROBABILITY_BASE: u32 = 1_000_000_000;

const UP_INTERVAL: Arg = Arg { min: 0, max: u32::MAX, error: "Invalid up interval" };
const DOWN_INTERVAL: Arg = Arg { min: 0, max: u32::MAX, error: "Invalid down interval" };
const FEATURE_COUNT: Arg = Arg { min: 0, max: 11, error: "Invalid number of feature args" };
const CORRUPT_BYTE: Arg = Arg { min: 1, max: u32::MAX, error: "Invalid corrupt bio byte" };
const CORRUPT_VALUE: Arg = Arg { min: 0, max: 255, error: "Invalid corrupt value to write into bio byte (0-255)" };
const CORRUPT_FLAGS: Arg = Arg { min: 0, max: u32::MAX, error: "Invalid corrupt bio flags mask" };
const RANDOM_CORRUPT: Arg = Arg { min: 0, max: PROBABILITY_BASE, error: "Invalid random corrupt argument" };

/// Where the target stands, when it is up, and what it does when it is down: `struct flakey_c`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    pub start: Sectors,
    pub up_interval: u32,
    pub down_interval: u32,
    pub features: Features,
}

/// What happens in the down interval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Features {
    pub error_reads: bool,
    pub drop_writes: bool,
    pub error_writes: bool,
    /// Which byte of a bio, counted from 1; 0 is none.
    pub corrupt_bio_byte: u32,
    /// Of writes, rather than of reads.
    pub corrupt_writes: bool,
    pub corrupt_bio_value: u8,
    /// Only bios whose `bi_opf` has all of these bits.
    pub corrupt_bio_flags: u32,
    /// Of [`PROBABILITY_BASE`].
    pub random_read_corrupt: u32,
    pub random_write_corrupt: u32,
}

impl Config {
    /// `<dev> <offset> <up> <down> [<#features> …]`: the device's words and the rest.
    pub(super) fn parse<'a>(argv: &'a [&'a str]) -> Result<(&'a str, Self), CtrError> {
        if argv.len() < 4 {
            return Err(CtrError::invalid("Invalid argument count"));
        }
        let mut words = ArgSet::new(argv);
        let dev = words.shift().expect("there are four words");
        let start = words.shift().and_then(scan_u64).ok_or_else(|| CtrError::invalid("Invalid device sector"))?;
        let up_interval = words.read(&UP_INTERVAL)?;
        let down_interval = words.read(&DOWN_INTERVAL)?;
        let (total, overflows) = up_interval.overflowing_add(down_interval);
        if total == 0 {
            return Err(CtrError::invalid("Total (up + down) interval is zero"));
        }
        if overflows {
            return Err(CtrError::invalid("Interval overflow"));
        }
        let features = Features::parse(&mut words)?;
        Ok((dev, Self { start: Sectors(start), up_interval, down_interval, features }))
    }

    /// Whether the target is down after so long: time counts in whole seconds.
    pub(super) const fn is_down(&self, elapsed: Nanos) -> bool {
        self.seconds_into_cycle(elapsed) >= self.up_interval
    }

    /// Whole seconds since the target was last about to be up.
    pub(super) const fn seconds_into_cycle(&self, elapsed: Nanos) -> u32 {
        let seconds = (elapsed.0 / Nanos::secs(1).0) as u32;
        seconds % (self.up_interval + self.down_interval)
    }
}

impl Features {
    /// Everything fails: what no features mean.
    fn error_all_io() -> Self {
        Self { error_reads: true, error_writes: true, ..Self::default() }
    }

    /// `parse_features`.
    fn parse(words: &mut ArgSet<'_>) -> Result<Self, CtrError> {
        let refuse = |message: &str| Err(CtrError::invalid(message));
        let mut argc = if words.argc() > 0 { words.read_group(&FEATURE_COUNT)? } else { 0 };
        if argc == 0 {
            return Ok(Self::error_all_io());
        }
        let mut fc = Self::default();
        while argc > 0 {
            argc -= 1;
            let Some(name) = words.shift() else { return refuse("Insufficient feature arguments") };
            match name.to_ascii_lowercase().as_str() {
                "error_reads" => {
                    if std::mem::replace(&mut fc.error_reads, true) {
                        return refuse("Feature error_reads duplicated");
                    }
                }
                "drop_writes" => {
                    if std::mem::replace(&mut fc.drop_writes, true) {
                        return refuse("Feature drop_writes duplicated");
                    }
                    if fc.error_writes {
                        return refuse("Feature drop_writes conflicts with feature error_writes");
                    }
                }
                "error_writes" => {
                    if std::mem::replace(&mut fc.error_writes, true) {
                        return refuse("Feature error_writes duplicated");
                    }
                    if fc.drop_writes {
                        return refuse("Feature error_writes conflicts with feature drop_writes");
                    }
                }
                "corrupt_bio_byte" if argc == 0 => return refuse("Feature corrupt_bio_byte requires parameters"),
                "corrupt_bio_byte" => {
                    fc.parse_corrupt_bio_byte(words)?;
                    // The kernel's count is unsigned: with fewer words than these it wraps, and all words are features.
                    argc = argc.wrapping_sub(4);
                }
                "random_read_corrupt" if argc == 0 => {
                    return refuse("Feature random_read_corrupt requires a parameter");
                }
                "random_read_corrupt" => {
                    fc.random_read_corrupt = words.read(&RANDOM_CORRUPT)?;
                    argc -= 1;
                }
                "random_write_corrupt" if argc == 0 => {
                    return refuse("Feature random_write_corrupt requires a parameter");
                }
                "random_write_corrupt" => {
                    fc.random_write_corrupt = words.read(&RANDOM_CORRUPT)?;
                    argc -= 1;
                }
                _ => return refuse("Unrecognised flakey feature requested"),
            }
        }
        if fc.drop_writes && fc.corrupt_writes {
            return refuse("drop_writes is incompatible with corrupt_bio_byte with the WRITE flag set");
        }
        if fc.error_writes && fc.corrupt_writes {
            return refuse("error_writes is incompatible with corrupt_bio_byte with the WRITE flag set");
        }
        Ok(if fc.does_nothing() { Self { error_reads: true, error_writes: true, ..fc } } else { fc })
    }

    /// `<Nth byte> <r or w> <value> <flags>`
    fn parse_corrupt_bio_byte(&mut self, words: &mut ArgSet<'_>) -> Result<(), CtrError> {
        self.corrupt_bio_byte = words.read(&CORRUPT_BYTE)?;
        self.corrupt_writes = match words.shift() {
            Some("w" | "W") => true,
            Some("r" | "R") => false,
            _ => return Err(CtrError::invalid("Invalid corrupt bio direction (r or w)")),
        };
        self.corrupt_bio_value = words.read(&CORRUPT_VALUE)? as u8;
        self.corrupt_bio_flags = words.read(&CORRUPT_FLAGS)?;
        Ok(())
    }

    const fn does_nothing(&self) -> bool {
        let corrupts = self.corrupt_bio_byte > 0 || self.random_read_corrupt > 0 || self.random_write_corrupt > 0;
        !corrupts && !self.error_reads && !self.drop_writes && !self.error_writes
    }

    /// Words that the table line announces.
    fn count(&self) -> u32 {
        let flags = u32::from(self.error_reads) + u32::from(self.drop_writes) + u32::from(self.error_writes);
        let randoms = u32::from(self.random_read_corrupt > 0) + u32::from(self.random_write_corrupt > 0);
        flags + 5 * u32::from(self.corrupt_bio_byte > 0) + 2 * randoms
    }
}

/// As in a table line, behind the device.
impl Display for Config {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { start, up_interval, down_interval, features: fc } = self;
        write!(f, "{start} {up_interval} {down_interval} {}", fc.count())?;
        for (given, name) in
            [(fc.error_reads, "error_reads"), (fc.drop_writes, "drop_writes"), (fc.error_writes, "error_writes")]
        {
            if given {
                write!(f, " {name}")?;
            }
        }
        if fc.corrupt_bio_byte > 0 {
            let (byte, value, flags) = (fc.corrupt_bio_byte, fc.corrupt_bio_value, fc.corrupt_bio_flags);
            let direction = if fc.corrupt_writes { 'w' } else { 'r' };
            write!(f, " corrupt_bio_byte {byte} {direction} {value} {flags}")?;
        }
        for (rate, name) in
            [(fc.random_read_corrupt, "random_read_corrupt"), (fc.random_write_corrupt, "random_write_corrupt")]
        {
            if rate > 0 {
                write!(f, " {name} {rate}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(line: &str) -> Result<Config, String> {
        let argv: Vec<&str> = line.split_whitespace().collect();
        Config::parse(&argv).map(|(_, config)| config).map_err(|error| error.message)
    }

    #[test]
    fn arguments_are_refused_in_the_kernels_words() {
        for (line, message) in [
            ("1:0 0 1", "Invalid argument count"),
            ("1:0 x 1 1", "Invalid device sector"),
            ("1:0 0 x 1", "Invalid up interval"),
            ("1:0 0 1 -1", "Invalid down interval"),
            ("1:0 0 0 0", "Total (up + down) interval is zero"),
            ("1:0 0 4294967295 1", "Total (up + down) interval is zero"),
            ("1:0 0 4294967295 2", "Interval overflow"),
            ("1:0 0 1 1 12", "Invalid number of feature args"),
            ("1:0 0 1 1 2 drop_writes", "Invalid number of feature args"),
            ("1:0 0 1 1 2 error_reads error_reads", "Feature error_reads duplicated"),
            ("1:0 0 1 1 2 drop_writes drop_writes", "Feature drop_writes duplicated"),
            ("1:0 0 1 1 2 error_writes error_writes", "Feature error_writes duplicated"),
            ("1:0 0 1 1 2 error_writes drop_writes", "Feature drop_writes conflicts with feature error_writes"),
            ("1:0 0 1 1 2 drop_writes error_writes", "Feature error_writes conflicts with feature drop_writes"),
            ("1:0 0 1 1 1 corrupt_bio_byte", "Feature corrupt_bio_byte requires parameters"),
            ("1:0 0 1 1 5 corrupt_bio_byte 0 r 1 0", "Invalid corrupt bio byte"),
            ("1:0 0 1 1 5 corrupt_bio_byte 1 x 1 0", "Invalid corrupt bio direction (r or w)"),
            ("1:0 0 1 1 2 corrupt_bio_byte 1", "Invalid corrupt bio direction (r or w)"),
            ("1:0 0 1 1 5 corrupt_bio_byte 1 r 256 0", "Invalid corrupt value to write into bio byte (0-255)"),
            ("1:0 0 1 1 5 corrupt_bio_byte 1 r 255 z", "Invalid corrupt bio flags mask"),
            ("1:0 0 1 1 2 corrupt_bio_byte 1 r 1 0", "Insufficient feature arguments"),
            ("1:0 0 1 1 1 random_read_corrupt", "Feature random_read_corrupt requires a parameter"),
            ("1:0 0 1 1 1 random_write_corrupt", "Feature random_write_corrupt requires a parameter"),
            ("1:0 0 1 1 2 random_read_corrupt 1000000001", "Invalid random corrupt argument"),
            ("1:0 0 1 1 1 no_such", "Unrecognised flakey feature requested"),
            (
                "1:0 0 1 1 6 drop_writes corrupt_bio_byte 1 w 1 0",
                "drop_writes is incompatible with corrupt_bio_byte with the WRITE flag set",
            ),
            (
                "1:0 0 1 1 6 error_writes corrupt_bio_byte 1 w 1 0",
                "error_writes is incompatible with corrupt_bio_byte with the WRITE flag set",
            ),
        ] {
            assert_eq!(parse(line), Err(message.to_owned()), "{line}");
        }
    }

    #[test]
    fn a_table_line_prints_the_features_as_the_kernel_does() {
        for (given, printed) in [
            ("1:0 8 1 2", "8 1 2 2 error_reads error_writes"),
            ("1:0 8 1 2 0", "8 1 2 2 error_reads error_writes"),
            ("1:0 8 1 2 1 DROP_writes", "8 1 2 1 drop_writes"),
            ("1:0 8 1 2 1 error_reads ignored", "8 1 2 1 error_reads"),
            ("1:0 0 0 1 6 corrupt_bio_byte 32 r 1 0 drop_writes", "0 0 1 6 drop_writes corrupt_bio_byte 32 r 1 0"),
            ("1:0 0 0 1 2 random_read_corrupt 0", "0 0 1 2 error_reads error_writes"),
            (
                "1:0 0 0 1 4 random_write_corrupt 5 random_read_corrupt 1000000000",
                "0 0 1 4 random_read_corrupt 1000000000 random_write_corrupt 5",
            ),
        ] {
            assert_eq!(parse(given).unwrap().to_string(), printed, "{given}");
        }
    }

    #[test]
    fn windows_lie_on_whole_seconds() {
        let down = |up: u32, down: u32, millis: u64| {
            parse(&format!("1:0 0 {up} {down}")).unwrap().is_down(Nanos::millis(millis))
        };
        assert!([0, 999, 1000, 123_456].iter().all(|&at| down(0, 1, at)), "0 1 is always down");
        assert!([0, 999, 1000, 123_456].iter().all(|&at| !down(1, 0, at)), "1 0 is always up");
        let cycle: Vec<bool> = (0..10).map(|half| down(2, 1, half * 500)).collect();
        assert_eq!(cycle, [false, false, false, false, true, true, false, false, false, false]);
        assert!(!down(2, 1, 1999) && down(2, 1, 2000) && down(2, 1, 2999) && !down(2, 1, 3000));
    }

    fn word() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(vec![
                "error_reads",
                "drop_writes",
                "error_writes",
                "corrupt_bio_byte",
                "random_read_corrupt",
                "random_write_corrupt",
                "r",
                "w",
            ])
            .prop_map(str::to_owned),
            (0..12_u32).prop_map(|number| number.to_string()),
            "[0-9a-z-]{0,3}",
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same_again(
            counted in any::<bool>(),
            head in (0..4_u32, 0..4_u32),
            words in prop::collection::vec(word(), 0..12),
        ) {
            let count = if counted { words.len().to_string() } else { String::new() };
            let line = format!("1:0 0 {} {} {count} {}", head.0, head.1, words.join(" "));
            // Whatever the words are: nothing panics, and a line that is accepted means what its own line says.
            if let Ok(config) = parse(&line) {
                prop_assert_eq!(parse(&format!("1:0 {config}")), Ok(config));
            }
        }
    }
}
