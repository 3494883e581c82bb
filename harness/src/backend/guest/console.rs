//! [`Console`]: what a guest's kernel printed, as much of it as is of use.
//!
//! Invariants: it holds at most [`HEAD_BYTES_MAX`] of the beginning and [`TAIL_BYTES_MAX`] of the end, whatever a guest
//! prints; what was left out is counted and said.
//! Not here: patterns beyond those of a kernel's death (the detectors look in the guest).

use std::collections::VecDeque;

const HEAD_BYTES_MAX: usize = 64 << 10;
const TAIL_BYTES_MAX: usize = 256 << 10;

/// Marks of a kernel that is dying; what follows the first of them is the report.
const DEATH: &[&str] = &["BUG: ", "kernel BUG at", "Oops: ", "general protection fault", "Kernel panic - not syncing"];

/// So many lines of a report are shown.
const REPORT_LINES_MAX: usize = 60;

/// So many characters of a line are shown: a flood may have no newlines.
const LINE_CHARS_MAX: usize = 300;

/// What was printed.
#[derive(Clone, Debug, Default)]
pub struct Console {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Console {
    /// Takes in what was printed.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let to_head = bytes.len().min(HEAD_BYTES_MAX - self.head.len());
        self.head.extend_from_slice(&bytes[..to_head]);
        self.tail.extend(&bytes[to_head..]);
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES_MAX);
        self.tail.drain(..surplus);
    }

    /// How many bytes were printed.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// All that was kept, as text of whole lines.
    pub fn text(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        let left_out = self.total - self.head.len() as u64 - tail.len() as u64;
        let mut text = String::from_utf8_lossy(&self.head).into_owned();
        if left_out > 0 {
            text.push_str(&format!("\n… {left_out} bytes are left out …\n"));
        }
        text.push_str(&String::from_utf8_lossy(&tail));
        // The terminal's own language (the firmware clears the screen) is of no use in a file.
        let printable = |c: char| c == '\n' || c == '\t' || !c.is_control();
        text.replace("\r\n", "\n").chars().filter(|c| printable(*c)).collect()
    }

    /// The last `lines` lines, each cut at [`LINE_CHARS_MAX`].
    pub fn last(&self, lines: usize) -> String {
        let text = self.text();
        let all: Vec<&str> = text.lines().collect();
        shown(&all[all.len().saturating_sub(lines)..])
    }

    /// What the kernel said when it died, if it did, in lines cut as those of [`Self::last`].
    pub fn death(&self) -> Option<String> {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        let at = lines.iter().position(|line| DEATH.iter().any(|mark| line.contains(mark)))?;
        let report = &lines[at..lines.len().min(at + REPORT_LINES_MAX)];
        Some(shown(report))
    }

    /// Whether the kernel has given up.
    pub fn has_panicked(&self) -> bool {
        self.text().contains("Kernel panic - not syncing")
    }

    /// Whether it has for want of memory.
    pub fn is_out_of_memory(&self) -> bool {
        self.text().contains("Kernel panic - not syncing: System is deadlocked on memory")
    }
}

fn shown(lines: &[&str]) -> String {
    let cut: Vec<String> = lines.iter().map(|line| line.chars().take(LINE_CHARS_MAX).collect()).collect();
    cut.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_in_the_middle_and_says_so() {
        let mut console = Console::default();
        console.feed(b"the beginning\n");
        for _ in 0..100_000 {
            console.feed(b"the same line again and again\n");
        }
        console.feed(b"the end\n");
        let text = console.text();
        assert!(text.len() < HEAD_BYTES_MAX + TAIL_BYTES_MAX + 100, "{}", text.len());
        assert!(text.starts_with("the beginning\n") && text.ends_with("the end\n"));
        assert!(text.contains("bytes are left out"));
        assert_eq!(console.total(), 3_000_022);
        assert_eq!(console.last(1), "the end");
    }

    #[test]
    fn a_line_without_end_is_shown_in_part() {
        let mut console = Console::default();
        console.feed(&[b'y'; 100_000]);
        assert_eq!(console.last(5).len(), LINE_CHARS_MAX);
        console.feed(b"Kernel panic - not syncing");
        assert_eq!(console.death().map(|death| death.len()), Some(LINE_CHARS_MAX));
    }

    #[test]
    fn a_death_is_told_from_its_first_line_on() {
        let mut console = Console::default();
        console.feed(b"[ 1.0] all is well\r\n[ 2.0] BUG: kernel NULL pointer dereference\r\n[ 2.0] RIP: x\r\n");
        assert!(!console.has_panicked());
        console.feed(b"[ 2.1] Kernel panic - not syncing: Fatal exception\r\n");
        assert!(console.has_panicked());
        let death = console.death().unwrap();
        assert!(death.starts_with("[ 2.0] BUG: kernel NULL") && death.contains("RIP: x"), "{death}");
        assert_eq!(Console::default().death(), None);
    }

    #[test]
    fn control_characters_are_left_out() {
        let mut console = Console::default();
        console.feed(b"\x1b[2Ja\x07b\r\n");
        assert_eq!(console.text(), "[2Jab\n");
    }
}
