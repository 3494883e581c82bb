//! [`Transient`]: the store of snapshots that end with the machine (`N`): a cursor in memory.
//!
//! Invariants: chunks are handed out in order, from 0; an exception is committed as soon as its data is in place.
//! Not here: merging, which needs a list of exceptions to go through.

use super::format::Exception;
use super::store::{CommitCallback, Common, ExceptionStore, Loaded, NoSpace, Usage};
use crate::dm::Errno;
use crate::sched::Task;
use crate::sync::Variable;

/// `struct transient_c`.
pub struct Transient {
    common: Common,
    /// In sectors.
    next_free: Variable,
}

impl Transient {
    pub(super) fn new(current: &Task, common: Common) -> Self {
        let name = format!("{}.next_free", common.cow.name());
        Self { common, next_free: Variable::new(current.runtime(), &name, 0) }
    }
}

impl ExceptionStore for Transient {
    fn common(&self) -> &Common {
        &self.common
    }

    fn read_metadata(&self, _current: &Task, _add: &mut dyn FnMut(Exception)) -> Result<Loaded, Errno> {
        Ok(Loaded::Valid)
    }

    fn prepare(&self, _current: &Task) -> Result<u64, NoSpace> {
        let (next_free, chunk) = (self.next_free.get(), self.common.chunk_size().0);
        if self.common.cow.capacity().0 < next_free + chunk {
            return Err(NoSpace);
        }
        self.next_free.set(next_free + chunk);
        Ok(next_free / chunk)
    }

    fn commit(&self, current: &Task, _exception: Exception, valid: bool, callback: CommitCallback) {
        callback(current, valid);
    }

    fn usage(&self, _current: &Task) -> Usage {
        Usage { total: self.common.cow.capacity().0, allocated: self.next_free.get(), metadata: 0 }
    }
}
