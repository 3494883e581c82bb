//! [`OldestInFlight`]: since when a device has I/O in flight and ends none, from looks at `/sys/block/<device>/stat`.
//!
//! Invariants: an age is a lower bound: it counts from the first look that saw the I/O; an end of any I/O of the device
//! begins the count anew.
//! Not here: how often somebody looks, and what is too old (`progress`).

use std::collections::BTreeMap;

use dmlab_units::Nanos;

/// What `/sys/block/<device>/stat` says of I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskStat {
    /// I/Os that have ended: reads, writes, discards and flushes.
    pub ended: u64,
    /// I/Os that have not.
    pub in_flight: u64,
}

/// The numbers of a `stat` file, of kernels with discards and flushes (4.18, 5.5) or without.
pub fn parse(text: &str) -> Option<DiskStat> {
    let numbers: Option<Vec<u64>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
    let numbers = numbers.filter(|numbers| numbers.len() >= 11)?;
    let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
    Some(DiskStat { ended: at(0) + at(4) + at(11) + at(15), in_flight: at(8) })
}

/// Since when nothing has ended on devices with I/O in flight.
#[derive(Clone, Debug, Default)]
pub struct OldestInFlight {
    devices: BTreeMap<String, (DiskStat, Nanos)>,
}

impl OldestInFlight {
    /// Takes a look at a device at a time.
    pub fn look(&mut self, device: &str, stat: DiskStat, now: Nanos) {
        let since = match self.devices.get(device) {
            Some((before, since)) if before.in_flight > 0 && before.ended == stat.ended => *since,
            _ => now,
        };
        self.devices.insert(device.to_owned(), (stat, since));
    }

    /// The device with the oldest I/O, and how old it is at least.
    pub fn oldest(&self, now: Nanos) -> Option<(&str, Nanos)> {
        let waiting = self.devices.iter().filter(|(_, (stat, _))| stat.in_flight > 0);
        let ages = waiting.map(|(device, (_, since))| (device.as_str(), now.saturating_sub(*since)));
        ages.max_by_key(|(_, age)| *age)
    }

    /// I/Os that have ended, of all devices.
    pub fn ended(&self) -> u64 {
        self.devices.values().map(|(stat, _)| stat.ended).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(ended: u64, in_flight: u64) -> DiskStat {
        DiskStat { ended, in_flight }
    }

    #[test]
    fn the_numbers_of_old_and_new_kernels_are_read() {
        // 6.12: seventeen numbers; 4.14: eleven.
        let new = "       3        0       24        1        5        0       40        9        2       10       10        1 \
                   0        0        0        4        0";
        assert_eq!(parse(new), Some(stat(13, 2)));
        assert_eq!(parse("1 0 8 0 2 0 16 1 1 2 2"), Some(stat(3, 1)));
        assert_eq!(parse("1 0 8"), None);
        assert_eq!(parse("a b c d e f g h i j k"), None);
    }

    #[test]
    fn the_oldest_is_the_device_that_has_ended_nothing_for_longest() {
        let mut oldest = OldestInFlight::default();
        oldest.look("dm-0", stat(5, 1), Nanos(10));
        oldest.look("dm-1", stat(5, 1), Nanos(20));
        oldest.look("dm-0", stat(5, 1), Nanos(30));
        assert_eq!(oldest.oldest(Nanos(40)), Some(("dm-0", Nanos(30))));
        // An end begins the count anew, though others are in flight.
        oldest.look("dm-0", stat(6, 1), Nanos(45));
        assert_eq!(oldest.oldest(Nanos(50)), Some(("dm-1", Nanos(30))));
        assert_eq!(oldest.ended(), 11);
    }

    #[test]
    fn devices_without_io_have_no_oldest() {
        let mut oldest = OldestInFlight::default();
        assert_eq!(oldest.oldest(Nanos(9)), None);
        oldest.look("dm-0", stat(5, 0), Nanos(10));
        oldest.look("dm-0", stat(5, 0), Nanos(99));
        assert_eq!(oldest.oldest(Nanos(100)), None);
        oldest.look("dm-0", stat(5, 1), Nanos(100));
        assert_eq!(oldest.oldest(Nanos(101)), Some(("dm-0", Nanos(1))), "the time before it was idle does not count");
    }
}
