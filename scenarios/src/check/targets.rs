//! Target types of tables that must load: whether there are such, which only who runs the scenario knows.
//!
//! Invariant: what a scenario may mean to be refused is let through: tables of `create` and `reload` steps that say what must
//! come of them, and types that the scenario requires.
//! Not here: the rest of a line (`table`); a type that is put together from an axis.

use super::table::tokens;
use crate::node::{Kind, Node};
use crate::sink::{Sink, shown};
use crate::{nearest, values};

/// Reports the types in `root`'s tables that are not among `known`.
pub(crate) fn report_unknown(root: &Node, known: &[&str], sink: &mut Sink<'_>) {
    let steps = root.get("steps");
    let mut refusable: Vec<&str> = Vec::new();
    let mut tables: Vec<&Node> = Vec::new();
    if let Some(steps) = steps {
        visit(steps, &mut |map| {
            let of = |step: &str| map.get(step).filter(|step| matches!(step.kind, Kind::Map(_)));
            if let Some(create) = of("create").filter(|create| create.get("expect").is_some()) {
                refusable.extend(create.get("device").and_then(Node::text));
            }
            if let Some(reload) = of("reload").filter(|reload| reload.get("expect").is_none()) {
                tables.extend(reload.get("table"));
            }
        });
    }
    if let Some(Kind::Map(devices)) = root.get("devices").map(|node| &node.kind) {
        let must_load = devices.iter().filter(|(name, _)| name.text().is_some_and(|name| !refusable.contains(&name)));
        tables.extend(must_load.filter_map(|(_, device)| device.get("dm")));
    }
    for table in tables {
        match &table.kind {
            Kind::Seq(lines) => lines.iter().for_each(|line| report_line(line, known, sink)),
            _ => report_line(table, known, sink),
        }
    }
}

/// Shows every map below `node`.
fn visit<'n>(node: &'n Node, look: &mut dyn FnMut(&'n Node)) {
    match &node.kind {
        Kind::Map(entries) => {
            look(node);
            entries.iter().for_each(|(_, value)| visit(value, look));
        }
        Kind::Seq(items) => items.iter().for_each(|item| visit(item, look)),
        Kind::Scalar(_) | Kind::Broken => {}
    }
}

fn report_line(node: &Node, known: &[&str], sink: &mut Sink<'_>) {
    let mut begin = 0;
    for line in node.text().unwrap_or_default().split('\n') {
        let mut words = tokens(line);
        let is_line = words.by_ref().take(2).filter(|(_, word)| values::parse_number(word).is_some()).count() == 2;
        let word = words.next().filter(|(_, found)| is_line && !known.contains(found) && !found.contains('$'));
        if let Some((start, found)) = word {
            let at = begin + start;
            let help = format!(
                "{}{}; name it in `requires: {{ targets: … }}` where it is another system's",
                nearest::did_you_mean(found, known),
                nearest::list("targets", known)
            );
            let message = format!("{} is not a target of this dmlab", shown(found));
            sink.error_help(node.part(at, at + found.len()), message, help);
        }
        if sink.is_full() {
            return;
        }
        begin += line.len() + 1;
    }
}

#[cfg(test)]
mod tests {
    use crate::Document;

    fn found(devices: &str, steps: &str) -> String {
        let text = format!("scenario: a/b\nabout: x\ndevices: {devices}\nsteps: {steps}\n");
        let document = Document::parse("x", &text).unwrap_or_else(|found| panic!("{found}"));
        document.check_targets(&["linear", "zero"]).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn an_unknown_type_of_a_table_that_must_load_is_told_at_its_word() {
        let found = found("{ t: { dm: ['0 8 zero', '8 8 liner x 0'] } }", "[{ sleep: 0 }]");
        assert!(
            found
                .starts_with("x:3:39: \"liner\" is not a target of this dmlab (did you mean `linear`? targets: linear"),
            "{found}"
        );
        let steps = "[{ parallel: { a: [{ reload: { device: t, table: '0 8 zeor' } }] } }]";
        assert!(self::found("{ t: { dm: 0 8 zero } }", steps).starts_with("x:4:62: \"zeor\" is not a target"));
    }

    #[test]
    fn tables_that_may_be_refused_are_let_through() {
        assert_eq!(found("{ t: { dm: 0 8 zeor } }", "[{ create: { device: t, expect: EINVAL } }]"), "");
        assert_eq!(
            found("{ t: { dm: 0 8 zero } }", "[{ reload: { device: t, table: 0 8 zeor, expect: refused } }]"),
            ""
        );
    }
}
