//! [`ExceptionStore`]: what a snapshot asks of its store: `struct dm_exception_store_type`; and [`create`].
//!
//! Who calls what: `prepare` under the snapshot's `pe_allocation_lock`, `commit` and the merge calls in the snapshot's
//! kcopyd worker alone, `drop_snapshot` and `usage` under the snapshot's lock held for writing, `read_metadata` in the
//! constructor.
//!
//! Invariant: the chunk size is 0 only where none was given, and until the metadata is read or handed over.
//! Not here: either of the stores.

use std::sync::Arc;

use dmlab_units::Sectors;

use super::format::{self, Exception};
use super::persistent::Persistent;
use super::transient::Transient;
use crate::block::{BlockCore, Device};
use crate::dm::Errno;
use crate::dm::args::kstrtouint;
use crate::sched::Task;
use crate::sync::Variable;

/// There is no room for another exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSpace;

/// What was found when the metadata was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// A store that can be used.
    Valid,
    /// A store that was invalidated.
    Invalid,
}

/// How full a store is, in sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// All of it.
    pub total: u64,
    /// Handed out.
    pub allocated: u64,
    /// Of that, taken by the store itself.
    pub metadata: u64,
}

/// Who is told that an exception is (not) in the store for good.
pub type CommitCallback = Box<dyn FnOnce(&Task, bool) + Send>;

/// `struct dm_exception_store`: an exception store of a snapshot.
pub trait ExceptionStore: Send + Sync {
    /// What both stores have.
    fn common(&self) -> &Common;

    /// Reads what is in the store, or makes a new one; `add` is given every exception.
    ///
    /// # Errors
    /// What the constructor of the target returns; what the kernel would print is in its log.
    fn read_metadata(&self, current: &Task, add: &mut dyn FnMut(Exception)) -> Result<Loaded, Errno>;

    /// Finds a place for one exception more: its new chunk.
    ///
    /// # Errors
    /// [`NoSpace`].
    fn prepare(&self, current: &Task) -> Result<u64, NoSpace>;

    /// Notes that an exception's data is in place (or, not `valid`, that copying it failed). `callback` is called when the
    /// exception is in the store for good, or will never be.
    fn commit(&self, current: &Task, exception: Exception, valid: bool, callback: CommitCallback);

    /// Notes that the snapshot is invalid for ever.
    fn drop_snapshot(&self, _current: &Task) {}

    /// How full it is.
    fn usage(&self, current: &Task) -> Usage;

    /// How it merges, if it can.
    fn merging(&self) -> Option<&dyn MergeStore> {
        None
    }

    /// The end: nothing is under way any more.
    fn dtr(&self, _current: &Task) {}
}

/// A run of exceptions that stand next to each other in the origin and in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeRun {
    /// The last of them.
    pub last: Exception,
    /// How many.
    pub chunks: u64,
}

/// A store that can give its exceptions back, last first.
pub trait MergeStore {
    /// `prepare_merge`: the last exceptions that can be merged with one copy; `None` when none is left.
    ///
    /// # Errors
    /// The store could not be read.
    fn prepare_merge(&self, current: &Task) -> Result<Option<MergeRun>, Errno>;

    /// `commit_merge`: the last `chunks` exceptions are in the origin now.
    ///
    /// # Errors
    /// The store could not be written.
    fn commit_merge(&self, current: &Task, chunks: u64) -> Result<(), Errno>;
}

/// What both stores have.
pub struct Common {
    /// The COW device.
    pub cow: Arc<Device>,
    /// In table lines: `P`, `PO` or `N`, but for the `O`.
    letter: &'static str,
    /// Sectors; a power of two, or 0 when not known yet.
    chunk_size: Variable,
    /// `userspace_supports_overflow`.
    overflow: Variable,
}

impl Common {
    /// For a store on `cow`.
    fn new(current: &Task, cow: Arc<Device>, letter: &'static str, chunk_size: u32) -> Self {
        let named = |part: &str| format!("{}.{part}", cow.name());
        Self {
            letter,
            chunk_size: Variable::new(current.runtime(), &named("chunk_size"), u64::from(chunk_size)),
            overflow: Variable::new(current.runtime(), &named("overflow"), 0),
            cow,
        }
    }

    /// Sectors of a chunk; 0 when not known yet.
    #[inline]
    pub fn chunk_size(&self) -> Sectors {
        Sectors(self.chunk_size.get())
    }

    /// Sets it: from the disk, or to 0 where it comes with a handover.
    pub fn set_chunk_size(&self, sectors: u32) {
        self.chunk_size.set(u64::from(sectors));
    }

    /// Whether user space knows what an overflow is (`PO`).
    pub fn overflow(&self) -> bool {
        self.overflow.get() != 0
    }

    /// Sets that: it stays with the table, not with the store, at a handover.
    pub fn set_overflow(&self, overflow: bool) {
        self.overflow.set(u64::from(overflow));
    }

    /// Its words in a table line.
    pub fn table(&self) -> String {
        format!("{}{} {}", self.letter, if self.overflow() { "O" } else { "" }, self.chunk_size())
    }
}

/// What a store is made of.
pub struct Create<'a> {
    /// The machine's block layer.
    pub core: &'a Arc<BlockCore>,
    /// Name of the snapshot, for pools and reports.
    pub name: &'a str,
    /// The COW device.
    pub cow: &'a Arc<Device>,
}

/// `dm_exception_store_create`: a store from its two words in a table line: kind and chunk size.
///
/// # Errors
/// The kernel's `ti->error`, which the targets replace by one of their own; `persistent_ctr`'s words are in the log.
pub fn create(current: &Task, make: &Create<'_>, words: &[&str]) -> Result<Arc<dyn ExceptionStore>, &'static str> {
    let &[kind, chunk_size, ..] = words else { return Err("Insufficient exception store arguments") };
    let letter = kind.chars().next().map(|letter| letter.to_ascii_uppercase());
    if !matches!(letter, Some('P' | 'N')) {
        return Err("Exception store type is not P or N");
    }
    let chunk_size = kstrtouint(chunk_size).ok_or("Invalid chunk size")?;
    if chunk_size != 0 {
        format::check_chunk_size(chunk_size)?;
    }
    if letter == Some('N') {
        let common = Common::new(current, Arc::clone(make.cow), "N", chunk_size);
        return Ok(Arc::new(Transient::new(current, common)));
    }
    let common = Common::new(current, Arc::clone(make.cow), "P", chunk_size);
    let options = &kind[1..];
    match options.chars().next().map(|option| option.to_ascii_uppercase()) {
        None => {}
        Some('O') => common.set_overflow(true),
        Some(_) => {
            let message = format!("device-mapper: persistent snapshot: Unsupported persistent store option: {options}");
            make.core.log(current, message);
            return Err("Exception store type constructor failed");
        }
    }
    Ok(Persistent::new(current, make, common))
}
