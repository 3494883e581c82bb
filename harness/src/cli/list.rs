//! `dmlab list`: what there is to run.
//!
//! Invariant: the order is that of the catalogue. Not here: running anything.

use dmlab_results::ExitCode;
use serde_json::json;

use super::args::ListArgs;
use super::output::Output;
use super::{Failure, select};

pub(super) fn list(args: &ListArgs, output: &Output) -> Result<ExitCode, Failure> {
    let documents = select::select(&args.scenarios, args.tag.as_deref(), output)?.all()?;
    if args.json {
        let entries: Vec<_> = documents
            .iter()
            .map(|document| {
                let axes = document.axes().iter().map(|axis| json!({"axis": axis.name, "values": axis.values}));
                json!({
                    "scenario": document.id(),
                    "about": document.about(),
                    "commits": document.commits(),
                    "tags": document.tags(),
                    "variants": axes.collect::<Vec<_>>(),
                    "cells": document.cells().len(),
                })
            })
            .collect();
        output.print(&serde_json::to_string_pretty(&entries).map_err(|error| Failure::Setup(error.to_string()))?);
        return Ok(ExitCode::Ok);
    }
    for document in documents {
        let axes: Vec<String> =
            document.axes().iter().map(|axis| format!("{}: {}", axis.name, axis.values.join(" "))).collect();
        output.print(&format!("{}  ({} cells)", document.id(), document.cells().len()));
        output.print(&indented(document.about(), 4));
        for (what, list) in [("variants", axes.join("; ")), ("tags", document.tags().join(", "))] {
            if !list.is_empty() {
                output.print(&format!("    {what}: {list}"));
            }
        }
    }
    Ok(ExitCode::Ok)
}

/// Prose folded to lines of at most 100 characters.
pub(super) fn indented(text: &str, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.len() + word.len() + indent >= 100 {
            lines.push(word.to_owned());
        } else {
            *line = format!("{line}{}{word}", if line.is_empty() { "" } else { " " });
        }
    }
    let margin = " ".repeat(indent);
    lines.iter().map(|line| format!("{margin}{line}")).collect::<Vec<_>>().join("\n")
}
