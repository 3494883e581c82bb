//! [`FormatName`], [`FormatVersion`] and [`RecordError`]: which files are records, which versions of them this
//! program reads, and what it says about all others.
//!
//! Invariants: a record always names its format and version; a file of a version that this program does not know
//! is refused before any other field is looked at, so that the message is about the version and not about a
//! field that was renamed in it.
//! Not here: the fields themselves (`record`), and conversions from older versions (`upgrade`).
//!
//! When to count the version up: when a field changes its meaning, its unit or its type, or becomes mandatory. An
//! additional optional field does not need a new version, because readers ignore fields that they do not know.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::error::Category;

/// The version that this program writes, and the newest one that it reads.
pub const FORMAT: FormatVersion = FormatVersion(2);

const NAME: &str = "dmlab-record";

/// The text `dmlab-record`, by which a JSON file says that it is a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FormatName;

impl Serialize for FormatName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(NAME)
    }
}

impl<'de> Deserialize<'de> for FormatName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = String::deserialize(deserializer)?;
        if found == NAME { Ok(Self) } else { Err(D::Error::custom(format_args!("{found:?} is not {NAME:?}"))) }
    }
}

/// A version of the record format: a plain number in the file. The first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FormatVersion(pub u32);

/// Why a text is not a record that this program can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The text is not JSON, or it ends too early (a run that was killed while another tool copied the file).
    #[error("not JSON: line {line}, column {column}: {what}")]
    NotJson {
        /// Line of the first offence, counted from 1.
        line: usize,
        /// Column of the first offence.
        column: usize,
        /// What the JSON parser says.
        what: String,
    },
    /// JSON, but not a dmlab record.
    #[error("not a dmlab record: \"format\" is {found} and should be \"dmlab-record\"")]
    NotARecord {
        /// The `format` that was found, as JSON, or `missing`.
        found: String,
    },
    /// A record of a version that this program does not know.
    #[error(
        "this record has format version {found}, and this dmlab reads versions 1 to {}: use the dmlab that wrote it, \
         or a newer one",
        supported.0
    )]
    Incompatible {
        /// The version of the record.
        found: u64,
        /// The newest version that this program reads.
        supported: FormatVersion,
    },
    /// A record of a known version in which a field is missing or has the wrong type.
    #[error("damaged record: line {line}, column {column}: {what}")]
    Malformed {
        /// Line at which the offence was noticed, counted from 1.
        line: usize,
        /// Column at which the offence was noticed.
        column: usize,
        /// Which field, and what is wrong with it.
        what: String,
    },
}

/// The two fields that decide whether the others may be read. They are untyped, so that a wrong type in them is
/// reported as what it means and not as a type error.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    format: Value,
    #[serde(default)]
    version: Value,
}

/// Reads only format and version, and the JSON syntax of all the rest. Returns the version, if it is a number at all.
pub(crate) fn check_head(text: &str) -> Result<Option<u64>, RecordError> {
    let head: Head = match serde_json::from_str(text) {
        Ok(head) => head,
        // Not an object at all: a list, a number.
        Err(error) if error.classify() == Category::Data => {
            return Err(RecordError::NotARecord { found: "missing".to_owned() });
        }
        Err(error) => {
            return Err(RecordError::NotJson {
                line: error.line(),
                column: error.column(),
                what: without_place(&error),
            });
        }
    };
    if head.format != NAME {
        let found = if head.format.is_null() { "missing".to_owned() } else { head.format.to_string() };
        return Err(RecordError::NotARecord { found });
    }
    // A version that is no number at all is left to the typed reading, which says where it stands.
    match head.version.as_u64() {
        Some(found) if found == 0 || found > u64::from(FORMAT.0) => {
            Err(RecordError::Incompatible { found, supported: FORMAT })
        }
        version => Ok(version),
    }
}

/// An error of the typed reading, after [`check_head`] has accepted the text.
pub(crate) fn malformed(error: &serde_json::Error) -> RecordError {
    RecordError::Malformed { line: error.line(), column: error.column(), what: without_place(error) }
}

/// serde_json appends the place to its message; ours have it in fields and at the front.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, testing};

    #[test]
    fn text_that_is_not_json_is_refused_with_its_place() {
        let error = Record::from_json("{\n  \"format\": \"dmlab-record\",\n  oops\n}").unwrap_err();
        assert_eq!(error.to_string(), "not JSON: line 3, column 3: key must be a string");
        let whole = testing::record().to_json();
        let error = Record::from_json(&whole[..whole.len() / 2]).unwrap_err();
        assert!(matches!(error, RecordError::NotJson { .. }), "{error}");
        assert!(error.to_string().contains("EOF"), "{error}");
    }

    #[test]
    fn json_of_another_program_is_refused_by_its_format() {
        for (text, found) in [
            ("{}", "missing"),
            ("[]", "missing"),
            ("17", "missing"),
            (r#"{"format": 3}"#, "3"),
            (r#"{"format": "fio", "version": 99}"#, "\"fio\""),
        ] {
            assert_eq!(Record::from_json(text), Err(RecordError::NotARecord { found: found.to_owned() }), "{text}");
        }
    }

    #[test]
    fn a_newer_version_is_refused_before_its_fields_are_read() {
        let text = r#"{"format": "dmlab-record", "version": 3, "seed": "now a text"}"#;
        let error = Record::from_json(text).unwrap_err();
        assert_eq!(error, RecordError::Incompatible { found: 3, supported: FormatVersion(2) });
        assert!(error.to_string().contains("version 3") && error.to_string().contains("1 to 2"), "{error}");
        let huge = r#"{"format": "dmlab-record", "version": 18446744073709551615}"#;
        assert!(matches!(Record::from_json(huge), Err(RecordError::Incompatible { found: u64::MAX, .. })));
        let zero = r#"{"format": "dmlab-record", "version": 0}"#;
        assert!(matches!(Record::from_json(zero), Err(RecordError::Incompatible { found: 0, .. })));
    }

    #[test]
    fn a_missing_or_mistyped_field_is_named() {
        let whole = testing::record().to_json();
        let without = whole.replacen("\"seed\": 42,", "", 1);
        assert_ne!(whole, without);
        let error = Record::from_json(&without).unwrap_err();
        assert!(matches!(error, RecordError::Malformed { .. }), "{error}");
        assert!(error.to_string().contains("missing field `seed`"), "{error}");

        let mistyped = whole.replacen("\"seed\": 42,", "\"seed\": \"forty-two\",", 1);
        let RecordError::Malformed { line, what, .. } = Record::from_json(&mistyped).unwrap_err() else { panic!() };
        let wanted = whole.lines().position(|text| text.contains("\"seed\": 42,")).unwrap() + 1;
        assert_eq!(line, wanted);
        assert!(what.contains("forty-two"), "{what}");

        let unversioned = Record::from_json(r#"{"format": "dmlab-record", "version": "2"}"#).unwrap_err();
        assert!(matches!(unversioned, RecordError::Malformed { line: 1, .. }), "{unversioned}");
    }

    #[test]
    fn an_unknown_field_of_the_same_version_is_ignored() {
        let record = testing::record();
        let text = record.to_json().replacen("\"seed\": 42,", "\"seed\": 42, \"mood\": \"good\",", 1);
        assert_eq!(Record::from_json(&text), Ok(record));
    }
}
