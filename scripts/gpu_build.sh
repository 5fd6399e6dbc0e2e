# What gpu_check.sh and gpu_stage.sh share: a build with CUDA for one GPU, with third-party packages from a staged folder.
# Sourced from the repository root, after build_steps.sh.
gpu_programs=(train evaluate render influence report bake export make_synthetic bench_body bench_play bench_scene bench_step)
gpu_tests=(test_operators test_cuda_device)

# The folder of the LibTorch with CUDA.
torch_root() {
    if [ -f .deps/torch-cuda/torch/lib/libtorch_cuda.so ]; then
        echo "$PWD/.deps/torch-cuda/torch"
    else
        python3 -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])'
    fi
}

# The architecture of this machine's GPU; Hopper where there is none.
gpu_architecture() {
    local found
    found=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .)
    if [[ $found =~ ^[0-9]+$ ]]; then echo "$found"; else echo 90; fi
}

# build_for_gpu STAGE: with nothing of the system's packages where there is a stage.
build_for_gpu() {
    local torch alone=()
    torch=$(torch_root)
    [ -z "$1" ] || alone=(-DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF)
    configure_project -DFMGS_CUDA=ON "-DFMGS_CUDA_ARCHITECTURES=$(gpu_architecture)" -DFMGS_HDF5=OFF -DFMGS_INSTALL=OFF \
        "-DCMAKE_PREFIX_PATH=${1:+$1/usr;}$torch" "${alone[@]}"
    build_project "${gpu_programs[@]}" "${gpu_tests[@]}"
}

# Where programs that were built elsewhere find the libraries: library_path STAGE BUILD.
library_path() {
    local folder torch path=$2
    torch=$(torch_root)
    for folder in "$1/usr/lib/x86_64-linux-gnu" "$1/usr/lib" "$torch/lib" "$torch"/../nvidia/*/lib \
        "${CUDA_HOME:-/usr/local/cuda}/lib64"; do
        [ ! -d "$folder" ] || path+=:$folder
    done
    echo "$path"
}
