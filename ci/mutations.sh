#!/usr/bin/env bash
# The proof that the harness catches real bugs in a real kernel: each mutation of ci/kernel/mutations is built into 6.12, and
# the scenario that the engine uses for it must come to the mutation's verdict there and pass on the unchanged kernel.
#
#   ci/mutations.sh                  all mutations
#   ci/mutations.sh zero-chunk …     these
#
# Needs what `dmlab kernel build` and guests need (each says what is missing, and how to get it; `ci/setup.sh programs` and
# `ci/setup.sh build` install it), no root. Kernels are built once and kept in $XDG_CACHE_HOME/dmlab/kernels. DMLAB names the
# program to use in place of a debug build of this checkout; DMLAB_SOURCE a source package in place of the one that apt
# knows; DMLAB_REPORTS a folder for records and for what was found of failures. Exit code 0 if all are caught, 1 if one is not, 2 if the
# machine is not fit for it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

if [[ -z ${DMLAB:-} ]]; then
    cargo build --quiet --package dmlab
    DMLAB=${CARGO_TARGET_DIR:-target}/debug/dmlab
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
reports=${DMLAB_REPORTS:-$work}
mkdir -p "$reports"

# field FILE KEY: the value of a line of the head of a file of edits.
field() { sed -n "s/^$2: *//p;/^file:/q" "ci/kernel/mutations/$1.edit"; }

names=("$@")
if ((${#names[@]} == 0)); then
    for file in ci/kernel/mutations/*.edit; do
        names+=("$(basename "$file" .edit)")
    done
fi
series=$(field "${names[0]}" kernel)
"$DMLAB" kernel build ${DMLAB_SOURCE:+--source "$DMLAB_SOURCE"} "$series-debug" "${names[@]/#/$series-}" || exit 2

# verdicts KERNEL SCENARIO: the verdicts of the cells that were run, in a line each; exit code 2 if there was none.
verdicts() {
    local record=$reports/$1_${2//\//-}.json code=0
    "$DMLAB" run "scenarios/catalog/$2.yaml" --backend guest --kernel "$1" --json "$record" \
        --artefacts "$reports/artefacts" >"$work/out" 2>&1 || code=$?
    # All as expected, or not, or an unexpected hang; anything else says nothing of the kernel.
    if [[ $code != [015] ]]; then
        cat "$work/out" >&2
        return 2
    fi
    # Of the cells alone: their plans hold the verdicts that scenarios expect, further in.
    sed -n 's/^      "verdict": "\([a-z-]*\)",\{0,1\}$/\1/p' "$record" | grep -v '^skip$' || return 2
}

failed=0
for name in "${names[@]}"; do
    scenario=$(field "$name" scenario)
    wanted=$(field "$name" verdict)
    if ! unchanged=$(verdicts "$series-debug" "$scenario"); then
        echo "mutations: $scenario could not be run on $series-debug" >&2
        exit 2
    fi
    if ! mutated=$(verdicts "$series-$name" "$scenario"); then
        echo "mutations: $scenario could not be run on $series-$name" >&2
        exit 2
    fi
    if grep -qvx pass <<<"$unchanged"; then
        echo "$name: NOT CAUGHT: $scenario does not pass on $series-debug: $(tr '\n' ' ' <<<"$unchanged")"
        failed=1
    elif ! grep -qx "$wanted" <<<"$mutated"; then
        echo "$name: NOT CAUGHT: $scenario on $series-$name: $(tr '\n' ' ' <<<"$mutated"), expected $wanted"
        failed=1
    else
        echo "$name: caught: $scenario comes to $wanted on $series-$name and passes on $series-debug"
    fi
done
exit "$failed"
