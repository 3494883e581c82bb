//! Tests of `yaml`: the tree, its places, and everything that is refused.
//! Not here: what other files report about the same text.

use super::*;
use crate::Diagnostics;

fn tree(text: &str) -> Result<Node, Diagnostics> {
    let mut sink = Sink::new("x", text);
    let node = read(text, &mut sink);
    sink.into_result().map(|()| node.unwrap())
}

fn refused(text: &str) -> String {
    tree(text).unwrap_err().to_string()
}

#[test]
fn every_part_knows_its_place() {
    let text = "é: ü b\r\nlist:\n  - 'q r'\n  - { k: [1, v] }\nblock: |\n  one\n  two\n\nlast: x\n";
    let root = tree(text).unwrap();
    let place = |node: &Node| (node.span.line, node.span.column, text[node.span.start..node.span.end].to_owned());
    assert_eq!(place(root.get("é").unwrap()), (1, 4, "ü b".to_owned()));
    let Kind::Seq(items) = &root.get("list").unwrap().kind else { panic!() };
    assert_eq!(place(&items[0]), (3, 5, "'q r'".to_owned()));
    assert_eq!(place(&items[1]), (4, 5, "{ k: [1, v] }".to_owned()));
    assert_eq!(place(items[1].get("k").unwrap()), (4, 10, "[1, v]".to_owned()));
    assert_eq!(place(root.get("block").unwrap()), (6, 3, "one\n  two".to_owned()));
    assert_eq!(root.get("block").unwrap().text(), Some("one\ntwo\n"));
    assert_eq!(place(root.get("list").unwrap()), (3, 3, "- 'q r'\n  - { k: [1, v] }".to_owned()));
}

#[test]
fn words_that_other_readers_turn_into_something_else_stay_text() {
    let root = tree("{ null: 1GiB, on: yes, a: 1e5, b: 0x10, c: .nan, d: true }").unwrap();
    let texts: Vec<_> = ["null", "on", "a", "b", "c", "d"].map(|key| root.get(key).unwrap().text().unwrap()).into();
    assert_eq!(texts, ["1GiB", "yes", "1e5", "0x10", ".nan", "true"]);
}

#[test]
fn a_value_that_is_left_out_has_the_place_of_its_key() {
    let root = tree("a:\nb: ~\n").unwrap();
    assert!(root.get("a").unwrap().is_nothing() && root.get("b").unwrap().is_nothing());
    assert_eq!((root.get("a").unwrap().span.line, root.get("a").unwrap().span.column), (1, 1));
    assert_eq!((root.get("b").unwrap().span.line, root.get("b").unwrap().span.column), (2, 4));
}

#[test]
fn a_key_that_is_given_twice_is_reported_at_the_second() {
    assert_eq!(
        refused("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n"),
        "x:4:3: \"c\" is given twice, first in line 3\nx:5:1: \"a\" is given twice, first in line 1"
    );
}

#[test]
fn an_alias_bomb_is_refused_at_its_first_fuse() {
    let mut bomb = "a: &a [x, x]\n".to_owned();
    for (name, before) in ('b'..='z').zip('a'..) {
        bomb.push_str(&format!("{name}: &{name} [*{before}, *{before}, *{before}, *{before}]\n"));
    }
    assert!(refused(&bomb).starts_with("x:1:7: anchors and aliases are not part of the language"));
}

#[test]
fn anchors_and_tags_are_refused_and_the_rest_is_still_read() {
    assert_eq!(
        refused("a: &x 1\nb: !!int 2\nc: 1\nc: 2"),
        "x:1:7: anchors and aliases are not part of the language\nx:2:10: tags (`!…`) are not part of the language\n\
         x:4:1: \"c\" is given twice, first in line 3"
    );
}

#[test]
fn a_hundred_thousand_open_brackets_are_refused_in_time_and_without_a_stack() {
    for unit in ["[", "{", "- ", "? ", "[{a: ", "{? "] {
        let found = refused(&unit.repeat(100_000));
        assert!(found.contains("nested more than the 64 levels allowed") || found.contains("not YAML"), "{found}");
    }
    let mut indented = String::new();
    for depth in 0..1000 {
        indented.push_str(&format!("{}a:\n", " ".repeat(depth)));
    }
    assert_eq!(refused(&indented), "x:65:65: nested more than the 64 levels allowed");
}

#[test]
fn nesting_up_to_the_limit_is_read() {
    let text = format!("{}x{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    assert_eq!(tree(&text).unwrap().count(), DEPTH_MAX + 1);
    assert_eq!(refused(&format!("[{text}]")), "x:1:65: nested more than the 64 levels allowed");
}

#[test]
fn a_file_of_two_mebibytes_is_refused() {
    assert_eq!(refused(&"# x\n".repeat(1 << 19)), "x:1:1: the file has 2097152 bytes, more than the 1048576 allowed");
}

#[test]
fn a_file_with_too_many_values_is_refused() {
    let found = refused(&"- a\n".repeat(NODES_MAX));
    assert_eq!(found, format!("x:{NODES_MAX}:3: the file has more than the {NODES_MAX} values allowed"));
}

#[test]
fn a_second_document_is_refused() {
    assert!(tree("---\na: 1\n").is_ok());
    assert_eq!(
        refused("a: 1\n---\nb: 2\n"),
        "x:2:1: a second document begins here; a scenario file holds one scenario"
    );
}

#[test]
fn characters_that_end_a_document_elsewhere_are_refused() {
    assert_eq!(refused("a: b\n\0c: d\n"), "x:2:1: the character U+0000 is not allowed in a scenario file");
    assert_eq!(refused("\u{feff}a: b\n"), "x:1:1: the character U+FEFF is not allowed in a scenario file");
}

#[test]
fn nothing_at_all_is_refused() {
    for text in ["", "\n\n", "# only a comment\n"] {
        assert!(refused(text).contains("the file is empty"), "{text:?}");
    }
}

#[test]
fn mistakes_in_the_syntax_have_a_place_and_advice() {
    assert!(refused("a:\n\tb: c\n").starts_with("x:2:2: not YAML: tabs"));
    assert!(refused("a:\n\tb: c\n").ends_with("(indent with spaces)"));
    assert!(refused("d: { levels: ${depth} }\n").contains("x:1:15: not YAML"));
    assert!(refused("d: { levels: ${depth} }\n").contains("write an axis in quotes"));
    assert!(refused("a: [b,\n\n\n").starts_with("x:1:6: not YAML"));
    assert!(refused("a: b: c\n").starts_with("x:1:5: not YAML"));
}

#[test]
fn keys_are_words() {
    assert_eq!(
        refused("? [a]\n: b\n? {c: d}\n: e\n: f\n"),
        "x:1:3: a list is not a word; the keys of a map are words\n\
         x:3:3: a map is not a word; the keys of a map are words\n\
         x:5:1: nothing is not a word; the keys of a map are words"
    );
}
