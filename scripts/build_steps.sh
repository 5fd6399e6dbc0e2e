# What test.sh and demo.sh share; sourced from the repository root.
build=${FMGS_BUILD_DIR:-build}

# One compile job takes up to 2 GB with LibTorch's headers.
memory_gb=$(awk '/MemTotal/ {print int($2 / 1024 / 1024)}' /proc/meminfo)
jobs=${FMGS_JOBS:-$(nproc)}
if [ -z "${FMGS_JOBS:-}" ] && [ "$jobs" -gt $((memory_gb / 2)) ]; then
    jobs=$((memory_gb / 2 > 0 ? memory_gb / 2 : 1))
fi

phases=""

# phase NAME COMMAND…: runs it and remembers how long it took; stops the script with its status when it fails.
phase() {
    local name=$1 start=$SECONDS status=0
    shift
    echo "== $name"
    # `|| status` would switch `set -e` off inside a function, so the command runs in its own shell.
    set +e
    (set -e; "$@")
    status=$?
    set -e
    phases+=$(printf '%-10s %6.2f min' "$name" "$(minutes $((SECONDS - start)))")$'\n'
    if [ $status != 0 ]; then
        report_phases
        echo "failed: $name (exit status $status)" >&2
        exit $status
    fi
}

minutes() { awk -v s="$1" 'BEGIN {printf "%.2f", s / 60}'; }

report_phases() {
    echo "== times"
    printf '%s' "$phases"
}

configure_project() { cmake -S . -B "$build" -G Ninja "$@"; }

# build_project [TARGET…]
build_project() {
    local targets=()
    [ $# = 0 ] || targets=(--target "$@")
    cmake --build "$build" -j "$jobs" "${targets[@]}"
}
