//! Frames: how events cross a serial line, on which bytes may be lost or come from somebody else.
//!
//! A frame is a line: `@`, the length of the text and its CRC-32 as eight hexadecimal digits each, a space, the text (JSON,
//! which holds no newline), a newline. Serial lines end lines with carriage returns at times; they are dropped.
//!
//! Invariants: what is handed out was sent; what was damaged is counted and never guessed; a decoder holds at most
//! [`FRAME_BYTES_MAX`].
//! Not here: what events say (`event`).

use flate2::Crc;

/// The longest frame; records of cells are far below.
pub(super) const FRAME_BYTES_MAX: usize = 16 << 20;

/// Bytes before the text.
const HEAD: usize = 18;

/// `text` as a frame. It must hold no newline.
pub(super) fn frame(text: &str) -> Vec<u8> {
    debug_assert!(!text.contains('\n'), "a newline ends a frame");
    format!("@{:08x}{:08x} {text}\n", text.len(), checksum(text.as_bytes())).into_bytes()
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
                        Some(text) => tell(text),
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

fn text_of(line: &[u8]) -> Option<&str> {
    let head = std::str::from_utf8(line.get(..HEAD)?).ok()?;
    let digits = head.strip_prefix('@')?.strip_suffix(' ')?;
    let number = |digits: &str| u32::from_str_radix(digits, 16).ok();
    let (length, sum) = (number(digits.get(..8)?)?, number(digits.get(8..)?)?);
    let text = &line[HEAD..];
    (text.len() == length as usize && checksum(text) == sum).then(|| std::str::from_utf8(text).ok())?
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

    proptest! {
        #[test]
        fn frames_survive_any_cuts_of_the_stream(sent in prop::collection::vec("[^\n\r]{0,40}", 0..8), cut in 1_usize..50) {
            let bytes: Vec<u8> = sent.iter().flat_map(|text| frame(text)).collect();
            let mut decoder = Decoder::default();
            let got: Vec<String> = bytes.chunks(cut).flat_map(|part| texts(&mut decoder, part)).collect();
            prop_assert_eq!(got, sent);
            prop_assert_eq!(decoder.damaged, 0);
        }

        #[test]
        fn no_flipped_bit_passes(text in "[^\n\r]{1,40}", at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut bytes = frame(&text);
            let at = at.index(bytes.len() - 1);
            bytes[at] ^= 1 << bit;
            let mut decoder = Decoder::default();
            let got = texts(&mut decoder, &bytes);
            // Hexadecimal digits may change their case: the frame says the same then.
            prop_assert!(got.is_empty() || got == [text]);
        }
    }
}
