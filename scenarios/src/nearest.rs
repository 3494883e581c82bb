//! Suggestions for near misses: the word that was probably meant, and the list of all that are allowed.
//!
//! Invariant: a suggestion is at most a third of the word away (at least one edit), so that `ram` is never offered
//! for `null`; ties go to the word listed first.

use crate::sink::shown;

/// Words longer than this are not compared: the distance is quadratic, and nothing here is that long.
const COMPARED_CHARS_MAX: usize = 64;
/// Only so many words are compared: a list that is longer is not one that people know by heart.
const COMPARED_WORDS_MAX: usize = 256;
/// No more allowed words than this are listed in one message.
const LISTED_MAX: usize = 40;

/// The allowed word that `found` is probably meant to be.
pub(crate) fn nearest<'w>(found: &str, allowed: &[&'w str]) -> Option<&'w str> {
    let length = found.chars().count();
    if length > COMPARED_CHARS_MAX {
        return None;
    }
    let reach = (length / 3).max(1);
    let near = allowed.iter().take(COMPARED_WORDS_MAX).map(|word| (distance(found, word), *word)).filter(
        |&(distance, word)| {
            // A word of one or two letters is one edit away from every other such word.
            distance <= reach && distance < word.chars().count() && distance < length.max(2)
        },
    );
    near.min_by_key(|&(distance, _)| distance).map(|(_, word)| word)
}

/// `did you mean …? ` where one of the words is near, else nothing: the beginning of what to say below a wrong word.
pub fn did_you_mean(found: &str, allowed: &[&str]) -> String {
    nearest(found, allowed).map(|word| format!("did you mean `{word}`? ")).unwrap_or_default()
}

/// What to say below a wrong word: the nearest right one, and all the right ones.
pub(crate) fn help(found: &str, allowed: &[&str]) -> String {
    did_you_mean(found, allowed) + &list("allowed here", allowed)
}

/// `intro: a, b, c`, or that there are none.
pub(crate) fn list(intro: &str, words: &[&str]) -> String {
    if words.is_empty() {
        return format!("{intro}: nothing");
    }
    let named: Vec<String> = words.iter().take(LISTED_MAX).map(|word| bare(word)).collect();
    let more = if words.len() > LISTED_MAX { format!(" and {} more", words.len() - LISTED_MAX) } else { String::new() };
    format!("{intro}: {}{more}", named.join(", "))
}

/// A word as it is, unless it holds something that would spoil the line.
fn bare(word: &str) -> String {
    if word.chars().all(|c| c.is_alphanumeric() || c.is_ascii_punctuation()) && word.len() <= COMPARED_CHARS_MAX {
        word.to_owned()
    } else {
        shown(word)
    }
}

/// Edits (insert, delete, replace, swap two neighbours) between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().collect(), b.chars().take(COMPARED_CHARS_MAX + COMPARED_CHARS_MAX / 2).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let words = ["ram", "null", "barrier", "dm", "over", "levels"];
        assert_eq!(nearest("rma", &words), Some("ram"));
        assert_eq!(nearest("barier", &words), Some("barrier"));
        assert_eq!(nearest("level", &words), Some("levels"));
    }

    #[test]
    fn a_word_that_is_far_from_all_gets_no_suggestion() {
        assert_eq!(nearest("zzz", &["ram", "null"]), None);
        assert_eq!(nearest("x", &["d", "n"]), None);
        assert_eq!(nearest(&"a".repeat(1000), &["ram"]), None);
    }

    #[test]
    fn the_help_lists_everything_that_is_allowed() {
        assert_eq!(help("rma", &["ram", "null"]), "did you mean `ram`? allowed here: ram, null");
        assert_eq!(help("zzz", &[]), "allowed here: nothing");
    }

    #[test]
    fn the_distance_counts_single_edits() {
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("abc", "acb"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
