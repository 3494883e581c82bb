//! Units as types: one newtype, one parser and one display per quantity.
//!
//! Reading order: [`Sectors`] and [`Bytes`] (space), [`Nanos`] (time), [`Seed`] (chance).
//!
//! Serialised, a count is a number and a quantity with a unit is its text.
//!
//! Invariants: no arithmetic across units without a named conversion; a value that was parsed from text prints
//! as text that parses to the same value; nothing here panics on any input text.
//! Not here: anything that knows what a device, a bio or a scenario is.

mod bytes;
mod exponential;
mod nanos;
mod sectors;
mod seed;

pub use bytes::Bytes;
pub use nanos::Nanos;
pub use sectors::{SECTOR_BYTES, Sectors};
pub use seed::{Rng, Seed};

/// Why a text is not a quantity of the wanted unit. The message says what was found and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {wanted}")]
pub struct ParseUnitError {
    /// The text as it was given.
    pub found: String,
    /// What would have been right, e.g. `a size such as 4096, 4k, 64KiB or 1MiB`.
    pub wanted: &'static str,
}

/// Splits `text` into its decimal number and its suffix; `None` if it does not start with a digit.
/// Underscores between digits are allowed, as in `1_000`.
fn number_and_suffix(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '_')).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let number = digits.replace('_', "").parse().ok()?;
    Some((number, suffix))
}
