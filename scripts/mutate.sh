#!/usr/bin/env bash
# Breaks the library on purpose, one patch of tests/mutations at a time, and expects a test to notice.
#
#   scripts/mutate.sh [PATCH…]      all of tests/mutations, or these
#
# A patch begins with what it breaks, in words, and `# tests: NAME…`, the programs that could see it, the likeliest first.
# Exit status 0: every patch was noticed. One that no test notices, that does not apply or does not compile is a failure.
# One whose test is skipped on this machine (no browser, say) is named and is none.
# It works on a copy of the sources in build/mutations, with a build of its own; the working tree is only read.
# FMGS_BUILD_DIR (build) and FMGS_JOBS (processors, at most one per 2 GB of memory) may be set in the environment.
set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/build_steps.sh  # sets build and jobs

patches=()
for argument in "$@"; do
    case "$argument" in
        -h | --help) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        -*) echo "mutate: unknown option '$argument'; expected patches" >&2; exit 2 ;;
    esac
    found=
    for file in "$argument" "$here/$argument" "tests/mutations/${argument%.patch}.patch"; do
        if [ -f "$file" ]; then found=$(realpath "$file"); break; fi
    done
    if [ -z "$found" ]; then echo "mutate: there is no patch '$argument'" >&2; exit 2; fi
    patches+=("$found")
done
if [ $# = 0 ]; then patches=("$PWD"/tests/mutations/*.patch); fi

copy=$(mkdir -p "$build/mutations" && realpath "$build/mutations")
log=$copy/log.txt
exec 9>"$copy/lock"
flock --nonblock 9 || { echo "mutate: another one is at work in $copy" >&2; exit 2; }

# The file of the copy as it stands in the working tree; a time of its own tells ninja of the change.
restore() { cp --no-preserve=timestamps "$1" "$copy/$1"; }

# Makes the copy equal to the working tree, whatever an interrupted run left there.
copy_sources() {
    local file
    (cd "$copy" && find . \( -path ./build -o -path ./.deps \) -prune -o -type f -path './*/*' -print) |
        while read -r file; do [ -f "$file" ] || rm "$copy/$file"; done
    find CMakeLists.txt cmake fmgs tests examples configs scripts -name 'build*' -type d -prune -o -type f -print |
        while read -r file; do
            cmp -s "$file" "$copy/$file" && continue
            mkdir -p "$copy/$(dirname "$file")"
            restore "$file"
        done
    if [ -d .deps ]; then ln -sfn "$(realpath .deps)" "$copy/.deps"; fi
}

tests_of() { sed -n '1,/^---/s/^# tests: *//p' "$1"; }
files_of() { sed -n 's/^+++ b\/\([^[:space:]]*\).*/\1/p' "$1"; }

# compile TEST…: in the copy.
compile() { cmake --build "$copy/build" -j "$jobs" --target "$@" >"$log" 2>&1; }

# notices TEST: does it fail? A crash and ten minutes without an end are failures, too.
notices() {
    ! (cd "$copy/build" && OMP_WAIT_POLICY=PASSIVE RES_OPTIONS="timeout:1 attempts:1" timeout 600 "tests/$1" --abort) >"$log" 2>&1
}

# The name of the test case that failed last, as Catch2 prints it.
failed_case() { awk '/^----------/ {getline; print; exit}' "$log"; }

# Sets `verdict`, and `claim` where a test noticed.
mutate() {
    local patch=$1 name programs
    verdict="DOES NOT APPLY" claim=
    read -ra programs <<<"$(tests_of "$patch")"
    if [ ${#programs[@]} = 0 ]; then verdict="NAMES NO TEST"; return; fi
    # Not as a part of this repository: git would leave out what lies outside of the folder.
    GIT_CEILING_DIRECTORIES=$(dirname "$copy") git -C "$copy" apply "$patch" >"$log" 2>&1 || return 0
    verdict="DOES NOT COMPILE"
    compile "${programs[@]}" || return 0
    verdict="SURVIVES"
    for name in "${programs[@]}"; do
        if notices "$name"; then verdict=$name claim=$(failed_case); return; fi
        if grep -q "^skipped: " "$log"; then verdict="SKIPPED HERE"; fi
    done
}

# Whose tests fail without any mutation says nothing.
check_unbroken() {
    local name
    for name in "$@"; do
        if notices "$name"; then
            tail -40 "$log" >&2
            echo "mutate: $name fails without any mutation" >&2
            exit 1
        fi
    done
}

began=$SECONDS
copy_sources
# With examples: tests start them. The compiler and LibTorch of the user's own build, where there is one.
mapfile -t chosen < <(sed -nE 's/^(CMAKE_CXX_COMPILER|CMAKE_PREFIX_PATH|Torch_DIR):[A-Z]+=(.+)/-D\1=\2/p' "$build/CMakeCache.txt" 2>/dev/null)
if ! cmake -S "$copy" -B "$copy/build" -G Ninja -DFMGS_BUILD_EXAMPLES=ON -DFMGS_INSTALL=OFF "${chosen[@]}" >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
all=$(for patch in "${patches[@]}"; do tests_of "$patch"; done | tr ' ' '\n' | sort -u)
# shellcheck disable=SC2086 # names without spaces
if ! compile $all; then tail -40 "$log" >&2; exit 1; fi
# shellcheck disable=SC2086
check_unbroken $all
echo "the unbroken copy: $((SECONDS - began)) s"

table="" failures=0 skipped=0 count=0
for patch in "${patches[@]}"; do
    start=$SECONDS count=$((count + 1)) label=$(basename "$patch" .patch)
    mutate "$patch"
    for file in $(files_of "$patch"); do restore "$file"; done
    seconds=$((SECONDS - start))
    case "$verdict" in
        test_*) echo "[$count/${#patches[@]}] $label: $verdict, \"$claim\" ($seconds s)" ;;
        *)
            if [ "$verdict" = "SKIPPED HERE" ]; then skipped=$((skipped + 1)); else failures=$((failures + 1)); fi
            echo "[$count/${#patches[@]}] $label: $verdict ($seconds s)"
            case "$verdict" in SURVIVES | SKIPPED*) ;; *) tail -20 "$log" ;; esac
            ;;
    esac
    table+="| $label | $verdict | $seconds |"$'\n'
done
printf '\n| patch | test that noticed it | seconds |\n|---|---|---|\n%s' "$table"
echo "$((${#patches[@]} - failures - skipped)) of ${#patches[@]} noticed, $skipped skipped here, $((SECONDS - began)) s"
[ $failures = 0 ]
