//! Exception stores: where a snapshot keeps which chunk it has copied to where, and the copies (dm-spec §5.3).
//!
//! Reading order: [`format`](mod@format) (the bytes on the disk, no engine in it), [`store`] (what a snapshot asks of a
//! store), [`transient`] (`N`), [`persistent`] (`P`, `PO`), `commit` and `merge` (its two ways of writing).
//!
//! Invariants: a chunk is handed out once; a store that has failed or was dropped stays invalid.
//! Not here: the tables of exceptions in memory, and who waits for them (the snapshot targets).

mod commit;
pub mod format;
mod merge;
pub mod persistent;
pub mod store;
pub mod transient;

pub use format::Exception;
pub use store::{Create, ExceptionStore, Loaded, NoSpace, Usage, create};
