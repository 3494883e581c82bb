//! Quantities for people: three digits and a unit.
//!
//! Invariants: a value that rounds up to the next unit is printed in that unit (`1.00 ms`, never `1000 us`); small
//! integers are exact; nothing is localised.
//! Not here: quantities that are read back by programs (JSON, and the displays of dmlab-units, which are exact).

/// A count: exact below 10 000, else three digits with `k`, `M` or `G`.
pub(crate) fn count(value: u64) -> String {
    if value < 10_000 {
        return value.to_string();
    }
    scaled(value as f64, &["", "k", "M", "G", "T"], 1000.0)
}

/// A rate of events, such as IOPS.
pub(crate) fn rate(per_second: f64) -> String {
    scaled(per_second, &["", "k", "M", "G", "T"], 1000.0)
}

/// Bytes per second in powers of 1024, as fio prints them.
pub(crate) fn bandwidth(bytes_per_second: u64) -> String {
    scaled(bytes_per_second as f64, &["B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s"], 1024.0)
}

/// A duration. Seconds are the largest unit: minutes make runs hard to compare.
pub(crate) fn duration(ns: u64) -> String {
    if ns < 1000 {
        return format!("{ns} ns");
    }
    scaled(ns as f64, &["ns", "us", "ms", "s"], 1000.0)
}

/// `plural(1, "cell")` is `1 cell`, `plural(2, "cell")` is `2 cells`.
pub(crate) fn plural(number: u64, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {noun}{s}", count(number))
}

fn scaled(mut value: f64, units: &[&str], step: f64) -> String {
    let mut unit = 0;
    // Half below the step already prints as the step.
    while value >= step - 0.5 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = three_digits(value);
    if units[unit].is_empty() { digits } else { format!("{digits} {}", units[unit]) }
}

fn three_digits(value: f64) -> String {
    if value == 0.0 || value >= 99.95 {
        format!("{value:.0}")
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_while_they_are_short() {
        for (value, text) in [
            (0, "0"),
            (9_999, "9999"),
            (10_000, "10.0 k"),
            (240_000, "240 k"),
            (999_499, "999 k"),
            (999_500, "1.00 M"),
            (12_345_678, "12.3 M"),
        ] {
            assert_eq!(count(value), text);
        }
    }

    #[test]
    fn durations_take_the_unit_that_fits() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 us"),
            (12_345, "12.3 us"),
            (999_499, "999 us"),
            (999_600, "1.00 ms"),
            (10_000_000, "10.0 ms"),
            (21_400_000_000, "21.4 s"),
            (7_200_000_000_000, "7200 s"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn bandwidth_counts_in_powers_of_1024() {
        for (bytes, text) in
            [(0, "0 B/s"), (512, "512 B/s"), (1 << 10, "1.00 KiB/s"), (48 << 20, "48.0 MiB/s"), (1 << 30, "1.00 GiB/s")]
        {
            assert_eq!(bandwidth(bytes), text);
        }
    }

    #[test]
    fn rates_have_three_digits() {
        for (value, text) in [(0.0, "0"), (0.25, "0.25"), (7.0, "7.00"), (850.4, "850"), (12_300.0, "12.3 k")] {
            assert_eq!(rate(value), text);
        }
    }

    #[test]
    fn one_thing_has_no_s() {
        assert_eq!([plural(0, "cell"), plural(1, "cell"), plural(2, "cell")], ["0 cells", "1 cell", "2 cells"]);
    }
}
