//! Kernels that guests can boot: where they lie, what they are called, and how they get there.
//!
//! Reading order: [`store`] (a folder of kernels, found by name; any other by its path), [`image`] (what a kernel image
//! says of itself), [`modules`] (which modules a guest gets, in dependency order), [`mod@fetch`] (Debian's cloud kernels),
//! [`mod@build`] (kernels that watch, and such with an old bug: [`edits`]),
//! [`tools`] (other programs, and which command installs them), `child` (running one).
//!
//! Invariants: a kernel in the store is whole, or it is not there; its record says what it was made from, so that the same
//! inputs are not fetched or built twice. Nothing here needs root.
//! Not here: booting (`backend::guest`); the command line (`cli`).

pub mod build;
mod child;
pub mod edits;
pub mod fetch;
pub mod image;
pub mod modules;
pub mod store;
pub mod tools;

pub use build::{BuildError, BuildWishes, build};
pub use edits::{Edits, mutation_of, mutation_of_release};
pub use fetch::{STOCK, fetch};
pub use store::{Kernel, Store, StoreError};
pub use tools::{ToolError, Tools};
