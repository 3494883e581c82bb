//! What dmlab writes, so that it can tell whatever it reads back: each sector says which device it was written to,
//! where, and in which generation, and every byte of it is checked.
//!
//! Invariants: two sectors with different [`Label`]s differ; a damaged sector is recognised in every byte; a foreign
//! sector that is whole is told by its own label.

use dmlab_units::{SECTOR_BYTES, Sectors, Seed};

const MAGIC: u64 = 0x646D_6C61_6221_0001;
const WORDS: usize = SECTOR_BYTES as usize / 8;
const HEAD_WORDS: usize = 4;

/// What a sector says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label {
    /// Which device, as a hash of its name.
    pub device: u64,
    /// Which sector of it.
    pub sector: Sectors,
    /// Which writing of it.
    pub generation: u64,
}

impl Label {
    /// The label of sectors of `device`, under the run's seed.
    pub(super) fn new(seed: Seed, device: &str, sector: Sectors, generation: u64) -> Self {
        Self { device: seed.derive(device).0, sector, generation }
    }

    /// All words of such a sector: four that say what it is, then what they decide. A plain progression: an exploration
    /// writes and reads thousands of sectors in a second, and no two labels share first word and difference.
    fn words(self) -> [u64; WORDS] {
        let seed = Seed(self.device ^ self.sector.0.rotate_left(20) ^ self.generation.rotate_left(44));
        let (mut next, difference) = (seed.nth(0).0, seed.nth(1).0 | 1);
        let mut words = [MAGIC; WORDS];
        (words[1], words[2], words[3]) = (self.device, self.sector.0, self.generation);
        for word in &mut words[HEAD_WORDS..] {
            *word = next;
            next = next.wrapping_add(difference);
        }
        words
    }

    fn read(sector: &[u8]) -> Option<Self> {
        let word = |index: usize| u64::from_le_bytes(sector[index * 8..][..8].try_into().expect("eight bytes"));
        let label = Self { device: word(1), sector: Sectors(word(2)), generation: word(3) };
        (word(0) == MAGIC && matches(sector, label).is_none()).then_some(label)
    }

    fn later(self, sectors: u64) -> Self {
        Self { sector: Sectors(self.sector.0 + sectors), ..self }
    }
}

/// The first byte that is not as labelled.
fn matches(sector: &[u8], label: Label) -> Option<usize> {
    let words = label.words();
    let differences =
        sector.as_chunks::<8>().0.iter().zip(&words).map(|(found, wanted)| u64::from_le_bytes(*found) ^ wanted);
    // Nearly every sector is as it should be, which is known without looking for the place.
    if differences.clone().fold(0, |any, difference| any | difference) == 0 {
        return None;
    }
    let (index, difference) = differences.enumerate().find(|(_, difference)| *difference != 0)?;
    Some(index * 8 + difference.trailing_zeros() as usize / 8)
}

/// Fills whole sectors, the first of them labelled `first` and each later one a sector further.
pub(super) fn fill(memory: &mut [u8], first: Label) {
    for (number, sector) in memory.chunks_exact_mut(SECTOR_BYTES as usize).enumerate() {
        let label = first.later(number as u64);
        for (bytes, word) in sector.as_chunks_mut::<8>().0.iter_mut().zip(label.words()) {
            *bytes = word.to_le_bytes();
        }
    }
}

/// Checks whole sectors; the error says which sector holds what instead.
pub(super) fn check(memory: &[u8], first: Label, device: &str) -> Result<(), String> {
    for (number, sector) in memory.chunks_exact(SECTOR_BYTES as usize).enumerate() {
        let wanted = first.later(number as u64);
        let Some(byte) = matches(sector, wanted) else { continue };
        let found = match Label::read(sector) {
            Some(label) if label.device == wanted.device && label.sector == wanted.sector => {
                format!("generation {} in place of {}", label.generation, wanted.generation)
            }
            Some(label) if label.device == wanted.device => format!("what belongs to sector {}", label.sector),
            Some(label) => format!("what was written to another device, sector {}", label.sector),
            None if sector.iter().all(|byte| *byte == 0) => "zeros".to_owned(),
            None => format!("damage from byte {byte} on"),
        };
        return Err(format!("sector {} of {device} holds {found}", wanted.sector));
    }
    Ok(())
}

/// Checks whole sectors from `first` on, each of which may be any of the writings labelled; the error says which sector
/// holds what instead.
pub(super) fn check_any(memory: &[u8], labels: &[Label], first: Sectors, device: &str) -> Result<(), String> {
    if let [label] = labels {
        return check(memory, Label { sector: first, ..*label }, device);
    }
    for (number, sector) in memory.chunks_exact(SECTOR_BYTES as usize).enumerate() {
        let at = |label: &Label| Label { sector: Sectors(first.0 + number as u64), ..*label };
        if labels.iter().all(|label| matches(sector, at(label)).is_some()) {
            let last = labels.last().map(at).expect("a sector of which something is known has a label");
            return check(sector, last, device)
                .map_err(|error| format!("{error} or another of {} writings", labels.len()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(sector: u64) -> Label {
        Label::new(Seed(1), "t", Sectors(sector), 3)
    }

    #[test]
    fn what_was_filled_is_recognised_and_nothing_else_is() {
        let mut memory = vec![0; 4 * 512];
        assert_eq!(check(&memory, label(8), "t"), Err("sector 8 of t holds zeros".to_owned()));
        fill(&mut memory, label(8));
        assert_eq!(check(&memory, label(8), "t"), Ok(()));
        assert_eq!(check(&memory, label(9), "t").unwrap_err(), "sector 9 of t holds what belongs to sector 8");
        let other = Label::new(Seed(1), "u", Sectors(8), 3);
        assert!(check(&memory, other, "u").unwrap_err().contains("another device, sector 8"));
        let old = Label { generation: 4, ..label(8) };
        assert!(check(&memory, old, "t").unwrap_err().contains("generation 3 in place of 4"));
    }

    #[test]
    fn a_flip_of_any_byte_is_seen() {
        let mut memory = vec![0; 512];
        fill(&mut memory, label(0));
        for byte in 0..512 {
            memory[byte] ^= 1;
            assert!(check(&memory, label(0), "t").is_err(), "byte {byte}");
            memory[byte] ^= 1;
        }
    }
}
