//! How targets read their words: `sscanf`, `kstrtouint` and `struct dm_arg_set`.
//!
//! Invariants: a number is read as the kernel reads it, so that what it accepts by accident (a number that is too large
//! loses its upper bits) is accepted here too; an argument that is refused has the words of whoever asked for it.
//! Not here: devices ([`super::target::TargetArgs::device`]).

use super::target::CtrError;

/// `sscanf(text, "%llu%c", …) == 1`: decimal digits and nothing behind them. More than 64 bits lose the upper ones.
pub fn scan_u64(text: &str) -> Option<u64> {
    // A conversion skips white space before it (which only a backslash brings into an argument), and takes no sign.
    let digits = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let append = |number: u64, byte: u8| number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
    is_number.then(|| digits.bytes().fold(0, append))
}

/// `sscanf(text, "%u%c", …) == 1`: the same, of which 32 bits are kept.
pub fn scan_u32(text: &str) -> Option<u32> {
    scan_u64(text).map(|number| number as u32)
}

/// `kstrtouint(text, 10, …)`: decimal digits that fit, with a `+` before or a line break behind if need be.
pub fn kstrtouint(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let digits = digits.strip_suffix('\n').unwrap_or(digits);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// `struct dm_arg`: what a number may be, and what is said when it is not.
pub struct Arg {
    /// The least.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// The kernel's words.
    pub error: &'static str,
}

/// `struct dm_arg_set`: words that are taken one by one.
pub struct ArgSet<'a> {
    words: &'a [&'a str],
}

impl<'a> ArgSet<'a> {
    /// All of `words`.
    pub const fn new(words: &'a [&'a str]) -> Self {
        Self { words }
    }

    /// Words left.
    pub const fn argc(&self) -> usize {
        self.words.len()
    }

    /// `dm_shift_arg`.
    pub const fn shift(&mut self) -> Option<&'a str> {
        let [first, rest @ ..] = self.words else { return None };
        self.words = rest;
        Some(first)
    }

    /// `dm_read_arg`.
    ///
    /// # Errors
    /// `arg.error` when there is no word left, or it is no number, or out of range.
    pub fn read(&mut self, arg: &Arg) -> Result<u32, CtrError> {
        let number = self.shift().and_then(scan_u32).filter(|number| (arg.min..=arg.max).contains(number));
        number.ok_or_else(|| CtrError::invalid(arg.error))
    }

    /// `dm_read_arg_group`: how many words follow.
    ///
    /// # Errors
    /// As [`Self::read`], and when fewer are left.
    pub fn read_group(&mut self, arg: &Arg) -> Result<u32, CtrError> {
        let number = self.read(arg)?;
        if self.argc() < number as usize { Err(CtrError::invalid(arg.error)) } else { Ok(number) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_as_the_kernel_reads_them() {
        assert_eq!(scan_u64("18446744073709551615"), Some(u64::MAX));
        assert_eq!(scan_u64("18446744073709551616"), Some(0), "vsscanf ignores an overflow");
        assert_eq!(scan_u32("4294967297"), Some(1), "%u stores 32 bits");
        assert_eq!(scan_u32(" 7"), Some(7));
        for text in ["", " ", "-1", "+1", "1 ", "0x10", "1k", "½"] {
            assert_eq!(scan_u64(text), None, "{text:?}");
        }
        assert_eq!(kstrtouint("+4294967295\n"), Some(u32::MAX));
        for text in ["", "4294967296", "-1", " 1", "1 ", "++1", "\n"] {
            assert_eq!(kstrtouint(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_group_needs_as_many_words_as_it_announces() {
        let arg = Arg { min: 0, max: 3, error: "Invalid number" };
        let read = |words: &[&str]| ArgSet::new(words).read_group(&arg).ok();
        assert_eq!(read(&["2", "a", "b"]), Some(2));
        assert_eq!(read(&["0"]), Some(0));
        for words in [&["3", "a", "b"][..], &["4", "a", "b", "c", "d"], &["x"], &[]] {
            assert_eq!(read(words), None, "{words:?}");
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back_and_no_text_panics(number: u64, text in ".{0,24}") {
            prop_assert_eq!(scan_u64(&number.to_string()), Some(number));
            prop_assert_eq!(scan_u32(&number.to_string()), Some(number as u32));
            prop_assert_eq!(kstrtouint(&number.to_string()), u32::try_from(number).ok());
            let digits = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            prop_assert_eq!(scan_u64(&text).is_some(), is_number);
            kstrtouint(&text);
        }
    }
}
