//! Texts of a picture: what must not reach a terminal or a page as it is, and how a text is made to fit.
//!
//! Invariants: what comes out of [`visible`] holds no control character and nothing that turns the direction of
//! writing; a shortened text is never wider than asked and says with `…` that it was cut; a wrapped one loses only the
//! spaces at its breaks.
//! Not here: what is written (`table`, `html`).

use tabled::grid::util::string::get_string_width;

/// Width in columns of a terminal.
pub(super) fn width(text: &str) -> usize {
    get_string_width(text)
}

/// The text with control characters as `\u{1b}`: names come from users' files.
pub(super) fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            seen.extend(c.escape_unicode());
        } else {
            seen.push(c);
        }
    }
    seen
}

/// Controls, line and paragraph separators, marks of direction, and the two that XML forbids.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
                | '\u{fffe}'
                | '\u{ffff}'
        )
}

/// The same, line by line: newlines stay.
pub(super) fn visible_lines(text: &str) -> String {
    text.trim_end().split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// For the text and the attributes of a page.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// At most `most` columns of the text, with `…` in place of what was cut.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    if most == 0 {
        return String::new();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if width(&kept) >= most {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    // Characters that join may have become wider by being cut apart.
    if width(&kept) <= most { kept } else { "…".to_owned() }
}

/// The text in lines of at most `most` columns, broken at spaces; words that are too wide alone are shortened.
///
/// # Panics
/// When `most` is 0.
pub(super) fn wrapped(text: &str, most: usize) -> Vec<String> {
    assert!(most > 0);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = shortened(word, most);
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(&word) <= most => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_spelt_out() {
        assert_eq!(visible("a\u{1b}[31mb\nc\u{202e}d\u{0}"), "a\\u{1b}[31mb\\u{a}c\\u{202e}d\\u{0}");
        assert_eq!(visible("größe 🦀 \"x\""), "größe 🦀 \"x\"");
        assert_eq!(visible_lines("a\r\nb\n"), "a\\u{d}\nb");
    }

    #[test]
    fn what_a_page_would_read_as_markup_is_spelt_out() {
        assert_eq!(escaped("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    }

    #[test]
    fn a_text_is_never_wider_than_asked() {
        let text = "down_read 🦀🦀 origins_lock größe";
        for most in 0..40 {
            let cut = shortened(text, most);
            assert!(width(&cut) <= most, "{most}: {cut}");
            assert_eq!(cut == text, most >= width(text), "{most}: {cut}");
        }
        for most in 1..40 {
            assert!(wrapped(text, most).iter().all(|line| width(line) <= most && !line.is_empty()), "{most}");
        }
        assert_eq!(wrapped("waits for mempool t.bs", 10), ["waits for", "mempool", "t.bs"]);
    }
}
