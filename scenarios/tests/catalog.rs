//! The shipped catalogue: it is there, its names are its paths, and every cell of every scenario is in order.
//!
//! Not here: whether a scenario shows what it says (the harness runs them).

use std::path::Path;

use dmlab_scenarios::catalog;

/// How many scenario files there are on disk below `directory`.
fn files(directory: &Path) -> usize {
    let Ok(entries) = directory.read_dir() else { return 0 };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(
            |path| {
                if path.is_dir() { files(&path) } else { usize::from(path.extension().is_some_and(|e| e == "yaml")) }
            },
        )
        .sum()
}

#[test]
fn every_file_is_built_in() {
    assert_eq!(catalog().len(), files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog")));
}

#[test]
fn the_catalogue_is_sorted_by_path() {
    assert!(catalog().is_sorted_by(|a, b| a.path < b.path));
}

#[test]
fn every_scenario_is_called_what_its_path_says() {
    for entry in catalog() {
        let document = entry.parse().unwrap_or_else(|found| panic!("{}", found.render(entry.text, false)));
        assert_eq!(document.id(), entry.id(), "scenarios/catalog/{}", entry.path);
    }
}

#[test]
fn every_cell_of_every_scenario_is_in_order() {
    for entry in catalog() {
        let document = entry.parse().unwrap_or_else(|found| panic!("{}", found.render(entry.text, false)));
        document.check().unwrap_or_else(|found| panic!("{}", found.render(entry.text, false)));
        for cell in document.cells() {
            let scenario = document.scenario(&cell).unwrap_or_else(|found| panic!("{cell}: {found}"));
            assert!(!scenario.expect.is_empty(), "{}: {cell}", entry.path);
        }
    }
}
