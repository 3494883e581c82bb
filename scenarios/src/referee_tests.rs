//! A referee for `yaml`: another YAML reader (yaml_serde, which stands on libyaml) must see the same tree in every
//! file of the catalogue. Both reading the same is what makes it likely that people do, too.
//!
//! Not here: files that only one of the two accepts; ours refuses more (anchors, tags, control characters).

use serde_yaml::Value;

use crate::catalog::catalog;
use crate::node::{Kind, Node};
use crate::sink::Sink;
use crate::yaml;

/// A small file with every style of text that the catalogue may use, so that the referee is never idle.
const STYLES: &str = "plain: a b  # comment\nsingle: 'it''s'\ndouble: \"a\\n\\u00e9\"\nblock: |\n  one\n   two\n\nfolded: >-\n  \
    one\n  two\n\n  three\nempty:\nnull: 1\nflow: { a: [1, 2.5, ~], b: {}, c: [], on: no }\nmulti: one\n  two\nlist:\n- x\n- - y\n  \
    - true\n- k: v\n  l: 0x10\n";

/// Whether our text and their typed value are the same thing.
fn same(node: &Node, value: &Value) -> bool {
    match (&node.kind, value) {
        (Kind::Scalar(scalar), Value::String(text)) => scalar.text == *text,
        (Kind::Scalar(scalar), Value::Null) => scalar.plain && matches!(scalar.text.as_str(), "" | "~" | "null"),
        (Kind::Scalar(scalar), Value::Bool(value)) => scalar.plain && scalar.text.parse() == Ok(*value),
        (Kind::Scalar(scalar), Value::Number(number)) => {
            let hex = scalar.text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
            scalar.plain
                && (hex.is_some_and(|hex| number.as_u64() == Some(hex))
                    || scalar.text.parse() == Ok(number.as_f64().unwrap_or(f64::NAN)))
        }
        (Kind::Seq(items), Value::Sequence(values)) => {
            items.len() == values.len() && items.iter().zip(values).all(|(item, value)| same(item, value))
        }
        (Kind::Map(entries), Value::Mapping(pairs)) => {
            entries.len() == pairs.len()
                && entries.iter().zip(pairs).all(|((key, node), (name, value))| same(key, name) && same(node, value))
        }
        _ => false,
    }
}

fn compare(name: &str, text: &str) {
    let mut sink = Sink::new(name, text);
    let ours = yaml::read(text, &mut sink);
    sink.into_result().unwrap_or_else(|found| panic!("{found}"));
    let theirs: Value = serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(same(&ours.unwrap(), &theirs), "{name}: read differently: {theirs:#?}");
}

#[test]
fn both_readers_see_the_same_in_every_style_of_text() {
    compare("styles", STYLES);
}

#[test]
fn both_readers_see_the_same_in_the_whole_catalogue() {
    for entry in catalog() {
        compare(entry.path, entry.text);
    }
}

#[test]
fn the_referee_sees_a_difference() {
    let text = "a: [1, x]\n";
    let ours = yaml::read(text, &mut Sink::new("x", text)).unwrap();
    for other in ["a: [1, y]", "a: [2, x]", "a: [1]", "b: [1, x]", "a: '1'", "a: [1, x]\nb: 1"] {
        assert!(!same(&ours, &serde_yaml::from_str(other).unwrap()), "{other}");
    }
}
