//! Words of `load` that have several parts: block sizes, distributions, percentiles.
//!
//! Invariants: shares are whole percents that come to 100; decimals have at most three digits behind the point and are
//! kept exactly.
//! Not here: what goes together (`super`).

use dmlab_units::{Bytes, SECTOR_BYTES};

use crate::fields::Checked;
use crate::node::Node;
use crate::sink::{Sink, shown};
use crate::{BlockSizes, Distribution, nearest, values};

const BSRANGE: &str = "a range of block sizes such as 4k-16k, the larger a multiple of the smaller";
const BSSPLIT: &str = "block sizes and their percents such as 4k/60:8k/40, multiples of the smallest, 100 in all";
const PERCENTILE: &str = "a percentile above 0, at most 100, with at most 3 digits behind the point";
/// As many as fio takes.
const PERCENTILES_MAX: usize = 20;
/// Forms of `random_distribution`, an example each.
const DISTRIBUTIONS: &[&str] = &["random", "zipf:1.2", "pareto:0.2", "normal:10", "zoned:60/10:40/90"];
/// Thousandths. Beyond it nearly every I/O goes to one block.
const THETA_MAX: u32 = 10_000;

/// `4k-16k`.
pub(super) fn bsrange(node: &Node, most: Bytes, sink: &mut Sink<'_>) -> Checked<BlockSizes> {
    let text = values::text_as(node, BSRANGE, sink)?;
    let parsed = text.split_once('-').and_then(|(least, largest)| Some((size(least, most)?, size(largest, most)?)));
    match parsed {
        Some((least, largest)) if least <= largest && largest.0.is_multiple_of(least.0) => {
            Some(BlockSizes::Range(least, largest))
        }
        _ => {
            sink.wanted(node, BSRANGE);
            None
        }
    }
}

/// `4k/60:8k/40`.
pub(super) fn bssplit(node: &Node, most: Bytes, sink: &mut Sink<'_>) -> Checked<BlockSizes> {
    let text = values::text_as(node, BSSPLIT, sink)?;
    let shares: Option<Vec<(Bytes, u8)>> = text
        .split(':')
        .map(|share| {
            let (bytes, percent) = share.split_once('/')?;
            Some((size(bytes, most)?, self::percent(percent)?))
        })
        .collect();
    let sound = |shares: &Vec<(Bytes, u8)>| {
        let least = shares.iter().map(|(size, _)| size.0).min().unwrap_or(1);
        shares.iter().all(|(size, _)| size.0.is_multiple_of(least))
            && sum(shares.iter().map(|(_, share)| *share)) == 100
    };
    match shares.filter(sound) {
        Some(shares) => Some(BlockSizes::Split(shares)),
        None => {
            sink.wanted(node, BSSPLIT);
            None
        }
    }
}

fn size(text: &str, most: Bytes) -> Option<Bytes> {
    let size: Bytes = text.parse().ok()?;
    (size.0 > 0 && size.0.is_multiple_of(SECTOR_BYTES) && size <= most).then_some(size)
}

fn percent(text: &str) -> Option<u8> {
    values::parse_number(text)
        .filter(|percent| (1..=100).contains(percent))
        .and_then(|percent| u8::try_from(percent).ok())
}

fn sum(shares: impl Iterator<Item = u8>) -> u32 {
    shares.map(u32::from).sum()
}

/// Whether I/Os come in a Poisson process.
pub(super) fn rate_process(node: &Node, sink: &mut Sink<'_>) -> Checked<bool> {
    values::word(node, "a process of fio's", &[("linear", false), ("poisson", true)], sink)
}

/// `random`, `zipf:1.2`, `pareto:0.2`, `normal:10`, `zoned:60/10:40/90`.
pub(super) fn distribution(node: &Node, sink: &mut Sink<'_>) -> Checked<Distribution> {
    let text = values::text_as(node, "a distribution of fio's", sink)?;
    let (word, rest) = text.split_once(':').unwrap_or((text, ""));
    let found = match (word, thousandths(rest)) {
        ("random", _) if rest.is_empty() && !text.contains(':') => Ok(Distribution::Random),
        ("zipf", Some(theta)) if (1..=THETA_MAX).contains(&theta) => Ok(Distribution::Zipf(theta)),
        ("zipf", _) => Err("zipf's theta is above 0 and at most 10, as in zipf:1.2"),
        ("pareto", Some(share)) if (1..1000).contains(&share) => Ok(Distribution::Pareto(share)),
        ("pareto", _) => Err("pareto's power is between 0 and 1, as in pareto:0.2"),
        ("normal", Some(deviation)) if (1..=100_000).contains(&deviation) => Ok(Distribution::Normal(deviation)),
        ("normal", _) => Err("normal's deviation is a percent of the range, above 0 and at most 100, as in normal:10"),
        ("zoned", _) => zones(rest).map(Distribution::Zoned).ok_or(
            "zones are percents of the I/Os and of the range, at \
             most 256 of them, which come to 100 each, as in zoned:60/10:40/90",
        ),
        _ => {
            let message = format!("{} is not a distribution of fio's", shown(text));
            sink.error_help(node.span, message, nearest::help(text, DISTRIBUTIONS));
            return None;
        }
    };
    match found {
        Ok(distribution) => Some(distribution),
        Err(help) => {
            sink.error_help(node.span, format!("{} is not a distribution of fio's", shown(text)), help);
            None
        }
    }
}

fn zones(text: &str) -> Option<Vec<(u8, u8)>> {
    let zone = |zone: &str| {
        let (ios, size) = zone.split_once('/')?;
        Some((percent(ios)?, percent(size)?))
    };
    let zones: Vec<(u8, u8)> = text.split(':').map(zone).collect::<Option<_>>()?;
    let all = sum(zones.iter().map(|(ios, _)| *ios)) == 100 && sum(zones.iter().map(|(_, size)| *size)) == 100;
    (all && zones.len() <= 256).then_some(zones)
}

/// Percentiles in thousandths of a percent, ascending.
pub(super) fn percentiles(node: &Node, sink: &mut Sink<'_>) -> Checked<Vec<u32>> {
    let mut list = values::one_or_more(node, "percentiles", sink, |item, sink| {
        let text = values::text_as(item, PERCENTILE, sink)?;
        let parsed = thousandths(text).filter(|value| (1..=100_000).contains(value));
        if parsed.is_none() {
            sink.wanted(item, PERCENTILE);
        }
        parsed
    })?;
    list.sort_unstable();
    list.dedup();
    if list.is_empty() || list.len() > PERCENTILES_MAX {
        return sink.refuse(node.span, format!("a list of 1 to {PERCENTILES_MAX} percentiles is wanted"));
    }
    Some(list)
}

/// A decimal with at most three digits behind the point, in thousandths.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let fraction: u32 = format!("{fraction:0<3}").parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(fraction)
}
