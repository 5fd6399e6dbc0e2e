#!/usr/bin/env bash
# All set-up, build and tests in one command.
#
#   scripts/test.sh [--cuda] [--long] [ctest options…]
#
# --long adds the tests labelled `long` (a separate project that installs and uses the library).
# --cuda builds with the CUDA backend, in build-cuda; without a GPU its [cuda] tests are listed as skipped.
# FMGS_BUILD_DIR (build) and FMGS_JOBS (processors, at most one per 2 GB of memory) may be set in the environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/build_steps.sh

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
    sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
fi
selection=(--label-exclude long)
setup_options=()
configure_options=()
while :; do
    case "${1:-}" in
        --long) selection=() ;;
        --cuda)
            build=${FMGS_BUILD_DIR:-build-cuda}
            setup_options=(--cuda)
            configure_options=(-DFMGS_CUDA=ON)
            export PATH="$PATH:${CUDA_HOME:-/usr/local/cuda}/bin"
            ;;
        *) break ;;
    esac
    shift
done

phase set-up scripts/setup.sh "${setup_options[@]}"
phase configure configure_project "${configure_options[@]}"
phase build build_project
phase tests ctest --test-dir "$build" --parallel 2 --output-on-failure --no-tests=error "${selection[@]}" "$@"
report_phases
