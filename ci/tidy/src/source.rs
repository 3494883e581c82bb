//! One Rust file, read once: its text, its two views, its tokens and its outline.
//!
//! Rules ask this type and never look at raw text when they mean code. Lines and offsets are the same in every view.

use crate::lexer::{Views, views};
use crate::outline::Outline;
use crate::tokens::{Token, reads, tokens};

/// A Rust file, taken apart.
#[derive(Debug, Clone)]
pub struct Source {
    views: Views,
    tokens: Vec<Token>,
    outline: Outline,
}

impl Source {
    /// Takes `text` apart.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let views = views(text);
        let tokens = tokens(&views.code);
        let outline = Outline::new(&tokens, text.len());
        Self { views, tokens, outline }
    }

    /// Comments, one entry per line of the file; a line without one is blank.
    pub fn comment_lines(&self) -> impl Iterator<Item = &str> {
        self.views.comments.lines()
    }

    /// The tokens of the code.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Declared modules, named paths and test ranges.
    #[must_use]
    pub fn outline(&self) -> &Outline {
        &self.outline
    }

    /// The places where the code reads as `pattern`, token by token.
    pub fn find<'a>(&'a self, pattern: &'a [&'a str]) -> impl Iterator<Item = &'a Token> {
        let here = |&(index, _): &(usize, &Token)| reads(&self.tokens, index, pattern);
        self.tokens.iter().enumerate().filter(here).map(|(_, token)| token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_found_in_code_and_not_in_comments_or_strings() {
        let source = Source::new("// todo!()\nlet s = \"todo!()\";\n todo !();");
        assert_eq!(source.find(&["todo", "!"]).map(|token| token.line).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn comment_lines_line_up_with_the_file() {
        let source = Source::new("a // one\nb\n/* two\nthree */ c");
        let lines: Vec<_> = source.comment_lines().map(str::trim).collect();
        assert_eq!(lines, ["// one", "", "/* two", "three */"]);
    }
}
