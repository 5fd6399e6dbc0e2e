#!/usr/bin/env bash
# All set-up, build and tests in one command.
#
#   scripts/test.sh [--long] [ctest options…]
#
# --long adds the tests labelled `long` (a separate project that installs and uses the library).
# FMGS_BUILD_DIR (build) and FMGS_JOBS (processors, at most one per 2 GB of memory) may be set in the environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/build_steps.sh

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
    sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
fi
selection=(--label-exclude long)
if [ "${1:-}" = --long ]; then
    selection=()
    shift
fi

phase set-up scripts/setup.sh
phase configure configure_project
phase build build_project
phase tests ctest --test-dir "$build" --output-on-failure --no-tests=error "${selection[@]}" "$@"
report_phases
