//! [`Buffer`] and [`BioVec`]: the memory that a bio reads into or writes from.
//!
//! Invariants: a buffer's length never changes; clones and splits of a bio share the buffer and differ in the offset.
//! Not here: page tables, highmem, multi-segment vectors (one buffer is one contiguous segment).

use std::sync::Arc;

use dmlab_units::{Bytes, Sectors};

use crate::sched::Task;
use crate::sched::cell::Tiny;

/// A piece of memory that bios refer to.
pub struct Buffer {
    bytes: Tiny<Vec<u8>>,
    len: Bytes,
}

impl Buffer {
    /// Zeros.
    pub fn zeroed(sectors: Sectors) -> Arc<Self> {
        let len = sectors.bytes();
        Arc::new(Self { bytes: Tiny::new(vec![0; len.0 as usize]), len })
    }

    /// How long it is.
    pub const fn len(&self) -> Bytes {
        self.len
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.len.0 == 0
    }

    /// Uses the bytes; nothing that announces an operation may run inside.
    pub fn with<R>(&self, current: &Task, use_it: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        use_it(&mut self.bytes.lock_for(current))
    }
}

/// Where in which buffer a bio's data begins.
#[derive(Clone)]
pub struct BioVec {
    /// The memory.
    pub buffer: Arc<Buffer>,
    /// Where the bio's first sector lies in it.
    pub offset: Bytes,
}

impl BioVec {
    /// All of `buffer`.
    pub const fn new(buffer: Arc<Buffer>) -> Self {
        Self { buffer, offset: Bytes::ZERO }
    }

    /// The same, `sectors` further on.
    pub fn advance(&mut self, sectors: Sectors) {
        self.offset += sectors.bytes();
    }
}
