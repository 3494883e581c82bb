//! [`Buffer`] and [`BioVec`]: the memory that a bio reads into or writes from.
//!
//! A buffer is bytes; or, where its owner only passes it on (kcopyd), pages that it shares with the ramdisk they were read
//! from, until somebody looks at the bytes. A page that is shared is never changed: whoever would write to it takes a new
//! one.
//!
//! Invariants: a buffer's length never changes; clones and splits of a bio share the buffer and differ in the offset; what
//! is read from a buffer does not depend on which of the two it is.
//! Not here: page tables, highmem, multi-segment vectors (one buffer is one contiguous segment).

use std::sync::Arc;

use dmlab_units::{Bytes, Sectors};

use super::pages::{PAGE_BYTES, Page};
use crate::sched::Task;
use crate::sched::cell::Tiny;

/// What is in a buffer.
pub(super) enum Content {
    /// Its own memory.
    Bytes(Vec<u8>),
    /// Pages; one that is missing is zeros.
    Pages(Vec<Option<Page>>),
}

impl Content {
    /// The bytes, which are the buffer's own from now on.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        if let Self::Pages(pages) = self {
            let mut bytes = vec![0; pages.len() * PAGE_BYTES];
            for (page, into) in pages.iter().zip(bytes.chunks_exact_mut(PAGE_BYTES)) {
                if let Some(page) = page {
                    into.copy_from_slice(&page[..]);
                }
            }
            *self = Self::Bytes(bytes);
        }
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Pages(_) => unreachable!("pages have just become bytes"),
        }
    }
}

/// A piece of memory that bios refer to.
pub struct Buffer {
    content: Tiny<Content>,
    len: Bytes,
}

impl Buffer {
    /// Zeros.
    pub fn zeroed(sectors: Sectors) -> Arc<Self> {
        let len = sectors.bytes();
        Arc::new(Self { content: Tiny::new(Content::Bytes(vec![0; len.0 as usize])), len })
    }

    /// Zeros, for an owner that passes on what is read into it: whole pages are shared in place of being copied. `None`
    /// where it would not be whole pages.
    pub fn of_pages(sectors: Sectors) -> Option<Arc<Self>> {
        let len = sectors.bytes();
        let pages = len.0 as usize / PAGE_BYTES;
        let is_whole = (len.0 as usize).is_multiple_of(PAGE_BYTES);
        is_whole.then(|| Arc::new(Self { content: Tiny::new(Content::Pages(vec![None; pages])), len }))
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
        self.with_content(current, |content| use_it(content.bytes()))
    }

    /// Uses what is in it, bytes or pages; nothing that announces an operation may run inside.
    pub(super) fn with_content<R>(&self, current: &Task, use_it: impl FnOnce(&mut Content) -> R) -> R {
        use_it(&mut self.content.lock_for(current))
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
