//! [`Kernel`]: a release of Linux by its number, and [`Kernels`]: the releases that behaved in one way, as the catalogue
//! writes them.
//!
//! Invariants: only releases that there were (up to 6.12, the newest whose source the catalogue was checked against) can
//! be named; a release candidate comes before its release; what the catalogue says is parsed, never guessed.
//! Not here: stable releases. A fix that was carried back to 4.9.y counts from the release that it was written for.

use std::fmt;
use std::str::FromStr;

/// Release numbers: of each series its number, and of its releases the first and the last.
const SERIES: &[(&str, u16, u16)] = &[("2.6", 0, 39), ("3", 0, 19), ("4", 0, 20), ("5", 0, 19), ("6", 0, 12)];
/// Candidates that differ from every release in what the catalogue knows.
const CANDIDATES: &[&str] = &["4.11-rc1", "4.16-rc1"];
/// Of a release, what its candidates count up to.
const RELEASED: u16 = u16::MAX;

/// A release of Linux, e.g. `4.9`; before 3.0 with three parts, e.g. `2.6.22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kernel {
    series: u16,
    number: u16,
    candidate: u16,
}

/// A release that the catalogue does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kernel {text:?}; known are {}", known())]
pub struct UnknownKernel {
    /// What was asked for.
    pub text: String,
}

/// What can be named, in words.
fn known() -> String {
    let ranges: Vec<String> =
        SERIES.iter().map(|(name, first, last)| format!("{name}.{first} to {name}.{last}")).collect();
    format!("{}, and the candidates {}", ranges.join(", "), CANDIDATES.join(" and "))
}

impl Kernel {
    /// Every kernel that can be named, oldest first.
    pub fn all() -> Vec<Self> {
        let releases =
            SERIES.iter().flat_map(|(name, first, last)| (*first..=*last).map(move |n| format!("{name}.{n}")));
        let names = releases.chain(CANDIDATES.iter().map(|name| (*name).to_owned()));
        let mut all: Vec<Self> = names.map(|name| name.parse().expect("what there is is known")).collect();
        all.sort_unstable();
        all
    }
}

impl FromStr for Kernel {
    type Err = UnknownKernel;

    fn from_str(text: &str) -> Result<Self, UnknownKernel> {
        let unknown = || UnknownKernel { text: text.to_owned() };
        let (release, candidate) = match text.split_once("-rc") {
            Some((release, _)) if CANDIDATES.contains(&text) => (release, 1),
            Some(_) => return Err(unknown()),
            None => (text, RELEASED),
        };
        let (name, number) = release.rsplit_once('.').ok_or_else(unknown)?;
        let series = SERIES.iter().position(|(known, ..)| *known == name).ok_or_else(unknown)?;
        let (_, first, last) = SERIES[series];
        let is_number = !number.starts_with('0') || number == "0";
        let number = number.parse().ok().filter(|number| is_number && (first..=last).contains(number));
        Ok(Self { series: series as u16, number: number.ok_or_else(unknown)?, candidate })
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, ..) = SERIES[self.series as usize];
        let candidate = if self.candidate == RELEASED { String::new() } else { format!("-rc{}", self.candidate) };
        f.pad(&format!("{name}.{}{candidate}", self.number))
    }
}

/// Some releases, as the catalogue writes them: ranges with commas between them (`< 2.6.22`, `<= 4.15`, `>= 4.11`,
/// `3.9 - 4.12`, `4.3`), `all`, or `none`, after which words may say why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernels(Vec<(Kernel, Kernel)>);

impl Kernels {
    /// Reads what the catalogue says.
    ///
    /// # Errors
    /// When a part of it names an unknown release, or two where one is wanted.
    pub fn parse(text: &str) -> Result<Self, UnknownKernel> {
        let all = Kernel::all();
        let (oldest, newest) = (all[0], all[all.len() - 1]);
        if text == "all" {
            return Ok(Self(vec![(oldest, newest)]));
        }
        if text.split([',', ' ']).next() == Some("none") {
            return Ok(Self(Vec::new()));
        }
        let range = |part: &str| {
            Ok(if let Some(last) = part.strip_prefix("<= ") {
                (oldest, last.parse()?)
            } else if let Some(after) = part.strip_prefix("< ") {
                let after = after.parse()?;
                let before = all.iter().rev().find(|kernel| **kernel < after);
                (oldest, *before.ok_or(UnknownKernel { text: part.to_owned() })?)
            } else if let Some(first) = part.strip_prefix(">= ") {
                (first.parse()?, newest)
            } else if let Some((first, last)) = part.split_once(" - ") {
                (first.parse()?, last.parse()?)
            } else {
                let only: Kernel = part.parse()?;
                (only, only)
            })
        };
        text.split(", ").map(range).collect::<Result<_, _>>().map(Self)
    }

    /// Whether `kernel` is one of them.
    pub fn contains(&self, kernel: Kernel) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&kernel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(text: &str) -> Kernel {
        text.parse().unwrap()
    }

    #[test]
    fn releases_are_in_their_order_and_print_as_they_are_written() {
        let all = Kernel::all();
        assert!(all.iter().all(|kernel| kernel.to_string().parse() == Ok(*kernel)));
        assert!(all.is_sorted() && all.len() == 40 + 20 + 21 + 20 + 13 + CANDIDATES.len());
        assert!(kernel("2.6.39") < kernel("3.0") && kernel("4.9") < kernel("4.10"));
        assert!(kernel("4.10") < kernel("4.11-rc1") && kernel("4.11-rc1") < kernel("4.11"));
    }

    #[test]
    fn what_there_never_was_is_answered_with_what_there_is() {
        for text in ["", "4", "4.", "4.21", "2.6", "2.6.40", "6.13", "04.9", "4.09", "4.9.1", "4.9-rc1", "v4.9", "-1.0"]
        {
            let error = text.parse::<Kernel>().unwrap_err().to_string();
            assert!(error.contains("4.0 to 4.20"), "{text}: {error}");
            assert!(error.contains("4.11-rc1"), "{text}: {error}");
        }
    }

    #[test]
    fn ranges_hold_their_ends_and_nothing_beyond() {
        let holds = |text, at| Kernels::parse(text).unwrap().contains(kernel(at));
        assert!(holds("< 2.6.22", "2.6.21") && !holds("< 2.6.22", "2.6.22"));
        assert!(holds("<= 4.15", "4.15") && !holds("<= 4.15", "4.16-rc1"));
        assert!(holds(">= 4.11", "4.11") && !holds(">= 4.11", "4.11-rc1") && holds(">= 4.11", "6.12"));
        assert!(holds("3.9 - 4.12", "4.0") && !holds("3.9 - 4.12", "4.13") && !holds("3.9 - 4.12", "3.8"));
        assert!(holds("4.3, >= 4.16", "4.3") && holds("4.3, >= 4.16", "4.20") && !holds("4.3, >= 4.16", "4.4"));
        assert!(holds("all", "2.6.0") && !holds("none, proposed in 2012", "4.0"));
        assert!(Kernels::parse("sometimes").is_err() && Kernels::parse("> 4.0").is_err());
    }
}
