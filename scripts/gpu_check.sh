#!/usr/bin/env bash
# Shows on a machine with a GPU that the CUDA backend works and how fast it is, and writes one report. Needs no network
# and no rights: a CUDA Toolkit, a LibTorch with CUDA (.deps/torch-cuda, or that of python3) and the folder that
# scripts/gpu_stage.sh made of the rest.
#
#   scripts/gpu_check.sh [--stage FOLDER] [--part N]… [--out FOLDER] [--from-source] [--rehearse]
#
# Parts, each on its own and at most ten minutes: 1 build, 2 tests, 3 benchmarks, 4 a training beside the CPU's, evaluate,
# render, influence, bake, export; 5 compute-sanitizer; 6 gsplat's 2DGS on the same surfels, where it is. Default: all of them.
# --from-source builds even where the stage's own programs run.
# --rehearse runs the same commands, small, on the CPU build (FMGS_BUILD_DIR or build), with the stand-ins for a GPU.
# FOLDER of --out (default $OUT, else build-gpu/gpu_check/report) receives report.txt, log.txt with every line, and pictures.
# Exit status 1 when a check failed; the others were run all the same.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
export LC_ALL=C.UTF-8 PATH="$PATH:${CUDA_HOME:-/usr/local/cuda}/bin:/usr/local/nvidia/bin"
for tools in "${CUDA_HOME:-/usr/local/cuda}/compute-sanitizer" /opt/nvidia/nsight-compute/*; do PATH+=:$tools; done

usage() { sed -n '2,15s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
die() { echo "gpu_check: $*" >&2; exit 2; }

stage='' parts=() rehearse=0 from_source=0 build=build-gpu out=${OUT:-}
while [ $# -gt 0 ]; do
    case "$1" in
        --stage | --part | --out)
            [ $# -ge 2 ] || die "$1 expects a value"
            case "$1" in
                --stage) stage=$(cd "$2" && pwd) || die "--stage: expected a folder, got '$2'" ;;
                --part) [[ $2 =~ ^[1-6]$ ]] || die "--part: expected 1 to 6, got '$2'"; parts+=("$2") ;;
                --out) out=$2 ;;
            esac
            shift
            ;;
        --from-source) from_source=1 ;;
        --rehearse) rehearse=1 ;;
        -h | --help) usage; exit 0 ;;
        *) die "unknown option '$1'; see --help" ;;
    esac
    shift
done
[ ${#parts[@]} -gt 0 ] || parts=(1 2 3 4 5 6)
[ $rehearse = 0 ] || build=${FMGS_BUILD_DIR:-build}
work=$build/gpu_check
out=${out:-$work/report}
mkdir -p "$work" "$out" || die "cannot write $work and $out"
. scripts/gpu_report.sh
. scripts/gpu_build.sh
. scripts/gpu_parts.sh

report_machine
find_programs
for part in "${parts[@]}"; do
    say "part $part"
    part_seconds=0
    case $part in
        1) part_build ;;
        2) part_tests ;;
        3) part_benchmarks ;;
        4) part_training ;;
        5) part_sanitizers ;;
        6) part_gsplat ;;
    esac
done
report_table
