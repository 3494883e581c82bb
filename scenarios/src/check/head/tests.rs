//! Tests of `head`.
//! Not here: what other files report about the same text.

use super::super::testing::{assert_refused, scenario};
use super::*;

fn with(lines: &str) -> Result<crate::Scenario, String> {
    scenario(&format!("devices: {{ d: {{ ram: 1k }} }}\nsteps: [{{ sleep: 0 }}]\n{lines}\n"))
}

#[test]
fn what_is_left_out_has_its_default() {
    let found = with("scenario: a/b-2\nabout: >-\n  One\n  sentence.").unwrap();
    assert_eq!((found.id.as_str(), found.about.as_str()), ("a/b-2", "One sentence."));
    assert_eq!(found.runs, [Runtime::Explorer, Runtime::Threads]);
    assert_eq!(found.deadline, Nanos::secs(2));
    assert!(found.commits.is_empty() && found.tags.is_empty());
}

#[test]
fn what_is_given_is_read() {
    let text = "scenario: a\nabout: x\ncommits: [18a25da84354, 1234567]\ntags: split\nruns: [threads]\ndeadline: 50ms";
    let found = with(text).unwrap();
    assert_eq!(found.commits, ["18a25da84354", "1234567"]);
    assert_eq!(found.tags, ["split"]);
    assert_eq!((found.runs, found.deadline), (vec![Runtime::Threads], Nanos::millis(50)));
}

#[test]
fn mistakes_in_the_head_are_refused() {
    let with_name = |lines: &str| with(&format!("scenario: a\nabout: x\n{lines}"));
    assert_refused(
        with_name,
        &[
            ("commits: [xyz]", "x:5:11: \"xyz\" is not a commit: 7 to 40 of 0-9 and a-f"),
            ("tags: [Split]", "x:5:8: \"Split\" is not a tag"),
            ("runs: []", "x:5:7: a scenario that runs nowhere"),
            ("runs: [kernel]", "x:5:8: \"kernel\" is not a runtime (allowed here: explorer, threads)"),
            ("deadline: 0", "x:5:11: \"0\" is not a duration above 0"),
            ("varians: {}", "x:5:1: \"varians\" is not a key of a scenario (did you mean `variants`?"),
            (
                "exclude: [{ split: loop }]",
                "x:5:13: \"split\" is not an axis of this scenario's `variants` (allowed here: nothing)",
            ),
            ("variants: { a: [x] }\nexclude: [{ a: x }]", "x:6:10: `exclude` leaves no cell of the matrix"),
        ],
    );
    assert_refused(
        with,
        &[
            ("scenario: A\nabout: x", "x:3:11: \"A\" is not the name of a scenario"),
            ("scenario: a//b\nabout: x", "x:3:11: \"a//b\" is not the name of a scenario"),
            ("scenario: a\nabout: ' '", "x:4:8: \" \" is not a text with something in it"),
            ("scenario: a\nabout:", "x:4:1: nothing is not a text"),
            ("", "x:1:1: `about` is missing in a scenario\nx:1:1: `scenario` is missing in a scenario"),
        ],
    );
}

#[test]
fn a_text_that_is_no_map_is_no_scenario() {
    assert_eq!(scenario("hello\n").unwrap_err(), "x:1:1: \"hello\" is not a scenario: a map of `key: value` is wanted");
}
