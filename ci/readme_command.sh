#!/usr/bin/env bash
# Prints a command that README.md gives to its readers, so that the gates run just what the README says.
#
#   ci/readme_command.sh NAME [FILE]
#
# The command is the first non-empty line of the fenced code block that follows the marker `<!-- ci: NAME -->`; a
# leading `$ ` is taken off. Exit code 1, with a message, when the marker is missing or stands there twice, or when no
# block with a command follows it: an empty command would pass as a gate. It does not run the command.
set -euo pipefail

fail() {
    echo "readme_command: $file: $1" >&2
    exit 1
}

name=${1:?usage: readme_command.sh NAME [FILE]}
file=${2:-README.md}
[[ -r $file ]] || fail "cannot be read"

marker="<!-- ci: $name -->"
state=before
command=
while IFS= read -r line || [[ -n $line ]]; do
    line=${line%$'\r'}
    if [[ $line == "$marker" ]]; then
        [[ $state == before ]] || fail "the marker '$marker' stands there twice"
        state=marked
    elif [[ $state == marked && $line == '```'* ]]; then
        state=inside
    elif [[ $state == marked && -n ${line//[[:space:]]/} ]]; then
        fail "no code block follows the marker '$marker'"
    elif [[ $state == inside && $line == '```'* ]]; then
        state=behind
    elif [[ $state == inside && -z $command && -n ${line//[[:space:]]/} ]]; then
        command=${line#'$ '}
    fi
done <"$file"

case $state in
before) fail "the marker '$marker' is missing" ;;
marked | inside) fail "no closed code block follows the marker '$marker'" ;;
esac
[[ -n $command ]] || fail "the code block of '$marker' is empty"
printf '%s\n' "$command"
