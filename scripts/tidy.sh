#!/usr/bin/env bash
# clang-tidy with the checks of .clang-tidy over the project's sources, or over FILES; half a minute each.
#
#   scripts/tidy.sh [FILES…]
#
# Needs a configured build: FMGS_BUILD_DIR (build).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
commands=$(mktemp -d)
trap 'rm -rf "$commands"' EXIT

# Clang knows neither another compiler's precompiled header nor its parameters.
sed -E 's/ -Winvalid-pch| --param=[^ ]*| -include [^ ]*cmake_pch\.hxx//g' "${FMGS_BUILD_DIR:-build}/compile_commands.json" \
    > "$commands/compile_commands.json"
files=("$@")
[ $# -gt 0 ] || mapfile -t files < <(git ls-files '*.cpp' ':!examples/downstream')
printf '%s\n' "${files[@]}" |
    xargs -P "${FMGS_JOBS:-$(nproc)}" -n 1 clang-tidy -p "$commands" --quiet --warnings-as-errors='*' \
        2> >(grep -v 'warnings generated')
