#!/usr/bin/env bash
# Shows that the gates fail when they must, and only then.
#
# Each test runs the real scripts, copied into a scratch repository. Most use a stand-in for cargo that notes how it
# was called and fails on demand, so they take no time; the last ones use the real cargo on a crate of a few lines,
# because only that shows that the flags in use make the tools fail.
#
# It does not test what the gates say of this repository: that is their own job.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
repository=$PWD
# The tests say themselves what the gates are told.
unset DMLAB_GUESTS DMLAB_REPORTS
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0

# Shows a failed expectation with the output of the command that it is about.
fail() {
    printf 'gates_test: %s: %s\n--- output:\n%s\n' "$test" "$1" "${output:-}" >&2
    exit 1
}

# expect STATUS COMMAND...: runs the command, keeps its output, and compares its exit code.
expect() {
    local wanted=$1 status=0
    shift
    output=$("$@" 2>&1) || status=$?
    [[ $status == "$wanted" ]] || fail "exit code $status instead of $wanted"
}

expect_output() {
    [[ $output == *"$1"* ]] || fail "the output lacks '$1'"
}

# A scratch repository with a README of two commands, and a stand-in for cargo in front of the path.
prepare() {
    test=$1
    passed=$((passed + 1))
    rm -rf "$scratch/repo" "$scratch/bin" "$scratch/calls"
    mkdir -p "$scratch/repo/ci/tests" "$scratch/repo/.ci" "$scratch/bin"
    cp "$repository"/ci/*.sh "$scratch/repo/ci/"
    cp "$repository/.ci/run" "$scratch/repo/.ci/"
    # The copy must not test itself for ever.
    printf '#!/usr/bin/env bash\n' >"$scratch/repo/ci/tests/gates_test.sh"
    chmod +x "$scratch/repo/ci/tests/gates_test.sh"
    # Installs nothing: setting up has tests of its own.
    printf '#!/usr/bin/env bash\necho "setup.sh $*" >>"$CALLS"\nexit "${SETUP:-0}"\n' >"$scratch/repo/ci/setup.sh"
    cat >"$scratch/repo/README.md" <<'README'
<!-- ci: test -->
```sh
cargo test --workspace
```
<!-- ci: run -->

```console

$ cargo run --release -- run
second line
```
README
    cat >"$scratch/bin/cargo" <<'CARGO'
#!/usr/bin/env bash
# Stands in for cargo: notes the call, fails if it matches $FAIL_ON, writes the file behind --json.
echo "$*" >>"$CALLS"
if [[ -n ${FAIL_ON:-} && $* == $FAIL_ON ]]; then exit 101; fi
if [[ $* == *"kernel list" && -z ${NO_KERNELS:-} ]]; then printf '6.1   a\n6.12  b\n'; fi
while (($# > 1)); do
    if [[ $1 == --json && -z ${NO_JSON:-} ]]; then echo "${DIFFER:+$RANDOM$2}" >"$2"; fi
    shift
done
CARGO
    chmod +x "$scratch/bin/cargo"
    # Never started: guests are cargo's to run.
    printf '#!/usr/bin/env bash\n' >"$scratch/bin/qemu-system-x86_64"
    chmod +x "$scratch/bin/qemu-system-x86_64"
}

# The scripts of the scratch repository, with the stand-in. They are called from elsewhere, as a user may.
gates() {
    (cd / && CALLS=$scratch/calls PATH=$scratch/bin:$PATH "$scratch/repo/ci/gates.sh" "$@")
}

# README commands

readme() {
    printf '%s\n' "$@" >"$scratch/readme.md"
    ci/readme_command.sh test "$scratch/readme.md"
}

prepare "the first line of the marked block is the command"
expect 0 ci/readme_command.sh run "$scratch/repo/README.md"
[[ $output == "cargo run --release -- run" ]] || fail "another command"

prepare "a README without a usable command is an error"
expect 1 readme '# Title' '```' 'cargo test' '```'
expect_output "is missing"
expect 1 readme '<!-- ci: test -->' 'Some prose.' '```' 'cargo test' '```'
expect_output "no code block follows"
expect 1 readme '<!-- ci: test -->' '```' 'cargo test'
expect_output "no closed code block"
expect 1 readme '<!-- ci: test -->' '```' '' '```'
expect_output "is empty"
expect 1 readme '<!-- ci: test -->' '```' 'a' '```' '<!-- ci: test -->' '```' 'b' '```'
expect_output "twice"
expect 1 ci/readme_command.sh test "$scratch/no-such-file"
expect_output "cannot be read"

# Gates, with the stand-in

prepare "all gates pass when every command passes, and each has run"
expect 0 gates all
for call in "test --workspace" "fmt --all --check" "clippy --workspace --all-targets -- -D warnings" \
    "run --quiet --package dmlab-tidy" "doc --workspace --no-deps" "run --release -- run" \
    "run --release --quiet -- conform --kernel 6.1,6.12 --json target/guest/conform.json --junit target/guest/guest.xml --markdown target/guest/guest.md --artefacts target/guest/artefacts" \
    "bench --package dmlab --profile dev --bench * -- --test"; do
    grep -qxF -- "$call" "$scratch/calls" || fail "'cargo $call' was not called"
done

# fails GATE PATTERN: the gate fails when the matching cargo call fails, is named, and no later gate runs.
fails() {
    prepare "the gate '$1' fails with its command"
    export FAIL_ON=$2
    expect 1 gates all
    expect 1 "$scratch/repo/.ci/run" </dev/null
    unset FAIL_ON
    expect_output "==> $1 FAILED"
    [[ $output != *"all passed"* ]] || fail "reported as passed"
    [[ ${output##*FAILED} != *"==>"* ]] || fail "went on behind the failed gate"
}
export CALLS=$scratch/calls
real_path=$PATH
PATH=$scratch/bin:$PATH
fails test "test --workspace"
fails fmt "fmt --all*"
fails clippy "clippy --workspace*"
fails tidy "*dmlab-tidy"
fails doc "doc *"
fails run "run --release -- run"
fails determinism "*--json*second.json"
fails guest "*conform*"
fails bench "bench *"

prepare "everything begins with setting up, which may fail where guests are not required"
expect 0 "$scratch/repo/.ci/run"
[[ $(head -n 1 "$scratch/calls") == "setup.sh " ]] || fail "the machine was not set up first"
SETUP=2 NO_KERNELS=1 expect 0 "$scratch/repo/.ci/run"
expect_output "could not be set up for guests"
expect_output "SKIPPED"
SETUP=2 NO_KERNELS=1 DMLAB_GUESTS=required expect 1 "$scratch/repo/.ci/run"
expect_output "==> guest FAILED"
rm "$scratch/calls"
DMLAB_GUESTS=none expect 0 "$scratch/repo/.ci/run"
expect_output "SKIPPED: DMLAB_GUESTS=none"
! grep -q "^setup.sh\|conform" "$scratch/calls" || fail "guests were prepared all the same"

prepare "the gate 'selftest' fails with the tests of the gates"
printf '#!/usr/bin/env bash\nexit 1\n' >"$scratch/repo/ci/tests/gates_test.sh"
expect 1 gates all
expect_output "==> selftest FAILED"

prepare "two runs that differ in a byte fail the gate 'determinism'"
DIFFER=1 expect 1 gates determinism
expect_output "differ"

prepare "a run that writes no JSON fails the gate 'determinism'"
NO_JSON=1 expect 1 gates determinism
expect_output "wrote no JSON"

prepare "without kernels the gate 'guest' is left out, with the reason, or fails where guests are required"
NO_KERNELS=1 expect 0 gates guest
expect_output "SKIPPED: the kernels 6.1 and 6.12 were not fetched; ci/setup.sh"
DMLAB_GUESTS=required NO_KERNELS=1 expect 1 gates guest
expect_output "==> guest FAILED"
! grep -q "conform" "$scratch/calls" || fail "guests were run all the same"

prepare "without qemu the gate 'guest' is left out, with the reason, or fails where guests are required"
rm "$scratch/bin/qemu-system-x86_64"
mkdir "$scratch/tools"
for tool in bash cc cat dirname env grep mkdir mktemp rm rustc; do
    ln -s "$(PATH=$real_path command -v "$tool")" "$scratch/tools/$tool"
done
without_qemu() {
    (cd / && CALLS=$scratch/calls PATH=$scratch/bin:$scratch/tools "$scratch/repo/ci/gates.sh" guest)
}
expect 0 without_qemu
expect_output "SKIPPED: qemu-system-x86_64 is not installed; ci/setup.sh"
DMLAB_GUESTS=required expect 1 without_qemu
expect_output "==> guest FAILED"

prepare "a README without markers fails the gates that run its commands"
echo "# Title" >"$scratch/repo/README.md"
expect 1 gates "test"
expect 1 gates run
[[ ! -e $scratch/calls ]] || ! grep -q "^run\|^test" "$scratch/calls" || fail "a command ran all the same"

prepare "a machine without a component is refused before anything is built"
FAIL_ON="clippy --version" expect 2 gates all
expect_output "rustup component add"
! grep -q "^test" "$scratch/calls" || fail "a gate ran all the same"

prepare "an unknown gate is refused, and no gate is no pass"
expect 2 gates fmt no-such-gate
expect_output "there is no gate 'no-such-gate'"
expect 2 gates
[[ ! -e $scratch/calls ]] || fail "cargo was called all the same"
PATH=$real_path

# Setting up, with stand-ins

prepare "setting up installs nothing where everything is there, and fetches the kernels"
cp "$repository/ci/setup.sh" "$scratch/repo/ci/"
for tool in setpriv dpkg-deb xz apt-get sudo; do
    printf '#!/usr/bin/env bash\necho "%s $*" >>"$CALLS"\n' "$tool" >"$scratch/bin/$tool"
    chmod +x "$scratch/bin/$tool"
done
setup() {
    CALLS=$scratch/calls PATH=$scratch/bin:$PATH "$scratch/repo/ci/setup.sh" "$@"
}
if [[ -e /usr/share/keyrings/debian-archive-keyring.gpg ]]; then
    expect 0 setup
    expect_output "all programs are there"
    ! grep -q apt-get "$scratch/calls" || fail "something was installed"
fi
grep -qxF "run --release --quiet -- kernel fetch" "$scratch/calls" || expect 0 setup kernels
grep -qxF "run --release --quiet -- kernel fetch" "$scratch/calls" || fail "no kernel was fetched"
mkdir "$scratch/few"
for tool in bash env dirname; do
    ln -s "$(command -v "$tool")" "$scratch/few/$tool"
done
cp "$scratch/bin/apt-get" "$scratch/bin/sudo" "$scratch/few/"
CALLS=$scratch/calls PATH=$scratch/few expect 0 "$scratch/repo/ci/setup.sh" build
grep -q "apt-get install .* bc bison flex make perl tar" "$scratch/calls" || fail "the tools of builds were not installed"
expect 2 setup no-such-part
FAIL_ON="*kernel fetch" expect 101 setup kernels

# Gates, with the real cargo on a small crate that has this repository's lints

# crate TEXT: the scratch repository becomes a workspace of one crate with this text.
crate() {
    prepare "$1"
    cp clippy.toml rustfmt.toml "$scratch/repo/"
    mkdir -p "$scratch/repo/one/src"
    {
        printf '[workspace]\nmembers = ["one"]\nresolver = "3"\n'
        sed -n '/^\[workspace\.lints/,/^$/p' Cargo.toml
    } >"$scratch/repo/Cargo.toml"
    printf '[package]\nname = "one"\nversion = "0.1.0"\nedition = "2024"\n[lints]\nworkspace = true\n' \
        >"$scratch/repo/one/Cargo.toml"
    printf '//! A crate of a few lines.\n%s\n' "$2" >"$scratch/repo/one/src/lib.rs"
}

real_gates() {
    CARGO_TARGET_DIR=$scratch/target "$scratch/repo/ci/gates.sh" "$@"
}

crate "a clean crate passes" $'\n/// Answers.\npub fn answer() -> u8 {\n    42\n}'
expect 0 real_gates "test" fmt clippy doc

crate "unformatted code fails the gate 'fmt'" "fn  f( ) {}"
expect 1 real_gates fmt
expect_output "==> fmt FAILED"

crate "a hash map fails the gate 'clippy'" "fn f() -> std::collections::HashMap<u8, u8> { Default::default() }
#[cfg(test)] mod tests { #[test] fn t() { assert!(super::f().is_empty()); } }"
expect 1 real_gates clippy
expect_output "its order differs from run to run"

# Not a broken link: the workspace's lints deny those anyway, so it would not show that the gate refuses warnings.
crate "a warning of rustdoc fails the gate 'doc'" "//! A list of <T>."
expect 1 real_gates doc
expect_output "unclosed HTML tag"

crate "a failing test fails the gate 'test'" "#[test] fn t() { assert_eq!(1, 2); }"
expect 1 real_gates "test"
expect_output "==> test FAILED"

echo "gates_test: $passed tests passed"
