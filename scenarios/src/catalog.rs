//! The scenarios that are shipped: every `*.yaml` below `catalog/`, built into the crate.
//!
//! Invariants: sorted by path; a scenario's name is its path without the ending (a test holds the catalogue to it).
//! Not here: choosing among them (the harness).

use crate::{Diagnostics, Document};

/// A shipped scenario file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogEntry {
    /// Path below `catalog/`, e.g. `bio/split-order.yaml`.
    pub path: &'static str,
    /// What the file says.
    pub text: &'static str,
}

impl CatalogEntry {
    /// The scenario's name, without reading the text.
    pub fn id(&self) -> &'static str {
        self.path.strip_suffix(".yaml").unwrap_or(self.path)
    }

    /// The file as a document, named as it is found from the root of the repository.
    ///
    /// # Errors
    /// As [`Document::parse`]; never for a catalogue that passed its tests.
    pub fn parse(&self) -> Result<Document, Diagnostics> {
        Document::parse(&format!("scenarios/catalog/{}", self.path), self.text)
    }
}

include!(concat!(env!("OUT_DIR"), "/catalog.rs"));

/// Every shipped scenario, sorted by path.
pub fn catalog() -> &'static [CatalogEntry] {
    CATALOG
}
