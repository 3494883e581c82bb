//! Holds the description of the language to the checker: they must know the same keys and the same words.
//!
//! The test walks scenarios and their description side by side. Into every map it puts a key that nobody knows, in
//! place of every word one that nobody knows, and in place of every number one beyond its limits; the checker must
//! refuse each, and what it then lists as allowed must be what the description has. The scenarios together use every
//! key of the description, or the test says which one it could not try.

use std::collections::{BTreeMap, BTreeSet};

use super::head::SCENARIO;
use super::words::{Key, Map, Value, fields, may, must};
use crate::matrix;
use crate::node::{Kind, Node, Scalar};
use crate::sink::Sink;
use crate::{Diagnostics, Span, catalog, check, yaml};

/// Scenarios that use every key of the language at least once. Whoever adds a key adds it here too.
const EVERY_KEY: &str = include_str!("every_key.yaml");
const UNKNOWN: &str = "zzzzz";
/// More maps of one kind than this tell nothing new.
const TRIES_PER_MAP: usize = 3;

/// All mistakes that the checker finds in a tree.
fn mistakes(root: &Node) -> Diagnostics {
    let mut sink = Sink::new("x", "");
    if let Some(head) = check::head(root, &mut sink) {
        let axes: Vec<(&str, Vec<&str>)> = head
            .axes
            .iter()
            .map(|axis| (axis.name.as_str(), axis.values.iter().map(String::as_str).collect()))
            .collect();
        for cell in matrix::cells(&axes, &head.excluded) {
            let _ = check::cell(root, &head, &cell, &mut sink);
        }
    }
    sink.into_result().err().unwrap_or_default()
}

/// The words behind `allowed here: ` of mistakes whose message names the unknown word.
fn allowed(found: &Diagnostics) -> Option<Vec<String>> {
    let quoted = format!("{UNKNOWN:?}");
    let mistake = found.iter().find(|mistake| mistake.message.starts_with(&quoted))?;
    let (_, list) = mistake.help.as_deref()?.split_once("allowed here: ")?;
    // Words with a space in them are quoted in lists.
    Some(list.split(", ").map(|word| word.trim_matches('"').to_owned()).collect())
}

/// Where a walk stands: which child to take at each level.
type Path = Vec<usize>;

/// What a walk found: maps and scalars with their descriptions.
#[derive(Default)]
struct Walk {
    maps: Vec<(Path, &'static Map)>,
    words: Vec<(Path, Vec<&'static str>)>,
    numbers: Vec<(Path, u64, u64)>,
    keys: BTreeSet<(&'static str, &'static str)>,
}

impl Walk {
    fn value(&mut self, node: &Node, value: &'static Value, path: &mut Path) {
        match (value, &node.kind) {
            (Value::Map(map), Kind::Map(_)) => self.map(node, map, path),
            (Value::MapOf(_, value), Kind::Map(entries)) => {
                for (index, (_, inner)) in entries.iter().enumerate() {
                    self.child(inner, value, index, path);
                }
            }
            (Value::List(item) | Value::OneOrMore(item), Kind::Seq(items)) => {
                for (index, inner) in items.iter().enumerate() {
                    self.child(inner, item, index, path);
                }
            }
            (Value::OneOrMore(item), Kind::Scalar(_)) => self.value(node, item, path),
            (Value::Words(words), Kind::Scalar(_)) => {
                self.words.push((path.clone(), words.iter().map(|(word, _)| *word).collect()));
            }
            (Value::Number(least, most), Kind::Scalar(_)) => self.numbers.push((path.clone(), *least, *most)),
            (Value::Either(values), kind) => {
                let fits = |value: &&Value| match kind {
                    Kind::Map(_) => matches!(value, Value::Map(_) | Value::MapOf(..)),
                    Kind::Seq(_) => matches!(value, Value::List(_) | Value::OneOrMore(_)),
                    // Words beside a map have a message of their own, without a list.
                    Kind::Scalar(_) | Kind::Broken => false,
                };
                if let Some(value) = values.iter().find(fits) {
                    self.value(node, value, path);
                }
            }
            _ => {}
        }
    }

    fn child(&mut self, node: &Node, value: &'static Value, index: usize, path: &mut Path) {
        path.push(index);
        self.value(node, value, path);
        path.pop();
    }

    fn map(&mut self, node: &Node, map: &'static Map, path: &mut Path) {
        let Kind::Map(entries) = &node.kind else { return };
        self.maps.push((path.clone(), map));
        for (index, (key, inner)) in entries.iter().enumerate() {
            let Some(described) = map.keys.iter().find(|described| Some(described.name) == key.text()) else {
                continue;
            };
            self.keys.insert((map.what, described.name));
            self.child(inner, &described.value, index, path);
        }
    }
}

fn at<'n>(root: &'n mut Node, path: &[usize]) -> &'n mut Node {
    path.iter().fold(root, |node, &index| match &mut node.kind {
        Kind::Map(entries) => &mut entries[index].1,
        Kind::Seq(items) => &mut items[index],
        Kind::Scalar(_) | Kind::Broken => panic!("a path leads through maps and lists"),
    })
}

fn scalar(text: &str) -> Node {
    Node { span: Span::FILE, kind: Kind::Scalar(Scalar { text: text.to_owned(), plain: false, lead: None }) }
}

fn documents() -> Vec<Node> {
    let texts = catalog().iter().map(|entry| entry.text).chain(EVERY_KEY.split("\n---\n"));
    let read = |text: &str| {
        let mut sink = Sink::new("x", text);
        let root = yaml::read(text, &mut sink).unwrap_or_else(|| panic!("{text}"));
        let found = mistakes(&root);
        assert!(found.is_empty(), "{}", found.render(text, false));
        root
    };
    texts.map(read).collect()
}

fn walked(root: &Node) -> Walk {
    let mut walk = Walk::default();
    walk.map(root, &SCENARIO, &mut Vec::new());
    walk
}

/// All maps that can be reached, and their keys.
fn described() -> BTreeMap<&'static str, &'static Map> {
    fn go(value: &'static Value, seen: &mut BTreeMap<&'static str, &'static Map>) {
        match value {
            Value::Map(map) => visit(map, seen),
            Value::List(value) | Value::OneOrMore(value) | Value::MapOf(_, value) => go(value, seen),
            Value::Either(values) => values.iter().for_each(|value| go(value, seen)),
            Value::Scalar(_) | Value::Words(_) | Value::Number(..) | Value::Axes | Value::Selector => {}
        }
    }
    fn visit(map: &'static Map, seen: &mut BTreeMap<&'static str, &'static Map>) {
        if seen.insert(map.what, map).is_none() {
            map.keys.iter().for_each(|key| go(&key.value, seen));
        }
    }
    let mut seen = BTreeMap::new();
    visit(&SCENARIO, &mut seen);
    seen
}

const REMEDY: &str = "the checker and scenarios/src/schema describe different languages: bring the description up to \
    date, use the key in scenarios/src/schema/every_key.yaml, then `dmlab schema > scenarios/scenario.schema.json`";

/// Puts an unknown key into the map at `path`: `None` if what the checker then allows is what `map` has.
fn difference(root: &Node, path: &[usize], map: &Map) -> Option<String> {
    let mut root = root.clone();
    let Kind::Map(entries) = &mut at(&mut root, path).kind else { panic!("{}", map.what) };
    entries.push((scalar(UNKNOWN), scalar("1")));
    let found = mistakes(&root);
    let Some(mut allowed) = allowed(&found) else { return Some(format!("{}: no list in {found}", map.what)) };
    let mut keys: Vec<&str> = map.keys.iter().map(|key| key.name).collect();
    allowed.sort();
    keys.sort_unstable();
    (allowed != keys).then(|| format!("{}: the checker allows {allowed:?}, the schema {keys:?}: {REMEDY}", map.what))
}

#[test]
fn every_map_has_the_keys_that_the_checker_allows() {
    let mut tried: BTreeMap<&str, usize> = BTreeMap::new();
    for root in documents() {
        for (path, map) in walked(&root).maps {
            let tries = tried.entry(map.what).or_default();
            *tries += 1;
            if *tries <= TRIES_PER_MAP {
                assert_eq!(difference(&root, &path, map), None);
            }
        }
    }
    for (what, _) in described() {
        assert!(tried.contains_key(what), "no scenario has {what}: {REMEDY}");
    }
}

#[test]
fn every_key_is_used_in_some_scenario() {
    let used: BTreeSet<_> = documents().iter().flat_map(|root| walked(root).keys).collect();
    for map in described().values() {
        for key in map.keys {
            assert!(used.contains(&(map.what, key.name)), "no scenario uses `{}` of {}: {REMEDY}", key.name, map.what);
        }
    }
}

#[test]
fn every_word_is_one_that_the_checker_allows() {
    let mut tried = BTreeSet::new();
    for root in documents() {
        for (path, mut words) in walked(&root).words {
            if !tried.insert(words.clone()) {
                continue;
            }
            let mut root = root.clone();
            *at(&mut root, &path) = scalar(UNKNOWN);
            let found = mistakes(&root);
            let mut allowed = allowed(&found).unwrap_or_else(|| panic!("{words:?}: no list in {found}"));
            allowed.sort();
            words.sort_unstable();
            assert_eq!(allowed, words, "{REMEDY}");
        }
    }
    assert!(tried.len() > 8, "{tried:?}");
}

#[test]
fn every_number_has_the_limits_of_the_checker() {
    let mut tried = BTreeSet::new();
    let not_a_number =
        |found: &Diagnostics| found.iter().any(|mistake| mistake.message.contains("is not a whole number"));
    for root in documents() {
        for (path, least, most) in walked(&root).numbers {
            if !tried.insert((least, most)) {
                continue;
            }
            let with = |number: u128| {
                let mut root = root.clone();
                *at(&mut root, &path) = scalar(&number.to_string());
                mistakes(&root)
            };
            assert!(not_a_number(&with(u128::from(most) + 1)), "{least}..={most} at {path:?}: {REMEDY}");
            assert!(least == 0 || not_a_number(&with(u128::from(least) - 1)), "{least}..={most} at {path:?}: {REMEDY}");
            for within in [least, most] {
                let found = with(u128::from(within));
                assert!(!not_a_number(&found), "{within} of {least}..={most}: {found}: {REMEDY}");
            }
        }
    }
    assert!(tried.len() > 6, "{tried:?}");
}

#[test]
fn a_key_that_is_forgotten_or_made_up_is_noticed() {
    static FORGETFUL: [Key; 1] = [must("on", Value::Number(0, 1), "")];
    static INVENTIVE: [Key; 3] =
        [must("on", Value::Number(0, 1), ""), must("at", Value::Number(0, 1), ""), may("length", Value::Axes, "")];
    let text = "scenario: a\nabout: x\ndevices: { d: { ram: 1k } }\nsteps: [{ stamp: { on: d, sectors: 1 } }]\n";
    let mut sink = Sink::new("x", text);
    let root = yaml::read(text, &mut sink).unwrap();
    let path = [3, 0, 0];
    for keys in [&FORGETFUL[..], &INVENTIVE[..]] {
        let map = fields("a `stamp` step", "", keys);
        assert!(difference(&root, &path, &map).is_some_and(|found| found.contains(REMEDY)));
    }
    let maps = walked(&root).maps;
    let (_, map) = maps.iter().find(|(_, map)| map.what == "a `stamp` step").unwrap();
    assert_eq!(difference(&root, &path, map), None);
}
