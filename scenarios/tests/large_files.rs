//! Files at the limits, made to be as much work as possible, are read or refused within seconds: no check is
//! quadratic in something that a file can have a hundred thousand of.
//!
//! Not here: what exactly is said about them.

use std::time::{Duration, Instant};

use dmlab_scenarios::Document;

const PATIENCE: Duration = Duration::from_secs(20);

/// A scenario with these lines, padded with nothing; its mistakes as rendered text.
fn use_fully(name: &str, lines: &str) -> String {
    let start = Instant::now();
    let text = format!("scenario: a\nabout: x\n{lines}\n");
    assert!(text.len() <= 1 << 20, "{name}: {} bytes are refused at once", text.len());
    let found =
        Document::parse("x", &text).and_then(|document| document.check()).map_err(|found| found.render(&text, false));
    let taken = start.elapsed();
    eprintln!("{name}: {taken:?}");
    assert!(taken < PATIENCE, "{name} took {taken:?}");
    found.err().unwrap_or_default()
}

#[test]
fn tens_of_thousands_of_mistakes_are_cut_off_in_time() {
    let unknown: String = (0..45_000).map(|index| format!("devises{index}: 1\n")).collect();
    assert!(use_fully("unknown keys", &unknown).ends_with("and more than these 500"));
    let steps = "  - create: nothing\n".repeat(30_000);
    let devices: String = (0..256).map(|index| format!("  {}{index}: {{ ram: 1k }}\n", "nothin".repeat(9))).collect();
    let found = use_fully("unknown devices", &format!("devices:\n{devices}steps:\n{steps}"));
    assert!(found.ends_with("and more than these 500"));
}

#[test]
fn a_line_of_a_mebibyte_is_read_in_time() {
    let devices = |token: &str| {
        format!(
            "devices: {{ d: {{ ram: 1k }}, t: {{ dm: '0 1 x{}' }} }}\nsteps: [{{ sleep: 0 }}]",
            token.repeat(340_000)
        )
    };
    assert_eq!(use_fully("references in one line", &devices(" $d")), "");
    assert!(use_fully("unknown references in one line", &devices(" $x")).ends_with("and more than these 500"));
    let axes = format!("devices: {{ d: {{ ram: '{}' }} }}\nsteps: [{{ sleep: 0 }}]", "${x}".repeat(250_000));
    assert!(use_fully("unknown axes in one text", &axes).contains("is not an axis"));
}

#[test]
fn matrices_at_the_limit_are_checked_in_time() {
    let values: Vec<String> = (0..64).map(|value| value.to_string()).collect();
    let variants = format!("{{ a: [{0}], b: [{0}] }}", values.join(", "));
    let steps = "  - { sleep: \"${a}ms\" }\n".repeat(250);
    let head = format!("variants: {variants}\ndevices: {{ d: {{ ram: 1k }} }}\nsteps:\n{steps}");
    assert_eq!(use_fully("cells", &head), "");
    let wrong = head.replace("ms\"", "\"");
    assert!(use_fully("cells with mistakes", &wrong).ends_with("and more than these 500"));
    let expect = "  - { when: { a: 63, b: 63 }, verdict: hang }\n".repeat(40);
    assert_eq!(use_fully("selectors", &format!("{head}expect:\n{expect}")), "");
}

#[test]
fn an_axis_of_tens_of_thousands_of_values_is_refused_in_time() {
    let values: Vec<String> = (0..90_000).map(|value| value.to_string()).collect();
    let found = use_fully("values", &format!("variants: {{ a: [{}] }}", values.join(", ")));
    assert!(found.contains("an axis with more values"), "{found}");
}
