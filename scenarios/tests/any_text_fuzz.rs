//! No text panics: random texts, texts made of the language's own words, and a valid file with random changes go
//! through everything that a harness does with a file.
//!
//! Invariant: every mistake has a place inside the text and can be rendered. The number of inputs is printed (with
//! `--nocapture`).
//! Not here: what the mistakes say.

use dmlab_scenarios::Document;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const VALID: &str = r#"scenario: bio/split-order
about: >-
  Splits keep their order; é is no ASCII.
commits: [18a25da84354]
tags: [split]
runs: [explorer, threads]
explore: { schedules: 2000, steps: 20000, strategy: icb, bound: 2, timers: any, cache: 64MiB, runs: 1000 }
deadline: 2s
params: { reserved_bio_based_ios: 1 }
variants: { split: [loop, depth-first], gmr: [fifo, sorted], depth: [1, 2] }
exclude: [ { split: loop, gmr: fifo } ]
devices:
  d: { ram: 64KiB }
  n: { null: 1GiB }
  m: { barrier: $d }
  t: { dm: ["0 16 linear $d 0"] }
  top: { dm: ["0 16 linear $below 0"], over: $d, levels: "${depth}" }
steps:
  - create: { device: t, expect: EINVAL }
  - reload: { device: t, table: "0 16 linear $n 0" }
  - suspend: { device: t, noflush: true }
  - resume: t
  - submit: { on: t, op: write, at: 0, sectors: 16, expect: EIO }
  - stamp: { on: t, at: 8, sectors: 8 }
  - verify: { on: t, at: 8, sectors: 8 }
  - layout: { of: t, at: 8, sectors: 8, is: { on: d, at: 0 } }
  - load: { on: t, rw: randwrite, bs: 4k, io_size: 1MiB, verify: true, runtime: 100ms }
  - fault: { slab: { pool: "t.bs", fail: { nth: [1, 3] } } }
  - fault: { io: { on: d, op: write, sectors: "0..8", fail: { rate: 12.5% }, errno: EIO } }
  - fault: { slab: { pool: "t.io_bs", fail: any, at_most: 2 } }
  - heal: all
  - parallel:
      a: { repeat: { times: 20, do: [ { sleep: 10ms } ] } }
      b: [ { status: { of: t, is: "0 16 linear " } }, { table: { of: t, is: [] } } ]
  - remove: t
expect:
  - { when: { split: depth-first }, on: explorer, verdict: deadlock, cycle: [t.bs], message: "stuck" }
  - { when: { split: loop }, strength: "proved up to 2 preemptions" }
  - { entry_order: ["t 0+16"], peak: { "t.bs": "<= 2" }, counters: { "splits": "== 0" } }
"#;

/// Everything that a harness does with a file; `true` if it has no mistake.
fn use_fully(text: &str) -> bool {
    let found = match Document::parse("fuzz.yaml", text) {
        Ok(document) => {
            for cell in document.cells().iter().take(4) {
                let scenario = document.scenario(cell);
                assert!(scenario.is_ok() || document.check().is_err());
            }
            let _ = document.cells_with(&[("split", "other"), ("more", "x")]);
            let _ = document.diagnostic_at_axis("split", Some("loop"), "unknown", None).render(text, false);
            for one in document.check_targets(&["linear"]) {
                assert!(text.get(one.span.start..one.span.end).is_some(), "{one:?}");
            }
            document.check()
        }
        Err(found) => Err(found),
    };
    let Err(found) = found else { return true };
    assert!(!found.is_empty());
    for one in found.iter() {
        assert!(text.get(one.span.start..one.span.end).is_some(), "{one:?}");
        assert!(!one.message.is_empty() && one.span.line >= 1 && one.span.column >= 1, "{one:?}");
    }
    assert!(found.render(text, false).contains("error"));
    let _ = (found.render(text, true), found.render("", false), found.to_string());
    false
}

/// Runs `inputs` texts of a strategy through [`use_fully`], and says how many there were and how many were valid.
/// `DMLAB_INPUTS=20` runs twenty times as many.
fn run(name: &str, inputs: u32, texts: impl Strategy<Value = String>) {
    let times: u32 = std::env::var("DMLAB_INPUTS").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let inputs = inputs * times;
    let (mut seen, mut valid) = (0_u32, 0_u32);
    let counts = std::cell::RefCell::new((&mut seen, &mut valid));
    let outcome =
        TestRunner::new(Config { cases: inputs, failure_persistence: None, ..Config::default() }).run(&texts, |text| {
            let ok = use_fully(&text);
            let mut counts = counts.borrow_mut();
            *counts.0 += 1;
            *counts.1 += u32::from(ok);
            Ok(())
        });
    eprintln!("{name}: {seen} inputs, {valid} of them valid scenarios");
    outcome.unwrap();
    assert!(seen >= inputs);
}

#[test]
fn the_file_that_is_changed_is_valid() {
    assert!(use_fully(VALID));
}

#[test]
fn no_random_text_panics() {
    run("random text", 4096, "(?s).{0,200}");
}

#[test]
fn no_text_of_yaml_marks_panics() {
    run(
        "YAML marks",
        8192,
        r#"(\{|\}|\[|\]|: |, |- |\n|\n  |\? |\||>|"|'|#| |\$|\$\{|&|\*|!|%|@|a|é|~|---|\.\.\.|\t|\r){0,60}"#,
    );
}

#[test]
fn no_text_of_the_languages_words_panics() {
    let words: Vec<String> = VALID
        .split_inclusive(|c: char| !(c.is_alphanumeric() || matches!(c, '$' | '_' | '-')))
        .map(str::to_owned)
        .collect();
    let texts = prop::collection::vec(prop::sample::select(words), 0..80).prop_map(|words| words.concat());
    run("words of the language", 4096, texts);
}

#[test]
fn no_change_of_a_valid_file_panics() {
    let bits = r#"(\{|\}|\[|\]|: |, |\n|"|'|0|-1|NaN|99999999999999999999|\$\{depth\}|\$d|~|é|x|\t|\r|\x00| ){0,3}"#;
    let change = (any::<prop::sample::Index>(), 0..12_usize, bits);
    let texts = prop::collection::vec(change, 1..5).prop_map(|changes| {
        let mut chars: Vec<char> = VALID.chars().collect();
        for (place, gone, new) in changes {
            let start = place.index(chars.len() + 1);
            let end = (start + gone).min(chars.len());
            chars.splice(start..end, new.chars());
        }
        chars.into_iter().collect::<String>()
    });
    run("changed valid file", 8192, texts);
}

#[test]
fn no_exchange_of_two_lines_or_values_panics() {
    let lines: Vec<&str> = VALID.lines().collect();
    let texts = (0..lines.len(), 0..lines.len(), any::<bool>()).prop_map(move |(a, b, drop)| {
        let mut lines = lines.clone();
        lines.swap(a, b);
        if drop {
            lines.remove(a);
        }
        lines.join("\n")
    });
    run("exchanged lines", 1024, texts);
}
