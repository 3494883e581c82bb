//! Seams: only the scheduler and the backend that chooses one know its drivers, and backends do not know each other.
//!
//! `sched::threads` and `sched::explorer` may be named in the files of [`DRIVER_USERS`] and in test code; everything
//! else sees the runtime handle, so that nothing above `sched` can behave differently under another driver.
//! `backend::engine` and `backend::kernel` must stay apart, or a comparison between them would compare shared code.

use super::RULE;
use crate::source::Source;
use crate::tree::File;
use crate::{Tree, Violation};

const DRIVERS: [&[&str]; 2] = [&["sched", "threads"], &["sched", "explorer"]];

/// Path prefixes of the product code that may name a driver.
const DRIVER_USERS: &[&str] =
    &["engine/src/sched/", "engine/src/sched.rs", "harness/src/backend/engine/", "harness/src/backend/engine.rs"];

/// Backends that must not know each other.
const APART: [(&str, &str); 2] = [("engine", "kernel"), ("kernel", "engine")];

/// Finds breaches of both seams.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    tree.rust_files()
        .flat_map(|(file, source)| [drivers(tree, file, source), backends(tree, file, source)].concat())
        .collect()
}

fn drivers(tree: &Tree, file: &File, source: &Source) -> Vec<Violation> {
    if DRIVER_USERS.iter().any(|prefix| file.path.starts_with(prefix)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for path in source.outline().paths.iter().filter(|path| !tree.is_test(file, path.at)) {
        if let Some(driver) = DRIVERS.iter().find(|driver| path.names(driver)) {
            let wrong = format!("`{}` is named outside the scheduler", driver.join("::"));
            let right = "take the runtime handle; only the harness' engine backend chooses a driver";
            found.push(Violation::new(RULE, &file.path, path.line, wrong, right));
        }
    }
    found
}

fn backends(tree: &Tree, file: &File, source: &Source) -> Vec<Violation> {
    let Some([folder, own, ..]) = file.place.module() else { return Vec::new() };
    if file.place.folder != "harness" || folder != "backend" {
        return Vec::new();
    }
    let Some((_, other)) = APART.iter().find(|(one, _)| one == own) else { return Vec::new() };
    let mut found = Vec::new();
    for path in source.outline().paths.iter().filter(|path| !tree.is_test(file, path.at)) {
        let place = file.place.module().unwrap_or_default();
        let resolved = path.resolve(place, |path| tree.is_module("harness", path));
        if resolved.is_some_and(|path| path.starts_with(&["backend".to_owned(), (*other).to_owned()])) {
            let wrong = format!("backend `{own}` names backend `{other}`");
            let right = "what both need belongs beside them, in `backend`";
            found.push(Violation::new(RULE, &file.path, path.line, wrong, right));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_tells_apart, places};

    #[test]
    fn nothing_but_the_scheduler_names_a_driver() {
        let dm = "engine/src/dm/map.rs";
        assert_tells_apart(check, dm, "use crate::sched::{Runtime, threads};", "use crate::sched::Runtime;");
        assert_tells_apart(check, dm, "fn f(_: crate::sched::explorer::E) {}", "fn f(_: crate::sched::R) {}");
        let plan = "harness/src/plan.rs";
        assert_tells_apart(check, plan, "use dmlab_engine::sched::threads::T;", "use dmlab_engine::sched::T;");
    }

    #[test]
    fn the_engine_backend_and_tests_choose_a_driver() {
        let text = "use dmlab_engine::sched::explorer::Explorer;";
        let files = [
            "harness/src/backend/engine/mod.rs",
            "harness/src/backend/engine.rs",
            "engine/tests/explore.rs",
            "harness/benches/engine.rs",
            "engine/src/sched/mod.rs",
        ];
        for path in files {
            assert_eq!(places(check, &[(path, text)]), Vec::<String>::new());
        }
        assert_eq!(places(check, &[("harness/src/backend/kernel.rs", text)]).len(), 1);
    }

    #[test]
    fn backends_stay_apart() {
        let engine = "harness/src/backend/engine/mod.rs";
        let kernel = "harness/src/backend/kernel.rs";
        assert_tells_apart(check, engine, "use super::kernel::K;", "use super::Backend;");
        assert_tells_apart(check, engine, "use crate::backend::{Backend, kernel};", "use crate::backend::Backend;");
        assert_tells_apart(check, kernel, "use super::engine::E;", "use super::status::S;");
    }
}
