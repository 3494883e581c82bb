//! Records of older versions, read as if they had been written today.
//!
//! Version 1 had the strength of an exploration as a text, and knew one strategy, the portfolio.
//!
//! Invariants: what an older record says is kept, and what it could not know is left out; its version is counted up, so
//! that it is written again as what it has become.
//! Not here: refusing what is no record (`format`).

use serde_json::{Value, json};

use crate::format::malformed;
use crate::{FORMAT, Record, RecordError};

/// The version that is converted here.
pub(crate) const FIRST: u64 = 1;

/// Reads a record of version 1.
pub(crate) fn from_first(text: &str) -> Result<Record, RecordError> {
    let mut record: Value = serde_json::from_str(text).map_err(|error| malformed(&error))?;
    record["version"] = json!(FORMAT);
    let cells = record.get_mut("cells").and_then(Value::as_array_mut).into_iter().flatten();
    for exploration in cells.filter_map(|cell| cell.get_mut("exploration")).filter_map(Value::as_object_mut) {
        exploration.insert("strategy".to_owned(), json!("portfolio"));
        exploration.insert("signatures".to_owned(), json!([]));
        exploration.insert("lock_order".to_owned(), json!([]));
        if let Some(strength) = exploration.get("strength").and_then(Value::as_str).and_then(strength) {
            exploration.insert("strength".to_owned(), strength);
        }
    }
    serde_json::from_value(record).map_err(|error| malformed(&error))
}

/// The two texts of version 1; another one is left to the typed reading, which refuses it.
fn strength(text: &str) -> Option<Value> {
    if let Some(number) = text.strip_prefix("found in schedule ") {
        return Some(json!({ "kind": "found", "schedule": number.parse::<u64>().ok()? }));
    }
    let number = text.strip_prefix("not found in ")?.strip_suffix(" schedules")?;
    Some(json!({ "kind": "not-found", "schedules": number.parse::<u64>().ok()? }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Strength;

    const OLD: &str = include_str!("../golden/record-1.json");

    #[test]
    fn a_record_of_version_1_is_read_and_becomes_one_of_today() {
        let record = Record::from_json(OLD).unwrap();
        assert_eq!((record.version, record.cells.len()), (FORMAT, 3));
        let exploration = record.cells[1].exploration.as_ref().unwrap();
        assert_eq!(exploration.strength, Strength::Found { schedule: 240_000, preemptions: None });
        assert_eq!((exploration.strategy.as_str(), exploration.schedules), ("portfolio", 240_000));
        assert_eq!(Record::from_json(&record.to_json()), Ok(record));
        let other = OLD.replace("found in schedule 240000", "not found in 7 schedules");
        let record = Record::from_json(&other).unwrap();
        assert_eq!(record.cells[1].exploration.as_ref().unwrap().strength, Strength::NotFound { schedules: 7 });
    }

    #[test]
    fn a_strength_that_version_1_never_wrote_is_damage() {
        for text in ["found in schedule x", "lost", "not found in many schedules"] {
            let error = Record::from_json(&OLD.replace("found in schedule 240000", text)).unwrap_err();
            assert!(matches!(error, RecordError::Malformed { .. }), "{text}: {error}");
        }
    }
}
