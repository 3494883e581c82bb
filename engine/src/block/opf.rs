//! [`Opf`]: what a bio asks for, in one word: the kernel's `bi_opf`, operation and `REQ_*` modifiers together.
//!
//! The word was called `bi_rw` until 4.8 (1eff9d322a44 renamed it), and who wrote `bi_rw = flags` had wiped out the
//! operation: a write became a read. The field is private for that reason, and [`Opf::set_flags`] looks (dm-spec S24).
//!
//! Invariants: the operation stands in the low bits and the modifiers above them; changing the modifiers leaves the
//! operation as it is, or is a `BUG`.
//! Not here: zone operations, priorities, integrity.

use crate::sched::Task;
use crate::variants::Planted;

/// Bits of the word that hold the operation (`REQ_OP_BITS`).
const OP_BITS: u32 = 8;
const OP_MASK: u32 = (1 << OP_BITS) - 1;

/// What a bio asks for: the kernel's `REQ_OP_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BioOp {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Empty flush: to a bio-based driver the kernel gives a write without data with [`BioFlags::PREFLUSH`].
    Flush,
    /// The sectors are no longer needed.
    Discard,
    /// The same, and nobody must be able to read them.
    SecureErase,
    /// The sectors are zeros from now on; no data comes along.
    WriteZeroes,
}

impl BioOp {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Write, Self::Flush, Self::Discard, Self::SecureErase, Self::WriteZeroes];

    /// Lower case, for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Flush => "flush",
            Self::Discard => "discard",
            Self::SecureErase => "secure-erase",
            Self::WriteZeroes => "write-zeroes",
        }
    }

    /// The kernel's number.
    const fn number(self) -> u32 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Flush => 2,
            Self::Discard => 3,
            Self::SecureErase => 5,
            Self::WriteZeroes => 9,
        }
    }

    /// `bio_has_data`: whether it moves bytes to or from memory.
    pub const fn has_data(self) -> bool {
        matches!(self, Self::Read | Self::Write)
    }

    /// `is_abnormal_io`: what dm sends to targets on terms of their own.
    pub const fn is_abnormal(self) -> bool {
        matches!(self, Self::Discard | Self::SecureErase | Self::WriteZeroes)
    }
}

bitflags::bitflags! {
    /// The kernel's `REQ_*` modifiers, less the operation's bits: with them, where Linux 6.12 has them in `bi_opf`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct BioFlags: u32 {
        /// Forced unit access: on the medium before it ends.
        const FUA = 1 << 9;
        /// Flush first.
        const PREFLUSH = 1 << 10;
        /// Somebody waits for it.
        const SYNC = 1 << 3;
        /// Read ahead: may fail at any time.
        const RAHEAD = 1 << 11;
        /// Fail with -EAGAIN rather than wait.
        const NOWAIT = 1 << 13;
        /// Not to be merged: the head of a split.
        const NOMERGE = 1 << 6;
        /// Swap.
        const SWAP = 1 << 16;
    }
}

/// An operation and its modifiers in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opf(u32);

impl Opf {
    /// `op` with `flags`.
    pub const fn new(op: BioOp, flags: BioFlags) -> Self {
        Self(op.number() | flags.bits() << OP_BITS)
    }

    /// `bio_op`.
    #[inline]
    pub const fn op(self) -> BioOp {
        match self.0 & OP_MASK {
            0 => BioOp::Read,
            1 => BioOp::Write,
            2 => BioOp::Flush,
            3 => BioOp::Discard,
            5 => BioOp::SecureErase,
            _ => BioOp::WriteZeroes,
        }
    }

    /// The whole word, as Linux 6.12 lays it out: for masks in table lines.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The modifiers.
    #[inline]
    pub const fn flags(self) -> BioFlags {
        BioFlags::from_bits_truncate(self.0 >> OP_BITS)
    }

    /// Replaces the modifiers. `planted` is the machine's bug: [`Planted::FlagsClobberOp`] assigns the whole word.
    pub fn set_flags(&mut self, current: &Task, planted: Planted, flags: BioFlags) {
        let op = self.op();
        self.0 = match planted {
            Planted::FlagsClobberOp => flags.bits() << OP_BITS,
            _ => self.0 & OP_MASK | flags.bits() << OP_BITS,
        };
        if self.op() != op {
            let (was, is) = (op.name(), self.op().name());
            current.bug(format!("bi_opf: setting flags made a {is} of a {was}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_that_of_linux_6_12() {
        assert_eq!(Opf::new(BioOp::Write, BioFlags::FUA | BioFlags::SYNC).bits(), 1 | 1 << 17 | 1 << 11);
        assert_eq!(Opf::new(BioOp::WriteZeroes, BioFlags::PREFLUSH).bits(), 9 | 1 << 18);
        assert_eq!(Opf::new(BioOp::Read, BioFlags::RAHEAD | BioFlags::NOWAIT).bits(), 1 << 19 | 1 << 21);
        assert_eq!(Opf::new(BioOp::Discard, BioFlags::NOMERGE | BioFlags::SWAP).bits(), 3 | 1 << 14 | 1 << 24);
    }

    #[test]
    fn every_operation_comes_back_with_every_set_of_flags() {
        for op in BioOp::ALL {
            for bits in 0..=BioFlags::all().bits() {
                let flags = BioFlags::from_bits_truncate(bits);
                let opf = Opf::new(op, flags);
                assert_eq!((opf.op(), opf.flags()), (op, flags));
            }
        }
    }
}
