# What ablate.sh and sweep.sh share: rows that stand on a base, the folder of their runs, and the pool that trains and
# measures one run for each cell, ROW/seed_N or CAPTURE/ROW/seed_N. Sourced under `set -euo pipefail` with `program` set.
export LC_ALL=C.UTF-8  # numbers with a point
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
build=${FMGS_BUILD_DIR:-build}
[[ $build = /* ]] || build=$root/$build

fail() { echo "$program: $1" >&2; exit 2; }

seeds=1 jobs=1 threads="" output="" asked=() bases=() keys=()

# read_argument ARGUMENT…: takes an option or a key=value; what is neither is not taken. `used`: how many words it was.
read_argument() {
    used=1
    case "$1" in
        --seeds | --jobs | --threads | --base | --output)
            [ $# -gt 1 ] || fail "$1: a value is missing"
            used=2
            case "$1" in
                --seeds) seeds=$2 ;;
                --jobs) jobs=$2 ;;
                --threads) threads=$2 ;;
                --base) bases+=("$2") ;;
                --output) output=$2 ;;
            esac
            ;;
        -*) fail "unknown option '$1'; --help lists them" ;;
        output=*) fail "output: the rows have folders of their own; give --output FOLDER" ;;
        train.seed=*) fail "train.seed: rows are trained with the seeds 0, 1, …; give --seeds N" ;;
        *=*) keys+=("$1") ;;
        *) return 1 ;;
    esac
}

# After the arguments: are they sound, and which files does every row stand on?
check_arguments() {
    local word base
    for word in seeds jobs ${threads:+threads}; do
        [[ ${!word} =~ ^[1-9][0-9]?$ ]] || fail "--$word: expected a number from 1 to 99, got '${!word}'"
    done
    [ ${#bases[@]} -gt 0 ] || bases=(defaults)
    for word in train evaluate report; do
        [ -x "$build/bin/$word" ] || fail "$build/bin/$word is not there; build it: cmake --build $build --target $word"
    done
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
}

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

# check_name NAME WHAT: of what becomes a folder.
check_name() {
    [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || fail "$2 is called as its file; expected letters, digits, '.', '_' and '-'"
}

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
    check_name "$name" "$1: a row"
    if [ -v "overlay[$name]" ]; then
        [ "${overlay[$name]}" = "$file" ] || fail "$1: there is another row '$name' already; give the file another name"
        return 0
    fi
    rows+=("$name")
    overlay[$name]=$file
}

# The rows that were asked for; the first one is what all others are held against: before overlays alone the base.
add_rows() {
    local name members row
    [ -n "$(rows_of_set "${asked[0]}")" ] || add_row base
    for name in "${asked[@]}"; do
        members=$(rows_of_set "$name")
        for row in ${members:-"$name"}; do add_row "$row"; done
    done
}

# open_folder NOTES: the folder of all runs, NOTES being the file that marks it; one at a time works in it.
open_folder() {
    if [ ! -f "$output/$1" ] && [ -d "$output" ] && [ -n "$(ls -A "$output")" ]; then
        fail "$output: this folder holds something else; give another --output"
    fi
    mkdir -p "$output"
    exec 9>"$output/.lock"
    flock --nonblock 9 || fail "$output: another $program is at work in this folder"
}

# choose_threads NOTES: those of each run. They stay as the folder began, for sums in another order are not comparable.
choose_threads() {
    local earlier processors
    earlier=$(sed -n 's/^threads: //p' "$output/$1" 2>/dev/null || true)
    if [ -n "$earlier" ]; then
        [ "${threads:-$earlier}" = "$earlier" ] || fail "--threads: $output was begun with $earlier; give another --output"
        threads=$earlier
    fi
    processors=$(nproc)
    threads=${threads:-$((processors / jobs > 0 ? processors / jobs : 1))}
}

# What the runs of a part have beside the base: a part is a capture of a sweep, or '.', all of an ablation.
declare -A part_file=() part_key=()
part_files() { printf '%s\n' "${base_files[@]}" ${part_file[$1]:+"${part_file[$1]}"} | sed '/^$/d'; }
part_keys() { printf '%s\n' ${part_key[$1]:+"${part_key[$1]}"} "${keys[@]}" | sed '/^$/d'; }

# What all runs of a part share stays as it was; so does the overlay of a row.
shared() {
    local file key
    part_files "$1" | while read -r file; do echo "base: $file $(sha256sum "$file" | cut -c1-12)"; done
    part_keys "$1" | while read -r key; do echo "option: $key"; done
}

# begin_part PART [read]: holds its folder, $output/PART, against what is asked for and, unless it is only read, notes that.
begin_part() {
    local folder=$output/$1 row copy earlier=()
    local notes=$folder/ablation.txt
    if [ -f "$notes" ]; then
        if [ "$(grep -E '^(base|option): ' "$notes" || true)" != "$(shared "$1")" ]; then
            fail "${folder%/.}: was begun with another base or other options (ablation.txt names them); give another --output"
        fi
        mapfile -t earlier < <(sed -n 's/^row: //p' "$notes")
    elif [ "${2:-}" = read ]; then
        fail "$notes is not there: nothing was begun in this folder"
    fi
    for row in "${rows[@]}"; do
        copy=$folder/$row/overlay.yaml
        if [ -f "$copy" ]; then
            cmp -s "$copy" "${overlay[$row]:-/dev/null}" ||
                fail "$copy: the row was begun with this, which differs from ${overlay[$row]:-the base alone}; give another --output"
        elif [ "${2:-}" != read ]; then
            mkdir -p "$folder/$row"
            cp "${overlay[$row]:-/dev/null}" "$copy.new" && mv "$copy.new" "$copy"
        fi
    done
    [ "${2:-}" != read ] || return 0
    {
        shared "$1"
        echo "threads: $threads"
        printf '%s\n' "${earlier[@]}" "${rows[@]}" | awk 'NF && !seen[$0]++ {print "row: " $0}'
    } >"$notes.new" && mv "$notes.new" "$notes"
}

# list_cells PART…: sets `cells`, all of them, the first seed of everything first, and `waiting`, those not measured yet.
list_cells() {
    local seed part row cell
    cells=() waiting=()
    for ((seed = 0; seed < seeds; ++seed)); do
        for part in "$@"; do
            for row in "${rows[@]}"; do
                cell=$part/$row/seed_$seed
                cell=${cell#./}
                cells+=("$cell")
                [ -f "$output/$cell/eval/metrics.json" ] || waiting+=("$cell")
            done
        done
    done
}

# One run: trained, or what is left of it, and measured. Its words go to a log beside it.
run_cell() {
    local run=$output/$1 seed=${1##*seed_} row=${1%/seed_*} part=. files keys_here
    if [[ $row = */* ]]; then part=${row%%/*} row=${row#*/}; fi
    export OMP_NUM_THREADS=$threads
    if [ -n "$(ls "$run/checkpoints" 2>/dev/null)" ]; then
        "$build/bin/train" "$run"
    else
        mapfile -t files < <(part_files "$part")
        mapfile -t keys_here < <(part_keys "$part")
        "$build/bin/train" "${files[@]}" ${overlay[$row]:+"${overlay[$row]}"} "${keys_here[@]}" train.seed="$seed" output="$run"
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

# name_failed CELL…: on stderr, each with the last words of its log.
name_failed() {
    local cell
    for cell in "$@"; do echo "failed: $cell: $(last_words "$cell") (all of it: $output/$cell.log)" >&2; done
}

declare -A running=() began=() peak=()
failed=() finished=0 made=0 interrupted=0
stop_all() {
    local pid
    interrupted=1
    for pid in "${!running[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
}

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
announce() { status_line ""; echo "[$finished/${#cells[@]}] $1"; }

# watch_memory PID: the peak of the program that this shell runs, in kB, as far as it can be seen from outside.
watch_memory() {
    local child key value unit
    { read -r child _ <"/proc/$1/task/$1/children"; } 2>/dev/null || [ -n "${child:-}" ] || return 0  # its line has no end
    while read -r key value unit; do
        if [ "$key" = VmHWM: ] && [ "$value" -gt "${peak[$1]}" ]; then peak[$1]=$value; fi
    done 2>/dev/null <"/proc/${child:-none}/status" || true
}

# note_costs PID CELL STATUS: what this attempt took, also one that was cut short.
note_costs() {
    local file=$output/$2.costs.csv
    [ -f "$file" ] || echo "seconds,peak_gb,status" >"$file"
    awk -v from="${began[$1]}" -v to="$EPOCHREALTIME" -v peak="${peak[$1]}" -v status="$3" \
        'BEGIN {printf "%.1f,%.3f,%d\n", to - from, peak / 1048576, status}' >>"$file"
}

# run_waiting: runs what is in `waiting`, $jobs at a time; then `failed` names those that failed, `interrupted` says whether
# it was stopped. Every run is in a process group of its own, so that it is stopped whole, and saves what it has.
run_waiting() {
    local cell pid status part
    finished=$((${#cells[@]} - ${#waiting[@]}))
    if [ $finished -gt 0 ]; then echo "$finished of ${#cells[@]} runs are there already"; fi
    set -m
    trap stop_all INT TERM HUP
    while [ ${#running[@]} -gt 0 ] || { [ ${#waiting[@]} -gt 0 ] && [ $interrupted = 0 ]; }; do
        while [ ${#waiting[@]} -gt 0 ] && [ ${#running[@]} -lt "$jobs" ] && [ $interrupted = 0 ]; do
            cell=${waiting[0]} waiting=("${waiting[@]:1}")
            announce "$cell begins"
            # The trap waits for what runs: `train` saves before it ends. It keeps the folder's lock, should this script be killed.
            (trap "exit 130" TERM; set -e; run_cell "$cell") >>"$output/$cell.log" 2>&1 </dev/null &
            running[$!]=$cell began[$!]=$EPOCHREALTIME peak[$!]=0
        done
        sleep 0.2 || true
        for pid in "${!running[@]}"; do
            watch_memory "$pid"
            kill -0 "$pid" 2>/dev/null && continue
            cell=${running[$pid]} status=0
            wait "$pid" || status=$?
            unset "running[$pid]"
            note_costs "$pid" "$cell" $status
            if [ $status = 0 ]; then
                finished=$((finished + 1)) made=$((made + 1))
                announce "$cell is measured  $(time_left)"
            elif [ $interrupted = 0 ]; then
                failed+=("$cell")
                announce "$cell failed"
            fi
        done
        part=""
        for pid in "${!running[@]}"; do part+="${running[$pid]} $(percent "${running[$pid]}") %  "; done
        status_line "[$finished/${#cells[@]}] $part$(time_left)"
    done
    set +m
    status_line ""
}

# end_run: says what is missing, and ends with the status that tells it.
end_run() {
    if [ $interrupted = 1 ]; then
        echo "interrupted: $finished of ${#cells[@]} runs are measured; the same command goes on" >&2
        exit 130
    fi
    name_failed "${failed[@]}"
    [ ${#failed[@]} = 0 ] || exit 1
}
