//! On which leaves a scenario's persistent exception stores are.
//!
//! Tables say so (`snapshot` and `snapshot-merge` with `P`), wherever in the scenario they stand, and `snapshot` steps do. A
//! store on a dm device of one linear line is one on what lies below it.
//!
//! Invariant: a store that cannot be traced to a leaf is none of these places.
//! Not here: reading them.

use std::collections::BTreeMap;

use dmlab_scenarios::{Action, DeviceKind, Scenario, Store};
use dmlab_units::Sectors;

use crate::script::every;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The leaf.
    pub(super) leaf: String,
    /// Its first sector there.
    pub(super) from: Sectors,
    /// How many; all that follow where it is not said.
    pub(super) sectors: Option<Sectors>,
}

/// Levels of linear devices below a store.
const LEVELS_MAX: u32 = 8;

/// All stores, by names that say where they are.
pub(super) fn of(scenario: &Scenario) -> BTreeMap<String, Place> {
    let mut found = Vec::new();
    let mut take = |lines: &[String]| found.extend(lines.iter().filter_map(|line| cow_of(line)).map(|cow| (cow, None)));
    for device in &scenario.devices {
        if let DeviceKind::Dm { table, .. } = &device.kind {
            take(table);
        }
    }
    every(&scenario.steps, &mut |action| {
        if let Action::Load { table, .. } = action {
            take(table);
        }
    });
    every(&scenario.steps, &mut |action| match action {
        Action::Snapshot(taken) if taken.store != Store::N => {
            found.extend(taken.takes.iter().map(|cow| (cow.on.clone(), Some(cow.sectors))));
        }
        _ => {}
    });
    let mut places = BTreeMap::new();
    for (device, sectors) in found {
        let Some((leaf, from)) = leaf_of(scenario, &device, LEVELS_MAX) else { continue };
        let name = if from == Sectors::ZERO { leaf.clone() } else { format!("{leaf}+{from}") };
        places.insert(name, Place { leaf, from, sectors });
    }
    places
}

/// The device of the persistent store that a line of a table names.
fn cow_of(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip(2);
    let is_snapshot = matches!(words.next()?, "snapshot" | "snapshot-merge");
    let (_origin, cow, kind) = (words.next()?, words.next()?, words.next()?);
    (is_snapshot && kind.starts_with(['P', 'p'])).then(|| cow.strip_prefix('$').unwrap_or(cow).to_owned())
}

fn leaf_of(scenario: &Scenario, name: &str, levels: u32) -> Option<(String, Sectors)> {
    let device = scenario.devices.iter().find(|device| device.name == name)?;
    let DeviceKind::Dm { table, .. } = &device.kind else { return Some((name.to_owned(), Sectors::ZERO)) };
    let [line] = &table[..] else { return None };
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["0", _, "linear", below, at] = words[..] else { return None };
    let (leaf, from) = leaf_of(scenario, below.strip_prefix('$')?, levels.checked_sub(1)?)?;
    Some((leaf, Sectors(from.0.checked_add(at.parse().ok()?)?)))
}

#[cfg(test)]
mod tests {
    use dmlab_scenarios::Document;

    use super::*;

    fn places(devices: &str, steps: &str) -> Vec<(String, u64, Option<u64>)> {
        let text = format!(
            "scenario: a\nabout: x\ndevices:\n  o: {{ ram: 64KiB }}\n  c: {{ ram: 64KiB }}\n{devices}steps:\n{steps}"
        );
        let document = Document::parse("a", &text).unwrap_or_else(|found| panic!("{found}"));
        let scenario = document.scenario(&document.cells()[0]).unwrap();
        of(&scenario).into_iter().map(|(name, place)| (name, place.from.0, place.sectors.map(|s| s.0))).collect()
    }

    #[test]
    fn stores_are_found_in_tables_of_devices_and_of_steps() {
        let snap = "  s: { dm: \"0 64 snapshot $o $c P 8\" }\n";
        assert_eq!(places(snap, "  - remove: s\n"), [("c".to_owned(), 0, None)]);
        let merge = "  s: { dm: \"0 64 linear $o 0\" }\n";
        let reload = "  - reload: { device: s, table: \"0 64 snapshot-merge $o $c PO 8\" }\n";
        assert_eq!(places(merge, reload), [("c".to_owned(), 0, None)]);
        let transient = "  s: { dm: \"0 64 snapshot $o $c N 8\" }\n";
        assert_eq!(places(transient, "  - remove: s\n"), []);
    }

    #[test]
    fn a_store_on_a_linear_device_is_one_on_the_leaf_below() {
        let below = "  l: { dm: \"0 64 linear $c 16\" }\n  s: { dm: \"0 64 snapshot $o $l P 8\" }\n";
        assert_eq!(places(below, "  - remove: s\n"), [("c+16".to_owned(), 16, None)]);
        let none = "  l: { dm: \"0 64 zero\" }\n  s: { dm: \"0 64 snapshot $o $l P 8\" }\n";
        assert_eq!(places(none, "  - remove: s\n"), []);
    }

    #[test]
    fn a_snapshot_step_says_where_its_store_is() {
        let volume = "  v: { dm: \"0 64 linear $o 0\" }\n";
        let steps = "  - snapshot: { of: v, as: s, cow: 32KiB, chunk: 8 }\n";
        assert_eq!(places(volume, steps), [("s-pv".to_owned(), 0, Some(64))]);
    }
}
