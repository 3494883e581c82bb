//! How a table is made to fit a terminal: widths of columns, and where texts are broken.
//!
//! Invariants: no character but the space at a break is lost; a line is never wider than its column; a text is broken
//! at spaces first, inside names only where they are put together (`snapshot/cow-throttle`, `cow_throttle=wait`), and
//! elsewhere only when a column is narrower than such a part; numbers are never broken at their points and slashes.
//! Not here: drawing (`table`).
//!
//! tabled can wrap too, but it makes all columns equally narrow, which breaks every word of every column long before
//! the wide ones have been folded.

/// The width of a text in columns of the terminal. Names and units are ASCII, so characters are counted; a name of
/// wide characters would be drawn correctly but wrapped late.
pub(crate) fn width(text: &str) -> usize {
    text.chars().count()
}

/// The narrowest column in which no part of the text has to be broken.
pub(crate) fn least_width(text: &str) -> usize {
    text.split_whitespace().flat_map(parts).map(width).max().unwrap_or(0)
}

/// Widths that sum up to at most `room`, found by narrowing the widest column again and again, but none below its
/// `least`. `None` when that is impossible.
pub(crate) fn narrowed(natural: &[usize], least: &[usize], room: usize) -> Option<Vec<usize>> {
    assert_eq!(natural.len(), least.len());
    let mut widths = natural.to_vec();
    // Each round takes one column off, and there are as many as the table is too wide.
    while widths.iter().sum::<usize>() > room {
        let open = widths.iter_mut().zip(least).filter(|(width, least)| **width > **least);
        let (widest, _) = open.max_by_key(|(width, _)| **width)?;
        *widest -= 1;
    }
    Some(widths)
}

/// The text in lines of at most `width` characters.
///
/// # Panics
/// When `width` is 0.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    assert!(width > 0);
    let mut lines = Lines { done: Vec::new(), line: String::new(), width };
    for word in text.split_whitespace() {
        if lines.takes(word, " ") {
            continue;
        }
        lines.end();
        if lines.takes(word, "") {
            continue;
        }
        for part in parts(word) {
            if lines.takes(part, "") {
                continue;
            }
            lines.end();
            for c in part.chars() {
                let c = c.to_string();
                if !lines.takes(&c, "") {
                    lines.end();
                    assert!(lines.takes(&c, ""));
                }
            }
        }
    }
    lines.end();
    lines.done.join("\n")
}

struct Lines {
    done: Vec<String>,
    line: String,
    width: usize,
}

impl Lines {
    /// Appends `text` to the line, after `glue` if the line has begun. `false` when it does not fit.
    fn takes(&mut self, text: &str, glue: &str) -> bool {
        let glue = if self.line.is_empty() { "" } else { glue };
        if width(&self.line) + width(glue) + width(text) > self.width {
            return false;
        }
        self.line.push_str(glue);
        self.line.push_str(text);
        true
    }

    fn end(&mut self) {
        if !self.line.is_empty() {
            self.done.push(std::mem::take(&mut self.line));
        }
    }
}

/// The parts that a name is put together from, each with the sign that ends it.
fn parts(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = word;
    let ends_part = |sign: char, next: char| matches!(sign, '/' | '_' | '=' | '-' | ',') && next.is_alphabetic();
    while let Some(end) = rest
        .char_indices()
        .zip(rest.chars().skip(1))
        .find_map(|((at, sign), next)| ends_part(sign, next).then(|| at + sign.len_utf8()))
    {
        let (part, others) = rest.split_at(end);
        parts.push(part);
        rest = others;
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart_at_their_joints_and_numbers_do_not() {
        assert_eq!(parts("snapshot/cow-throttle"), ["snapshot/", "cow-", "throttle"]);
        assert_eq!(parts("cow_throttle=wait"), ["cow_", "throttle=", "wait"]);
        for whole in ["12.3", "3/16,", "-5", "a", "…", "", "/", "size=4096"] {
            assert_eq!(parts(whole), [whole]);
        }
    }

    #[test]
    fn a_text_is_broken_at_spaces_before_it_is_broken_in_words() {
        assert_eq!(wrapped("12.3 k IOPS, 48.0 MiB/s", 12), "12.3 k IOPS,\n48.0 MiB/s");
        assert_eq!(wrapped("a=b snapshots=8", 11), "a=b\nsnapshots=8");
        assert_eq!(wrapped("snapshot/cow-throttle", 13), "snapshot/cow-\nthrottle");
        assert_eq!(wrapped("deadlock", 5), "deadl\nock");
        assert_eq!(wrapped("", 5), "");
    }

    #[test]
    fn no_letter_is_lost_and_no_line_too_wide_at_any_width() {
        let text = "snapshot/cow-throttle cow_throttle=semaphore 12.3 k, t.bs 3/16, …";
        for most in 1..80 {
            let folded = wrapped(text, most);
            assert!(folded.lines().all(|line| width(line) <= most && !line.is_empty()), "{most}:\n{folded}");
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(letters(&folded), letters(text), "{most}");
            if most >= least_width(text) {
                assert!(folded.contains("semaphore"), "{most}:\n{folded}");
            }
        }
    }

    #[test]
    fn the_widest_column_gives_way_first() {
        assert_eq!(narrowed(&[10, 30, 20], &[5, 5, 5], 60), Some(vec![10, 30, 20]));
        assert_eq!(narrowed(&[10, 30, 20], &[5, 5, 5], 50), Some(vec![10, 20, 20]));
        assert_eq!(narrowed(&[10, 30, 20], &[5, 25, 5], 45), Some(vec![10, 25, 10]));
        assert_eq!(narrowed(&[10, 30, 20], &[5, 25, 5], 34), None);
        assert_eq!(narrowed(&[], &[], 0), Some(vec![]));
    }
}
