//! Splits Rust text into two views of the same length: what is code, and what is comment.
//!
//! Every other byte of a view is a space; newlines stay, so offsets and line numbers hold in both views and in the
//! text itself. A literal (string, raw string, byte string, character) keeps only its two end bytes, written as `"`,
//! so that a rule can never mistake quoted text for code.
//!
//! This is not a parser: it knows just enough of Rust's lexical grammar to find where comments and literals end.
//! Text that does not compile may be split wrongly, which is the compiler's to report.

/// The two views of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Views {
    /// Code only; comments are blank, literals are reduced to their end bytes.
    pub code: String,
    /// Comments only, with their slashes and stars.
    pub comments: String,
}

/// What a stretch of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Kept in the code view.
    Code,
    /// Kept in the comments view.
    Comment,
    /// Kept in neither, apart from its end bytes in the code view.
    Literal,
}

/// Splits `text` into its views.
#[must_use]
pub fn views(text: &str) -> Views {
    let bytes = text.as_bytes();
    let blank: Vec<u8> = bytes.iter().map(|&byte| if byte == b'\n' { b'\n' } else { b' ' }).collect();
    let mut code = blank.clone();
    let mut comments = blank;
    let mut at = 0;
    while at < bytes.len() {
        let (kind, end) = stretch(text, at);
        assert!(end > at, "the lexer must advance");
        match kind {
            Kind::Code => code[at..end].copy_from_slice(&bytes[at..end]),
            Kind::Comment => comments[at..end].copy_from_slice(&bytes[at..end]),
            Kind::Literal => {
                code[at] = b'"';
                code[end - 1] = b'"';
            }
        }
        at = end;
    }
    let utf8 = |view| String::from_utf8(view).expect("whole characters are copied or blanked, never parts");
    Views { code: utf8(code), comments: utf8(comments) }
}

/// The kind of the stretch that begins at `at`, and where it ends.
fn stretch(text: &str, at: usize) -> (Kind, usize) {
    let bytes = text.as_bytes();
    let next = bytes.get(at + 1).copied();
    match bytes[at] {
        b'/' if next == Some(b'/') => (Kind::Comment, line_end(bytes, at)),
        b'/' if next == Some(b'*') => (Kind::Comment, block_comment_end(bytes, at)),
        b'"' => (Kind::Literal, string_end(bytes, at + 1)),
        b'\'' => match character_end(text, at) {
            Some(end) => (Kind::Literal, end),
            None => (Kind::Code, at + 1),
        },
        byte if is_word(byte) => word(text, at),
        _ => (Kind::Code, at + 1),
    }
}

/// A word, or the literal that the word is the prefix of (`r#"…"#`, `b"…"`, `b'…'`).
fn word(text: &str, at: usize) -> (Kind, usize) {
    let bytes = text.as_bytes();
    let end = bytes[at..].iter().position(|&byte| !is_word(byte)).map_or(bytes.len(), |length| at + length);
    let next = bytes.get(end).copied();
    let literal_end = match &bytes[at..end] {
        b"r" | b"br" | b"cr" => raw_string_end(bytes, end),
        b"b" | b"c" if next == Some(b'"') => Some(string_end(bytes, end + 1)),
        b"b" if next == Some(b'\'') => character_end(text, end),
        _ => None,
    };
    match literal_end {
        Some(literal_end) => (Kind::Literal, literal_end),
        None => (Kind::Code, end),
    }
}

/// Bytes above ASCII count as word bytes: identifiers may hold them, and a character is never cut in two.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |length| at + length)
}

/// Block comments nest in Rust, unlike in C.
fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0usize;
    let mut at = at;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// The end of an escaped string whose first byte inside the quotes is at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of a raw string whose hashes begin at `at`; nothing when this is a raw identifier such as `r#type`.
fn raw_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at..].iter().take_while(|&&byte| byte == b'#').count();
    if bytes.get(at + hashes) != Some(&b'"') {
        return None;
    }
    let mut closing = vec![b'"'];
    closing.resize(1 + hashes, b'#');
    let inside = at + hashes + 1;
    let found = bytes[inside..].windows(closing.len()).position(|window| window == closing);
    Some(found.map_or(bytes.len(), |length| inside + length + closing.len()))
}

/// The end of a character literal that opens at `at`; nothing when the quote opens a lifetime or a loop label.
fn character_end(text: &str, at: usize) -> Option<usize> {
    let inside = text.get(at + 1..)?;
    let first = inside.chars().next()?;
    // An escape may itself be a quote, so the search for the closing quote begins behind the escaped character.
    let skip = if first == '\\' { 2 } else { first.len_utf8() };
    let rest = inside.get(skip..)?;
    let length = if first == '\\' { rest.find('\'')? } else { usize::from(!rest.starts_with('\'')) };
    (first == '\\' || length == 0).then_some(at + 1 + skip + length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        let views = views(text);
        assert_eq!(views.code.len(), text.len(), "a view must keep every offset");
        assert_eq!(views.comments.len(), text.len(), "a view must keep every offset");
        assert_eq!(views.code.matches('\n').count(), text.matches('\n').count());
        views.code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn comments(text: &str) -> String {
        views(text).comments.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn line_comments_leave_the_code_view_and_keep_the_line_count() {
        assert_eq!(code("a // b\nc /// d\n//! e\nf"), "a c f");
        assert_eq!(comments("a // b\nc"), "// b");
    }

    #[test]
    fn block_comments_nest() {
        assert_eq!(code("a /* b /* c */ d */ e"), "a e");
        assert_eq!(comments("a /* b /* c */ d */ e"), "/* b /* c */ d */");
        assert_eq!(code("a /* never closed"), "a");
    }

    #[test]
    fn a_string_may_hold_an_escaped_quote_and_a_comment_opener() {
        assert_eq!(code(r#"a "b \" // c" d"#), r#"a " " d"#);
        assert_eq!(comments(r#"a "// c" d"#), "");
        assert_eq!(code(r#"a b"bytes" c"c string" d"#), r#"a " " " " d"#);
        assert_eq!(code("a \"ends in a backslash \\\\\" b"), "a \" \" b");
    }

    #[test]
    fn a_raw_string_ends_at_its_own_number_of_hashes() {
        assert_eq!(code(r###"a r##"b "# unsafe"## c"###), r#"a " " c"#);
        assert_eq!(code(r#"a br"\" c"#), r#"a " " c"#);
        assert_eq!(code("r#type + r#fn"), "r#type + r#fn");
    }

    #[test]
    fn a_lifetime_is_code_and_a_character_is_not() {
        assert_eq!(code("fn f<'a>(x: &'a str) { 'outer: loop {} }"), "fn f<'a>(x: &'a str) { 'outer: loop {} }");
        assert_eq!(
            code(r"['a', '\'', '\u{1F600}', 'é', b'\\', '/', '/'] x"),
            r#"[" ", " ", " ", " ", " ", " ", " "] x"#
        );
        assert_eq!(code("'\"' unsafe '\"'"), "\" \" unsafe \" \"");
    }

    #[test]
    fn text_beyond_ascii_keeps_its_offsets() {
        assert_eq!(code("naïve // ü\n\"ß\" x"), "naïve \" \" x");
        assert_eq!(code("\"unterminated \\"), "\" \"");
    }
}
