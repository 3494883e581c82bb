//! Whether the engine has what a scenario requires, and why not.
//!
//! Invariant: what is not there is told by name, with what is there in its place.
//! Not here: requirements of real kernels (modules, root), which the engine has no use for.

use dmlab_engine::targets;
use dmlab_engine::variants::Kernel;
use dmlab_scenarios::{Cell, Diagnostic, Document, KernelBound};

use super::history;

/// What is wrong with the kernels that `requires` names.
pub(super) fn check(document: &Document) -> Vec<Diagnostic> {
    let bounds = document.requires().kernel.iter().enumerate();
    let wrong = bounds.filter_map(|(index, bound)| {
        let error = bound.kernel.parse::<Kernel>().err()?;
        let message = format!("there is no kernel {:?}", error.text);
        Some(document.diagnostic_at_kernel(index, message, Some(error.to_string())))
    });
    wrong.collect()
}

/// Why a cell of `document` cannot be run on the engine, if so.
pub(super) fn unmet(document: &Document, cell: &Cell) -> Option<String> {
    let requires = document.requires();
    let known = || targets::TYPES.iter().map(|kind| kind.name);
    if let Some(missing) = requires.targets.iter().find(|name| !known().any(|known| known == *name)) {
        let known: Vec<&str> = known().collect();
        return Some(format!("requires the target {missing}; the engine has {}", known.join(", ")));
    }
    let kernel = history::kernel(document, cell);
    let broken = requires.kernel.iter().find(|bound| !holds(bound, kernel))?;
    Some(format!("requires a kernel {broken}; this runs what {kernel} did"))
}

fn holds(bound: &KernelBound, kernel: Kernel) -> bool {
    let wanted: Kernel = bound.kernel.parse().expect("checked with the document");
    bound.relation.holds(&kernel, &wanted)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dmlab_scenarios::Document;

    use crate::plan::{Plan, Wishes};

    fn plans(head: &str) -> Result<Vec<Plan>, String> {
        let rest = "devices: { d: { ram: 1k } }\nsteps: [{ sleep: 0 }]\n";
        let document = Document::parse("x", &format!("scenario: a\nabout: x\n{head}\n{rest}")).unwrap();
        Plan::of(&Arc::new(document), &Wishes::default()).map_err(|found| found.to_string())
    }

    fn skips(head: &str) -> Vec<Option<String>> {
        plans(head).unwrap().into_iter().map(|plan| plan.skip).collect()
    }

    #[test]
    fn what_the_engine_has_is_run_and_what_it_has_not_is_skipped_with_the_reason() {
        assert_eq!(skips("requires: { targets: [linear, snapshot] }"), [None, None]);
        let skipped = skips("requires: { targets: [linear, thin-pool] }");
        assert_eq!(skipped.len(), 2);
        for why in skipped {
            let why = why.expect("no thin-pool");
            assert!(why.starts_with("requires the target thin-pool; the engine has delay, dust, "), "{why}");
        }
        assert_eq!(skips("requires: { module: dm_mirror, root: true }"), [None, None]);
    }

    #[test]
    fn a_kernel_is_compared_with_the_one_whose_algorithms_are_run() {
        let newest = "requires a kernel < 6.12; this runs what 6.12 did";
        assert_eq!(skips("requires: { kernel: '< 6.12' }"), [Some(newest.to_owned()), Some(newest.to_owned())]);
        assert_eq!(skips("requires: { kernel: ['>= 4.9', '< 4.10'] }\nas_of: 4.9"), [None, None]);
        let by_cell = skips("requires: { kernel: '>= 4.10' }\nruns: threads\nvariants: { as_of: [4.9, 4.20] }");
        assert_eq!(by_cell, [Some("requires a kernel >= 4.10; this runs what 4.9 did".to_owned()), None]);
    }

    #[test]
    fn a_kernel_that_there_never_was_is_a_mistake_at_its_place() {
        let found = plans("requires: { kernel: ['>= 4.9', '< 4.99'] }").unwrap_err();
        assert!(found.starts_with("x:3:32: there is no kernel \"4.99\""), "{found}");
    }
}
