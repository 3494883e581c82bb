//! `dmlab schema`: the scenario language as a JSON schema, with the engine's axes in it.
//!
//! Invariant: the same binary prints the same bytes. Not here: the description of the language (`dmlab-scenarios`).

use dmlab_engine::variants::Variants;
use dmlab_results::ExitCode;
use dmlab_scenarios::AxisWords;

use super::Failure;
use super::output::Output;

pub(super) fn schema(output: &Output) -> Result<ExitCode, Failure> {
    let axes: Vec<AxisWords<'_>> = Variants::AXES
        .iter()
        .map(|axis| AxisWords {
            name: axis.name,
            about: axis.about,
            default: axis.default,
            values: axis.values.iter().map(|value| (value.name, value.about)).collect(),
        })
        .collect();
    output.print(&dmlab_scenarios::schema(&axes));
    Ok(ExitCode::Ok)
}
