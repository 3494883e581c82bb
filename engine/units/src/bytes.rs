//! [`Bytes`]: sizes of devices, blocks and buffers.
//!
//! Invariant: `k`, `m`, `g`, `t` are powers of 1024 in either case and with or without `B`/`iB`, as fio reads
//! them by default (`kb_base=1024`); the display picks the largest unit that is exact.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use crate::{ParseUnitError, number_and_suffix};

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

const WANTED: &str = "a size such as 4096, 4k, 64KiB or 1MiB (k, m, g, t are powers of 1024)";

impl Bytes {
    /// No bytes.
    pub const ZERO: Self = Self(0);

    /// `1 KiB × count`.
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// `1 MiB × count`.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }
}

impl Add for Bytes {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Bytes {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        for (shift, unit) in UNITS {
            if self.0 >= 1 << shift && self.0.trailing_zeros() >= shift {
                return f.pad(&format!("{}{unit}", self.0 >> shift));
            }
        }
        f.pad(&self.0.to_string())
    }
}

impl serde::Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Bytes {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let error = || ParseUnitError { found: text.to_owned(), wanted: WANTED };
        let (number, suffix) = number_and_suffix(text).ok_or_else(error)?;
        let suffix = suffix.to_ascii_lowercase();
        let shift = match suffix.as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(error()),
        };
        number.checked_mul(1 << shift).map(Self).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fio_spellings_are_read() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("4k", 4096), ("4K", 4096), ("64KiB", 65536), ("1m", 1 << 20), ("2GiB", 2 << 30)]
        {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_would_be_right() {
        for text in ["", "k", "-4k", "4.5k", "4q", "NaN", "99999999999t", "18446744073709551616", "4 k"] {
            let error = text.parse::<Bytes>().unwrap_err();
            assert!(error.to_string().contains("64KiB"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(bytes: u64) {
            prop_assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
        }

        #[test]
        fn no_text_panics(text in ".{0,24}") {
            let _ = text.parse::<Bytes>();
        }
    }
}
