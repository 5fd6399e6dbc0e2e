# The parts of gpu_check.sh; sourced by it. A rehearsal runs the same commands with other sizes.
if [ $rehearse = 1 ]; then
    device=cpu repeats=1 steps=2 picture=48 frames=2
    model=(avatar.subdivisions=0 avatar.skinning.prefit_steps=1 avatar.geometry.hidden=16 avatar.skinning.hidden=16)
    profiler=() sanitizer=()
else
    device=cuda repeats=50 steps=1000 picture=512 frames=40 model=()
    profiler=(ncu --clock-control none) sanitizer=(compute-sanitizer --launch-timeout 60 --error-exitcode 9 --kernel-name kernel_substring=fmgs --tool)
fi

# Sets `programs`, the folder of bin/ and tests/, and `ours`, what to put before a program of it.
find_programs() {
    programs=$build
    if [ $rehearse = 1 ]; then ours=(env OMP_WAIT_POLICY=PASSIVE); return; fi
    fact torch bash -c 'echo "$1" && grep -E "^(__version__|cuda|git_version)" "$1/version.py"' bash "$(torch_root)"
    if [ $from_source = 0 ] && [ -n "$stage" ]; then
        programs=$stage/built
        ours=(env "LD_LIBRARY_PATH=$(library_path "$stage" "$programs")")
        fact programs timeout 120 "${ours[@]}" "$programs/tests/test_cuda_device" --list-test-names-only
        [ $(( $("${ours[@]}" "$programs/tests/test_cuda_device" --list-test-names-only | wc -l) )) = 0 ] || return
        programs=$build
    fi
    ours=(env "LD_LIBRARY_PATH=$(library_path "$stage" "$PWD/$build")")
}

part_build() {
    if [ $rehearse = 1 ] || [ "$programs" != "$build" ]; then
        check "build: programs that run here" 60 3 "${ours[@]}" "$programs/bin/train" --help
    else
        check "build: from source" 540 8 env "FMGS_BUILD_DIR=$build" bash -euc \
            '. scripts/build_steps.sh; . scripts/gpu_build.sh; build_for_gpu "$1"' bash "$stage"
    fi
}

part_tests() {
    check "test_operators" 60 3 "${ours[@]}" "$programs/tests/test_operators"
    if [ $rehearse = 1 ]; then
        check "test_stand_in_device" 120 3 "${ours[@]}" "$programs/tests/test_stand_in_device"
        return
    fi
    # One at a time: a trap in a kernel takes the program with it.
    local case
    while read -r case; do
        check "test: $case" 60 3 "${ours[@]}" "$programs/tests/test_cuda_device" "${case//,/\\,}"
    done < <("${ours[@]}" "$programs/tests/test_cuda_device" --list-test-names-only)
    check "operators from Python" 120 3 "${ours[@]}" python3 tests/python_operators.py \
        "$(realpath "$(printf '%s\n' "$programs"/libfmgs.so.*.* | head -n 1)")" 2.11.0
}

# make_capture SIZE: a synthetic capture with pictures of that many pixels, once.
make_capture() {
    local folder=$work/capture$1
    [ ! -d "$folder" ] || return 0
    rm -rf "$folder.partial"
    check "capture, $1 pixels" 90 1 "${ours[@]}" "$programs/bin/make_synthetic" --size "$1" --train-frames "$frames" \
        --test-frames 4 --test-views 2 --novel-frames 2 "$folder.partial" && mv "$folder.partial" "$folder"
}

part_benchmarks() {
    local sigma bench=("${ours[@]}" "$programs/bin/bench_body")
    [ $device = cpu ] || bench+=(cuda)
    check "bench_body" 90 12 "${bench[@]}" $repeats
    for sigma in 0.93 2.01; do
        [ $rehearse = 1 ] || check "bench_body, sigma $sigma px" 60 12 "${bench[@]}" $repeats --sigma $sigma
    done
    make_capture $picture
    local capture=(data.root="$work/capture$picture" train.device=$device output="$work/bench")
    check "bench_step, $picture pixels" 90 62 "${ours[@]}" "$programs/bin/bench_step" configs/full.yaml "${model[@]}" "${capture[@]}"
    [ $rehearse = 1 ] || check "bench_step, 256 pixels" 60 12 "${ours[@]}" "$programs/bin/bench_step" configs/small.yaml data.downscale=2 "${capture[@]}"
    [ $rehearse = 1 ] || check "kernels of a step, 512 pixels" 120 28 "${ours[@]}" bash -o pipefail -c '"$@" | python3 tests/bench/sum_kernels.py' bash \
        "${profiler[@]}" --profile-from-start off --csv --metrics gpu__time_duration.sum "$programs/bin/bench_step" configs/full.yaml "${capture[@]}"
    local kernel
    for kernel in composite_forward composite_backward; do
        [ $rehearse = 1 ] || check "ncu, $kernel" 60 90 "${ours[@]}" "${profiler[@]}" --set full \
            --kernel-name "regex:$kernel" --launch-skip 2 --launch-count 1 "$programs/bin/bench_body" 2 cuda
    done
}

# The same training on the GPU and on the CPU; what each reached, and how long it took.
part_training() {
    local where size=$((picture / 2)) run
    make_capture $size
    for where in gpu cpu; do
        run=$work/$where
        rm -rf "$run"
        check "train on the $where, $steps steps" 150 6 "${ours[@]}" "$programs/bin/train" configs/small.yaml data.downscale=1 \
            "${model[@]}" data.root="$work/capture$size" output="$run" train.steps=$steps train.device=$([ $where = gpu ] && echo $device || echo cpu)
        check "time on the $where" 5 1 cat "$run/timing.json"
        check "evaluate on the $where" 50 12 "${ours[@]}" "$programs/bin/evaluate" "$run"
    done
    run=$work/gpu
    check "render" 40 3 "${ours[@]}" "$programs/bin/render" "$run" --orbit 8 --out "$work/render"
    check "influence" 40 3 "${ours[@]}" "$programs/bin/influence" "$run"
    cp "$(find "$run/sheets" -name '*.png' | sort | tail -n 1)" "$out/sheet.png"
    cp "$run/influence/routing.png" "$out/routing.png"
}

# Small scenes; every allocation its own, so that a step over the end of one is seen. Only our kernels are instrumented.
part_sanitizers() {
    local tool case test=test_cuda_device
    local cases=("the GPU draws and differentiates as the CPU does" "hash encoding and SSIM are the same on the GPU"
        "find_tiles makes the same lists on the GPU")
    if [ $rehearse = 1 ]; then test=test_stand_in_device cases=("the stand-in refuses tensors of the CPU and hides its memory"); fi
    for case in "${cases[@]}"; do
        for tool in memcheck racecheck synccheck; do
            check "$tool: $case" 65 12 "${ours[@]}" PYTORCH_NO_CUDA_MEMORY_CACHING=1 "${sanitizer[@]}" ${sanitizer[@]:+$tool} \
                "$programs/tests/$test" "$case"
        done
    done
}
