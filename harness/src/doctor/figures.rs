//! What makes figures on threads worth less: processors that change their speed, and others that use them.
//!
//! Not here: measuring anything.

use super::machine::Machine;
use super::{Finding, Need, State};

/// Above this share of the processors, others were at work in the last minute.
const LOAD_PERCENT_MAX: u64 = 25;

pub(super) fn findings(machine: &Machine<'_>) -> Vec<Finding> {
    vec![governor(machine), load(machine)]
}

fn governor(machine: &Machine<'_>) -> Finding {
    let finding = |state, found: String| Finding::new(Need::Figures, "CPU governor", state, found);
    let folder = "/sys/devices/system/cpu";
    let cpus = machine.names(folder);
    let is_cpu = |name: &&String| name.strip_prefix("cpu").is_some_and(|n| n.parse::<u32>().is_ok());
    let mut governors: Vec<String> = cpus
        .iter()
        .filter(is_cpu)
        .filter_map(|cpu| machine.text(&format!("{folder}/{cpu}/cpufreq/scaling_governor")))
        .collect();
    governors.sort();
    governors.dedup();
    match &governors[..] {
        [] => finding(State::Unknown, "nothing says; a hypervisor may decide".to_owned()),
        [one] if one == "performance" => finding(State::Yes, "performance".to_owned()),
        other => finding(State::Partly, other.join(", ")).or("cpupower frequency-set -g performance"),
    }
}

fn load(machine: &Machine<'_>) -> Finding {
    let finding = |state, found: String| Finding::new(Need::Figures, "load", state, found);
    let first = machine.text("/proc/loadavg").and_then(|text| text.split(' ').next().map(str::to_owned));
    let Some((text, load)) =
        first.and_then(|text| text.parse::<f64>().ok().filter(|load| load.is_finite()).map(|load| (text, load)))
    else {
        return finding(State::Unknown, "/proc/loadavg does not say".to_owned());
    };
    let cpus = machine.probes.cpus() as f64;
    let found = format!("{text} in the last minute, on {cpus} CPU(s)");
    let state = if load * 100.0 > cpus * LOAD_PERCENT_MAX as f64 { State::Partly } else { State::Yes };
    finding(state, found).or("end what else is running, and wait a minute")
}
