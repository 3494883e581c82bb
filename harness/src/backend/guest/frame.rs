//! Frames: how events cross a serial line, on which bytes may be lost or come from somebody else.
//!
//! A frame is a line: `@`, `t` for a text as it is or `z` for one that zlib has packed, the length of what follows and its
//! CRC-32 as eight hexadecimal digits each, a space, the text or its packed form, a newline. What follows may hold any
//! byte: newlines, carriage returns (which serial lines add at times) and [`ESCAPE`] stand behind an escape.
//!
//! Invariants: what is handed out was sent; what was damaged is counted and never guessed; a decoder holds at most
//! [`FRAME_BYTES_MAX`].
//! Not here: what events say (`job`).

use std::io::{Read, Write};

use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// The longest frame; records of cells are far below.
pub(super) const FRAME_BYTES_MAX: usize = 16 << 20;

/// Texts from this length on are packed: an emulated serial line is slow.
const PACKED_FROM: usize = 1024;

/// Bytes before the text.
const HEAD: usize = 19;

/// Stands before a byte that has [`MASK`] flipped.
const ESCAPE: u8 = 0x10;
const MASK: u8 = 0x40;

/// `text` as a frame.
pub(super) fn frame(text: &str) -> Vec<u8> {
    let (kind, content) = if text.len() < PACKED_FROM { ('t', text.as_bytes().to_vec()) } else { ('z', packed(text)) };
    let mut frame = format!("@{kind}{:08x}{:08x} ", content.len(), checksum(&content)).into_bytes();
    for byte in content {
        match byte {
            b'\n' | b'\r' | ESCAPE => frame.extend([ESCAPE, byte ^ MASK]),
            byte => frame.push(byte),
        }
    }
    frame.push(b'\n');
    frame
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("memory takes any text")
}

fn unpacked(content: &[u8]) -> Option<String> {
    let mut text = String::new();
    ZlibDecoder::new(content).take(FRAME_BYTES_MAX as u64).read_to_string(&mut text).ok()?;
    Some(text)
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Takes bytes and gives the texts of whole frames.
#[derive(Default)]
pub(super) struct Decoder {
    line: Vec<u8>,
    /// Lines that were no frames.
    pub(super) damaged: u64,
}

impl Decoder {
    /// Takes in `bytes` and tells the texts that they complete.
    pub(super) fn feed(&mut self, bytes: &[u8], tell: &mut dyn FnMut(&str)) {
        for byte in bytes {
            match byte {
                b'\n' => {
                    match text_of(&self.line) {
                        Some(text) => tell(&text),
                        None if self.line.is_empty() => {}
                        None => self.damaged += 1,
                    }
                    self.line.clear();
                }
                b'\r' => {}
                byte if self.line.len() < FRAME_BYTES_MAX => self.line.push(*byte),
                _ => {}
            }
        }
    }
}

fn text_of(line: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(line.get(..HEAD)?).ok()?;
    let digits = head.strip_prefix('@')?.strip_suffix(' ')?;
    let number = |digits: &str| u32::from_str_radix(digits, 16).ok();
    let (length, sum) = (number(digits.get(1..9)?)?, number(digits.get(9..)?)?);
    let mut content = Vec::with_capacity(line.len());
    let mut bytes = line[HEAD..].iter();
    while let Some(byte) = bytes.next() {
        content.push(if *byte == ESCAPE { bytes.next()? ^ MASK } else { *byte });
    }
    if content.len() != length as usize || checksum(&content) != sum {
        return None;
    }
    if digits.starts_with('z') { unpacked(&content) } else { String::from_utf8(content).ok() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(decoder: &mut Decoder, bytes: &[u8]) -> Vec<String> {
        let mut texts = Vec::new();
        decoder.feed(bytes, &mut |text| texts.push(text.to_owned()));
        texts
    }

    #[test]
    fn what_is_damaged_or_foreign_is_counted_and_what_follows_is_read() {
        let mut decoder = Decoder::default();
        let mut bytes = frame("one");
        bytes.extend_from_slice(b"[    0.1] some other line\r\n\n");
        let mut damaged = frame("two");
        damaged[HEAD] ^= 1;
        bytes.extend(damaged);
        bytes.extend_from_slice(&frame("three")[1..]);
        bytes.extend(frame("four"));
        assert_eq!(texts(&mut decoder, &bytes), ["one", "four"]);
        assert_eq!(decoder.damaged, 3);
    }

    #[test]
    fn a_long_text_of_any_characters_is_packed_and_comes_out_the_same() {
        let text: String = (0..20_000_u32).map(|n| char::from_u32(n % 700).unwrap()).collect();
        let bytes = frame(&text);
        assert!(bytes.len() < text.len() / 4, "{} of {}", bytes.len(), text.len());
        assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(texts(&mut Decoder::default(), &bytes), [text]);
    }

    proptest! {
        #[test]
        fn frames_survive_any_cuts_of_the_stream(sent in prop::collection::vec(".{0,40}", 0..8), cut in 1_usize..50) {
            let bytes: Vec<u8> = sent.iter().flat_map(|text| frame(text)).collect();
            let mut decoder = Decoder::default();
            let got: Vec<String> = bytes.chunks(cut).flat_map(|part| texts(&mut decoder, part)).collect();
            prop_assert_eq!(got, sent);
            prop_assert_eq!(decoder.damaged, 0);
        }

        #[test]
        fn no_flipped_bit_passes(text in ".{1,40}", at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut bytes = frame(&text);
            let at = at.index(bytes.len() - 1);
            bytes[at] ^= 1 << bit;
            let mut decoder = Decoder::default();
            let got = texts(&mut decoder, &bytes);
            // Hexadecimal digits may change their case, and `t` may become another letter: the frame says the same then.
            prop_assert!(got.is_empty() || got == [text]);
        }
    }
}
