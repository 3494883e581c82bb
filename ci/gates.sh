#!/usr/bin/env bash
# The gates that every change must pass; each can be run by hand.
#
#   ci/gates.sh GATE...    runs these gates, in the given order
#   ci/gates.sh all        runs all of them
#   ci/gates.sh            lists them
#
# Stops at the first gate that fails, names it, and exits with 1; 2 means that the arguments or the machine are not
# fit to run a gate. Works from any folder, reads no input, needs no root and nothing but a Rust toolchain with
# rustfmt and clippy, a C compiler to link with, and bash. What a gate leaves behind is in cargo's target folder.
#
# The gate `guest` needs what ci/setup.sh gets. Without that it says so and is left out, unless DMLAB_GUESTS=required: then
# it fails; DMLAB_GUESTS=none leaves it out everywhere. DMLAB_REPORTS=FOLDER makes it leave its JUnit report and what it found of failures there.
#
# It does not check licences (ci/deny.sh, which has to install a tool) and it does not touch this kernel's device-mapper.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

if [[ ${CI:-} == true ]]; then
    export CARGO_TERM_COLOR=never
fi

# Self-test first: when the gates themselves are broken, what they say of the rest is worth nothing.
gates=(selftest test fmt clippy tidy doc run determinism guest bench)

about_selftest="the gates can fail"
gate_selftest() {
    ci/tests/gates_test.sh
}

about_test="the README's test command"
gate_test() {
    readme_command test
}

about_fmt="the code is formatted"
gate_fmt() {
    cargo fmt --all --check
}

about_clippy="clippy has nothing to say"
gate_clippy() {
    cargo clippy --workspace --all-targets -- -D warnings
}

about_tidy="the house rules (import law, banned names, headers, sizes)"
gate_tidy() {
    cargo run --quiet --package dmlab-tidy
}

about_doc="the documentation builds, links included"
gate_doc() {
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
}

about_run="the README's main job"
gate_run() {
    readme_command run
}

about_determinism="two virtual-clock runs give the same bytes"
gate_determinism() {
    local folder
    folder=$(mktemp -d)
    # Expanded now, not when the trap fires: by then the local variable is gone.
    # shellcheck disable=SC2064
    trap "rm -rf '$folder'" EXIT
    local turn
    for turn in first second; do
        cargo run --release --quiet -- run --clock virtual --seed 1 --json "$folder/$turn.json"
        if [[ ! -s $folder/$turn.json ]]; then
            echo "the $turn run wrote no JSON" >&2
            return 1
        fi
    done
    cmp "$folder/first.json" "$folder/second.json"
}

about_guest="the catalogue on kernels 6.1 and 6.12, in guests, and beside the engine"
gate_guest() {
    local missing="" kernels
    if [[ ${DMLAB_GUESTS:-} == none ]]; then
        echo "SKIPPED: DMLAB_GUESTS=none" >&2
        return
    fi
    if ! command -v qemu-system-x86_64 >/dev/null; then
        missing="qemu-system-x86_64 is not installed"
    else
        kernels=$(cargo run --release --quiet -- kernel list)
        [[ $kernels == *"6.1 "* && $kernels == *"6.12 "* ]] || missing="the kernels 6.1 and 6.12 were not fetched"
    fi
    if [[ -n $missing ]]; then
        echo "SKIPPED: $missing; ci/setup.sh gets what guests need" >&2
        [[ ${DMLAB_GUESTS:-} != required ]]
        return
    fi
    local reports=${DMLAB_REPORTS:-target/guest}
    mkdir -p "$reports"
    # Also finds cells that are not as their scenarios expect: one pass through the guests says both.
    cargo run --release --quiet -- conform --kernel 6.1,6.12 --json "$reports/conform.json" \
        --junit "$reports/guest.xml" --markdown "$reports/guest.md" --artefacts "$reports/artefacts"
}

about_bench="the benches compile, and each runs once"
gate_bench() {
    # The bench targets only, or the unit tests would run once more; an error if there are none. With the profile of the
    # tests, because one pass says nothing about speed, and all that benches need was built with that profile already.
    cargo bench --package dmlab --profile dev --bench '*' -- --test
}

# Runs what the README tells its readers to run.
readme_command() {
    local command
    command=$(ci/readme_command.sh "$1")
    echo "\$ $command"
    bash -euo pipefail -c "$command"
}

# Names what is missing before anything has been built, instead of failing half-way with the tool's own words.
check_machine() {
    local tool
    for tool in cargo rustc cc; do
        if ! command -v "$tool" >/dev/null; then
            echo "gates: '$tool' is missing: install a Rust toolchain (https://rustup.rs) and a C compiler" >&2
            exit 2
        fi
    done
    for tool in fmt clippy; do
        if ! cargo "$tool" --version >/dev/null 2>&1; then
            echo "gates: 'cargo $tool' is missing: rustup component add rustfmt clippy" >&2
            exit 2
        fi
    done
}

list() {
    local gate about
    echo "usage: ci/gates.sh all | GATE..."
    for gate in "${gates[@]}"; do
        about="about_$gate"
        printf '  %-12s %s\n' "$gate" "${!about}"
    done
}

# A subshell outside any condition: inside `if`, `||` or `&&` bash would ignore `set -e`, and a gate of several
# commands would pass if only its last one did.
run_gate() {
    local about="about_$1" status started=$SECONDS
    printf '\n==> %s: %s\n' "$1" "${!about}"
    set +e
    (
        set -e
        "gate_$1"
    )
    status=$?
    set -e
    if ((status != 0)); then
        printf '==> %s FAILED after %d s (exit code %d)\n' "$1" $((SECONDS - started)) "$status" >&2
        exit 1
    fi
    printf '==> %s passed in %d s\n' "$1" $((SECONDS - started))
}

if (($# == 0)); then
    list
    exit 2
fi
chosen=("$@")
if [[ $* == all ]]; then
    chosen=("${gates[@]}")
fi
for gate in "${chosen[@]}"; do
    if [[ " ${gates[*]} " != *" $gate "* ]]; then
        echo "gates: there is no gate '$gate'" >&2
        list >&2
        exit 2
    fi
done
check_machine
for gate in "${chosen[@]}"; do
    run_gate "$gate"
done
printf '\nall passed in %d s: %s\n' "$SECONDS" "${chosen[*]}"
