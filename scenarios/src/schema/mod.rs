//! The scenario language as a JSON schema, for editors: which keys there are, what they mean, what may stand there.
//!
//! The checker (`check`) decides what is valid; this is a second description of the same language, made of data. What
//! holds the two together is a test (`tests`): it puts an unknown key into every map of many scenarios, and a wrong
//! word in place of every word, and what the checker then says is allowed must be what the description says. So
//! whoever teaches the checker a new key and forgets it here, or the other way round, is told.
//!
//! Invariants: whatever the checker accepts, the schema accepts; what the schema refuses, the checker refuses. What
//! takes more than one value to know (whether a device exists, whether a range lies in it) only the checker finds.
//! Reading order: `words` (what descriptions are made of), `head`, `steps`, `load`, `fault`, `power`, `expect` (the language),
//! `texts` (single values), `print` (JSON).
//! Not here: which axes an engine has: the harness passes them in.

mod expect;
mod fault;
mod head;
mod load;
mod power;
mod print;
mod snapshot;
mod steps;
#[cfg(test)]
mod tests;
mod texts;
mod words;

pub use print::{AxisWords, schema};
