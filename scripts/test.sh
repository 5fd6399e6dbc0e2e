#!/usr/bin/env bash
# All set-up, build and tests in one command.
#
#   scripts/test.sh [--cuda] [--long] [ctest options…]
#
# --long adds the tests labelled `long` (separate projects that use the library, wrong input, mutations).
# --cuda builds with the CUDA backend, in build-cuda, and runs the tests that meet it (label `cuda`; with --long: all
#        that there are), with those that need a GPU where there is one.
# FMGS_BUILD_DIR (build) and FMGS_JOBS (processors, at most one per 2 GB of memory) may be set in the environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/build_steps.sh

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
fi
selection=(--label-exclude long)
long=0
targets=()
setup_options=()
configure_options=()
while :; do
    case "${1:-}" in
        --long) long=1 ;;
        --cuda)
            build=${FMGS_BUILD_DIR:-build-cuda}
            setup_options=(--cuda)
            configure_options=(-DFMGS_CUDA=ON)
            targets=(cuda_tests)
            selection=(--label-regex cuda)
            export PATH="$PATH:${CUDA_HOME:-/usr/local/cuda}/bin"
            ;;
        *) break ;;
    esac
    shift
done
if [ $long = 1 ]; then targets=() selection=(); fi

phase set-up scripts/setup.sh "${setup_options[@]}"
phase configure configure_project "${configure_options[@]}"
phase build build_project "${targets[@]}"
phase tests ctest --test-dir "$build" --parallel 2 --output-on-failure --no-tests=error "${selection[@]}" "$@"
report_phases
