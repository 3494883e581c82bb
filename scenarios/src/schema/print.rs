//! Prints the description of the language as a JSON schema of draft 2020-12.
//!
//! Invariants: every map of the language is one definition under `$defs`; wherever the checker puts a cell's values in,
//! `${axis}` is allowed, in keys too; the same description gives the same bytes.
//! Not here: the descriptions.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::head::SCENARIO;
use super::texts::{AXIS, AXIS_VALUE};
use super::words::{Also, Key, Map, Shape, Text, Value};

/// An axis of an engine, as the schema tells editors of it.
#[derive(Clone, Debug)]
pub struct AxisWords<'a> {
    /// Its name.
    pub name: &'a str,
    /// The question that its values answer.
    pub about: &'a str,
    /// The value of a cell that does not say.
    pub default: &'a str,
    /// Its values, each with what it does.
    pub values: Vec<(&'a str, &'a str)>,
}

/// Largest integer that every reader of JSON keeps.
const EXACT_MAX: u64 = 1 << 53;
/// A text with an axis in it: what stands there depends on the cell.
const SUBSTITUTED: &str = r"\$\{[^}]*\}";

/// The schema of the language with these `axes`, as JSON text.
pub fn schema(axes: &[AxisWords<'_>]) -> String {
    let mut printer = Printer { axes, definitions: BTreeMap::new() };
    let mut root = printer.map(&SCENARIO, false);
    printer.definitions.insert(
        "axis-in-text".to_owned(),
        json!({ "type": "string", "pattern": SUBSTITUTED, "description": "`${axis}` stands for the cell's value." }),
    );
    let head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dmlab scenario",
        "$comment": "Printed by `dmlab schema`. `dmlab validate` finds more: what takes several values to know.",
        "$defs": printer.definitions,
    });
    merge(&mut root, head);
    let text = serde_json::to_string_pretty(&root).expect("a tree of JSON has a text");
    format!("{text}\n")
}

struct Printer<'a> {
    axes: &'a [AxisWords<'a>],
    definitions: BTreeMap<String, Json>,
}

impl Printer<'_> {
    /// A reference to the definition of `map`, which is made if it is not there yet.
    fn reference(&mut self, map: &'static Map) -> Json {
        let name = slug(map.what);
        if !self.definitions.contains_key(&name) {
            // Steps hold steps: the name is taken before the map is looked into.
            self.definitions.insert(name.clone(), Json::Null);
            let printed = self.map(map, true);
            self.definitions.insert(name.clone(), printed);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    /// `substituted`: whether `${axis}` may stand in it.
    fn map(&mut self, map: &'static Map, substituted: bool) -> Json {
        let properties: serde_json::Map<String, Json> = map
            .keys
            .iter()
            .map(|key| {
                // The values of a cell go into these parts of the top level, and into all of what is below them.
                let inside = substituted || matches!(key.name, "params" | "explore" | "devices" | "steps" | "expect");
                (key.name.to_owned(), self.key(key, inside))
            })
            .collect();
        let mut printed = json!({
            "type": "object",
            "title": map.what,
            "description": map.about,
            "properties": properties,
            "additionalProperties": false,
        });
        let mandatory: Vec<&str> = map.keys.iter().filter(|key| key.mandatory).map(|key| key.name).collect();
        let mut together = json!({});
        if !mandatory.is_empty() {
            merge(&mut together, json!({ "required": mandatory }));
        }
        match map.shape {
            Shape::Fields => {}
            Shape::Choice => merge(&mut printed, json!({ "minProperties": 1, "maxProperties": 1 })),
            Shape::OneOf(names) => {
                let one: Vec<Json> = names.iter().map(|name| json!({ "required": [name] })).collect();
                merge(&mut together, json!({ "oneOf": one }));
            }
        }
        if !substituted {
            merge(&mut printed, together);
            return printed;
        }
        merge(&mut printed, json!({ "patternProperties": { SUBSTITUTED: true } }));
        if together != json!({}) {
            // A key that the cell decides may be any of those that must be there.
            let plain = json!({ "propertyNames": { "not": { "pattern": SUBSTITUTED } } });
            merge(&mut printed, json!({ "if": plain, "then": together }));
        }
        printed
    }

    fn key(&mut self, key: &'static Key, substituted: bool) -> Json {
        let mut about = key.about.to_owned();
        if let Some(default) = key.default {
            about.push_str(&format!(" Default: `{default}`."));
        }
        if let Some(form) = form(&key.value) {
            about.push_str(&format!("\n\nForm: {form}."));
        }
        if let Some(meanings) = meanings(&key.value) {
            about.push_str(&meanings);
        }
        let mut printed = self.value(&key.value, substituted);
        merge(&mut printed, json!({ "description": about }));
        printed
    }

    fn value(&mut self, value: &'static Value, substituted: bool) -> Json {
        match value {
            Value::Scalar(text) => scalar(vec![text_schema(text)], substituted, json!({ "examples": text.examples })),
            Value::Words(words) => {
                scalar(vec![words_schema(words.iter().map(|(word, _)| *word))], substituted, json!({}))
            }
            Value::Number(least, most) => {
                let mut number = json!({ "type": "integer", "minimum": least });
                if *most <= EXACT_MAX {
                    merge(&mut number, json!({ "maximum": most }));
                }
                let text = json!({ "type": "string", "pattern": "^[0-9]+(_[0-9]+)*$" });
                scalar(vec![number, text], substituted, json!({}))
            }
            Value::List(item) => json!({ "type": "array", "items": self.value(item, substituted) }),
            Value::OneOrMore(item) => {
                let item = self.value(item, substituted);
                json!({ "anyOf": [{ "type": "array", "items": item.clone() }, item] })
            }
            Value::Map(map) => self.reference(map),
            Value::MapOf(name, value) => {
                let names = scalar(vec![json!({ "pattern": name.pattern })], substituted, json!({}));
                let values = self.value(value, substituted);
                json!({ "type": "object", "propertyNames": names, "additionalProperties": values })
            }
            Value::Axes => self.axes("the values of the cells"),
            Value::Selector => {
                let mut printed = self.axes("the values that are meant");
                merge(&mut printed, json!({ "minProperties": 1 }));
                printed
            }
            Value::Either(values) => {
                let any: Vec<Json> = values.iter().map(|value| self.value(value, substituted)).collect();
                json!({ "anyOf": any })
            }
        }
    }

    /// A map of axes: those of the engine with their values, and those of the scenario's own.
    fn axes(&self, what: &str) -> Json {
        let one_or_more = |item: Json| json!({ "anyOf": [{ "type": "array", "items": item.clone() }, item] });
        let known: serde_json::Map<String, Json> = self
            .axes
            .iter()
            .map(|axis| {
                let meanings: String =
                    axis.values.iter().map(|(name, about)| format!("\n- `{name}`: {about}")).collect();
                let mut printed = one_or_more(words_schema(axis.values.iter().map(|(name, _)| *name)));
                let about = format!("{}: {what}. Default: `{}`.\n{meanings}", axis.about, axis.default);
                merge(&mut printed, json!({ "description": about }));
                (axis.name.to_owned(), printed)
            })
            .collect();
        json!({
            "type": "object",
            "properties": known,
            "propertyNames": { "pattern": AXIS.pattern },
            "additionalProperties": one_or_more(text_schema(&AXIS_VALUE)),
        })
    }
}

/// How the texts of a value are written.
fn form(value: &Value) -> Option<&'static str> {
    match value {
        Value::Scalar(text) => Some(text.about),
        Value::List(value) | Value::OneOrMore(value) => form(value),
        Value::MapOf(name, _) => Some(name.about),
        Value::Words(_) | Value::Number(..) | Value::Map(_) | Value::Axes | Value::Selector | Value::Either(_) => None,
    }
}

/// What the words of a value mean, as a list.
fn meanings(value: &Value) -> Option<String> {
    let words = match value {
        Value::Words(words) => words,
        Value::OneOrMore(Value::Words(words)) => words,
        Value::Either(values) => return values.iter().find_map(meanings),
        _ => return None,
    };
    let explained: Vec<String> = words
        .iter()
        .filter(|(_, about)| !about.is_empty())
        .map(|(word, about)| format!("\n- `{word}`: {about}"))
        .collect();
    (!explained.is_empty()).then(|| format!("\n{}", explained.concat()))
}

/// One of `any`, or a text with an axis in it.
fn scalar(mut any: Vec<Json>, substituted: bool, more: Json) -> Json {
    if substituted {
        any.push(json!({ "$ref": "#/$defs/axis-in-text" }));
    }
    let mut printed = match any.len() {
        1 => any.remove(0),
        _ => json!({ "anyOf": any }),
    };
    if more.get("examples").is_some_and(|examples| examples != &json!([])) {
        merge(&mut printed, more);
    }
    printed
}

fn text_schema(text: &Text) -> Json {
    let kinds = match text.also {
        Also::Nothing => json!("string"),
        Also::Integers | Also::Zero => json!(["string", "integer"]),
        Also::Scalars => json!(["string", "number", "boolean"]),
    };
    // Negative numbers are no size, time or seed.
    match text.also {
        Also::Integers => json!({ "type": kinds, "pattern": text.pattern, "minimum": 0 }),
        Also::Zero => json!({ "type": kinds, "pattern": text.pattern, "minimum": 0, "maximum": 0 }),
        Also::Nothing | Also::Scalars => json!({ "type": kinds, "pattern": text.pattern }),
    }
}

fn words_schema<'w>(words: impl Iterator<Item = &'w str>) -> Json {
    let mut allowed = Vec::new();
    for word in words {
        // Without quotes these are no strings to YAML, and mean the same to dmlab.
        match word {
            "true" => allowed.extend([json!(true), json!("true")]),
            "false" => allowed.extend([json!(false), json!("false")]),
            word => {
                allowed.push(json!(word));
                allowed.extend(word.parse::<u64>().ok().map(|number| json!(number)));
                allowed.extend(word.parse::<f64>().ok().filter(|_| word.contains('.')).map(|number| json!(number)));
            }
        }
    }
    json!({ "enum": allowed })
}

/// Adds the members of `more` to the object `to`.
fn merge(to: &mut Json, more: Json) {
    if let (Json::Object(to), Json::Object(more)) = (to, more) {
        to.extend(more);
    }
}

/// The name of a definition: the words of `what`, without articles and marks.
fn slug(what: &str) -> String {
    let words = what.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words: Vec<&str> = words.filter(|word| !matches!(*word, "" | "a" | "an" | "the")).collect();
    words.join("-")
}
