//! The commands beside running and exploring: `schema`.
//!
//! Invariant: every process runs in a folder of its own, without a terminal.
//! Not here: whether the schema fits the language (`dmlab-scenarios`).

mod support;

use support::Folder;

#[test]
fn the_shipped_schema_is_the_one_that_is_printed() {
    let ended = Folder::new().dmlab(&["schema"]);
    assert_eq!((ended.code, &*ended.err), (Some(0), ""));
    let shipped = include_str!("../../scenarios/scenario.schema.json");
    let remedy = "run: cargo run -- schema > scenarios/scenario.schema.json";
    assert!(ended.out == shipped, "the language has changed since scenarios/scenario.schema.json was made; {remedy}");
}

#[test]
fn the_schema_knows_every_axis_of_the_engine_and_its_values() {
    let schema: serde_json::Value = serde_json::from_str(&Folder::new().dmlab(&["schema"]).out).unwrap();
    for axis in dmlab_engine::variants::Variants::AXES {
        for map in [&schema["properties"]["variants"], &schema["$defs"]["expectation"]["properties"]["when"]] {
            let values = map["properties"][axis.name]["anyOf"][1]["enum"].as_array().unwrap();
            assert_eq!(values.len(), axis.values.len(), "{}", axis.name);
        }
    }
}
