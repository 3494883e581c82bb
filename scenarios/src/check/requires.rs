//! `requires`: what there must be for a scenario to be run at all.
//!
//! Invariant: a map that requires nothing is a mistake.
//! Not here: which target types and kernels there are (the harness asks the engine).

use super::bound;
use crate::fields::{Checked, Fields};
use crate::node::Node;
use crate::sink::Sink;
use crate::{KernelBound, Requires, values};

const TARGET: &str = "the name of a target type: a-z, 0-9, `_` and `-`";
const MODULE: &str = "the name of a kernel module: A-Z, a-z, 0-9, `_` and `-`";
const KERNEL: &str = "a bound on the kernel such as \">= 4.18\" or \"< 4.11-rc1\"";

pub(super) fn requires(node: &Node, sink: &mut Sink<'_>) -> Checked<Requires> {
    let mut fields = Fields::open(node, "`requires`", sink)?;
    let targets = fields.or("targets", Vec::new(), |node, sink| {
        values::one_or_more(node, "target types", sink, |item, sink| values::name(item, TARGET, is_target, sink))
    });
    let kernel = fields
        .or("kernel", Vec::new(), |node, sink| values::one_or_more(node, "bounds on the kernel", sink, kernel_bound));
    let modules = fields.or("module", Vec::new(), |node, sink| {
        values::one_or_more(node, "kernel modules", sink, |item, sink| values::name(item, MODULE, is_module, sink))
    });
    let root = fields.or("root", false, values::truth);
    fields.finish()?;
    let requires = Requires { targets: targets?, kernel: kernel?, modules: modules?, root: root? };
    if requires.is_nothing() {
        return sink.refuse(node.span, "this requires nothing: leave `requires` out");
    }
    Some(requires)
}

fn kernel_bound(node: &Node, sink: &mut Sink<'_>) -> Checked<KernelBound> {
    let text = values::text_as(node, KERNEL, sink)?;
    let is_release = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
    };
    let Some((relation, kernel)) = bound::split(text).filter(|(_, kernel)| is_release(kernel)) else {
        sink.wanted(node, KERNEL);
        return None;
    };
    Some(KernelBound { relation, kernel: kernel.to_owned() })
}

fn is_target(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

fn is_module(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_refused, scenario};
    use super::*;
    use crate::Relation;

    fn read(text: &str) -> Result<Requires, String> {
        let rest = "devices: { d: { ram: 1k } }\nsteps: [{ sleep: 0 }]\n";
        Ok(scenario(&format!("scenario: a/b\nabout: x\nrequires: {text}\n{rest}"))?.requires)
    }

    #[test]
    fn one_or_more_of_everything_may_be_required() {
        let bound = |relation, kernel: &str| KernelBound { relation, kernel: kernel.to_owned() };
        let found = read(
            "{ targets: [snapshot, thin-pool], kernel: [\">= 4.9\", '<4.11-rc1'], module: dm_mirror, root: true }",
        );
        let wanted = Requires {
            targets: vec!["snapshot".to_owned(), "thin-pool".to_owned()],
            kernel: vec![bound(Relation::AtLeast, "4.9"), bound(Relation::Less, "4.11-rc1")],
            modules: vec!["dm_mirror".to_owned()],
            root: true,
        };
        assert_eq!(found, Ok(wanted));
        let one = read("{ kernel: '!= 4.18' }").unwrap().kernel;
        assert_eq!(one.iter().map(ToString::to_string).collect::<Vec<_>>(), ["!= 4.18"]);
    }

    #[test]
    fn what_is_no_requirement_is_refused() {
        assert_refused(
            read,
            &[
                ("{}", "x:3:11: this requires nothing"),
                ("{ root: false }", "x:3:11: this requires nothing"),
                ("{ target: [linear] }", "x:3:13: \"target\" is not a key of `requires` (did you mean `targets`?"),
                ("{ targets: [Linear] }", "x:3:23: \"Linear\" is not the name of a target type"),
                ("{ kernel: 4.18 }", "x:3:21: \"4.18\" is not a bound on the kernel such as"),
                ("{ kernel: '>= new' }", "x:3:21: \">= new\" is not a bound on the kernel such as"),
                ("{ module: 'dm mirror' }", "x:3:21: \"dm mirror\" is not the name of a kernel module"),
                ("{ root: yes }", "x:3:19: \"yes\" is not"),
            ],
        );
    }
}
