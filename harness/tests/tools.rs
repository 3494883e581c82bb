//! The commands beside running and exploring: `schema`, `compare`.
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

/// Two variants that can be compared: one explored, one measured.
const COMPARED: &str = "\
scenario: t/compared
about: a reserve of one, two pieces; and a load
explore: { schedules: 50 }
params: { reserved_bio_based_ios: 1 }
variants: { split: [loop, trim], rescue: [none] }
devices:
  d: { ram: 64KiB }
  t: { dm: [\"0 8 linear $d 0\", \"8 8 linear $d 8\"] }
";
const EXPLORED: &str = "runs: [explorer]
steps:
  - fault: { slab: { pool: \"t.*\", fail: always } }
  - submit: { on: t, op: write, sectors: 16 }
";
const EXPECTED: &str = "expect: [{ when: { split: loop }, verdict: deadlock }]\n";
const MEASURED: &str = "runs: [threads]\nsteps: [{ load: { on: t, io_size: 64KiB } }]\n";

fn compared() -> Folder {
    let folder = Folder::new();
    folder.with("e.yaml", &format!("{COMPARED}{EXPLORED}{EXPECTED}"));
    folder.with("m.yaml", &format!("{COMPARED}{MEASURED}").replace("t/compared", "t/measured"));
    folder
}

#[test]
fn a_comparison_has_verdicts_ratios_and_where_it_comes_from() {
    let arguments = ["compare", "e.yaml", "m.yaml", "--rounds", "6", "--baseline", "split=trim"];
    let ended = compared().dmlab(&arguments);
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
    let row = |variant: &str| ended.out.lines().find(|line| line.starts_with(variant)).unwrap().to_owned();
    assert!(row("split=loop rescue=none").contains("deadlock"), "{}", ended.out);
    let trim = row("split=trim rescue=none");
    assert!(
        trim.contains("pass") && trim.contains("not found in 50 schedules") && trim.contains("the baseline"),
        "{trim}"
    );
    assert!(ended.out.contains(&format!("Again with: dmlab {}", arguments.join(" "))), "{}", ended.out);
}

#[test]
fn the_json_of_a_comparison_has_an_interval_around_each_ratio() {
    let ended = compared().dmlab(&["compare", "e.yaml", "m.yaml", "--rounds", "7", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    assert_eq!((&json["baseline"], &json["rounds"]), (&"split=loop rescue=none".into(), &7.into()));
    let throughput = &json["rows"][1]["throughput"][0];
    assert_eq!(throughput["rounds"].as_array().map(Vec::len), Some(7), "{throughput}");
    let number = |key: &str| throughput["ratio"][key].as_f64().unwrap();
    assert!(
        0.0 < number("low") && number("low") <= number("ratio") && number("ratio") <= number("high"),
        "{throughput}"
    );
    assert!(number("confidence") >= 0.95, "{throughput}");
    assert_eq!(json["rows"][0]["found"][0]["verdict"], "deadlock");
}

#[test]
fn a_comparison_with_an_unexpected_deadlock_or_without_figures_fails() {
    let folder = compared();
    folder.with("e.yaml", &format!("{COMPARED}{EXPLORED}"));
    let ended = folder.dmlab(&["compare", "e.yaml", "m.yaml", "--rounds", "6"]);
    assert!(ended.code == Some(5) && ended.out.contains("deadlock (not as expected)"), "{ended:?}");
    folder.with("n.yaml", &format!("{COMPARED}runs: [threads]\nsteps: [{{ stamp: {{ on: t, sectors: 16 }} }}]\n"));
    let ended = folder.dmlab(&["compare", "n.yaml", "--rounds", "6"]);
    assert!(ended.code == Some(1) && ended.out.contains("it has no load to measure"), "{ended:?}");
}

#[test]
fn a_comparison_that_cannot_be_made_is_refused_before_anything_runs() {
    let folder = compared();
    let refused = |arguments: &[&str], reason: &str| {
        let ended = folder.dmlab(arguments);
        assert!(ended.code == Some(2) && ended.out.is_empty() && ended.err.contains(reason), "{ended:?}");
    };
    refused(&["compare", "m.yaml", "--baseline", "split=depth-first"], "the rows are:\n  split=loop rescue=none");
    refused(&["compare", "m.yaml", "--baseline", "split"], "expected AXIS=VALUE");
    refused(&["compare", "m.yaml", "--rounds", "5"], "6..=1000");
    folder.with(
        "one.yaml",
        &format!("{COMPARED}{MEASURED}").replace(", rescue: [none]", "").replace("t/compared", "t/one"),
    );
    folder.with("two.yaml", &format!("{COMPARED}{MEASURED}").replace("[none]", "[none, punt-own]"));
    refused(&["compare", "one.yaml", "two.yaml"], "not all compared scenarios have the axis rescue");
}

#[test]
fn the_doctor_says_what_can_be_run_and_ends_by_what_is_needed() {
    let folder = Folder::new();
    let ended = folder.dmlab(&["doctor"]);
    assert!(ended.code == Some(0) && ended.out.contains("(engine): can be used"), "{ended:?}");
    let json: serde_json::Value = serde_json::from_str(&folder.dmlab(&["doctor", "--json"]).out).unwrap();
    assert_eq!(json["can"]["engine"], true);
    // A machine without any file has no dm.
    let ended = folder.dmlab(&["doctor", "--root", ".", "--need", "kernel"]);
    assert!(ended.code == Some(3) && ended.out.contains("(kernel): cannot be used"), "{ended:?}");
    assert_eq!(folder.dmlab(&["doctor", "--root", ".", "--need", "engine"]).code, Some(0));
    assert_eq!(folder.dmlab(&["doctor", "--need", "luck"]).code, Some(2));
}
