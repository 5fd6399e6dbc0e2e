# The report of gpu_check.sh; sourced by it. $out holds report.txt and log.txt.
report=$out/report.txt log=$out/log.txt table='' failures=0
: >"$report" && : >"$log" || die "cannot write $report"

say() { printf '%s\n' "$*" | tee -a "$report" "$log"; }

# fact NAME COMMAND…: a line about the machine; a command that is not there is a fact too.
fact() {
    local name=$1 value
    shift
    value=$(timeout 60 "$@" 2>&1 </dev/null) || value="$value (exit status $?)"
    say "$(printf '%-14s %s' "$name" "${value//$'\n'/ | }" | cut -c1-400)"
}

report_machine() {
    local tool
    say "gpu_check on $(date -u +%Y-%m-%dT%H:%M:%SZ), parts ${parts[*]}$([ $rehearse = 0 ] || echo ', a rehearsal without a GPU')"
    fact source cat "${stage:-.}/built/COMMIT"
    fact gpu nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap,clocks.max.sm --format=csv,noheader
    fact system sed -n 's/^PRETTY_NAME=//p' /etc/os-release
    fact kernel uname -srm
    fact processor awk -F': ' '/model name/ {n++; name = $2} END {print n " x " name}' /proc/cpuinfo
    fact memory awk '/MemTotal/ {printf "%.0f GB\n", $2 / 1e6}' /proc/meminfo
    fact user id -un
    fact c-library getconf GNU_LIBC_VERSION
    for tool in g++ nvcc cmake ninja compute-sanitizer ncu; do
        fact "$tool" bash -c 'command -v "$1" && "$1" --version | grep -iE "[0-9]+\.[0-9]+" | tail -n 1' bash "$tool"
    done
    fact python3 bash -c 'command -v python3 && python3 --version'
    fact libcuda bash -c 'ldconfig -p 2>/dev/null | grep -m 1 libcuda.so.1 || ls /usr/local/nvidia/lib64/libcuda.so.1'
}

# check NAME SECONDS LINES COMMAND…: runs the command for at most so many seconds, whatever became of those before it.
# Its row goes into the table, the last LINES lines of what it printed into the report, all of them into the log.
# The limits of a part add up to ten minutes at most, and a rehearsal sees to that.
check() {
    local name=$1 limit=$2 lines=$3 output=$work/output.txt start=$SECONDS status=0 result row
    shift 3
    part_seconds=$((part_seconds + limit))
    [ $rehearse = 0 ] || [ $part_seconds -le 600 ] || die "part $part: its limits add up to $part_seconds s, more than 600"
    timeout --kill-after=5 "$limit" "$@" >"$output" 2>&1 </dev/null || status=$?
    case $status in
        0) result=passed ;;
        124 | 137) result="over $limit s" ;;
        *) result="failed ($status)" ;;
    esac
    # A program that finds no GPU says so and succeeds; what may be left out of the stage is no failure.
    if [ $status = 0 ] && grep -q '^skipped: ' "$output"; then result=skipped; fi
    if [ $status = 0 ] && grep -q '^not here: ' "$output"; then result="not here"; fi
    [ "$result" = passed ] || [ "$result" = "not here" ] || { failures=$((failures + 1)); lines=$((lines < 25 ? 25 : lines)); }
    row=$(printf '%-62s %-12s %5d s' "${name:0:62}" "$result" $((SECONDS - start)))
    table+=$row$'\n'
    printf '%s\n' "$row"
    { printf '\n== %s\n$ %s\n' "$row" "$*"; tr '\r' '\n' <"$output"; } >>"$log"
    { printf '\n== %s\n' "$row"; tr '\r' '\n' <"$output" | tail -n "$lines" | cut -c1-220; } >>"$report"
    rm -f "$output"
    return $status
}

report_table() {
    say ''
    say "== results: $failures of $(printf '%s' "$table" | wc -l) checks did not pass; $SECONDS s"
    say "$table"
    [ $failures = 0 ] || exit 1
}
