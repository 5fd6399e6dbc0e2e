#!/usr/bin/env bash
# clang-format 14 over the project's sources: the version counts, each lays out lines differently.
#
#   scripts/format.sh            rewrites what is laid out otherwise
#   scripts/format.sh --check    names it and exits 1; changes nothing
#
# Without clang-format 14 it says "skipped: " and why, and succeeds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=(-i)
case "${1:-}" in
    '') ;;
    --check) mode=(--dry-run --Werror) ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "format: unknown option '$1'; expected --check or nothing" >&2; exit 2 ;;
esac

formatter=
for program in clang-format-14 clang-format; do
    if [[ "$("$program" --version 2>/dev/null)" == *"version 14."* ]]; then formatter=$program; break; fi
done
if [ -z "$formatter" ]; then
    echo "skipped: clang-format 14 is not there (scripts/setup.sh installs it where the distribution has it)"
    exit 0
fi
find fmgs examples tests -name 'build*' -prune -o \
    \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) -type f -print0 |
    xargs -0 "$formatter" "${mode[@]}"
