//! Which records are the shards of one campaign, and [`MergeError`], why others are not.
//!
//! Invariants: shards come back in their own order, whatever the order of the records; a difference is told with the
//! field and what both sides say.
//! Not here: putting them together (`merge`).

use std::fmt;

use serde_json::Value;

use crate::cell::ShardRecord;
use crate::{CellRecord, Exploration, Proof, Record};

/// Why records cannot be put together. Records are numbered by their place, from 0; [`MergeError::in_words`] puts the
/// names of files there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeError {
    /// There is no record at all.
    Nothing,
    /// A record is no shard.
    NotAShard {
        /// Its place.
        record: usize,
        /// Why not.
        why: String,
    },
    /// Two records are not of the same campaign.
    Differ {
        /// The place of the one.
        record: usize,
        /// The place of the other.
        other: usize,
        /// In what, e.g. `seed` or `cells[2].plan.explore.strategy`.
        field: String,
        /// What the one says.
        found: String,
        /// What the other says.
        wanted: String,
    },
    /// Two records are the same shard.
    Twice {
        /// The place of the one.
        record: usize,
        /// The place of the other.
        other: usize,
        /// Which shard.
        shard: ShardRecord,
    },
}

impl MergeError {
    /// The message, with records called as `name` says.
    pub fn in_words(&self, name: impl Fn(usize) -> String) -> String {
        match self {
            Self::Nothing => "there is no record to merge".to_owned(),
            Self::NotAShard { record, why } => format!("{}: {why}", name(*record)),
            Self::Differ { record, other, field, found, wanted } => {
                let (record, other) = (name(*record), name(*other));
                format!("{record}: {field} is {found}, but {wanted} in {other}: these are not shards of one campaign")
            }
            Self::Twice { record, other, shard } => {
                format!("{}: shard {shard} is in {} already", name(*record), name(*other))
            }
        }
    }
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(|place| format!("record {}", place + 1)))
    }
}

impl std::error::Error for MergeError {}

/// A record and where it stands among those that were given.
pub(super) struct Part<'a> {
    /// Where the record stands.
    place: usize,
    /// Which shard it is.
    pub(super) shard: ShardRecord,
    /// The record.
    pub(super) record: &'a Record,
}

/// The shards that nobody brings.
pub(super) fn missing(parts: &[Part<'_>]) -> Vec<ShardRecord> {
    let of = parts.first().map_or(0, |part| part.shard.of);
    let all = (1..=of).map(|index| ShardRecord { index, of });
    all.filter(|shard| parts.iter().all(|part| part.shard != *shard)).collect()
}

/// The records by their shards, if they belong together.
pub(super) fn parts(records: &[Record]) -> Result<Vec<Part<'_>>, MergeError> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for (place, record) in records.iter().enumerate() {
        let part = Part { place, shard: shard_of(place, record)?, record };
        if let Some(first) = parts.first() {
            let differ = |field: &str, found: String, wanted: String| MergeError::Differ {
                record: place,
                other: first.place,
                field: field.to_owned(),
                found,
                wanted,
            };
            let texts = |record: &Record, shard: ShardRecord| {
                let (dmlab, clock) = (record.dmlab.clone(), record.clock.clone());
                [
                    ("dmlab", dmlab),
                    ("seed", record.seed.to_string()),
                    ("clock", clock),
                    ("the number of shards", shard.of.to_string()),
                ]
            };
            let pairs = texts(record, part.shard).into_iter().zip(texts(first.record, first.shard));
            if let Some(((field, found), (_, wanted))) = pairs.into_iter().find(|(one, other)| one != other) {
                return Err(differ(field, found, wanted));
            }
        }
        if let Some(twin) = parts.iter().find(|known| known.shard == part.shard) {
            return Err(MergeError::Twice { record: place, other: twin.place, shard: part.shard });
        }
        parts.push(part);
    }
    if parts.is_empty() {
        return Err(MergeError::Nothing);
    }
    parts.sort_by_key(|part| part.shard);
    Ok(parts)
}

/// The one shard that all explored cells of a record name.
fn shard_of(place: usize, record: &Record) -> Result<ShardRecord, MergeError> {
    let refuse = |why: String| Err(MergeError::NotAShard { record: place, why });
    let explored: Vec<&Exploration> = record.cells.iter().filter_map(|cell| cell.exploration.as_ref()).collect();
    let Some(first) = explored.first() else {
        return refuse("no cell in it was explored, so it is no shard of an exploration".to_owned());
    };
    let Some(shard) = first.shard else {
        return refuse("it is a whole exploration and no shard; `dmlab explore --shard 1/3` makes shards".to_owned());
    };
    if let Some(other) = explored.iter().find(|other| other.shard != Some(shard)) {
        let other = other.shard.map_or_else(|| "a whole exploration".to_owned(), |other| format!("shard {other}"));
        return refuse(format!("it holds cells of shard {shard} and of {other}"));
    }
    if shard.index == 0 || shard.index > shard.of {
        return refuse(format!("there is no shard {shard}; shards of {of} are 1/{of} to {of}/{of}", of = shard.of));
    }
    Ok(shard)
}

/// That the cells of `part` are those of `whole`, from the first; all of them, unless it was interrupted.
pub(super) fn check_cells(part: &Part<'_>, whole: &Part<'_>) -> Result<(), MergeError> {
    let differ = |field: String, found: String, wanted: String| {
        Err(MergeError::Differ { record: part.place, other: whole.place, field, found, wanted })
    };
    let (own, all) = (&part.record.cells, &whole.record.cells);
    for (index, (cell, wanted)) in own.iter().zip(all).enumerate() {
        let named = |cell: &CellRecord| format!("{} {}", cell.scenario, cell.name_in_scenario());
        let strength = |cell: &CellRecord| cell.expected_strength.as_ref().map_or("none".to_owned(), Proof::to_string);
        for (field, text) in [
            ("cell", &named as &dyn Fn(&CellRecord) -> String),
            ("seed", &|cell| cell.seed.to_string()),
            ("expected", &|cell| cell.expected.clone()),
            ("expected_strength", &strength),
        ] {
            let (found, wanted) = (text(cell), text(wanted));
            if found != wanted {
                return differ(format!("cells[{index}].{field}"), found, wanted);
            }
        }
        // Before what was done: a difference in it comes from one in the plan, which is what somebody asked for.
        if let Some((field, found, wanted)) = difference(&cell.plan, &wanted.plan) {
            return differ(format!("cells[{index}].plan{field}"), found, wanted);
        }
        // A cell that was interrupted or skipped need not have been explored everywhere.
        if let (Some(found), Some(wanted)) = (&cell.exploration, &wanted.exploration)
            && found.strategy != wanted.strategy
        {
            let (found, wanted) = (found.strategy.clone(), wanted.strategy.clone());
            return differ(format!("cells[{index}].exploration.strategy"), found, wanted);
        }
    }
    if own.len() < all.len() && !part.record.interrupted {
        return differ("the number of cells".to_owned(), own.len().to_string(), all.len().to_string());
    }
    Ok(())
}

/// Where two values first differ, and what stands there.
fn difference(found: &Value, wanted: &Value) -> Option<(String, String, String)> {
    let inside = |step: String, found: &Value, wanted: &Value| {
        difference(found, wanted).map(|(path, found, wanted)| (format!("{step}{path}"), found, wanted))
    };
    match (found, wanted) {
        (Value::Object(one), Value::Object(two)) => {
            let keys = one.keys().chain(two.keys().filter(|key| !one.contains_key(*key)));
            let (nothing, mut keys) = (Value::Null, keys);
            keys.find_map(|key| {
                inside(format!(".{key}"), one.get(key).unwrap_or(&nothing), two.get(key).unwrap_or(&nothing))
            })
        }
        (Value::Array(one), Value::Array(two)) if one.len() == two.len() => {
            one.iter().zip(two).enumerate().find_map(|(index, (one, two))| inside(format!("[{index}]"), one, two))
        }
        (one, two) if one == two => None,
        (one, two) => Some((String::new(), one.to_string(), two.to_string())),
    }
}
