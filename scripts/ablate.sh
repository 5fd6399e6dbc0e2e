#!/usr/bin/env bash
# Trains and measures the rows of an ablation and puts them in one table: FOLDER/table.md, FOLDER/report.html.
#
#   scripts/ablate.sh SET|OVERLAY… [--seeds N] [--jobs N] [--base defaults|paper|FILE.yaml]… [--output FOLDER] [key=value…]
#
# SET       table3        no priors, + L_d, + L_sn, + L_n with L_tv, and the base itself: + L_s with L_reg
#           losses        the base, and each of its losses left out
#           fig5          the base, no coordination, and each of the three rules switched alone
#           semantics     the base, and labels that may reach more and more
#           subdivisions  one surfel for a face of the body, and four
#           opacity       the base, and opacity as it begins
# OVERLAY   a file of configs/ablations by its name, a file of your own, or `base`: none. They stand on the base.
# --base    what rows stand on: the defaults, configs/paper.yaml, or files of your own, in this order
# --seeds   runs of each row, train.seed = 0, 1, …     --jobs   runs at a time; they share the processors
# --threads threads of a run, as the folder began with; default: the processors, split among the jobs
#
# The first row is the one that all others are held against; before overlays alone, that is the base.
#   scripts/ablate.sh table3 --seeds 3 data.root=CAPTURE data.body=BODY.npz train.steps=1000
#
# Interrupted, the same command goes on; a finished run is not made again. More rows and seeds may be asked for later. A run
# that fails is named at the end and stops no other; the exit status is 1 then. Many captures: scripts/sweep.sh.
# Programs are those of FMGS_BUILD_DIR (build).
set -euo pipefail
program=ablate
. "$(dirname "${BASH_SOURCE[0]}")/run_cells.sh"

while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) sed -n '2,23s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) read_argument "$@" || asked+=("$1") ;;
    esac
    shift "$used"
done
[ ${#asked[@]} -gt 0 ] || fail "no set and no overlay is named; --help lists them"
check_arguments
add_rows

if [ -z "$output" ]; then
    output=runs/ablation
    for name in "${asked[@]}" "${bases[@]}"; do output+=_$(basename "$name" .yaml); done
fi
open_folder ablation.txt
choose_threads ablation.txt
begin_part .
list_cells .
run_waiting
if [ $finished -gt 0 ]; then "$build/bin/report" "$output"; fi
end_run
