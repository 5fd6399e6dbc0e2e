# The parts of gpu_check.sh; sourced by it. A rehearsal runs the same commands with other sizes.
if [ $rehearse = 1 ]; then
    device=cpu repeats=1 profiled=1 steps=2 picture=48 frames=2 baking=(--poses 2 --components 1)
    model=(avatar.subdivisions=0 avatar.skinning.prefit_steps=1 avatar.geometry.hidden=16 avatar.skinning.hidden=16)
    # In the place of NVIDIA's tools: the program that they would run, then a line as ncu prints it.
    profiler=(bash -c 'until [[ $1 = */bin/bench_* ]]; do shift; done; "$@"; printf "\"%s\",\"%s\",\"%s\"\n" "Kernel Name" "Metric Unit" "Metric Value" none ns 1' ncu)
    sanitizer=()
else
    device=cuda repeats=50 profiled=2 steps=1000 picture=512 frames=40 baking=() model=()
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
        check "test: $case" 45 3 "${ours[@]}" "$programs/tests/test_cuda_device" "${case//,/\\,}"
    done < <("${ours[@]}" "$programs/tests/test_cuda_device" --list-test-names-only)
    check "operators from Python" 120 3 "${ours[@]}" python3 tests/python_operators.py \
        "$(realpath "$(printf '%s\n' "$programs"/libfmgs.so.*.* | head -n 1)")" 2.11.0
}

# make_capture SIZE: a synthetic capture with pictures of that many pixels, once.
make_capture() {
    local folder=$work/capture$1
    [ ! -d "$folder" ] || return 0
    rm -rf "$folder.partial"
    check "capture, $1 pixels" 60 1 "${ours[@]}" "$programs/bin/make_synthetic" --size "$1" --train-frames "$frames" \
        --test-frames 4 --test-views 2 --novel-frames 2 "$folder.partial" && mv "$folder.partial" "$folder"
}

part_benchmarks() {
    local sigma kernel bench=("${ours[@]}" "$programs/bin/bench_body")
    [ $device = cpu ] || bench+=(cuda)
    check "bench_body" 60 12 "${bench[@]}" $repeats
    for sigma in 0.93 2.01; do
        check "bench_body, sigma $sigma px" 40 12 "${bench[@]}" $repeats --sigma $sigma
    done
    make_capture $picture
    local capture=("${model[@]}" data.root="$work/capture$picture" train.device=$device output="$work/bench")
    check "bench_step, $picture pixels" 90 62 "${ours[@]}" "$programs/bin/bench_step" configs/full.yaml "${capture[@]}"
    check "bench_step, $((picture / 2)) pixels" 60 12 "${ours[@]}" "$programs/bin/bench_step" configs/small.yaml data.downscale=2 "${capture[@]}"
    check "kernels of a step, $picture pixels" 120 28 "${ours[@]}" bash -o pipefail -c '"$@" | python3 tests/bench/sum_kernels.py' bash \
        "${profiler[@]}" --profile-from-start off --csv --metrics gpu__time_duration.sum "$programs/bin/bench_step" configs/full.yaml "${capture[@]}"
    for kernel in composite_forward composite_backward; do
        check "ncu, $kernel" 50 90 "${ours[@]}" "${profiler[@]}" --set full \
            --kernel-name "regex:$kernel" --launch-skip 2 --launch-count 1 "${bench[@]:${#ours[@]}}" $profiled
    done
}

# The same training on the GPU and on the CPU; what each reached, and how long it took. What the GPU made is drawn, baked and
# taken out; the pictures are there to be looked at.
part_training() {
    local where size=$((picture / 2)) run=$work/gpu
    make_capture $size
    for where in gpu cpu; do
        rm -rf "${work:?}/$where"
        check "train on the $where, $steps steps" $([ $where = gpu ] && echo 100 || echo 150) 6 "${ours[@]}" "$programs/bin/train" configs/small.yaml data.downscale=1 \
            "${model[@]}" data.root="$work/capture$size" output="$work/$where" train.steps=$steps train.device=$([ $where = gpu ] && echo $device || echo cpu)
        check "time on the $where" 5 1 cat "$work/$where/timing.json"
        check "evaluate on the $where" 40 12 "${ours[@]}" "$programs/bin/evaluate" "$work/$where"
    done
    check "render" 30 3 "${ours[@]}" "$programs/bin/render" "$run" --orbit 8 --out "$work/render"
    check "influence" 30 3 "${ours[@]}" "$programs/bin/influence" "$run"
    check "bake" 60 12 "${ours[@]}" "$programs/bin/bake" "$run" --out "$work/baked.safetensors" "${baking[@]}"
    check "render, baked" 30 3 "${ours[@]}" "$programs/bin/render" "$work/baked.safetensors" --orbit 8 --out "$work/render_baked"
    check "export" 45 6 "${ours[@]}" "$programs/bin/export" "$work/baked.safetensors" --html "$work/player.html" --ply "$work/avatar.ply" \
        --glb "$work/avatar.glb" --splat-glb "$work/splats.glb"
    check "pictures" 5 6 bash -c 'cp "$(find "$1/gpu/sheets" -name "*.png" | sort | tail -n 1)" "$2/sheet.png" &&
        cp "$1/gpu/influence/routing.png" "$1/render/orbit/grid.png" "$2/" && cp "$1/render_baked/orbit/grid.png" "$2/grid_baked.png"' bash "$work" "$out"
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

# gsplat comes with the stage or with python3, and compiles itself when it is first imported.
part_gsplat() {
    local python=(env "PYTHONPATH=$stage/python" "PATH=$stage/python/bin:$PATH" "TORCH_EXTENSIONS_DIR=$(realpath "$work")/gsplat"
        "TORCH_CUDA_ARCH_LIST=$(gpu_architecture | sed 's/.$/.&/')" "MAX_JOBS=$(nproc)" python3)
    check "the surfels of bench_body, for others" 60 2 "${ours[@]}" "$programs/bin/bench_scene" "$work/scene.npz"
    check "gsplat: it compiles itself" 460 3 "${python[@]}" -c 'try:
    from gsplat.cuda._backend import _C
except ImportError as error:
    print("not here:", error)'
    check "gsplat's 2DGS on the same surfels" 80 6 "${python[@]}" tests/bench/compare_gsplat.py "$work/scene.npz" $repeats
}
