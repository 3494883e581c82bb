#!/usr/bin/env bash
# Gets what guests need: the emulator, and Debian's cloud kernels 6.1 and 6.12.
#
#   ci/setup.sh             installs missing programs (as root, or with sudo), then fetches the kernels
#   ci/setup.sh programs    only the programs
#   ci/setup.sh kernels     only the kernels, without root
#   ci/setup.sh build       only what `dmlab kernel build` and so ci/mutations.sh need: the compiler and its tools
#
# May be run again at any time: what is there is not installed or fetched again. Works on Debian 12 and later and on
# Ubuntu. Kernels go into $XDG_CACHE_HOME/dmlab/kernels (default ~/.cache); nothing is installed from them. Exit code 2,
# with what would help, when the machine is not fit for it.
#
# It does not install a Rust toolchain: see https://rustup.rs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

# Programs, and Debian's packages of them.
needed=(
    qemu-system-x86_64:qemu-system-x86
    setpriv:util-linux
    dpkg-deb:dpkg
    xz:xz-utils
    cc:gcc
)
# What building kernels takes, beyond that.
to_build=(
    bc:bc
    bison:bison
    flex:flex
    make:make
    perl:perl
    tar:tar
)
# The header that programs of the kernel's build include, and its package.
elf_header=/usr/include/gelf.h
# Debian's keys, where kernels have to be fetched from its archive by hand (Ubuntu).
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
    echo "setup: $1" >&2
    exit 2
}

# programs ENTRY…: installs these packages where their programs are missing, and those in "more" in any case.
programs() {
    local entry missing=("${more[@]}")
    for entry in "$@"; do
        command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
    done
    [[ -e $keyring ]] || missing+=(debian-archive-keyring)
    if ((${#missing[@]} == 0)); then
        echo "setup: all programs are there"
        return
    fi
    command -v apt-get >/dev/null || fail "this is no Debian or Ubuntu; install what is in these packages: ${missing[*]}"
    local as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || fail "run as root, or install: apt-get install ${missing[*]}"
        as_root=(sudo -n)
    fi
    echo "setup: installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    # Without the graphical parts that a server has no use for.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
}

kernels() {
    command -v cargo >/dev/null || fail "cargo is missing: install a Rust toolchain (https://rustup.rs)"
    cargo run --release --quiet -- kernel fetch
}

more=()
case "${1:-all}" in
all)
    programs "${needed[@]}"
    kernels
    ;;
programs) programs "${needed[@]}" ;;
kernels) kernels ;;
build)
    [[ -e $elf_header ]] || more=(libelf-dev)
    programs "${needed[@]}" "${to_build[@]}"
    ;;
*)
    echo "usage: ci/setup.sh [programs|kernels|build]" >&2
    exit 2
    ;;
esac
