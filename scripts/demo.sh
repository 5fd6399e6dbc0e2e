#!/usr/bin/env bash
# All set-up, build, and an avatar trained on a synthetic capture: runs/demo holds the result.
#
#   scripts/demo.sh [key=value…]      keys as of build/bin/train, e.g. train.steps=300
#
# Interrupted, it goes on from the last checkpoint when started again. Delete runs/demo to start anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/build_steps.sh

for argument in "$@"; do
    case "$argument" in
        -h | --help) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        *=*) ;;
        *) echo "demo: unknown option '$argument'; expected key=value" >&2; exit 2 ;;
    esac
done

capture=runs/demo_capture
run=runs/demo

# Rendered aside and renamed: a folder that is there is complete.
make_capture() {
    rm -rf "$capture.partial"
    "$build/bin/make_synthetic" "$capture.partial"
    mv "$capture.partial" "$capture"
}

# A run folder without a checkpoint was interrupted before the first one: it starts anew.
train_avatar() {
    if [ -n "$(ls "$run/checkpoints" 2>/dev/null)" ]; then
        echo "resuming $run"
        "$build/bin/train" "$run" "$@"
    else
        "$build/bin/train" configs/demo.yaml "$@" output="$run"
    fi
}

phase set-up scripts/setup.sh
phase configure configure_project
phase build build_project make_synthetic train evaluate render export
mkdir -p runs
[ -d "$capture" ] || phase capture make_capture
phase train train_avatar "$@"
phase evaluate "$build/bin/evaluate" "$run"
phase render "$build/bin/render" "$run" --orbit 24
phase page "$build/bin/export" "$run" --html "$run/player.html"
report_phases
cat <<END
== results
$run/eval/table.md     metrics of the held-out poses and cameras
$run/sheets/           what training saw: truth, colour, alpha, depth, normals, labels
$run/render/           a turntable in every modality
$run/player.html       a page that plays it in a browser
$run/avatar.safetensors  the avatar, all that drawing it needs
$run/config.yaml       the configuration that was used
END
cat "$run/eval/table.md"
