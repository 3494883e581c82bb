//! `Job`: `struct kcopyd_job`: one copy, one piece of a large copy, or nothing but a callback.
//!
//! Invariants: a job stands in at most one list; it carries the element of its pool if it is not a piece of another;
//! an error is never forgotten, however often the job goes round.
//! Not here: the memory of a job (its element is a token), the lists.

use std::sync::Arc;

use dmlab_units::Sectors;

use super::split::Master;
use crate::block::{BioOp, Buffer};
use crate::dm::io_client::Region;
use crate::sched::{ObjectId, Task};
use crate::sync::mempool::Element;

/// What a job takes of `kcopyd_job`'s slab: a job and its eight pieces, 368 bytes each (64 bit, 4.13 to 6.12).
pub const JOB_BYTES: u64 = 368 * (super::split::SPLIT_COUNT as u64 + 1);

bitflags::bitflags! {
    /// How to copy.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct CopyFlags: u32 {
        /// `DM_KCOPYD_IGNORE_ERROR`: goes on after an error; it is told in the end.
        const IGNORE_ERROR = 1;
        /// `DM_KCOPYD_WRITE_SEQ`: pieces are written in the order of their sectors.
        const WRITE_SEQ = 1 << 1;
    }
}

/// How a copy ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyResult {
    /// The source could not be read.
    pub read_err: bool,
    /// A bit per destination that could not be written; all bits when writing was given up.
    pub write_err: u64,
}

impl CopyResult {
    /// Whether all of it was copied.
    pub const fn is_ok(self) -> bool {
        !self.read_err && self.write_err == 0
    }
}

/// Who is told, in the client's worker.
pub type Callback = Box<dyn FnOnce(&Task, CopyResult) + Send>;

/// `dm_kcopyd_prepare_callback`: a job that waits to be told how something else ended.
pub struct PreparedCallback(pub(super) Box<Job>);

/// What is done when a job has completed.
pub(super) enum Done {
    /// Tell the client's user.
    Callback(Callback),
    /// A piece of a large job: `segment_complete`.
    Segment(Arc<Master>),
}

/// The memory of a job.
#[derive(Default)]
pub(super) enum Pages {
    /// None yet, or none needed.
    #[default]
    None,
    /// Zeros, in memory if the destinations cannot make them by themselves.
    Zero(Option<Arc<Buffer>>),
    /// Its own, with their places in the pool.
    Own(Arc<Buffer>, Vec<Element>),
}

/// `struct kcopyd_job`.
pub(super) struct Job {
    /// By which a search tells it from others.
    pub(super) id: ObjectId,
    /// How.
    pub(super) flags: CopyFlags,
    /// What its next I/O does.
    pub(super) op: BioOp,
    /// Where it reads; `None` for zeros.
    pub(super) source: Option<Region>,
    /// How much.
    pub(super) count: Sectors,
    /// Where it writes.
    pub(super) dests: Vec<Region>,
    /// Its memory.
    pub(super) pages: Pages,
    /// What went wrong so far.
    pub(super) result: CopyResult,
    /// Where in the large job this piece begins.
    pub(super) write_offset: Sectors,
    /// The job's place in the pool; a piece has none.
    pub(super) element: Option<Element>,
    /// Who is told.
    pub(super) done: Done,
}

impl Job {
    /// A name for a new job.
    pub(super) fn name(current: &Task) -> ObjectId {
        current.runtime().register("job", "kcopyd_job")
    }

    /// A job about nothing, which tells `callback`.
    pub(super) fn callback(current: &Task, element: Element, callback: Callback) -> Box<Self> {
        Box::new(Self {
            id: Self::name(current),
            flags: CopyFlags::empty(),
            op: BioOp::Read,
            source: None,
            count: Sectors::ZERO,
            dests: Vec::new(),
            pages: Pages::None,
            result: CopyResult::default(),
            write_offset: Sectors::ZERO,
            element: Some(element),
            done: Done::Callback(callback),
        })
    }

    /// The large job that this one is a piece of.
    pub(super) const fn master(&self) -> Option<&Arc<Master>> {
        match &self.done {
            Done::Segment(master) => Some(master),
            Done::Callback(_) => None,
        }
    }
}
