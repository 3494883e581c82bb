//! Two engines beside each other: alike, they conform; with a bug planted in one, they do not.
//!
//! Invariant: for each aspect there is a difference that is seen.

use std::sync::Arc;

use dmlab_results::ExitCode;
use dmlab_scenarios::Document;

use super::explained::{Explained, SHIPPED};
use super::report::Conformance;
use super::*;
use crate::plan::{Clock, Plan, Wishes};

const TEXT: &str = "\
scenario: a
about: x
devices: { d: { ram: 64KiB }, t: { dm: [\"0 128 linear $d 0\"] } }
steps:
  - status: { of: t, is: \"0 128 linear \" }
  - table: { of: t, matches: [\".*\"] }
  - stamp: { on: t, at: 0, sectors: 8 }
  - stamp: { on: t, at: 8, sectors: 8 }
  - verify: { on: t, at: 0, sectors: 16 }
";

fn seen(text: &str, planted: Option<&str>) -> Seen {
    let document = Arc::new(Document::parse("a", text).unwrap_or_else(|found| panic!("{found}")));
    let plans = Plan::of(&document, &Wishes { clock: Clock::Virtual, ..Wishes::default() });
    let mut plan = plans.unwrap_or_else(|found| panic!("{found}")).remove(0);
    if let Some(planted) = planted {
        plan.variants.set("planted", planted).unwrap_or_else(|error| panic!("{error}"));
    }
    sides::engine(&plan, &Arc::default())
}

/// One that says another thing of a device than there is, and whose scenario fails for it.
fn lying() -> Seen {
    let mut seen = seen(TEXT, None);
    let events = seen.trace.flows.get_mut("main").unwrap();
    let asked = events.iter().position(|event| event.what == "status of t").unwrap();
    events[asked].lines = vec!["0 64 linear ".to_owned()];
    events.truncate(asked + 1);
    Seen { verdict: Verdict::Fail, report: Some("line 5: found another line".to_owned()), ..seen }
}

fn aspects(ours: &Seen, theirs: &Seen) -> Vec<Aspect> {
    differences(ours, theirs).iter().map(|difference| difference.aspect).collect()
}

#[test]
fn two_engines_of_one_kind_conform_in_every_respect() {
    let (ours, theirs) = (seen(TEXT, None), seen(TEXT, None));
    assert_eq!(differences(&ours, &theirs), []);
    assert!(ours.trace.flows["main"].len() >= 7, "{:?}", ours.trace);
}

#[test]
fn an_engine_that_lies_about_its_status_differs_in_lines() {
    let found = differences(&seen(TEXT, None), &lying());
    let first = found.iter().find(|difference| difference.aspect == Aspect::Lines).unwrap();
    assert_eq!((first.line, &*first.what), (5, "status of t"));
    assert!(found.iter().any(|difference| difference.aspect == Aspect::Verdict), "{found:?}");
}

#[test]
fn an_engine_that_loses_writes_differs_in_data() {
    let found = aspects(&seen(TEXT, None), &seen(TEXT, Some("loses-writes")));
    assert!(found.contains(&Aspect::Data) && found.contains(&Aspect::Verdict), "{found:?}");
}

#[test]
fn another_error_number_differs_in_errnos() {
    let text = TEXT.replace("  - stamp", "  - load: { on: t, rw: read, size: 4k, expect: any }\n  - stamp");
    let ours = seen(&text, None);
    let mut theirs = ours.clone();
    let events = theirs.trace.flows.get_mut("main").unwrap();
    events.last_mut().unwrap().errno = Some("EIO".to_owned());
    let load = events.iter_mut().find(|event| event.what.starts_with("load on")).unwrap();
    load.lines.push("some I/O ended with EIO".to_owned());
    assert_eq!(aspects(&ours, &theirs), [Aspect::Errnos, Aspect::Errnos]);
}

#[test]
fn a_flow_that_takes_another_way_differs_in_steps_once() {
    let ours = seen(TEXT, None);
    let mut theirs = ours.clone();
    theirs.trace.flows.get_mut("main").unwrap().remove(3);
    assert_eq!(aspects(&ours, &theirs), [Aspect::Steps]);
    let mut theirs = ours.clone();
    theirs.trace.flows.get_mut("main").unwrap().pop();
    let found = differences(&ours, &theirs);
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().starts_with("steps: main: engine ended after line 9: read of t 0+16"), "{}", found[0]);
    let mut theirs = ours.clone();
    theirs.trace.flows.clear();
    assert_eq!(aspects(&ours, &theirs), [Aspect::Steps]);
    let mut theirs = ours.clone();
    theirs.trace.left_out = 3;
    assert_eq!(aspects(&ours, &theirs), [Aspect::Steps]);
}

fn compared(explained: &str, theirs: &Seen) -> Conformance {
    let mut explained = Explained::parse(explained).unwrap_or_else(|error| panic!("{error}"));
    let mut conformance = Conformance::default();
    conformance.compare(("a", "x=y", "6.12"), &seen(TEXT, None), theirs, &mut explained);
    conformance.finish(&explained);
    conformance
}

const REASONS: &str = "\
- { scenario: \"a*\", aspect: lines, what: status of, reason: The engine was told to lie here. }
- { scenario: a, kernel: \"6.*\", aspect: verdict, reason: It follows from the lie. }
- { scenario: b, aspect: data, reason: Nobody has looked at this scenario. }
- { scenario: a, aspect: steps, reason: A flow ends early after the lie. }
";

#[test]
fn a_difference_with_a_reason_is_explained_and_one_without_is_not() {
    let conformance = compared(REASONS, &lying());
    assert_eq!(conformance.exit_code(), ExitCode::Ok, "{}", conformance.in_words());
    let text = conformance.in_words();
    assert!(text.contains("explained: The engine was told to lie here."), "{text}");
    assert!(text.contains("\n1 cells compared: 0 equal, 1 explained, 0 differ; 0 not compared\n"), "{text}");
    let bare = compared("[]", &lying());
    assert_eq!(bare.exit_code(), ExitCode::ExpectationFailed);
    assert!(bare.in_words().contains("DIFFERS"));
}

#[test]
fn an_explanation_that_explains_nothing_any_more_is_an_error() {
    let conformance = compared(REASONS, &seen(TEXT, None));
    assert_eq!(conformance.idle.len(), 3, "the one of another scenario was not put to the test");
    assert_eq!(conformance.exit_code(), ExitCode::ExpectationFailed);
    assert!(conformance.in_words().contains("explains nothing any more: a* on *, lines, \"status of\"; take it out"));
    assert_eq!(compared("[]", &seen(TEXT, None)).exit_code(), ExitCode::Ok);
}

#[test]
fn stores_that_are_left_are_compared_and_counted_and_a_damaged_one_differs() {
    let text = "\
scenario: a
about: x
devices:
  o: { ram: 16KiB }
  c: { ram: 16KiB }
  s: { dm: \"0 32 snapshot $o $c P 1\" }
  b: { dm: \"0 32 snapshot-origin $o\" }
steps:
  - stamp: { on: b, at: 0, sectors: 3 }
";
    let seen = || {
        let mut seen = seen(text, None);
        assert_eq!(seen.trace.stores, Default::default(), "nobody looks without an errand");
        let document = Arc::new(Document::parse("a", text).unwrap_or_else(|found| panic!("{found}")));
        let as_of = *dmlab_engine::variants::Kernel::all().last().unwrap();
        let plan = sides::plan(&document, &[], as_of, dmlab_units::Seed(1), Some(&Default::default()));
        seen = sides::engine(&plan.unwrap_or_else(|found| panic!("{found}")).unwrap(), &Arc::default());
        seen
    };
    let rows = |theirs: &Seen| {
        let mut conformance = Conformance::default();
        conformance.compare(("a", "", "6.12"), &seen(), theirs, &mut Explained::default());
        (conformance.exit_code(), conformance.in_words())
    };
    let (code, words) = rows(&seen());
    assert!(
        code == ExitCode::Ok && words.ends_with("\n1 stores compared: 1 equal, 0 equivalent, 0 differ\n"),
        "{words}"
    );
    let mut theirs = seen();
    let store = theirs.trace.stores.get_mut("c").unwrap();
    store.digest ^= 1;
    store.exceptions.swap(0, 2);
    let (code, words) = rows(&theirs);
    assert!(code == ExitCode::Ok && words.contains("0 equal, 1 equivalent, 0 differ"), "{words}");
    assert!(words.lines().any(|line| line.ends_with("equivalent")), "{words}");
    theirs.trace.stores.get_mut("c").unwrap().exceptions[1].2 ^= 1;
    let (code, words) = rows(&theirs);
    assert!(code == ExitCode::ExpectationFailed && words.contains("0 equal, 0 equivalent, 1 differ"), "{words}");
    assert!(words.contains("cow: store on c: engine valid, version 1, chunks of 1 sectors, 3 exceptions, chunk 1 is"));
}

/// What follows from the lie beside the lie.
const REST: &str = "\
- { scenario: a, aspect: verdict, reason: It follows from the lie. }
- { scenario: a, aspect: steps, reason: A flow ends early after the lie. }
";

#[test]
fn an_explanation_of_a_race_may_have_nothing_to_explain_and_a_plain_one_beside_it_may_not() {
    let race = "- { scenario: a, aspect: lines, sometimes: true, reason: It depends on who comes first. }\n";
    let quiet = compared(race, &seen(TEXT, None));
    assert_eq!((quiet.exit_code(), quiet.idle.len()), (ExitCode::Ok, 0));
    let told = compared(&format!("{race}{REST}"), &lying());
    assert_eq!(told.exit_code(), ExitCode::Ok, "{}", told.in_words());
    let idle = compared(&format!("{race}{REST}"), &seen(TEXT, None));
    assert_eq!(idle.exit_code(), ExitCode::ExpectationFailed);
    assert_eq!(idle.idle.iter().map(|entry| entry.aspect).collect::<Vec<_>>(), [Aspect::Verdict, Aspect::Steps]);
}

#[test]
fn an_explanation_of_another_line_or_of_other_words_explains_nothing() {
    let with = |more: &str| {
        let lines = format!("- {{ scenario: a, aspect: lines, {more}, reason: The engine was told to lie here. }}\n");
        compared(&format!("{REST}{lines}"), &lying()).exit_code()
    };
    for fits in ["line: 5", "engine_says: 128 linear", "kernel_says: 64 linear", "line: 5, kernel_says: \"0 64\""] {
        assert_eq!(with(fits), ExitCode::Ok, "{fits}");
    }
    for other in ["line: 6", "engine_says: 64 linear", "kernel_says: 128 linear", "line: 5, what: table of"] {
        assert_eq!(with(other), ExitCode::ExpectationFailed, "{other}");
    }
}

#[test]
fn a_cell_that_one_side_leaves_out_is_told_with_its_reason() {
    let mut explained = Explained::default();
    let mut conformance = Conformance::default();
    let left_out =
        Seen { verdict: Verdict::Skip, report: Some("no such target\nmore".to_owned()), trace: Trace::default() };
    conformance.compare(("a", "", "6.1"), &seen(TEXT, None), &left_out, &mut explained);
    assert_eq!(conformance.exit_code(), ExitCode::Ok);
    let text = conformance.in_words();
    assert!(text.contains("not compared:\n  a on 6.1: kernel: no such target\n"), "{text}");
    assert!(text.contains("\n0 cells compared: 0 equal, 0 explained, 0 differ; 1 not compared\n"), "{text}");
}

#[test]
fn explanations_need_reasons_and_known_keys() {
    let wrong = |text: &str| Explained::parse(text).unwrap_err();
    assert!(
        wrong("- { scenario: a, aspect: data, reason: because }").contains("the entry of a about data has no reason")
    );
    assert!(wrong("- { scenario: a, aspect: speed, reason: It is slow on Mondays. }").contains("speed"));
    assert!(wrong("- { scenario: a, aspect: data, why: x, reason: It is slow on Mondays. }").contains("why"));
    Explained::parse(SHIPPED).unwrap_or_else(|error| panic!("{error}"));
}
