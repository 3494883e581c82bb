//! The words in which the language is described for editors: [`Map`], [`Key`], [`Value`].
//!
//! Invariant: a description is data, without code: one map of the language is one [`Map`], so that a test can walk a
//! scenario and its description side by side and hold the description to the checker.
//! Not here: the descriptions (the files beside this one), JSON (`print`).

/// A map of the language.
pub(super) struct Map {
    /// What the checker calls it in messages, such as ``a `load` step``.
    pub(super) what: &'static str,
    /// What it is for.
    pub(super) about: &'static str,
    /// Its keys, in the order in which they are best written.
    pub(super) keys: &'static [Key],
    /// How many of its keys go together.
    pub(super) shape: Shape,
}

/// How many keys of a map go together.
pub(super) enum Shape {
    /// Any, with all the mandatory ones.
    Fields,
    /// Exactly one.
    Choice,
    /// Exactly one of those named, and any of the others.
    OneOf(&'static [&'static str]),
}

/// A key of a map.
pub(super) struct Key {
    /// The key.
    pub(super) name: &'static str,
    /// Whether it must be there.
    pub(super) mandatory: bool,
    /// What it says.
    pub(super) about: &'static str,
    /// What its value may be.
    pub(super) value: Value,
    /// What holds without it, as it would be written.
    pub(super) default: Option<&'static str>,
}

/// A key that must be there.
pub(super) const fn must(name: &'static str, value: Value, about: &'static str) -> Key {
    Key { name, mandatory: true, about, value, default: None }
}

/// A key that may be left out.
pub(super) const fn may(name: &'static str, value: Value, about: &'static str) -> Key {
    Key { name, mandatory: false, about, value, default: None }
}

/// A key that may be left out, with what then holds.
pub(super) const fn or(name: &'static str, default: &'static str, value: Value, about: &'static str) -> Key {
    Key { name, mandatory: false, about, value, default: Some(default) }
}

/// A map of which any keys go together.
pub(super) const fn fields(what: &'static str, about: &'static str, keys: &'static [Key]) -> Map {
    Map { what, about, keys, shape: Shape::Fields }
}

/// A map with exactly one key.
pub(super) const fn choice(what: &'static str, about: &'static str, keys: &'static [Key]) -> Map {
    Map { what, about, keys, shape: Shape::Choice }
}

/// What a value may be.
pub(super) enum Value {
    /// A text.
    Scalar(&'static Text),
    /// One of some words, each with what it means.
    Words(&'static [(&'static str, &'static str)]),
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// A list.
    List(&'static Value),
    /// A list, or one item that stands for a list of one.
    OneOrMore(&'static Value),
    /// A map with known keys.
    Map(&'static Map),
    /// A map with names of the author's own, made of such a text, all with the same kind of value.
    MapOf(&'static Text, &'static Value),
    /// `variants`: axes, each with its values.
    Axes,
    /// A partial cell: axes, each with the values that are meant.
    Selector,
    /// Any of these.
    Either(&'static [Value]),
}

/// A text of some form.
pub(super) struct Text {
    /// What is wanted.
    pub(super) about: &'static str,
    /// A regular expression (ECMA 262) that fits all of it.
    pub(super) pattern: &'static str,
    /// What else than a string YAML may make of it.
    pub(super) also: Also,
    /// Examples; each fits the pattern.
    pub(super) examples: &'static [&'static str],
}

/// What YAML makes of some texts without quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Also {
    /// It is a string, always.
    Nothing,
    /// `4096` is an integer.
    Integers,
    /// `0` is an integer; every other value has a unit.
    Zero,
    /// `1.5` is a number, `true` is a truth.
    Scalars,
}

/// Words that need no explanation beside the key's own.
macro_rules! words {
    ($($word:literal),+ $(,)?) => { crate::schema::words::Value::Words(&[$(($word, "")),+]) };
}

pub(super) use words;
