//! [`StoreSeen`]: a persistent exception store in a few numbers: its header, each exception with a digest of its chunk, and
//! a digest of the whole device.
//!
//! Invariants: two stores whose digests agree are taken for equal; of devices of one size that differ within one word the
//! digests never agree.
//! Not here: reading the format ([`crate::cow`], [`dmlab_engine::stores::format`]).

use std::io::Cursor;

use dmlab_engine::stores::format::Geometry;
use serde::{Deserialize, Serialize};

use crate::cow::inspect;

/// What is in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreSeen {
    /// Sectors of the device.
    pub sectors: u64,
    /// Digest of all of it.
    pub digest: u64,
    /// Of the header: valid, version, sectors of a chunk; `None` where there is no store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<(bool, u32, u32)>,
    /// Old chunk, new chunk, and digest of what the new chunk holds, in the order of their places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<(u64, u64, u64)>,
    /// Why nothing of this is known, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

impl StoreSeen {
    /// The store on a device with these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let report = inspect(&mut Cursor::new(bytes), u64::MAX).expect("memory can be read");
        let mut seen = Self { sectors: report.sectors, digest: digest(bytes), ..Self::default() };
        let Some(header) = report.header else { return seen };
        seen.header = Some((header.valid, header.version, header.chunk_size));
        let chunk_bytes = Geometry::new(header.chunk_size).map_or(0, Geometry::chunk_bytes);
        let of_chunk = |chunk: u64| {
            let at = usize::try_from(chunk).ok()?.checked_mul(chunk_bytes)?;
            Some(digest(bytes.get(at..at.checked_add(chunk_bytes)?)?))
        };
        // A chunk beyond the end holds nothing.
        let exceptions = report.list.iter().map(|e| (e.old_chunk, e.new_chunk, of_chunk(e.new_chunk).unwrap_or(0)));
        seen.exceptions = exceptions.collect();
        seen
    }

    /// A store that could not be read.
    pub fn unreadable(why: String) -> Self {
        Self { unreadable: Some(why), ..Self::default() }
    }
}

/// A digest of bytes. Every step of it is a bijection of the state, so one word that differs is always seen.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = bytes.as_chunks::<8>();
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let hash = words.iter().fold(START, |hash, word| step(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use dmlab_engine::stores::format::{Exception, Header};

    use super::*;

    /// Chunks of two sectors: two exceptions, the second of which lies beyond the end.
    fn image() -> Vec<u8> {
        let mut bytes = vec![0; 16 * 512];
        bytes[..16].copy_from_slice(&Header::new(true, 2).encode());
        Exception { old_chunk: 9, new_chunk: 3 }.encode(&mut bytes[1024..2048], 0);
        Exception { old_chunk: 4, new_chunk: 8 }.encode(&mut bytes[1024..2048], 1);
        bytes[3 * 1024..4 * 1024].fill(7);
        bytes
    }

    #[test]
    fn a_store_is_told_by_header_exceptions_and_their_data() {
        let seen = StoreSeen::of(&image());
        assert_eq!((seen.sectors, seen.header), (16, Some((true, 1, 2))));
        assert_eq!(seen.exceptions, [(9, 3, digest(&[7; 1024])), (4, 8, 0)]);
        let blank = StoreSeen::of(&[0; 4096]);
        assert_eq!((blank.header, blank.exceptions.len()), (None, 0));
    }

    #[test]
    fn no_byte_can_change_unseen() {
        let whole = image();
        let seen = StoreSeen::of(&whole);
        for at in (0..whole.len()).step_by(97) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            assert_ne!(StoreSeen::of(&damaged).digest, seen.digest, "byte {at}");
        }
    }

    #[test]
    fn what_a_store_says_of_itself_may_be_anything() {
        let mut bytes = image();
        bytes[1024 + 8..1024 + 16].fill(0xff);
        assert_eq!(StoreSeen::of(&bytes).exceptions[0], (9, u64::MAX, 0));
        bytes[12..16].fill(0xff);
        assert_eq!(StoreSeen::of(&bytes).header, Some((true, 1, u32::MAX)));
        assert_eq!(StoreSeen::unreadable("EIO".to_owned()).header, None);
    }
}
