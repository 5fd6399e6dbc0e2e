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
#
# The first row is the one that all others are held against; before overlays alone, that is the base.
#   scripts/ablate.sh table3 --seeds 3 data.root=CAPTURE data.body=BODY.npz train.steps=1000
#
# Interrupted, the same command goes on; a finished run is not made again. More rows and seeds may be asked for later. A run
# that fails is named at the end and stops no other; the exit status is 1 then.
# Programs are those of FMGS_BUILD_DIR (build).
set -euo pipefail
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
build=${FMGS_BUILD_DIR:-build}
[[ $build = /* ]] || build=$root/$build

fail() { echo "ablate: $1" >&2; exit 2; }

rows_of_set() {
    case "$1" in
        table3) echo table3_1_no_priors table3_2_depth table3_3_normal_consistency table3_4_normal base ;;
        losses)
            echo base without_{photometric,mask,depth_ranking,normal_consistency,normal,normal_tv} \
                without_{semantic,semantic_smoothness,iso_position,skin}
            # The defaults have no such loss.
            if [[ " ${bases[*]} " != " defaults " ]]; then echo without_iso_covariance; fi
            ;;
        fig5)
            # Rule (2) is the paper's; the defaults do without it.
            local normals=fig5_normals_stay
            if [[ " ${bases[*]} " = *" paper "* ]]; then normals=fig5_normals_move; fi
            echo base fig5_uncoordinated fig5_depth_turns $normals fig5_semantics_move
            ;;
        semantics) echo base semantics_shape fig5_semantics_move semantics_everywhere ;;
        subdivisions) echo subdivisions_0 subdivisions_1 ;;
        opacity) echo base opacity_fixed ;;
    esac
}

seeds=1 jobs=1 output="" asked=() bases=() keys=()
while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) sed -n '2,22s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        --seeds | --jobs | --base | --output)
            [ $# -gt 1 ] || fail "$1: a value is missing"
            case "$1" in
                --seeds) seeds=$2 ;;
                --jobs) jobs=$2 ;;
                --base) bases+=("$2") ;;
                --output) output=$2 ;;
            esac
            shift
            ;;
        -*) fail "unknown option '$1'; --help lists them" ;;
        output=*) fail "output: the rows have folders of their own; give --output FOLDER" ;;
        train.seed=*) fail "train.seed: rows are trained with the seeds 0, 1, …; give --seeds N" ;;
        *=*) keys+=("$1") ;;
        *) asked+=("$1") ;;
    esac
    shift
done
[[ $seeds =~ ^[1-9][0-9]?$ ]] || fail "--seeds: expected a number from 1 to 99, got '$seeds'"
[[ $jobs =~ ^[1-9][0-9]?$ ]] || fail "--jobs: expected a number from 1 to 99, got '$jobs'"
[ ${#asked[@]} -gt 0 ] || fail "no set and no overlay is named; --help lists them"
[ ${#bases[@]} -gt 0 ] || bases=(defaults)
for program in train evaluate report; do
    [ -x "$build/bin/$program" ] || fail "$build/bin/$program is not there; build it: cmake --build $build --target $program"
done

# The configurations that every row stands on.
base_files=()
for base in "${bases[@]}"; do
    case "$base" in
        defaults) ;;
        paper) base_files+=("$root/configs/paper.yaml") ;;
        *)
            [ -f "$base" ] || fail "--base: expected defaults, paper or a YAML file, got '$base'"
            base_files+=("$(realpath "$base")")
            ;;
    esac
done

# add_row NAME|FILE: rows in order, each once, and where their overlays lie.
rows=()
declare -A overlay=()
add_row() {
    local file=$1 name
    if [ "$1" = base ]; then file=
    elif [ -f "$root/configs/ablations/$1.yaml" ]; then file=$root/configs/ablations/$1.yaml
    elif [ -f "$1" ]; then file=$(realpath "$1")
    else fail "there is no set and no overlay '$1'; --help lists the sets, configs/ablations/ holds the overlays"
    fi
    name=$(basename "${file:-base}" .yaml)
    [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || fail "$1: a row is called as its file; expected letters, digits, '.', '_' and '-'"
    if [ -v "overlay[$name]" ]; then
        [ "${overlay[$name]}" = "$file" ] || fail "$1: there is another row '$name' already; give the file another name"
        return 0
    fi
    rows+=("$name")
    overlay[$name]=$file
}
[ -n "$(rows_of_set "${asked[0]}")" ] || add_row base
for name in "${asked[@]}"; do
    members=$(rows_of_set "$name")
    for row in ${members:-"$name"}; do add_row "$row"; done
done

if [ -z "$output" ]; then
    output=runs/ablation
    for name in "${asked[@]}" "${bases[@]}"; do output+=_$(basename "$name" .yaml); done
fi
notes=$output/ablation.txt
if [ ! -f "$notes" ] && [ -d "$output" ] && [ -n "$(ls -A "$output")" ]; then
    fail "$output: this folder holds something else; give another --output"
fi
mkdir -p "$output"
exec 9>"$output/.lock"
flock --nonblock 9 || fail "$output: another ablation is at work in this folder"

# What all runs of the folder share stays as it was; so does the overlay of a row.
shared() {
    local file key
    for file in "${base_files[@]}"; do echo "base: $file $(sha256sum "$file" | cut -c1-12)"; done
    for key in "${keys[@]}"; do echo "option: $key"; done
}
processors=$(nproc)
threads=$((processors / jobs > 0 ? processors / jobs : 1))
earlier=()
if [ -f "$notes" ]; then
    if [ "$(grep -E '^(base|option): ' "$notes" || true)" != "$(shared)" ]; then
        fail "$output: was begun with another base or other options (ablation.txt names them); give another --output"
    fi
    threads=$(sed -n 's/^threads: //p' "$notes")  # sums in another order would not be comparable
    mapfile -t earlier < <(sed -n 's/^row: //p' "$notes")
fi
for row in "${rows[@]}"; do
    mkdir -p "$output/$row"
    copy=$output/$row/overlay.yaml
    if [ ! -f "$copy" ]; then
        cp "${overlay[$row]:-/dev/null}" "$copy.new" && mv "$copy.new" "$copy"
    elif ! cmp -s "$copy" "${overlay[$row]:-/dev/null}"; then
        fail "$copy: the row was begun with this, which differs from ${overlay[$row]}; give another --output"
    fi
done
{
    shared
    echo "threads: $threads"
    printf '%s\n' "${earlier[@]}" "${rows[@]}" | awk 'NF && !seen[$0]++ {print "row: " $0}'
} >"$notes.new" && mv "$notes.new" "$notes"

# One run: trained, or what is left of it, and measured. Its words go to a log beside it.
run_cell() {
    local row=$1 seed=$2 run=$output/$1/seed_$2
    export OMP_NUM_THREADS=$threads
    if [ -n "$(ls "$run/checkpoints" 2>/dev/null)" ]; then
        "$build/bin/train" "$run"
    else
        "$build/bin/train" "${base_files[@]}" ${overlay[$row]:+"${overlay[$row]}"} "${keys[@]}" train.seed="$seed" output="$run"
    fi
    "$build/bin/evaluate" "$run"
}

clock() { printf '%d:%02d:%02d' $(($1 / 3600)) $(($1 / 60 % 60)) $(($1 % 60)); }

# percent CELL: how far its training is.
percent() {
    tail -c 300 "$output/$1.log" 2>/dev/null | tr '\r' '\n' | sed -nE 's/.*step [0-9]+\/[0-9]+  ([0-9]+) %.*/\1/p' | tail -1 | grep . || echo 0
}

# The reason that a log ends with.
last_words() {
    awk '/error: / {words = ""} NF {words = words (words == "" ? "" : " ") $0; if (words !~ /error: /) words = $0} END {print substr(words, 1, 400)}' "$output/$1.log"
}

waiting=() failed=() done=0 made=0
for ((seed = 0; seed < seeds; ++seed)); do
    for row in "${rows[@]}"; do
        if [ -f "$output/$row/seed_$seed/eval/metrics.json" ]; then done=$((done + 1)); else waiting+=("$row/seed_$seed"); fi
    done
done
total=$((${#rows[@]} * seeds))
if [ $done -gt 0 ]; then echo "$done of $total runs are there already"; fi

# Every run in a process group of its own, so that it is stopped whole, and saves what it has.
set -m
interrupted=0
declare -A running=()
stop_all() {
    interrupted=1
    for pid in "${!running[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
}
trap stop_all INT TERM HUP

# The time that is left by the work that was done since the start: in hundredths of a run.
time_left() {
    local work=$((made * 100)) rest=$((${#waiting[@]} * 100)) part cell
    for cell in "${running[@]}"; do
        part=$(percent "$cell")
        work=$((work + part)) rest=$((rest + 100 - part))
    done
    if [ $work -gt 0 ] && [ $SECONDS -gt 0 ]; then echo "about $(clock $((SECONDS * rest / work))) left"; fi
}

# status_line WORDS: rewritten on a terminal.
status_line() { if [ -t 2 ]; then printf '\r\033[K%s' "$1" >&2; fi; }
announce() { status_line ""; echo "[$done/$total] $1"; }

while [ ${#running[@]} -gt 0 ] || { [ ${#waiting[@]} -gt 0 ] && [ $interrupted = 0 ]; }; do
    while [ ${#waiting[@]} -gt 0 ] && [ ${#running[@]} -lt "$jobs" ] && [ $interrupted = 0 ]; do
        cell=${waiting[0]} waiting=("${waiting[@]:1}")
        announce "$cell begins"
        # The trap waits for what runs: `train` saves before it ends.
        (trap "exit 130" TERM; set -e; run_cell "${cell%/seed_*}" "${cell##*seed_}") >>"$output/$cell.log" 2>&1 9>&- </dev/null &
        running[$!]=$cell
    done
    sleep 0.5 || true
    for pid in "${!running[@]}"; do
        kill -0 "$pid" 2>/dev/null && continue
        cell=${running[$pid]} status=0
        wait "$pid" || status=$?
        unset "running[$pid]"
        if [ $status = 0 ]; then
            done=$((done + 1)) made=$((made + 1))
            announce "$cell is measured  $(time_left)"
        elif [ $interrupted = 0 ]; then
            failed+=("$cell: $(last_words "$cell")")
            announce "$cell failed"
        fi
    done
    part=""
    for pid in "${!running[@]}"; do part+="${running[$pid]} $(percent "${running[$pid]}") %  "; done
    status_line "[$done/$total] $part$(time_left)"
done
set +m
status_line ""

if [ $done -gt 0 ]; then "$build/bin/report" "$output"; fi
if [ $interrupted = 1 ]; then
    echo "interrupted: $done of $total runs are measured; the same command goes on" >&2
    exit 130
fi
if [ ${#failed[@]} -gt 0 ]; then
    for words in "${failed[@]}"; do echo "failed: $words (all of it: $output/${words%%:*}.log)" >&2; done
    exit 1
fi
