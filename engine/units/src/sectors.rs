//! [`Sectors`]: positions and lengths on a block device, in units of 512 bytes as everywhere in the block layer.
//!
//! Invariant: conversions to bytes are exact; from bytes they are fallible.
//! Not here: logical block sizes of devices (the engine's queue limits).

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::str::FromStr;

use crate::{Bytes, ParseUnitError};

/// Bytes in a sector, whatever the device's logical block size is.
pub const SECTOR_BYTES: u64 = 512;

/// A count of 512-byte sectors, or a position on a device in such sectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Sectors(pub u64);

impl Sectors {
    /// No sectors.
    pub const ZERO: Self = Self(0);

    /// The same length in bytes.
    ///
    /// # Panics
    /// When the length in bytes does not fit 64 bits; positions that large are refused when devices are made.
    pub const fn bytes(self) -> Bytes {
        Bytes(self.0 * SECTOR_BYTES)
    }

    /// The whole sectors in `bytes`, or `None` when `bytes` is not a multiple of 512.
    pub const fn from_bytes(bytes: Bytes) -> Option<Self> {
        if bytes.0.is_multiple_of(SECTOR_BYTES) { Some(Self(bytes.0 / SECTOR_BYTES)) } else { None }
    }

    /// `self - other`, or zero when `other` is larger.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `self + other`, or `None` on overflow.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }
}

impl Add for Sectors {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Sectors {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Sectors {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl SubAssign for Sectors {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl fmt::Display for Sectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Sectors {
    type Err = ParseUnitError;

    /// A plain decimal number, as in a table line.
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let digits = if text.bytes().all(|byte| byte.is_ascii_digit()) { text } else { "" };
        digits.parse().map(Self).map_err(|_| ParseUnitError { found: text.to_owned(), wanted: "a number of sectors" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_convert_only_when_whole() {
        assert_eq!(Sectors::from_bytes(Bytes(4096)), Some(Sectors(8)));
        assert_eq!(Sectors::from_bytes(Bytes(4097)), None);
        assert_eq!(Sectors(8).bytes(), Bytes(4096));
    }

    #[test]
    fn text_is_a_plain_number() {
        assert_eq!("65536".parse(), Ok(Sectors(65536)));
        assert!("64k".parse::<Sectors>().is_err());
        assert!("-1".parse::<Sectors>().is_err() && "+1".parse::<Sectors>().is_err());
    }
}
