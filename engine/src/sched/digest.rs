//! [`Digest`]: what a state comes to, as 128 bits: the ground on which two states are taken for the same one.
//!
//! Two lanes of multiply-and-fold with different constants. Nobody chooses the inputs, so a collision is a matter of
//! chance: among n states about n² / 2^129.
//!
//! Invariants: the same words in the same order give the same value on every machine; a task stands in it by its
//! canonical name ([`Names`]), which does not depend on the order in which tasks were made in a run.
//! Not here: what belongs to a state (each state machine says so itself).

use super::op::{ObjectId, TaskId};

const FIRST: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xD1B5_4A32_D192_ED03];
const SECOND: [u64; 2] = [0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB];

/// 128 bits of a state, in two lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lanes([u64; 2]);

#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

impl Lanes {
    /// Nothing yet; different for each `kind` of thing.
    #[inline]
    pub const fn of(kind: u64) -> Self {
        Self([fold(kind ^ FIRST[0], SECOND[0]), fold(kind ^ FIRST[1], SECOND[1])])
    }

    /// One word more; the order of words matters.
    #[inline]
    pub const fn word(&mut self, word: u64) {
        self.0[0] = fold(self.0[0] ^ word ^ FIRST[0], SECOND[0]).wrapping_add(word);
        self.0[1] = fold(self.0[1].rotate_left(29) ^ word ^ FIRST[1], SECOND[1]);
    }

    /// Another value as words.
    #[inline]
    pub const fn lanes(&mut self, other: Self) {
        self.word(other.0[0]);
        self.word(other.0[1]);
    }

    /// One member more of a set: the order of members does not matter.
    #[inline]
    pub const fn add(&mut self, member: Self) {
        self.0[0] = self.0[0].wrapping_add(member.0[0]);
        self.0[1] = self.0[1].wrapping_add(member.0[1]);
    }

    /// One member less.
    #[inline]
    pub const fn subtract(&mut self, member: Self) {
        self.0[0] = self.0[0].wrapping_sub(member.0[0]);
        self.0[1] = self.0[1].wrapping_sub(member.0[1]);
    }

    /// Half of it.
    #[inline]
    pub const fn short(self) -> u64 {
        self.0[0]
    }

    /// All of it.
    #[inline]
    pub const fn key(self) -> [u64; 2] {
        self.0
    }
}

/// A text as one word.
pub fn word_of(text: &str) -> u64 {
    let mut lanes = Lanes::of(text.len() as u64);
    for chunk in text.as_bytes().chunks(8) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        lanes.word(u64::from_le_bytes(bytes));
    }
    lanes.short()
}

/// Bytes as one word.
pub fn word_of_bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut value = FIRST[0] ^ bytes.len() as u64;
    for word in words {
        value = fold(value ^ u64::from_le_bytes(*word), SECOND[0]).wrapping_add(value.rotate_left(17));
    }
    rest.iter().fold(value, |value, byte| fold(value ^ u64::from(*byte), SECOND[1]))
}

/// Knows the canonical name of every task of a run.
pub trait Names {
    /// A number that depends on who spawned the task and as which of its children, and on nothing else.
    fn canonical(&self, task: TaskId) -> u64;

    /// A number that depends on who made the object and as which of its objects, and on nothing else.
    fn object(&self, object: ObjectId) -> u64;
}

/// Data of which a state is told by what is in it, not by how it came about.
pub trait Content {
    /// Takes in all that later uses of the data can depend on, and nothing else; order only where order matters.
    fn digest(&self, into: &mut Digest<'_>);
}

/// What a use of shared data tells the task that uses it.
pub trait Answer {
    /// Takes in all that the task's further course can depend on.
    fn digest(&self, into: &mut Digest<'_>);
}

impl Answer for () {
    fn digest(&self, _into: &mut Digest<'_>) {}
}

impl Answer for bool {
    fn digest(&self, into: &mut Digest<'_>) {
        into.word(u64::from(*self));
    }
}

impl Answer for u64 {
    fn digest(&self, into: &mut Digest<'_>) {
        into.word(*self);
    }
}

impl Answer for usize {
    fn digest(&self, into: &mut Digest<'_>) {
        into.word(*self as u64);
    }
}

impl<A: Answer, B: Answer> Answer for (A, B) {
    fn digest(&self, into: &mut Digest<'_>) {
        self.0.digest(into);
        self.1.digest(into);
    }
}

impl<T: Answer, E: Answer> Answer for Result<T, E> {
    fn digest(&self, into: &mut Digest<'_>) {
        into.word(u64::from(self.is_ok()));
        match self {
            Ok(answer) => answer.digest(into),
            Err(error) => error.digest(into),
        }
    }
}

impl<T: Answer> Answer for Option<T> {
    fn digest(&self, into: &mut Digest<'_>) {
        into.word(u64::from(self.is_some()));
        if let Some(answer) = self {
            answer.digest(into);
        }
    }
}

/// Takes in the state of one object.
pub struct Digest<'a> {
    lanes: Lanes,
    names: &'a dyn Names,
    statistics: Statistics,
}

/// Which counts that decide nothing in a run are part of its state all the same, because somebody judges by them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The most elements of a pool that were out at once.
    pub peaks: bool,
    /// How often something happened.
    pub counts: bool,
}

impl Statistics {
    /// None of them.
    pub const NONE: Self = Self { peaks: false, counts: false };
}

impl<'a> Digest<'a> {
    /// Of an object; `statistics` are part of what is asked about it.
    #[inline]
    pub fn new(names: &'a dyn Names, statistics: Statistics) -> Self {
        Self { lanes: Lanes::of(1), names, statistics }
    }

    /// One word; the order of words matters.
    #[inline]
    pub fn word(&mut self, word: u64) {
        self.lanes.word(word);
    }

    /// A task, by its canonical name.
    #[inline]
    pub fn task(&mut self, task: TaskId) {
        self.lanes.word(self.names.canonical(task));
    }

    /// An object, by its canonical name.
    #[inline]
    pub fn object(&mut self, object: ObjectId) {
        self.lanes.word(self.names.object(object));
    }

    /// Tasks whose order does not matter, each with a word.
    #[inline]
    pub fn set(&mut self, members: impl IntoIterator<Item = (TaskId, u64)>) {
        let mut sum = Lanes::default();
        for (task, word) in members {
            let mut member = Lanes::of(self.names.canonical(task));
            member.word(word);
            sum.add(member);
        }
        self.lanes.lanes(sum);
    }

    /// Which statistics are part of the state.
    #[inline]
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// What it came to.
    #[inline]
    pub const fn finish(self) -> Lanes {
        self.lanes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Backwards;

    impl Names for Backwards {
        fn canonical(&self, task: TaskId) -> u64 {
            100 - u64::from(task.0)
        }

        fn object(&self, object: ObjectId) -> u64 {
            u64::from(object.0)
        }
    }

    #[test]
    fn words_are_ordered_and_sets_are_not() {
        let of = |words: &[u64]| {
            let mut lanes = Lanes::of(0);
            words.iter().for_each(|word| lanes.word(*word));
            lanes
        };
        assert_ne!(of(&[1, 2]), of(&[2, 1]));
        assert_ne!(of(&[0]), of(&[0, 0]));
        let set = |tasks: &[u32]| {
            let mut digest = Digest::new(&Backwards, Statistics::NONE);
            digest.set(tasks.iter().map(|task| (TaskId(*task), 0)));
            digest.finish()
        };
        assert_eq!(set(&[1, 2, 3]), set(&[3, 1, 2]));
        assert_ne!(set(&[1, 2]), set(&[1, 3]));
    }

    #[test]
    fn tasks_count_by_their_canonical_names() {
        let mut digest = Digest::new(&Backwards, Statistics::NONE);
        digest.task(TaskId(1));
        let mut by_word = Digest::new(&Backwards, Statistics::NONE);
        by_word.word(99);
        assert_eq!(digest.finish(), by_word.finish());
    }

    #[test]
    fn what_is_added_and_subtracted_leaves_nothing() {
        let mut sum = Lanes::of(7);
        sum.add(Lanes::of(8));
        sum.subtract(Lanes::of(8));
        assert_eq!(sum, Lanes::of(7));
    }

    #[test]
    fn texts_and_bytes_of_different_length_differ() {
        assert_ne!(word_of("a"), word_of("a\0"));
        assert_ne!(word_of_bytes(&[0; 8]), word_of_bytes(&[0; 16]));
        assert_ne!(word_of_bytes(&[0, 1]), word_of_bytes(&[1, 0]));
    }
}
