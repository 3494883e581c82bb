//! [`Image`]: what a device holds, as data that travels: runs of sectors that are not zeros, in hexadecimal digits.
//!
//! Invariants: [`Image::of`] and [`Image::bytes`] undo each other; what was tampered with and is no image has no bytes.
//! Not here: what is in it.

use dmlab_units::{SECTOR_BYTES, Sectors};
use serde::{Deserialize, Serialize};

/// The longest run, in sectors.
const RUN_SECTORS_MAX: usize = 128;
/// The largest image that is unpacked, in sectors: 1 GiB.
const IMAGE_SECTORS_MAX: u64 = 1 << 21;

/// What a device holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its size.
    sectors: u64,
    /// First sector and bytes of each run.
    runs: Vec<(u64, String)>,
}

impl Image {
    /// The image of a device with these bytes, which are whole sectors.
    pub fn of(bytes: &[u8]) -> Self {
        let (sectors, rest) = bytes.as_chunks::<{ SECTOR_BYTES as usize }>();
        assert!(rest.is_empty(), "a device is whole sectors");
        let mut runs: Vec<(u64, String)> = Vec::new();
        let mut end = None;
        for (number, sector) in sectors.iter().enumerate().filter(|(_, sector)| sector.iter().any(|byte| *byte != 0)) {
            let follows = end == Some(number);
            match runs.last_mut() {
                Some((_, run)) if follows && run.len() < 2 * RUN_SECTORS_MAX * SECTOR_BYTES as usize => {
                    run.push_str(&hex(sector));
                }
                _ => runs.push((number as u64, hex(sector))),
            }
            end = Some(number + 1);
        }
        Self { sectors: sectors.len() as u64, runs }
    }

    /// First sector and bytes of each run of sectors; damaged digits are zeros.
    pub fn runs(&self) -> impl Iterator<Item = (Sectors, Vec<u8>)> + '_ {
        self.runs.iter().map(|(at, digits)| (Sectors(*at), unhex(digits)))
    }

    /// All bytes; `None` where a run does not fit the size.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        if self.sectors > IMAGE_SECTORS_MAX {
            return None;
        }
        let mut bytes = vec![0; Sectors(self.sectors).bytes().0 as usize];
        for (at, run) in self.runs() {
            let at = usize::try_from(at.0.checked_mul(SECTOR_BYTES)?).ok()?;
            bytes.get_mut(at..at.checked_add(run.len())?)?.copy_from_slice(&run);
        }
        Some(bytes)
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
    digits.as_bytes().as_chunks::<2>().0.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zeros_take_no_room_and_neighbours_are_one_run() {
        let mut bytes = vec![0; 300 * 512];
        bytes[512 * 7] = 1;
        bytes[512 * 8 + 511] = 0xab;
        bytes[512 * 90] = 2;
        let image = Image::of(&bytes);
        let runs: Vec<(u64, usize)> = image.runs().map(|(at, run)| (at.0, run.len())).collect();
        assert_eq!(runs, [(7, 1024), (90, 512)]);
        assert_eq!(image.bytes(), Some(bytes));
        assert_eq!(Image::of(&[1; 300 * 512]).runs().map(|(at, _)| at.0).collect::<Vec<_>>(), [0, 128, 256]);
    }

    #[test]
    fn what_does_not_fit_has_no_bytes() {
        let image = |sectors, at| Image { sectors, runs: vec![(at, "00".repeat(512))] };
        assert!(image(8, 7).bytes().is_some());
        for (sectors, at) in [(8, 8), (8, u64::MAX), (u64::MAX, 0)] {
            assert_eq!(image(sectors, at).bytes(), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(set in prop::collection::vec((0..40_usize, 0..512_usize, any::<u8>()), 0..30)) {
            let mut bytes = vec![0; 40 * 512];
            set.into_iter().for_each(|(sector, at, byte)| bytes[sector * 512 + at] = byte);
            prop_assert_eq!(Image::of(&bytes).bytes(), Some(bytes));
        }
    }
}
