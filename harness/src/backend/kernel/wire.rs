//! The layout of `/dev/mapper/control`'s ioctls: `struct dm_ioctl` and `struct dm_target_spec`, read and written byte by
//! byte (kernel: `include/uapi/linux/dm-ioctl.h`; dm-spec §8.1).
//!
//! Invariants: the structs have the kernel's sizes and offsets, checked when this is compiled; a buffer is aligned for
//! them and says its own size; what the kernel wrote is read within the buffer only, whatever it claims.
//! Not here: the call (`sys`), what commands mean (`dm`).

use std::mem::{offset_of, size_of};

/// `DM_NAME_LEN`: with the NUL.
pub(super) const NAME_LEN: usize = 128;
/// `DM_UUID_LEN`: with the NUL.
pub(super) const UUID_LEN: usize = 129;
/// `DM_MAX_TYPE_NAME`: with the NUL.
pub(super) const TYPE_LEN: usize = 16;

/// `struct dm_ioctl`: offsets are taken from it, and nothing else.
#[repr(C)]
#[allow(dead_code)] // a description of memory
pub(super) struct DmIoctl {
    version: [u32; 3],
    data_size: u32,
    data_start: u32,
    target_count: u32,
    open_count: i32,
    flags: u32,
    event_nr: u32,
    padding: u32,
    dev: u64,
    name: [u8; NAME_LEN],
    uuid: [u8; UUID_LEN],
    data: [u8; 7],
}

/// `struct dm_target_spec`: likewise.
#[repr(C)]
#[allow(dead_code)] // a description of memory
struct DmTargetSpec {
    sector_start: u64,
    length: u64,
    status: i32,
    next: u32,
    target_type: [u8; TYPE_LEN],
}

const _: () = assert!(size_of::<DmIoctl>() == 312);
const _: () = assert!(offset_of!(DmIoctl, dev) == 40 && offset_of!(DmIoctl, name) == 48);
const _: () = assert!(offset_of!(DmIoctl, uuid) == 176 && offset_of!(DmIoctl, data) == 305);
const _: () = assert!(size_of::<DmTargetSpec>() == 40);
const _: () = assert!(offset_of!(DmTargetSpec, next) == 20 && offset_of!(DmTargetSpec, target_type) == 24);

/// Bytes of `struct dm_ioctl`, behind which data begins.
pub(super) const HEAD: usize = size_of::<DmIoctl>();
const SPEC: usize = size_of::<DmTargetSpec>();
/// Specs stand at multiples of this.
const SPEC_ALIGN: usize = 8;

/// The interface that is asked for: any 4.x kernel answers it.
pub(super) const VERSION: [u32; 3] = [4, 0, 0];

/// `DM_SUSPEND_FLAG`.
pub(super) const SUSPEND: u32 = 1 << 1;
/// `DM_STATUS_TABLE_FLAG`.
pub(super) const STATUS_TABLE: u32 = 1 << 4;
/// `DM_INACTIVE_PRESENT_FLAG`.
pub(super) const INACTIVE_PRESENT: u32 = 1 << 6;
/// `DM_BUFFER_FULL_FLAG`.
pub(super) const BUFFER_FULL: u32 = 1 << 8;
/// `DM_SKIP_LOCKFS_FLAG`.
pub(super) const SKIP_LOCKFS: u32 = 1 << 10;
/// `DM_NOFLUSH_FLAG`.
pub(super) const NOFLUSH: u32 = 1 << 11;
/// `DM_QUERY_INACTIVE_TABLE_FLAG`.
pub(super) const QUERY_INACTIVE: u32 = 1 << 12;
/// `DM_UUID_FLAG`.
pub(super) const UUID: u32 = 1 << 14;
/// `DM_DATA_OUT_FLAG`.
pub(super) const DATA_OUT: u32 = 1 << 16;
/// `DM_DEFERRED_REMOVE`.
pub(super) const DEFERRED_REMOVE: u32 = 1 << 17;

/// A line of a table: from sector, sectors, target type, parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub begin: u64,
    pub len: u64,
    pub kind: String,
    pub params: String,
}

impl Spec {
    /// A line in dmsetup's syntax; `None` where it is none.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (begin, rest) = word(line)?;
        let (len, rest) = word(rest)?;
        let (kind, params) = word(rest)?;
        let fits = !kind.is_empty() && kind.len() < TYPE_LEN && !line.contains('\0');
        let (begin, len) = (begin.parse().ok()?, len.parse().ok()?);
        fits.then(|| Self { begin, len, kind: kind.to_owned(), params: params.to_owned() })
    }

    /// As dmsetup prints it.
    pub(super) fn line(&self) -> String {
        format!("{} {} {} {}", self.begin, self.len, self.kind, self.params)
    }
}

/// The first word of `text`, and what comes behind it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    (!text.is_empty()).then(|| text.split_once(char::is_whitespace).unwrap_or((text, "")))
}

/// A request, and after the call its answer.
pub(super) struct Buffer {
    /// Words, for their alignment.
    words: Vec<u64>,
}

impl Buffer {
    /// A request about the device of this name with `payload` behind the head, and room for `room` bytes of answer.
    pub(super) fn new(flags: u32, name: &str, event_nr: u32, payload: &[u8], room: usize) -> Self {
        let bytes = HEAD + payload.len().max(room);
        let mut buffer = Self { words: vec![0; bytes.div_ceil(8)] };
        for (index, number) in VERSION.into_iter().enumerate() {
            buffer.put_u32(offset_of!(DmIoctl, version) + 4 * index, number);
        }
        let size = u32::try_from(buffer.len()).expect("bounded by the callers");
        buffer.put_u32(offset_of!(DmIoctl, data_size), size);
        buffer.put_u32(offset_of!(DmIoctl, data_start), HEAD as u32);
        buffer.put_u32(offset_of!(DmIoctl, flags), flags);
        buffer.put_u32(offset_of!(DmIoctl, event_nr), event_nr);
        buffer.put(offset_of!(DmIoctl, name), name.as_bytes());
        buffer.put(HEAD, payload);
        buffer
    }

    /// A uuid: of DEV_CREATE.
    pub(super) fn set_uuid(&mut self, uuid: &str) {
        self.put(offset_of!(DmIoctl, uuid), uuid.as_bytes());
    }

    /// Lines of a table: of TABLE_LOAD.
    pub(super) fn set_target_count(&mut self, count: usize) {
        self.put_u32(offset_of!(DmIoctl, target_count), u32::try_from(count).expect("a table fits into memory"));
    }

    /// Bytes.
    pub(super) fn len(&self) -> usize {
        self.words.len() * 8
    }

    /// For the call.
    pub(super) fn words(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// `flags` of the answer.
    pub(super) fn flags(&self) -> u32 {
        self.get_u32(offset_of!(DmIoctl, flags))
    }

    /// `event_nr` of the answer.
    pub(super) fn event_nr(&self) -> u32 {
        self.get_u32(offset_of!(DmIoctl, event_nr))
    }

    /// `open_count` of the answer.
    pub(super) fn open_count(&self) -> u32 {
        self.get_u32(offset_of!(DmIoctl, open_count))
    }

    /// `target_count` of the answer.
    pub(super) fn target_count(&self) -> u32 {
        self.get_u32(offset_of!(DmIoctl, target_count))
    }

    /// `dev` of the answer, as major and minor.
    pub(super) fn dev(&self) -> (u32, u32) {
        decode_dev(self.get_u64(offset_of!(DmIoctl, dev)))
    }

    /// `version` of the answer.
    pub(super) fn version(&self) -> [u32; 3] {
        [0, 1, 2].map(|index| self.get_u32(offset_of!(DmIoctl, version) + 4 * index))
    }

    /// The lines of an answer to TABLE_STATUS or DEV_WAIT.
    pub(super) fn specs(&self) -> Vec<Spec> {
        let start = self.data_start();
        let mut specs = Vec::new();
        let mut next = 0;
        for _ in 0..self.target_count() {
            let at = start + next;
            if at + SPEC > self.len() {
                break;
            }
            specs.push(Spec {
                begin: self.get_u64(at + offset_of!(DmTargetSpec, sector_start)),
                len: self.get_u64(at + offset_of!(DmTargetSpec, length)),
                kind: self.text(at + offset_of!(DmTargetSpec, target_type), TYPE_LEN),
                params: self.text(at + SPEC, usize::MAX),
            });
            // From the first spec on, other than in what is sent.
            next = self.get_u32(at + offset_of!(DmTargetSpec, next)) as usize;
        }
        specs
    }

    /// The devices of an answer to TABLE_DEPS: a count, padding, numbers.
    pub(super) fn deps(&self) -> Vec<(u32, u32)> {
        let start = self.data_start();
        let count = self.get_u32(start) as usize;
        (0..count.min(self.len() / 8)).map(|index| decode_dev(self.get_u64(start + 8 * (index + 1)))).collect()
    }

    /// The names of an answer to LIST_DEVICES.
    pub(super) fn names(&self) -> Vec<(String, (u32, u32))> {
        let mut at = self.data_start();
        let mut names = Vec::new();
        // An empty list is one entry without a device.
        while at + 12 <= self.len() && self.get_u64(at) != 0 {
            names.push((self.text(at + 12, NAME_LEN), decode_dev(self.get_u64(at))));
            match self.get_u32(at + 8) as usize {
                0 => break,
                next => at += next,
            }
        }
        names
    }

    /// The target types of an answer to LIST_VERSIONS.
    pub(super) fn versions(&self) -> Vec<(String, [u32; 3])> {
        let mut at = self.data_start();
        let mut versions = Vec::new();
        while at + 16 <= self.len() {
            let version = [1, 2, 3].map(|index| self.get_u32(at + 4 * index));
            let name = self.text(at + 16, TYPE_LEN);
            if !name.is_empty() {
                versions.push((name, version));
            }
            match self.get_u32(at) as usize {
                0 => break,
                next => at += next,
            }
        }
        versions
    }

    /// The text of an answer to TARGET_MSG.
    pub(super) fn data(&self) -> String {
        self.text(self.data_start(), usize::MAX)
    }

    fn data_start(&self) -> usize {
        self.get_u32(offset_of!(DmIoctl, data_start)) as usize
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        for (at, byte) in (at..).zip(bytes) {
            let mut word = self.words[at / 8].to_ne_bytes();
            word[at % 8] = *byte;
            self.words[at / 8] = u64::from_ne_bytes(word);
        }
    }

    fn put_u32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_ne_bytes());
    }

    /// Beyond the end there are zeros.
    fn byte(&self, at: usize) -> u8 {
        self.words.get(at / 8).map_or(0, |word| word.to_ne_bytes()[at % 8])
    }

    fn get_u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes([0, 1, 2, 3].map(|index| self.byte(at + index)))
    }

    fn get_u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|index| self.byte(at + index)))
    }

    fn text(&self, at: usize, most: usize) -> String {
        let end = self.len().min(at.saturating_add(most));
        let bytes: Vec<u8> = (at..end).map(|at| self.byte(at)).take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// `huge_encode_dev`, undone.
const fn decode_dev(dev: u64) -> (u32, u32) {
    let major = ((dev >> 8) & 0xfff) as u32;
    let minor = ((dev & 0xff) | ((dev >> 12) & 0xf_ff00)) as u32;
    (major, minor)
}

/// A table as TABLE_LOAD wants it: each spec says how far it is to the next.
pub(super) fn encode_table(specs: &[Spec]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for spec in specs {
        let whole = (SPEC + spec.params.len() + 1).next_multiple_of(SPEC_ALIGN);
        let mut one = vec![0; whole];
        one[..8].copy_from_slice(&spec.begin.to_ne_bytes());
        one[8..16].copy_from_slice(&spec.len.to_ne_bytes());
        one[20..24].copy_from_slice(&u32::try_from(whole).expect("a line is no gigabyte").to_ne_bytes());
        one[24..24 + spec.kind.len()].copy_from_slice(spec.kind.as_bytes());
        one[SPEC..SPEC + spec.params.len()].copy_from_slice(spec.params.as_bytes());
        bytes.extend(one);
    }
    bytes
}

/// A message as TARGET_MSG wants it.
pub(super) fn encode_message(sector: u64, text: &str) -> Vec<u8> {
    [&sector.to_ne_bytes(), text.as_bytes(), &[0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_was_encoded_is_read_back_line_by_line() {
        let lines = ["0 8 linear 1:0 0", "8 16 striped 2 8 1:0 0 1:1 0", "24 8 error "];
        let specs: Vec<Spec> = lines.iter().map(|line| Spec::parse(line).unwrap()).collect();
        let mut payload = encode_table(&specs);
        // In an answer the distances are from the first spec on.
        let second = u32::from_ne_bytes(payload[20..24].try_into().unwrap());
        let at = second as usize + 20;
        let third = second + u32::from_ne_bytes(payload[at..at + 4].try_into().unwrap());
        payload[at..at + 4].copy_from_slice(&third.to_ne_bytes());
        let mut buffer = Buffer::new(0, "t", 0, &payload, 0);
        buffer.set_target_count(3);
        assert_eq!(buffer.specs().iter().map(Spec::line).collect::<Vec<_>>(), lines);
    }

    #[test]
    fn what_is_no_table_line_is_refused() {
        for line in ["", "0", "0 8", "x 8 linear", "0 -1 linear", "0 8 a-name-that-is-too-long 1"] {
            assert_eq!(Spec::parse(line), None, "{line:?}");
        }
        assert_eq!(Spec::parse("0 8 error").unwrap().line(), "0 8 error ");
    }

    #[test]
    fn numbers_of_devices_are_decoded_as_the_kernel_encodes_them() {
        assert_eq!(decode_dev(0xfd00), (253, 0));
        assert_eq!(decode_dev(0x10_3f12), (0x3f, 0x112), "the minor number's upper bits stand above the major number");
    }

    #[test]
    fn an_answer_that_lies_about_its_length_is_read_within_the_buffer() {
        let mut payload = vec![0; 40];
        payload[20..24].copy_from_slice(&u32::MAX.to_ne_bytes());
        let mut buffer = Buffer::new(0, "t", 0, &payload, 0);
        buffer.set_target_count(1000);
        assert_eq!(buffer.specs().len(), 1);
        assert!(Buffer::new(0, "t", 0, &[0xff; 16], 0).deps().len() < 100);
    }
}
