//! The shipped schema against a validator of JSON schemas: every shipped scenario is valid, and of many broken files
//! each is refused by whoever can see the mistake.
//!
//! Not here: that the schema is what `dmlab schema` prints (the harness), that it knows every key (`src/schema`).

mod broken;

use std::fs;
use std::path::Path;

use dmlab_scenarios::{Document, catalog};
use jsonschema::Validator;
use serde_json::{Value as Json, json};
use serde_yaml::Value as Yaml;

use broken::{BROKEN, Seen, WHOLE};

fn validator() -> Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenario.schema.json");
    let schema: Json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert!(jsonschema::meta::is_valid(&schema), "the schema is no schema");
    jsonschema::options().build(&schema).unwrap()
}

/// A document as an editor sees it: keys are strings whatever YAML makes of them.
fn to_json(yaml: Yaml) -> Json {
    match yaml {
        Yaml::Null => Json::Null,
        Yaml::Bool(truth) => json!(truth),
        Yaml::Number(number) => serde_json::to_value(number).unwrap_or(Json::Null),
        Yaml::String(text) => json!(text),
        Yaml::Sequence(items) => items.into_iter().map(to_json).collect(),
        Yaml::Mapping(entries) => Json::Object(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let key = match to_json(key) {
                        Json::String(text) => text,
                        other => other.to_string(),
                    };
                    (key, to_json(value))
                })
                .collect(),
        ),
        Yaml::Tagged(tagged) => to_json(tagged.value),
    }
}

/// What is wrong with a text, as an editor finds it.
fn by_schema(validator: &Validator, text: &str) -> Vec<String> {
    match serde_yaml::from_str::<Yaml>(text) {
        Ok(yaml) => validator.iter_errors(&to_json(yaml)).map(|e| format!("{}: {e}", e.instance_path())).collect(),
        Err(error) => vec![format!("not YAML: {error}")],
    }
}

/// What is wrong with a text, as dmlab finds it.
fn by_dmlab(text: &str) -> Option<String> {
    let found = Document::parse("x", text).and_then(|document| document.check()).err()?;
    Some(found.to_string())
}

#[test]
fn every_shipped_scenario_is_valid() {
    let validator = validator();
    for entry in catalog() {
        assert_eq!(by_schema(&validator, entry.text), Vec::<String>::new(), "scenarios/catalog/{}", entry.path);
    }
}

#[test]
fn a_file_with_every_key_is_valid() {
    let every_key = include_str!("../src/schema/every_key.yaml");
    for text in every_key.split("\n---\n").chain([WHOLE]) {
        assert_eq!((by_schema(&validator(), text), by_dmlab(text)), (Vec::new(), None));
    }
}

#[test]
fn broken_files_are_refused_by_whoever_can_see_the_mistake() {
    let validator = validator();
    let (mut editors, mut wrong) = (0, Vec::new());
    for row in BROKEN {
        assert_eq!(WHOLE.matches(row.from).count(), 1, "{}: {:?} is there once", row.name, row.from);
        let text = WHOLE.replace(row.from, row.to);
        let told = by_dmlab(&text).unwrap_or_default();
        if !told.contains(row.told) {
            wrong.push(format!("{}: dmlab says {told:?}, not {:?}", row.name, row.told));
        }
        let shown = by_schema(&validator, &text);
        if shown.is_empty() == (row.seen == Seen::ByBoth) {
            wrong.push(format!("{}: the schema says {shown:?}", row.name));
        }
        editors += usize::from(row.seen == Seen::ByBoth);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(BROKEN.len() >= 50, "{}", BROKEN.len());
    eprintln!("{} broken files: all refused by dmlab, {editors} of them by the schema too", BROKEN.len());
}

#[test]
fn axes_may_stand_wherever_dmlab_puts_them_in() {
    let text = WHOLE.replace("size: 16k", "size: \"${depth}k\"").replace("{ ram: 64KiB }", "{ \"${kind}\": 64KiB }");
    let text = text.replace("variants: {", "variants: { kind: [ram, 'null'],");
    assert_ne!(text, WHOLE);
    assert_eq!(by_schema(&validator(), &text), Vec::<String>::new());
    // But not in what is the same in all cells.
    for (from, to) in [("deadline: 2s", "deadline: \"${depth}s\""), ("tags: [example]", "tags: [\"${depth}\"]")] {
        let text = WHOLE.replace(from, to);
        assert!(!by_schema(&validator(), &text).is_empty() && by_dmlab(&text).is_some(), "{to}");
    }
}

#[test]
fn what_editors_show_of_a_key_says_what_it_means() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenario.schema.json");
    let schema: Json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut maps: Vec<&Json> = schema["$defs"].as_object().unwrap().values().collect();
    maps.push(&schema);
    let mut keys = 0;
    for (name, property) in maps.iter().filter_map(|map| map.get("properties")?.as_object()).flatten() {
        let about = property["description"].as_str().unwrap_or_default();
        assert!(about.len() > 4 && about.contains('.'), "{name}: {about:?}");
        keys += 1;
    }
    assert!(keys > 80, "{keys}");
    let rw = &schema["$defs"]["load-step"]["properties"]["rw"];
    assert!(rw["anyOf"][0]["enum"].as_array().unwrap().contains(&json!("randrw")), "{rw}");
    let split = &schema["properties"]["variants"]["properties"]["split"];
    assert!(split["description"].as_str().unwrap().contains("`depth-first`"), "{split}");
}
