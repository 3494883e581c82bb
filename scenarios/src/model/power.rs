//! What a power cut is, and what must have survived it.
//!
//! Not here: carrying it out (the harness), what a volatile cache loses (the engine).

use dmlab_units::{Bytes, Sectors};

use super::{Extent, Step};

/// The volatile write cache of a leaf device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct VolatileCache {
    /// What is written back as a whole or not at all: a power of two from 512 to 4096.
    pub atomic: Bytes,
}

/// The power goes while steps are under way; then everything is stopped, and the power comes back.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PowerCut {
    /// When it goes; at the end of the steps, if it has not gone before.
    pub at: CutAt,
    /// What of the volatile caches is lost.
    pub loses: Loses,
    /// What is under way.
    pub steps: Vec<Step>,
}

/// When the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutAt {
    /// In front of any write or flush of a leaf device.
    Any,
    /// When the steps have ended.
    End,
    /// In front of the write or flush of this number, from 1.
    Nth(u64),
    /// In front of one of so many first ones.
    Within(u32),
}

/// What of volatile caches is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loses {
    /// Any part.
    Any,
    /// All of it.
    All,
    /// None of it.
    Nothing,
}

/// What must be found after a power cut.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Survives {
    /// Where it was stamped.
    pub of: Extent,
    /// What each sector holds instead that was not made durable: what was stamped on this device; `None` is anything.
    pub over: Option<String>,
    /// Which device it must be found on.
    pub on: String,
    /// From which sector of that device.
    pub at: Sectors,
}
