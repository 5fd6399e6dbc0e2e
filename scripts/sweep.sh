#!/usr/bin/env bash
# Trains and measures captures × overlays × seeds, here or on a SLURM cluster, and puts them in one table.
#
#   scripts/sweep.sh CAPTURE… --output FOLDER [--overlay SET|OVERLAY]… [--seeds N] [--jobs N] [--threads N]
#                    [--base defaults|paper|FILE.yaml]… [key=value…] [--slurm [--sbatch OPTION]… | --cell CELL | --collect]
#
# CAPTURE   a folder, or a YAML file that names one and what else is its own: data.root, data.body, data.downscale, …
#           Either is called by its name in the table. A body beside the pictures, CAPTURE/body.npz, is found.
# --overlay as for scripts/ablate.sh; the base stands before overlays. Default: the base alone.
# --seeds, --jobs, --threads, --base: as for scripts/ablate.sh
# --slurm   runs nothing: prints a script for `sbatch`, an array with one task for each run that is not there yet. Needs
#           --threads; --jobs limits the tasks at a time, --sbatch adds a line (--sbatch --gres=gpu:1). Submitted or printed
#           again, it goes on.
# --cell    makes this one run, CAPTURE/ROW/seed_N, in a folder that --slurm began: what a task of the array does
# --collect runs nothing: the tables of what is there; runs that are not are named, and the exit status is 1 then
#
# FOLDER has table.md, table.csv and table.json, and for each capture an ablation: FOLDER/CAPTURE/table.md, report.html.
#   scripts/sweep.sh data/*/ --output runs/all --overlay table3 --seeds 3 --jobs 4 train.steps=1000
#
# Interrupted, the same command goes on; a finished run is not made again. More captures, overlays and seeds may be asked for
# later. A run that fails is named at the end and stops no other; the exit status is 1 then.
# Programs are those of FMGS_BUILD_DIR (build).
set -euo pipefail
program=sweep
words=("$@")
. "$(dirname "${BASH_SOURCE[0]}")/run_cells.sh"

captures=()
add_capture() {
    local path name
    path=$(realpath "$1")
    name=$(basename "$path" .yaml)
    [ -d "$path" ] || [[ -f $path && $path = *.yaml ]] || fail "expected a folder with a capture or a YAML file, got '$1'"
    check_name "$name" "$1: a capture"
    [ ! -v "part_of[$name]" ] || [ "${part_of[$name]}" != "$path" ] || fail "$1: this capture is named twice"
    [ ! -v "part_of[$name]" ] ||
        fail "two captures are called '$name': ${part_of[$name]} and $path; name one by a YAML file of another name, with data.root"
    captures+=("$name")
    part_of[$name]=$path
    if [ -d "$path" ]; then part_key[$name]=data.root=$path; else part_file[$name]=$path; fi
}

mode=here cell="" sbatch=()
declare -A part_of=()
paths=()
while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) sed -n '2,25s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        --slurm | --collect) mode=${1#--} used=1 ;;
        --overlay | --sbatch | --cell)
            [ $# -gt 1 ] || fail "$1: a value is missing"
            used=2
            case "$1" in
                --overlay) asked+=("$2") ;;
                --sbatch) sbatch+=("$2") ;;
                --cell) mode=cell cell=$2 ;;
            esac
            ;;
        data.root=*) fail "data.root: captures are named one by one; give their folders" ;;
        *) read_argument "$@" || paths+=("$1") ;;
    esac
    shift "$used"
done
[ ${#paths[@]} -gt 0 ] || fail "no capture is named; --help says how"
[ -n "$output" ] || fail "--output: expected the folder of the sweep"
[ ${#asked[@]} -gt 0 ] || asked=(base)
[ $mode != slurm ] || [ -n "$threads" ] || fail "--slurm: expected --threads N, the processors of a task"
check_arguments
for path in "${paths[@]}"; do add_capture "$path"; done
add_rows

# What the sweep consists of; captures that were asked for earlier stay.
begin_sweep() {
    local notes=$output/sweep.txt capture
    for capture in "${captures[@]}"; do begin_part "$capture"; done
    {
        echo "threads: $threads"
        { sed -n 's/^capture: //p' "$notes" 2>/dev/null || true; printf '%s\n' "${captures[@]}"; } |
            awk '!seen[$0]++ {print "capture: " $0}'
    } >"$notes.new" && mv "$notes.new" "$notes"
}

# The script of an array for what is in `waiting`. SLURM warns it two minutes before its time is over: the run saves, and the task
# is queued again.
slurm_script() {
    local limit="" line k again=()
    [[ " ${words[*]} " != *" --jobs "* ]] || limit=%$jobs
    for ((k = 0; k < ${#words[@]}; ++k)); do
        case "${words[k]}" in
            --slurm) ;;
            --sbatch) k=$((k + 1)) ;;
            *) again+=("${words[k]}") ;;
        esac
    done
    cat <<END
#!/bin/bash
#SBATCH --job-name=$(basename "$output")
#SBATCH --array=0-$((${#waiting[@]} - 1))$limit
#SBATCH --cpus-per-task=$threads
#SBATCH --output=$output/slurm_%A_%a.log
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
$(for line in "${sbatch[@]}"; do echo "#SBATCH $line"; done)
# ${#waiting[@]} runs of $output. A run that was cut short goes on when this is submitted again.
cells=(
$(printf '    %q\n' "${waiting[@]}")
)
cell=\${cells[\${SLURM_ARRAY_TASK_ID:?SLURM sets it}]:?there is no such task}
cd $(printf '%q' "$PWD") || exit 2
export FMGS_BUILD_DIR=$(printf '%q' "$build")
$(printf '%q ' bash "$root/scripts/sweep.sh" "${again[@]}")--cell "\$cell" &
worker=\$! status=0
trap 'kill -TERM "\$worker" 2>/dev/null' TERM
wait "\$worker" || status=\$?
while [ \$status -gt 130 ] && kill -0 "\$worker" 2>/dev/null; do  # the signal ended the waiting alone
    status=0
    wait "\$worker" || status=\$?
done
if [ \$status = 130 ] && command -v scontrol >/dev/null; then scontrol requeue "\$SLURM_JOB_ID"; fi
exit \$status
END
}

[ $mode = here ] || [ $mode = slurm ] || [ -f "$output/sweep.txt" ] || fail "$output: no sweep was begun in this folder"
case $mode in here | slurm) open_folder sweep.txt ;; esac
output=$(realpath "$output")
choose_threads sweep.txt
case $mode in
    here | slurm) begin_sweep ;;
    cell | collect) for capture in "${captures[@]}"; do begin_part "$capture" read; done ;;
esac
list_cells "${captures[@]}"

case $mode in
    here)
        run_waiting
        "$build/bin/report" "$output"
        end_run
        ;;
    cell)
        [[ " ${cells[*]} " = *" $cell "* ]] || fail "--cell: expected one of $(printf '%s ' "${cells[@]}")but got '$cell'"
        [[ " ${waiting[*]} " = *" $cell "* ]] || { echo "$cell is measured already"; exit 0; }
        cells=("$cell") waiting=("$cell") jobs=1
        run_waiting
        end_run
        ;;
    slurm)
        if [ ${#waiting[@]} -gt 0 ]; then slurm_script; else echo "all ${#cells[@]} runs are measured" >&2; fi
        ;;
    collect)
        "$build/bin/report" "$output"
        for cell in "${waiting[@]}"; do
            case $(tail -n 1 "$output/$cell.costs.csv" 2>/dev/null) in
                "" | *,130) echo "not finished: $cell" >&2 ;;
                *) failed+=("$cell") ;;
            esac
        done
        finished=$((${#cells[@]} - ${#waiting[@]}))
        echo "$finished of ${#cells[@]} runs are measured"
        end_run
        [ ${#waiting[@]} = 0 ] || exit 1
        ;;
esac
