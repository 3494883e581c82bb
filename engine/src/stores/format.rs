//! The on-disk format of persistent exception stores, version 1: bytes in, numbers out, and back (dm-spec §5.3).
//!
//! All fields are little-endian. Chunk 0 holds the header: magic `SnAp`, valid, version, chunk size in sectors. Area k of
//! E = chunk bytes / 16 exceptions is chunk 1 + k (E + 1); the E chunks behind it hold data. An exception is an old and a
//! new chunk; the first whose new chunk is 0 ends the list. There are no checksums.
//!
//! Invariants: nothing here panics, whatever the bytes are; numbers from a disk are never trusted to be small.
//! Not here: reading and writing devices.

/// Bytes `SnAp`.
pub const SNAP_MAGIC: u32 = 0x7041_6E53;
/// The one version there is.
pub const SNAPSHOT_DISK_VERSION: u32 = 1;
/// `NUM_SNAPSHOT_HDR_CHUNKS`.
pub const HEADER_CHUNKS: u64 = 1;
/// Bytes of the header that mean something.
pub const HEADER_BYTES: usize = 16;
/// Bytes of an exception.
pub const EXCEPTION_BYTES: usize = 16;
/// `DM_CHUNK_SIZE_DEFAULT_SECTORS`: 16 KiB.
pub const CHUNK_SECTORS_DEFAULT: u32 = 32;
/// The first chunk that can be handed out: behind the header and the first area.
pub const FIRST_FREE: u64 = HEADER_CHUNKS + 1;

/// The header of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// [`SNAP_MAGIC`]; 0 where there was never a store.
    pub magic: u32,
    /// 1 for a snapshot that can be used, 0 for one that was invalidated.
    pub valid: u32,
    /// [`SNAPSHOT_DISK_VERSION`].
    pub version: u32,
    /// Sectors of a chunk.
    pub chunk_size: u32,
}

/// Which chunk of the origin stands where in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exception {
    /// Chunk of the origin.
    pub old_chunk: u64,
    /// Chunk of the store.
    pub new_chunk: u64,
}

impl Header {
    /// The header of a new store.
    pub const fn new(valid: bool, chunk_size: u32) -> Self {
        Self { magic: SNAP_MAGIC, valid: valid as u32, version: SNAPSHOT_DISK_VERSION, chunk_size }
    }

    /// The header in the first bytes of a store; `None` when there are too few.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |place: usize| Some(u32::from_le_bytes(bytes.get(4 * place..4 * place + 4)?.try_into().ok()?));
        Some(Self { magic: word(0)?, valid: word(1)?, version: word(2)?, chunk_size: word(3)? })
    }

    /// Its bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        for (place, word) in [self.magic, self.valid, self.version, self.chunk_size].into_iter().enumerate() {
            bytes[4 * place..4 * place + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

impl Exception {
    /// Number `index` of an area; `None` when the area has fewer.
    pub fn decode(area: &[u8], index: usize) -> Option<Self> {
        let at = index.checked_mul(EXCEPTION_BYTES)?;
        let word = |at: usize| Some(u64::from_le_bytes(area.get(at..at.checked_add(8)?)?.try_into().ok()?));
        Some(Self { old_chunk: word(at)?, new_chunk: word(at.checked_add(8)?)? })
    }

    /// Writes it as number `index` of an area.
    ///
    /// # Panics
    /// When the area has fewer: a mistake of the caller (`BUG_ON` in the kernel).
    pub fn encode(self, area: &mut [u8], index: usize) {
        let at = index * EXCEPTION_BYTES;
        area[at..at + 8].copy_from_slice(&self.old_chunk.to_le_bytes());
        area[at + 8..at + EXCEPTION_BYTES].copy_from_slice(&self.new_chunk.to_le_bytes());
    }

    /// The exceptions of an area, up to the first whose new chunk is 0.
    pub fn list(area: &[u8]) -> impl Iterator<Item = Self> + '_ {
        (0..).map_while(|index| Self::decode(area, index)).take_while(|exception| exception.new_chunk != 0)
    }
}

/// `dm_exception_store_set_chunk_size`, on devices of 512-byte blocks.
///
/// # Errors
/// The kernel's words for what is wrong.
pub const fn check_chunk_size(sectors: u32) -> Result<(), &'static str> {
    if !sectors.is_power_of_two() {
        return Err("Chunk size is not a power of 2");
    }
    if sectors > i32::MAX as u32 >> 9 {
        return Err("Chunk size is too high");
    }
    Ok(())
}

/// Where things stand in a store of a chunk size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Sectors of a chunk: a power of two, and not too high.
    chunk_size: u32,
}

impl Geometry {
    /// Of a store with chunks of so many sectors.
    ///
    /// # Errors
    /// As [`check_chunk_size`].
    pub fn new(chunk_size: u32) -> Result<Self, &'static str> {
        check_chunk_size(chunk_size).map(|()| Self { chunk_size })
    }

    /// Sectors of a chunk.
    pub const fn chunk_sectors(self) -> u64 {
        self.chunk_size as u64
    }

    /// Bytes of a chunk.
    pub const fn chunk_bytes(self) -> usize {
        self.chunk_size as usize * 512
    }

    /// E: exceptions of an area.
    pub const fn exceptions_per_area(self) -> usize {
        self.chunk_bytes() / EXCEPTION_BYTES
    }

    /// Chunks from one area to the next.
    const fn stride(self) -> u64 {
        self.exceptions_per_area() as u64 + 1
    }

    /// `area_location`: the chunk of area `area`; `None` when no number is large enough.
    pub const fn area_chunk(self, area: u64) -> Option<u64> {
        match self.stride().checked_mul(area) {
            Some(chunks) => chunks.checked_add(HEADER_CHUNKS),
            None => None,
        }
    }

    /// The first sector of a chunk; `None` when no number is large enough.
    pub const fn chunk_sector(self, chunk: u64) -> Option<u64> {
        self.chunk_sectors().checked_mul(chunk)
    }

    /// Whether a chunk is the header or an area, and so holds no data.
    pub const fn is_metadata(self, chunk: u64) -> bool {
        chunk < HEADER_CHUNKS || chunk % self.stride() == HEADER_CHUNKS
    }

    /// The chunk itself, or the next one if it is an area (`skip_metadata`).
    pub const fn skip_metadata(self, chunk: u64) -> u64 {
        if chunk % self.stride() == HEADER_CHUNKS { chunk.saturating_add(1) } else { chunk }
    }

    /// The chunk to hand out after all of `exceptions` are in use.
    pub fn next_free(self, next_free: u64, exception: Exception) -> u64 {
        next_free.max(exception.new_chunk.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_header_is_the_kernel_s_byte_for_byte() {
        let header = Header::new(true, 16);
        assert_eq!(header.encode(), *b"SnAp\x01\0\0\0\x01\0\0\0\x10\0\0\0");
        assert_eq!(Header::decode(&header.encode()), Some(header));
        assert_eq!(Header::decode(b"SnAp"), None);
    }

    #[test]
    fn areas_stand_where_the_kernel_puts_them() {
        // 4 KiB chunks: 256 exceptions; area 1 behind 256 data chunks.
        let geometry = Geometry::new(8).unwrap();
        assert_eq!(geometry.exceptions_per_area(), 256);
        assert_eq!([0, 1, 2].map(|area| geometry.area_chunk(area)), [Some(1), Some(258), Some(515)]);
        assert_eq!([257, 258, 259].map(|chunk| geometry.skip_metadata(chunk)), [257, 259, 259]);
        assert!(geometry.is_metadata(0) && geometry.is_metadata(1) && geometry.is_metadata(258));
        assert!(!geometry.is_metadata(2) && !geometry.is_metadata(257));
    }

    #[test]
    fn chunk_sizes_are_refused_in_the_kernel_s_words() {
        assert_eq!(check_chunk_size(12), Err("Chunk size is not a power of 2"));
        assert_eq!(check_chunk_size(0), Err("Chunk size is not a power of 2"));
        assert_eq!(check_chunk_size(1 << 22), Err("Chunk size is too high"));
        assert_eq!(check_chunk_size(1 << 21), Ok(()));
    }

    #[test]
    fn a_list_ends_with_the_first_exception_into_chunk_0() {
        let mut area = vec![0; 64];
        Exception { old_chunk: 7, new_chunk: 2 }.encode(&mut area, 0);
        Exception { old_chunk: 0, new_chunk: 3 }.encode(&mut area, 1);
        Exception { old_chunk: 9, new_chunk: 5 }.encode(&mut area, 3);
        assert_eq!(area[..16], *b"\x07\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0");
        assert_eq!(Exception::list(&area).map(|exception| exception.old_chunk).collect::<Vec<_>>(), [7, 0]);
        assert_eq!(Exception::list(&[1; 40]).count(), 2, "a list that fills its area has no end of its own");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), index: usize) {
            let _ = Header::decode(&bytes);
            let _ = Exception::decode(&bytes, index);
            prop_assert!(Exception::list(&bytes).count() <= bytes.len() / EXCEPTION_BYTES);
        }

        #[test]
        fn no_number_panics(size in 0..22_u32, chunk: u64, old_chunk: u64) {
            let geometry = Geometry::new(1 << size.min(21)).unwrap();
            prop_assert!(!geometry.is_metadata(geometry.skip_metadata(chunk.max(1))) || chunk == u64::MAX);
            let _ = (geometry.area_chunk(chunk), geometry.chunk_sector(chunk));
            let exception = Exception { old_chunk, new_chunk: chunk };
            prop_assert!(geometry.next_free(2, exception) >= 2);
        }

        #[test]
        fn an_exception_comes_back_as_it_was(old_chunk: u64, new_chunk: u64, index in 0..4_usize) {
            let mut area = vec![0; 64];
            let exception = Exception { old_chunk, new_chunk };
            exception.encode(&mut area, index);
            prop_assert_eq!(Exception::decode(&area, index), Some(exception));
        }
    }
}
