//! The words of the report.
//!
//! Invariant: a figure that a bound cut off is shown as `> bound`, never as the bound itself.
//! Not here: the tables (`support::tables`).

use super::{Exhausted, Tally};

/// The middle one; of an even number the lower one, which has been seen.
///
/// # Panics
/// When there is none.
pub(crate) fn median<T: Copy>(values: &[T], compare: impl Fn(&T, &T) -> std::cmp::Ordering) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(compare);
    sorted[(sorted.len() - 1) / 2]
}

/// `1 234 567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Least, median and most schedules until the first deadlock, one tally per seed; one figure and its time if there is
/// only one search.
pub(crate) fn spread(tallies: &[Tally]) -> String {
    // A search that found nothing lies behind every one that did.
    let mut sorted: Vec<(bool, u64)> = tallies.iter().map(|tally| (!tally.deadlock, tally.schedules)).collect();
    sorted.sort_unstable();
    let shown = |place: usize| {
        let (cut, schedules) = sorted[place];
        format!("{}{}", if cut { "> " } else { "" }, grouped(schedules))
    };
    match tallies {
        [only] => format!("{} in {}", shown(0), time(only.seconds)),
        _ if sorted[0].0 => shown(0),
        _ => [0, (sorted.len() - 1) / 2, sorted.len() - 1].map(shown).join(" / "),
    }
}

/// How far a search of all schedules came.
pub(crate) fn extent(search: &Exhausted) -> String {
    let Exhausted { runs, states, seconds, proved } = search;
    let states = states.map_or_else(String::new, |states| format!(", {} states", grouped(states)));
    let proved = if *proved { "proved" } else { "not proved" };
    format!("{proved}: {} runs{states}, {}", grouped(*runs), time(*seconds))
}

/// Seconds, or milliseconds where those would round to nothing.
fn time(seconds: f64) -> String {
    if seconds < 0.1 { format!("{:.2} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}
