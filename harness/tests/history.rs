//! `as_of`: which algorithms a cell runs with when a scenario or the command line names a kernel.
//!
//! Not here: which kernel did what (the engine's catalogue has its own tests), what comes of it (the scenarios).

mod support;

use std::sync::Arc;

use dmlab::plan::{Plan, Wishes};
use dmlab_engine::variants::{Kernel, Variants};
use dmlab_scenarios::Document;
use support::{Folder, parsed};

fn scenario(head: &str) -> String {
    format!(
        "scenario: t/history\nabout: which algorithms\nruns: [threads]\n{head}\
         devices:\n  d: {{ ram: 64KiB }}\nsteps:\n  - stamp: {{ on: d, sectors: 8 }}\n"
    )
}

fn as_of(kernel: &str) -> Variants {
    Variants::as_of(kernel.parse().unwrap())
}

fn with(mut variants: Variants, axis: &str, value: &str) -> Variants {
    variants.set(axis, value).unwrap();
    variants
}

/// The algorithms of all cells.
fn stacks(head: &str, kernel: Option<&str>, overrides: &[(&str, &str)]) -> Vec<Variants> {
    let document: Arc<Document> = parsed("t/history.yaml", &scenario(head));
    let overrides = overrides.iter().map(|(axis, value)| ((*axis).to_owned(), (*value).to_owned())).collect();
    let as_of = kernel.map(|kernel| kernel.parse::<Kernel>().unwrap());
    let plans = Plan::of(&document, &Wishes { overrides, as_of, ..Wishes::default() });
    let plans = plans.unwrap_or_else(|found| panic!("{}", found.render(document.text(), false)));
    plans.iter().map(|plan| plan.variants).collect()
}

#[test]
fn a_scenario_has_the_whole_stack_of_the_kernel_that_it_names_but_for_single_axes() {
    assert_eq!(stacks("", None, &[]), [Variants::default()]);
    assert_eq!(stacks("as_of: 4.10\n", None, &[]), [as_of("4.10")]);
    let head = "as_of: 4.9\nvariants: { split: [loop, trim] }\n";
    assert_eq!(stacks(head, None, &[]), [as_of("4.9"), with(as_of("4.9"), "split", "trim")]);
    assert_eq!(stacks("as_of: 4.9\n", None, &[("split", "trim")]), [with(as_of("4.9"), "split", "trim")]);
}

#[test]
fn a_kernel_may_be_an_axis() {
    let head = "as_of: 2.6.12\nvariants: { as_of: [3.8, 4.9], planted: [none, leaks-clone] }\n";
    let leaks = |kernel| with(as_of(kernel), "planted", "leaks-clone");
    assert_eq!(stacks(head, None, &[]), [as_of("3.8"), leaks("3.8"), as_of("4.9"), leaks("4.9")]);
    assert_eq!(stacks(head, None, &[("as_of", "6.0"), ("planted", "none")]), [as_of("6.0")]);
}

#[test]
fn a_kernel_on_the_command_line_goes_before_a_scenarios_axes_of_history_and_its_kernel() {
    let head = "as_of: 4.9\nvariants: { gmr: [fifo, sorted], planted: [none, leaks-clone] }\n";
    let stack = as_of("2.6.12");
    assert_eq!(stacks(head, Some("2.6.12"), &[]), [stack, with(stack, "planted", "leaks-clone")]);
    let given = [("gmr", "sorted"), ("planted", "none")];
    assert_eq!(stacks(head, Some("2.6.12"), &given), [with(stack, "gmr", "sorted")]);
}

#[test]
fn a_kernel_that_there_never_was_is_a_located_mistake() {
    let folder = Folder::new();
    let text = scenario("as_of: 4.99\nvariants: { as_of: [4.9, 4.9.7] }\n");
    let ended = folder.dmlab(&["run", folder.with("a.yaml", &text)]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for part in ["a.yaml:4:8", "a.yaml:5:26", "there is no kernel \"4.99\"", "4.0 to 4.20", "no kernel \"4.9.7\""] {
        assert!(ended.err.contains(part), "{part} is not in {}", ended.err);
    }
    let good = folder.with("b.yaml", &scenario(""));
    for arguments in [["--as-of", "4.99"], ["--variant", "as_of=4.99"]] {
        let ended = folder.dmlab(&[&["run", good], &arguments[..]].concat());
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains("4.0 to 4.20"), "{}", ended.err);
    }
}

#[test]
fn a_record_says_which_kernel_it_was() {
    let folder = Folder::new();
    let file = folder.with("a.yaml", &scenario(""));
    let out = folder.dmlab(&["run", file, "--as-of", "4.9", "--dry-run"]).out;
    assert!(out.contains("gmr: fifo") && out.contains("rescue: punt-own"), "{out}");
    let out = folder.dmlab(&["run", file, "--as-of", "4.9", "--json", "-"]).out;
    assert!(out.contains("as_of") && out.contains("4.9"), "{out}");
}
