//! The outline of a file: the modules it declares, the paths it names, and which of its text is test code.
//!
//! `use` trees are taken apart, so `use crate::{a, b::{self, c as d}}` names `crate::a`, `crate::b` and `crate::b::c`.
//! Every path carries the inline modules around it; with them and the file's own module path, [`PathUse::resolve`]
//! turns `crate::`, `self::` and any number of `super::` into a path from the crate's root.
//!
//! It does not expand macros and it does not know what a name in scope stands for: a path that begins with a plain
//! name is resolved only if that name is a module below the present one (the caller says which exist).

use std::ops::Range;

use crate::tokens::{Token, behind_group, reads};

/// `mod name;` as written in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Inline modules around the declaration, outermost first.
    pub inline: Vec<String>,
    /// The declared name.
    pub name: String,
    /// Byte offset of the declaration.
    pub at: usize,
}

/// A path of at least two names, or any path in a `use` tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathUse {
    /// The names; a glob ends in `*`.
    pub segments: Vec<String>,
    /// The name that a `use` gives to the last segment, which is that segment unless there is an `as`.
    pub bound: Option<String>,
    /// Inline modules around the path, outermost first.
    pub inline: Vec<String>,
    /// Byte offset of the path's last name.
    pub at: usize,
    /// Line of the path's last name, from one.
    pub line: usize,
}

impl PathUse {
    /// The path from the crate's root, when it can be known. `file` is the module path of the file that holds it;
    /// `is_module` tells whether a path from the root is a module.
    #[must_use]
    pub fn resolve(&self, file: &[String], is_module: impl Fn(&[String]) -> bool) -> Option<Vec<String>> {
        let mut base: Vec<String> = file.iter().chain(&self.inline).cloned().collect();
        let mut rest = self.segments.as_slice();
        match rest.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {}
            name => {
                base.push(name.to_owned());
                if !is_module(&base) {
                    return None;
                }
                rest = &rest[1..];
            }
        }
        while rest.first().is_some_and(|name| name == "super") {
            base.pop()?;
            rest = &rest[1..];
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    /// Whether the given names stand next to each other, in this order, anywhere in the path.
    #[must_use]
    pub fn names(&self, wanted: &[&str]) -> bool {
        self.segments.windows(wanted.len()).any(|window| window == wanted)
    }

    /// Whether the path begins with the given names.
    #[must_use]
    pub fn starts_with(&self, wanted: &[&str]) -> bool {
        self.segments.get(..wanted.len()).is_some_and(|first| first == wanted)
    }
}

/// What a file declares and names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// Modules in other files.
    pub declarations: Vec<Declaration>,
    /// Paths, in text order.
    pub paths: Vec<PathUse>,
    /// Byte ranges of items that exist only in test builds, attribute included.
    pub tests: Vec<Range<usize>>,
}

impl Outline {
    /// The outline of a file of `length` bytes with these tokens.
    #[must_use]
    pub fn new(tokens: &[Token], length: usize) -> Self {
        let mut walk = Walk { tokens, at: 0, open: Vec::new(), outline: Self::default() };
        while walk.at < tokens.len() {
            walk.step();
        }
        walk.outline.tests = test_ranges(tokens, length);
        walk.outline
    }

    /// Whether the byte at `at` belongs to an item that exists only in test builds.
    #[must_use]
    pub fn is_test(&self, at: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&at))
    }
}

/// One pass over the tokens; `open` holds a name for each open brace that opened an inline module.
struct Walk<'a> {
    tokens: &'a [Token],
    at: usize,
    open: Vec<Option<String>>,
    outline: Outline,
}

impl Walk<'_> {
    fn text(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |token| &token.text)
    }

    fn inline(&self) -> Vec<String> {
        self.open.iter().flatten().cloned().collect()
    }

    fn step(&mut self) {
        match (self.text(0), self.text(2)) {
            ("mod", ";") => {
                let declared = &self.tokens[self.at + 1];
                let inline = self.inline();
                self.outline.declarations.push(Declaration { inline, name: declared.text.clone(), at: declared.at });
                self.at += 3;
            }
            ("mod", "{") => {
                self.open.push(Some(self.text(1).to_owned()));
                self.at += 3;
            }
            ("{", _) => {
                self.open.push(None);
                self.at += 1;
            }
            ("}", _) => {
                self.open.pop();
                self.at += 1;
            }
            // `use<'a>` in a type says what it captures; it imports nothing.
            ("use", _) if self.text(1) != "<" => {
                self.at += 1;
                self.use_tree(&[]);
            }
            _ if self.tokens[self.at].is_word() => self.plain_path(),
            _ => self.at += 1,
        }
    }

    fn plain_path(&mut self) {
        let mut segments = vec![self.text(0).to_owned()];
        while self.text(1) == "::" && self.tokens.get(self.at + 2).is_some_and(Token::is_word) {
            self.at += 2;
            segments.push(self.text(0).to_owned());
        }
        if segments.len() > 1 {
            self.record(segments, None);
        }
        self.at += 1;
    }

    /// A tree behind `prefix`; leaves the walk at the token behind the tree.
    fn use_tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        loop {
            match self.text(0) {
                "::" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while !matches!(self.text(0), "}" | "") {
                        self.use_tree(&path);
                        self.at += usize::from(self.text(0) == ",");
                    }
                    self.at += 1;
                    return;
                }
                _ => {
                    if self.at >= self.tokens.len() {
                        return;
                    }
                    path.push(self.text(0).to_owned());
                    if self.text(1) == "::" {
                        self.at += 2;
                        continue;
                    }
                    return self.use_leaf(path);
                }
            }
        }
    }

    fn use_leaf(&mut self, mut path: Vec<String>) {
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let renamed = self.text(1) == "as";
        let bound = if renamed { self.text(2).to_owned() } else { path.last().cloned().unwrap_or_default() };
        self.record(path, Some(bound));
        self.at += if renamed { 3 } else { 1 };
    }

    fn record(&mut self, segments: Vec<String>, bound: Option<String>) {
        let token = &self.tokens[self.at];
        let inline = self.inline();
        self.outline.paths.push(PathUse { segments, bound, inline, at: token.at, line: token.line });
    }
}

/// Finds items behind `#[cfg(test)]` or `#[cfg(all(test, …))]`; with the `#!` form, the whole file.
fn test_ranges(tokens: &[Token], length: usize) -> Vec<Range<usize>> {
    const FORMS: [&[&str]; 2] = [&["[", "cfg", "(", "test", ")"], &["[", "cfg", "(", "all", "(", "test"]];
    let mut ranges = Vec::new();
    for (index, token) in tokens.iter().enumerate().filter(|(_, token)| token.text == "#") {
        let inner = reads(tokens, index + 1, &["!"]);
        let bracket = index + 1 + usize::from(inner);
        if FORMS.iter().any(|form| reads(tokens, bracket, form)) {
            let (start, end) = if inner { (0, length) } else { (token.at, item_end(tokens, bracket, length)) };
            ranges.push(start..end);
        }
    }
    ranges
}

/// The end of the item whose attribute opens with the bracket at `bracket`.
fn item_end(tokens: &[Token], bracket: usize, length: usize) -> usize {
    let mut index = behind_group(tokens, bracket);
    while reads(tokens, index, &["#", "["]) {
        index = behind_group(tokens, index + 1);
    }
    while let Some(token) = tokens.get(index) {
        match token.text.as_str() {
            ";" => return token.at + 1,
            // The brace that closes what is around the item: the item was a field or a variant.
            "}" => return token.at,
            "{" => return tokens.get(behind_group(tokens, index) - 1).map_or(length, |close| close.at + 1),
            "(" | "[" => index = behind_group(tokens, index),
            _ => index += 1,
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    fn outline(text: &str) -> Outline {
        Source::new(text).outline().clone()
    }

    fn paths(text: &str) -> Vec<String> {
        outline(text).paths.iter().map(|path| path.segments.join("::")).collect()
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_use_tree_is_taken_apart() {
        assert_eq!(
            paths("pub(crate) use crate::{a, b::{self, c as d, e::*}};\nuse x;"),
            ["crate::a", "crate::b", "crate::b::c", "crate::b::e::*", "x"]
        );
        assert_eq!(outline("use a::b as c;").paths[0].bound.as_deref(), Some("c"));
    }

    #[test]
    fn paths_in_expressions_and_types_are_found_with_their_lines() {
        let found = outline("fn f(x: crate::dm::Table) -> y {\n    std::process::exit(Vec::<u8>::new())\n}").paths;
        let shown: Vec<_> = found.iter().map(|path| (path.segments.join("::"), path.line)).collect();
        assert_eq!(shown, [("crate::dm::Table".to_owned(), 1), ("std::process::exit".to_owned(), 2)]);
        assert_eq!(paths("impl Iterator<Item = a::B> + use<'a> {}"), ["a::B"]);
    }

    #[test]
    fn super_and_self_are_resolved_through_inline_modules() {
        let found = outline("mod inner { use super::super::x::Y; use self::z::W; }\nuse super::v;");
        let resolved: Vec<_> =
            found.paths.iter().map(|path| path.resolve(&owned(&["a", "b"]), |_| false).unwrap().join("::")).collect();
        assert_eq!(resolved, ["a::x::Y", "a::b::inner::z::W", "a::v"]);
    }

    #[test]
    fn a_plain_name_is_resolved_only_if_it_is_a_child_module() {
        let found = outline("use child::X; use other::Y;");
        let is_module = |path: &[String]| path == owned(&["a", "child"]);
        assert_eq!(found.paths[0].resolve(&owned(&["a"]), is_module), Some(owned(&["a", "child", "X"])));
        assert_eq!(found.paths[1].resolve(&owned(&["a"]), is_module), None);
    }

    #[test]
    fn declarations_carry_the_inline_modules_around_them() {
        let found = outline("mod a;\nmod b { fn f() {} pub mod c; }\nmod d;").declarations;
        let shown: Vec<_> = found.iter().map(|one| (one.inline.join("::"), one.name.as_str())).collect();
        assert_eq!(shown, [(String::new(), "a"), ("b".to_owned(), "c"), (String::new(), "d")]);
    }

    #[test]
    fn a_test_item_ends_where_its_body_ends() {
        let text = "#[cfg(test)]\n#[allow(x)]\nmod tests { fn f() { {} } }\nfn product() {}";
        let found = outline(text);
        assert!(found.is_test(text.find("fn f").unwrap()));
        assert!(!found.is_test(text.find("product").unwrap()));
    }

    #[test]
    fn a_test_declaration_ends_at_its_semicolon_and_a_test_field_at_the_brace() {
        let text = "#[cfg(test)] const X: [u8; 2] = [1, 2]; const Y: u8 = 1;";
        assert!(outline(text).is_test(text.find('X').unwrap()));
        assert!(!outline(text).is_test(text.find('Y').unwrap()));
        let text = "struct S { #[cfg(all(test, unix))] x: u8 } struct T;";
        assert!(outline(text).is_test(text.find('x').unwrap()));
        assert!(!outline(text).is_test(text.find('T').unwrap()));
    }

    #[test]
    fn an_inner_attribute_makes_the_whole_file_a_test() {
        assert!(outline("fn a() {}\n#![cfg(test)]").is_test(0));
        assert!(!outline("#[cfg(not(test))] fn a() {}").is_test(20));
    }
}
