//! What kernels in virtual machines would need: an emulator, and hardware help for it.
//!
//! Not here: starting one.

use std::path::Path;

use super::machine::Machine;
use super::{Finding, Need, State};

const EMULATORS: [&str; 3] = ["qemu-system-x86_64", "qemu-kvm", "qemu-system-aarch64"];

pub(super) fn findings(machine: &Machine<'_>) -> Vec<Finding> {
    vec![emulator(machine), kvm(machine)]
}

fn emulator(machine: &Machine<'_>) -> Finding {
    match machine.program(&EMULATORS) {
        Some(program) => Finding::new(Need::Guest, "qemu", State::Yes, program.display().to_string()),
        None => Finding::new(Need::Guest, "qemu", State::No, format!("none of {} is in PATH", EMULATORS.join(", ")))
            .or("apt install qemu-system-x86, or dnf install qemu-kvm"),
    }
}

fn kvm(machine: &Machine<'_>) -> Finding {
    let finding = |state, found: &str| Finding::new(Need::Guest, "kvm", state, found);
    if !machine.exists("/dev/kvm") {
        return finding(State::Partly, "/dev/kvm is not there: guests are emulated, and slow")
            .or("modprobe kvm_intel or kvm_amd; in a guest, turn nested virtualisation on");
    }
    match machine.probes.open(&machine.root.join(Path::new("dev/kvm"))) {
        Ok(()) => finding(State::Yes, "/dev/kvm can be opened"),
        Err(error) => {
            finding(State::Partly, &format!("/dev/kvm: {error}")).or("usermod -aG kvm $USER, then log in again")
        }
    }
}
