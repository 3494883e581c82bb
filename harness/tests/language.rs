//! The reference of the language tells the truth: its examples are valid and come out as they say, and between them
//! they show every step.
//!
//! Not here: single keys (the unit tests of dmlab-scenarios), what steps mean (`checkers.rs`).

mod support;

use dmlab_scenarios::Document;
use support::{complaints, parsed, records};

const REFERENCE: &str = include_str!("../../scenarios/README.md");

/// The scenarios among the examples.
fn examples() -> Vec<&'static str> {
    let blocks = REFERENCE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.starts_with("scenario:")).collect()
}

#[test]
fn every_example_of_the_reference_comes_out_as_it_says() {
    let examples = examples();
    assert_eq!(examples.len(), 3, "how many there are");
    for example in examples {
        for record in records(&parsed("README.md", example), &[]) {
            assert!(record.ok, "{}", complaints(&record));
        }
    }
}

#[test]
fn the_examples_have_every_step_between_them() {
    let head = "scenario: a\nabout: x\ndevices: { d: { ram: 1k } }\nsteps: [ { no-such-step: 1 } ]\n";
    let found = Document::parse("x", head).and_then(|document| document.check()).unwrap_err().to_string();
    let (_, allowed) = found.split_once("allowed here: ").expect("the message lists all steps");
    let steps: Vec<&str> = allowed.trim_end_matches([')', '\n']).split(", ").collect();
    assert!(steps.len() > 15, "{steps:?}");
    let examples = examples().concat();
    let missing: Vec<&&str> = steps.iter().filter(|step| !examples.contains(&format!(" {step}:"))).collect();
    assert!(missing.is_empty(), "not in an example: {missing:?}");
}
