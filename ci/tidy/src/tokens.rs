//! Cuts the code view of a file into tokens: words, `::`, literals and single punctuation marks.
//!
//! Invariants: tokens are in text order, none overlaps another, `line` counts from one. Lifetimes and loop labels are
//! left out, because a label called like a module is no use of that module. Numbers are words that begin with a digit.
//!
//! It does not join other operators (`->` is two tokens): no rule needs them.

/// One token of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The text; a raw identifier is without its `r#`, a literal is a single `"`.
    pub text: String,
    /// Byte offset in the file.
    pub at: usize,
    /// Line, from one.
    pub line: usize,
}

impl Token {
    /// Whether this token may be a name (or a keyword).
    #[must_use]
    pub fn is_word(&self) -> bool {
        self.text.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_')
    }
}

/// Tokens of a code view (see [`crate::lexer::Views::code`]).
#[must_use]
pub fn tokens(code: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = code.char_indices().peekable();
    while let Some((at, first)) = rest.next() {
        let mut text = String::from(first);
        match first {
            '\n' => line += 1,
            _ if is_word(first) => {
                take_word(&mut rest, &mut text);
                // The lexer has taken raw strings away, so this can only be a raw identifier.
                if text == "r" && rest.next_if(|&(_, next)| next == '#').is_some() {
                    text.clear();
                    take_word(&mut rest, &mut text);
                }
            }
            '\'' => {
                take_word(&mut rest, &mut text);
                continue;
            }
            ':' if rest.next_if(|&(_, next)| next == ':').is_some() => text.push(':'),
            _ => {}
        }
        if !first.is_whitespace() {
            found.push(Token { text, at, line });
        }
        if first == '"' {
            line += skip_literal(&mut rest);
        }
    }
    found
}

/// Whether the tokens from `from` on read exactly as `pattern`.
#[must_use]
pub fn reads(tokens: &[Token], from: usize, pattern: &[&str]) -> bool {
    tokens.get(from..from + pattern.len()).is_some_and(|found| found.iter().zip(pattern).all(|(a, b)| a.text == *b))
}

/// The index behind the bracket that closes the one at `open`, or the end of the tokens.
#[must_use]
pub fn behind_group(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

type Rest<'a> = std::iter::Peekable<std::str::CharIndices<'a>>;

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn take_word(rest: &mut Rest<'_>, text: &mut String) {
    while let Some((_, next)) = rest.next_if(|&(_, next)| is_word(next)) {
        text.push(next);
    }
}

/// Skips a literal's blank inside and its closing mark; gives the number of lines that it spans.
fn skip_literal(rest: &mut Rest<'_>) -> usize {
    rest.by_ref().map(|(_, next)| next).take_while(|&next| next != '"').filter(|&next| next == '\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::views;

    fn texts(text: &str) -> Vec<String> {
        tokens(&views(text).code).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn words_paths_and_marks_are_told_apart() {
        assert_eq!(texts("use a::b_2; x->y"), ["use", "a", "::", "b_2", ";", "x", "-", ">", "y"]);
        assert_eq!(texts("r#type == 0x1F"), ["type", "=", "=", "0x1F"]);
    }

    #[test]
    fn lifetimes_are_left_out_and_literals_are_one_token() {
        assert_eq!(texts("&'sched str"), ["&", "str"]);
        assert_eq!(texts("f(\"a b\", 'c')"), ["f", "(", "\"", ",", "\"", ")"]);
    }

    #[test]
    fn lines_are_counted_through_literals_that_span_several() {
        let all = tokens(&views("a\n\"x\ny\"\nb").code);
        assert_eq!(all.iter().map(|token| token.line).collect::<Vec<_>>(), [1, 2, 4]);
        assert_eq!(all[2].at, 8);
    }

    #[test]
    fn a_group_ends_behind_its_own_closing_bracket() {
        let all = tokens("(a [b] {c}) d");
        assert_eq!(all[behind_group(&all, 0)].text, "d");
        assert_eq!(behind_group(&tokens("( a"), 0), 2, "an open group ends with the file");
    }

    #[test]
    fn a_pattern_longer_than_the_file_does_not_match() {
        let all = tokens("a b");
        assert!(reads(&all, 0, &["a", "b"]));
        assert!(!reads(&all, 1, &["b", "c"]));
        assert!(!reads(&all, 9, &["b"]));
    }
}
