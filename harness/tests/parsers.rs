//! No text makes a parser of the harness panic, whatever it is: schedule files, records, the command line, tables and
//! status lines all the way into the engine.
//!
//! Invariant: the number of inputs that were tried is printed (with `--nocapture`) and is what was asked for.
//! `DMLAB_INPUTS=20` tries twenty times as many.
//! Not here: YAML texts (`dmlab-scenarios`, `any_text_fuzz.rs`).

mod support;

use std::cell::Cell;

use clap::Parser;
use dmlab::cli::args::Args;
use dmlab::plan::{Plan, Shard, Wishes};
use dmlab::schedule_file::ScheduleFile;
use dmlab_results::{Record, Verdict};
use dmlab_scenarios::Document;
use dmlab_units::{Bytes, Nanos, Sectors, Seed};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::Folder;

/// Tries `inputs` texts, and says how many there were and how many `parse` took.
fn run(name: &str, inputs: u32, texts: impl Strategy<Value = String>, parse: impl Fn(&str) -> bool) {
    let times: u32 = std::env::var("DMLAB_INPUTS").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let inputs = inputs * times;
    let (tried, taken) = (Cell::new(0_u32), Cell::new(0_u32));
    let config = Config { cases: inputs, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&texts, |text| {
        let ok = parse(&text);
        tried.set(tried.get() + 1);
        taken.set(taken.get() + u32::from(ok));
        Ok(())
    });
    eprintln!("{name}: {} inputs, {} of them valid", tried.get(), taken.get());
    outcome.unwrap();
    assert!(tried.get() >= inputs);
}

/// `valid` with a few changes.
fn changed(valid: String, bits: &'static str) -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0..24_usize, bits);
    prop::collection::vec(change, 1..4).prop_map(move |changes| {
        let mut chars: Vec<char> = valid.chars().collect();
        for (place, gone, new) in changes {
            let start = place.index(chars.len() + 1);
            let end = (start + gone).min(chars.len());
            chars.splice(start..end, new.chars());
        }
        chars.into_iter().collect()
    })
}

const JSON_BITS: &str =
    r#"(\{|\}|\[|\]|,|:|"|null|true|-1|1e999|0\.5|99999999999999999999|"version"|"steps"|é|\\|\\u0000| ){0,3}"#;

/// A schedule and a record, as dmlab writes them.
fn written() -> (String, String) {
    let folder = Folder::new();
    let arguments =
        ["explore", "bio/bioset-question", "--variant", "split=loop", "--variant", "rescue=none", "--json", "r.json"];
    assert_eq!(folder.dmlab(&arguments).code, Some(0));
    let names = folder.names("dmlab-schedules");
    (folder.read(&format!("dmlab-schedules/{}", names[0])), folder.read("r.json"))
}

#[test]
fn no_schedule_or_record_panics() {
    let (schedule, record) = written();
    assert!(ScheduleFile::from_json(&schedule).is_ok() && Record::from_json(&record).is_ok());
    run("changed schedules", 3000, changed(schedule, JSON_BITS), |text| ScheduleFile::from_json(text).is_ok());
    run("changed records", 3000, changed(record, JSON_BITS), |text| Record::from_json(text).is_ok());
    run("marks of JSON as schedules and records", 4000, JSON_BITS.replace("{0,3}", "{0,40}").as_str(), |text| {
        ScheduleFile::from_json(text).is_ok() || Record::from_json(text).is_ok()
    });
}

#[test]
fn no_quantity_panics() {
    let texts = r"[+-]?(0x)?[0-9_]{0,22}(\.[0-9]{0,3})?(e[0-9]{1,3})?(ns|us|ms|s|m|h|k|K|kib|MiB|g|T|b|%|/|inf|NaN|é| ){0,2}[0-9]{0,3}";
    run("quantities", 40_000, texts, |text| {
        let parsed = [
            text.parse::<Bytes>().is_ok(),
            text.parse::<Nanos>().is_ok(),
            text.parse::<Sectors>().is_ok(),
            text.parse::<Seed>().is_ok(),
            text.parse::<Shard>().is_ok(),
        ];
        parsed.contains(&true)
    });
}

#[test]
fn no_command_line_panics() {
    let words = "(run|explore|compare|doctor|replay|merge|list|validate|variants|schema|--seed|--variant|--baseline|--rounds|\
                 --shard|--time|\
                 --cache|--bound|--jobs|--strategy|--need|--as-of|--json|--help|-q|-|--|split=loop|=|a=|1/2|0/0|9/1|-1|0|1|6|\
                 18446744073709551616|1e9|NaN|30s|1k|icb|4\\.9|bio|é|\\x00| )";
    let lines = prop::collection::vec(words, 0..7).prop_map(|words| words.join("\n"));
    run("command lines", 4000, lines, |line| {
        Args::try_parse_from(["dmlab"].into_iter().chain(line.split('\n'))).is_ok()
    });
}

const TARGETS: &str = "(linear|striped|zero|error|delay|flakey|dust|mirror|snapshot|nonsense)";
const WORDS: &str = concat!(
    r"(\$d|\$e|0|1|2|3|8|16|-1|64|4294967296|18446744073709551615|18446744073709551616",
    r"|0x8|core|error_writes|drop_writes|é|-|,|\\ )"
);

/// Runs a scenario on the virtual clock: whatever comes of it, dmlab must not be at fault.
fn performed(text: &str) -> bool {
    let Ok(document) = Document::parse("x", text) else { return false };
    if document.check().is_err() {
        return false;
    }
    let wishes = Wishes { schedules: Some(1), ..Wishes::default() };
    // A target that nobody has is told before anything runs.
    let Ok(plans) = Plan::of(&std::sync::Arc::new(document), &wishes) else { return false };
    for plan in plans {
        let record = support::run(&plan).record;
        assert_ne!(record.verdict, Verdict::Panic, "{text}\n{:?}", record.report);
    }
    true
}

#[test]
fn no_table_line_panics_in_the_engine() {
    let words = prop::collection::vec(WORDS, 0..8).prop_map(|words| words.join(" "));
    let line =
        ("(0|0|0|8|-1|18446744073709551615)", "(8|8|16|0|9223372036854775807|18446744073709551615)", TARGETS, words);
    let texts = prop::collection::vec(line, 1..3).prop_map(|lines| {
        let lines: Vec<String> =
            lines.iter().map(|(start, len, target, words)| format!("'{start} {len} {target} {words}'")).collect();
        format!(
            "scenario: t/t\nabout: x\nruns: [explorer]\nexplore: {{ schedules: 1, steps: 3000 }}\ndevices:\n  d: {{ ram: 8k }}\n  \
             e: {{ ram: 8k }}\n  t: {{ dm: [{}] }}\nsteps:\n  - submit: {{ on: t, op: read, sectors: 8 }}\n",
            lines.join(", ")
        )
    });
    run("table lines", 400, texts, performed);
}

#[test]
fn no_expected_status_or_table_line_panics() {
    let texts = prop::collection::vec((TARGETS, WORDS, "[ -~]{0,12}"), 0..3).prop_map(|lines| {
        let lines: Vec<String> = lines
            .iter()
            .map(|(target, word, rest)| format!("'0 8 {target} {word} {}'", rest.replace('\'', "''")))
            .collect();
        format!(
            "scenario: t/t\nabout: x\nruns: [explorer]\nexplore: {{ schedules: 1 }}\ndevices:\n  d: {{ ram: 8k }}\n  e: {{ ram: 8k }}\n  \
             t: {{ dm: ['0 8 linear $d 0'] }}\nsteps:\n  - status: {{ of: t, is: [{0}] }}\n  - table: {{ of: t, is: [{0}] }}\n",
            lines.join(", ")
        )
    });
    run("status and table lines", 1000, texts, performed);
}
