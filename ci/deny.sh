#!/usr/bin/env bash
# Checks the dependencies' licences, sources and versions against deny.toml, with cargo-deny.
#
# Installs the pinned cargo-deny if this version is not there (two minutes of compiling, needs the network), which is
# why it is a nightly job and no gate of ci/gates.sh. It shows first that the check can fail: against an empty licence
# list it must. It does not look at security advisories, see deny.toml.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

version=0.20.2
if [[ $(cargo deny --version 2>/dev/null || true) != "cargo-deny $version" ]]; then
    cargo install --locked cargo-deny --version "$version"
fi

echo "==> a licence that is not on the list is refused"
strict=$(mktemp)
trap 'rm -f "$strict"' EXIT
printf '[licenses]\nallow = []\n' >"$strict"
if output=$(cargo deny --color never --config "$strict" check licenses 2>&1); then
    echo "deny: an empty licence list refused nothing: the check does not work" >&2
    exit 1
fi
# It must have failed for the right reason, not because the configuration could not be read.
if [[ $output != *"licenses FAILED"* ]]; then
    printf '%s\ndeny: the check failed, but not over licences\n' "$output" >&2
    exit 1
fi

echo "==> bans, licenses, sources"
cargo deny --color never check bans licenses sources
