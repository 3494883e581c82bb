//! `dmlab variants`: the catalogue of algorithms: axes, their values, the kernels that had them, the commits that brought
//! them, what each is good and bad at; or what one kernel had on every axis.
//!
//! Invariant: the order is that of the catalogue. Not here: running anything.

use dmlab_engine::variants::{AxisInfo, Kernel, ValueInfo, Variants};
use dmlab_results::ExitCode;
use serde_json::{Value, json};

use super::Failure;
use super::args::VariantsArgs;
use super::list::indented;
use super::output::Output;

pub(super) fn variants(args: &VariantsArgs, output: &Output) -> Result<ExitCode, Failure> {
    if args.targets {
        return targets(args, output);
    }
    let wanted = |axis: &&AxisInfo| args.axes.is_empty() || args.axes.iter().any(|name| name == axis.name);
    let axes: Vec<&AxisInfo> = Variants::AXES.iter().filter(wanted).collect();
    if args.json {
        let data = match args.as_of {
            None => axes.iter().map(|axis| axis_as_json(axis, axis.values.iter())).collect(),
            Some(kernel) => stack_as_json(&axes, kernel),
        };
        output.print(&serde_json::to_string_pretty(&data).map_err(|error| Failure::Setup(error.to_string()))?);
        return Ok(ExitCode::Ok);
    }
    for axis in axes {
        match args.as_of {
            None => {
                output.print(&format!("{}: {} (default {})", axis.name, axis.about, axis.default));
                axis.values.iter().for_each(|value| print_value(value, output));
            }
            Some(kernel) => {
                output.print(&format!("{}: {}", axis.name, axis.about));
                print_value(value_of(axis, kernel), output);
            }
        }
        output.print("");
    }
    Ok(ExitCode::Ok)
}

/// `dmsetup targets` of a kernel, as far as it is known.
fn targets(args: &VariantsArgs, output: &Output) -> Result<ExitCode, Failure> {
    let kernel = args.as_of.unwrap_or_else(|| *Kernel::all().last().expect("there are kernels"));
    let versions = dmlab_engine::targets::versions(kernel);
    let text = |[major, minor, patch]: [u32; 3]| format!("{major}.{minor}.{patch}");
    if args.json {
        let rows = versions.iter().map(|(name, version)| json!({ "target": name, "version": version.map(text) }));
        let data = json!({ "as_of": kernel.to_string(), "targets": rows.collect::<Vec<_>>() });
        output.print(&serde_json::to_string_pretty(&data).map_err(|error| Failure::Setup(error.to_string()))?);
        return Ok(ExitCode::Ok);
    }
    for (name, version) in versions {
        match version {
            Some(version) => output.print(&format!("{name:<16} v{}", text(version))),
            None => output.print(&format!("{name:<16} version not known: only 6.1 and 6.12 were looked at")),
        }
    }
    Ok(ExitCode::Ok)
}

/// What `kernel` did on `axis`.
fn value_of(axis: &AxisInfo, kernel: Kernel) -> &'static ValueInfo {
    let names = Variants::as_of(kernel).names();
    let (_, name) = names.iter().find(|(name, _)| *name == axis.name).expect("every axis has a value");
    axis.values.iter().find(|value| value.name == *name).expect("every value is in the catalogue")
}

fn print_value(value: &ValueInfo, output: &Output) {
    output.print(&format!("  {:<20} {:<20} {}", value.name, value.kernels, value.commit));
    output.print(&indented(value.about, 6));
    for (what, text) in [("good", value.good), ("bad", value.bad)] {
        if !text.is_empty() {
            output.print(&indented(&format!("{what}: {text}"), 6));
        }
    }
}

fn stack_as_json(axes: &[&AxisInfo], kernel: Kernel) -> Value {
    let values = axes.iter().map(|axis| axis_as_json(axis, std::iter::once(value_of(axis, kernel))));
    json!({ "as_of": kernel.to_string(), "axes": values.collect::<Vec<_>>() })
}

fn axis_as_json<'a>(axis: &AxisInfo, values: impl Iterator<Item = &'a ValueInfo>) -> Value {
    let values = values.map(|value| {
        json!({
            "value": value.name,
            "kernels": value.kernels,
            "commits": value.commit,
            "about": value.about,
            "good": value.good,
            "bad": value.bad,
        })
    });
    json!({ "axis": axis.name, "about": axis.about, "default": axis.default, "values": values.collect::<Vec<_>>() })
}
