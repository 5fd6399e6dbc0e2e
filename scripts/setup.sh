#!/usr/bin/env bash
# Everything the build needs, on a bare Debian 12 or Ubuntu 24.04: compiler and libraries from the distribution, and a
# CPU-only LibTorch in .deps/torch. Installs only what is missing, asks nothing, and is a no-op the second time.
#
#   scripts/setup.sh            install what is missing
#                               (also clang-format 14, for scripts/format.sh, where the distribution has it)
#   scripts/setup.sh --check    say what is missing and exit 1, or exit 0; changes nothing
#   scripts/setup.sh --cuda     the same for a build with FMGS_CUDA: a LibTorch with CUDA in .deps/torch-cuda (4 GB);
#                               the CUDA Toolkit (nvcc, 13 or newer) has to be there. A driver is not needed.
#
# A LibTorch of your own is used instead when Torch_DIR or CMAKE_PREFIX_PATH (environment) points at it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

torch_version=2.11.0
torch_home=.deps/torch

say() { echo "setup: $*"; }
die() { echo "setup: $*" >&2; exit 1; }

check_only=0
cuda=0
for option in "$@"; do
    case "$option" in
        --check) check_only=1 ;;
        --cuda) cuda=1 ;;
        -h | --help) sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "unknown option '$option'; expected --check, --cuda or nothing" ;;
    esac
done
if [ $cuda = 1 ]; then
    torch_home=.deps/torch-cuda
    export PATH="$PATH:${CUDA_HOME:-/usr/local/cuda}/bin"
    command -v nvcc >/dev/null ||
        die "--cuda needs the CUDA Toolkit 13 or newer: nvcc is neither in PATH nor in ${CUDA_HOME:-/usr/local/cuda}/bin"
fi

# ---- What is there ----------------------------------------------------------------------------------------------

has_torch_headers() { [ -f "$1/include/torch/csrc/api/include/torch/torch.h" ]; }
has_torch_libraries() { [ $cuda = 0 ] || [ -f "$1/lib/libtorch_cuda.so" ]; }

# The LibTorch that CMake would take from the environment, in the order of cmake/FmgsTorch.cmake.
own_torch() {
    local prefix candidates=()
    [ -n "${Torch_DIR:-}" ] && candidates+=("$Torch_DIR/../../..")
    local IFS=':;'
    for prefix in ${CMAKE_PREFIX_PATH:-}; do candidates+=("$prefix" "$prefix/torch"); done
    for prefix in "${candidates[@]:-}"; do
        if [ -n "$prefix" ] && has_torch_headers "$prefix" && has_torch_libraries "$prefix"; then (cd "$prefix" && pwd); return 0; fi
    done
    return 1
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

cmake_is_new_enough() {
    command -v cmake >/dev/null || return 1
    local version
    version=$(cmake --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p')
    [ "$(printf '%s\n3.25\n' "$version" | sort -V | head -n 1)" = 3.25 ]
}

has_pip() { python3 -m pip --version >/dev/null 2>&1; }

missing_packages() {
    command -v g++ >/dev/null || echo g++
    cmake_is_new_enough || echo cmake
    command -v ninja >/dev/null || echo ninja-build
    command -v ccache >/dev/null || echo ccache
    local package
    for package in libeigen3-dev libyaml-cpp-dev libfmt-dev nlohmann-json3-dev zlib1g-dev catch2 libcli11-dev \
        libopencv-dev libhdf5-dev libgloo-dev; do
        installed "$package" || echo "$package"
    done
    if [ "$1" = needs_torch ]; then
        command -v python3 >/dev/null || echo python3
        has_pip || echo python3-pip
        [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
    fi
}

torch_need=has_torch
if torch_path=$(own_torch); then
    say "LibTorch: yours at $torch_path"
elif has_torch_headers "$torch_home/torch" && has_torch_libraries "$torch_home/torch"; then
    say "LibTorch: $torch_home/torch"
else
    torch_need=needs_torch
fi
packages=()
if command -v dpkg-query >/dev/null; then
    mapfile -t packages < <(missing_packages "$torch_need")
else
    say "this is no Debian or Ubuntu; the build needs: g++ ≥ 11, CMake ≥ 3.25, Ninja, Eigen 3, OpenCV 4, HDF5, yaml-cpp," \
        "fmt, nlohmann-json, zlib, Catch2, CLI11; Gloo's headers for training on several ranks"
fi

if [ $check_only = 1 ]; then
    [ ${#packages[@]} = 0 ] || say "missing packages: ${packages[*]}"
    [ $torch_need = has_torch ] || say "missing LibTorch (torch $torch_version)"
    [ ${#packages[@]} = 0 ] && [ $torch_need = has_torch ]
    exit
fi

# ---- Packages of the distribution -------------------------------------------------------------------------------

as_root=()
if [ "$(id -u)" = 0 ]; then
    as_root=(env DEBIAN_FRONTEND=noninteractive)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n env DEBIAN_FRONTEND=noninteractive)
fi

update_lists() {
    "${as_root[@]}" apt-get update -q -o DPkg::Lock::Timeout=300 >/dev/null ||
        say "apt-get update failed; trying with the package lists that are there"
}
install_packages() { "${as_root[@]}" apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" >/dev/null; }

if [ ${#packages[@]} -gt 0 ]; then
    [ ${#as_root[@]} -gt 0 ] ||
        die "packages are missing and neither root nor a sudo without password is at hand. As root, run
  apt-get update && apt-get install -y --no-install-recommends ${packages[*]}
and start again."
    say "installing from the distribution: ${packages[*]} (on a bare system about 1 GB on disk, 1 to 3 minutes)"
    update_lists
    install_packages "${packages[@]}"
fi

# The formatter that the tests compare with. A build does without, and a newer distribution may have other versions only.
if [ ${#as_root[@]} -gt 0 ] && command -v apt-cache >/dev/null && ! command -v clang-format-14 >/dev/null; then
    compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null || update_lists
    if [ -n "$(apt-cache show clang-format-14 2>/dev/null)" ]; then
        say "installing from the distribution: clang-format-14"
        install_packages clang-format-14 || say "clang-format-14 was not installed; the test of the format will be skipped"
    fi
fi

# ---- LibTorch ---------------------------------------------------------------------------------------------------

# Takes from the wheels what a build needs: headers, CMake files, libtorch and the libraries it loads; for a CPU build
# libtorch_cpu only. Wheels are zip files; no Python package is installed and the programs never need Python.
unpack_wheels() {
    python3 - "$@" <<'PYTHON'
import fnmatch, pathlib, sys, zipfile
wheels, target = map(pathlib.Path, sys.argv[1:3])
cpu = ["torch/lib/libtorch_cpu.so*", "torch/lib/libc10.so*", "torch/lib/libgomp*", "nvidia/*/lib/libcudart.so*",
       "nvidia/*/lib/libcupti.so*"]
cuda = ["torch/lib/*", "nvidia/*/lib/*"]
wanted = ["torch/include/*", "torch/share/*", "*.dist-info/METADATA", "*.dist-info/*LICENSE*", "*.dist-info/*NOTICE*"]
wanted += cuda if sys.argv[3] == "1" else cpu
for wheel in sorted(wheels.glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted):
                archive.extract(name, target)
PYTHON
}

if [ $torch_need = needs_torch ]; then
    [ "$(uname -sm)" = "Linux x86_64" ] ||
        die "LibTorch can be fetched for Linux on x86-64 only, this is $(uname -sm); set Torch_DIR to yours"
    need_mb=1500
    part="CPU part): 545 MB to download, 540 MB on disk, about a minute"
    wheels=("torch==$torch_version")
    if [ $cuda = 1 ]; then
        need_mb=8000
        part="with CUDA): 2.5 GB to download, 4 GB on disk, two to five minutes"
    else
        wheels+=(--no-deps 'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-cupti==13.0.*')
    fi
    free_mb=$(df -Pm . | awk 'NR == 2 {print $4}')
    [ "$free_mb" -ge $need_mb ] || die "fetching LibTorch needs $need_mb MB of free disk for a moment, there are $free_mb"
    say "fetching LibTorch $torch_version ($part"
    if has_pip; then
        python=python3
    else
        python3 -m venv .deps/venv || die "neither pip nor venv works with $(command -v python3)"
        python=.deps/venv/bin/python
    fi
    mkdir -p "$torch_home.wheels"
    platforms=()
    for tag in manylinux_2_{28..5} manylinux2014 manylinux2010 manylinux1; do
        platforms+=(--platform "${tag}_x86_64")
    done
    platforms+=(--platform any)
    # The Python version only picks one of the wheels that exist; any python3 may run this.
    "$python" -m pip download --quiet --disable-pip-version-check --no-input --only-binary=:all: \
        --implementation cp --python-version 3.11 --abi cp311 --abi none "${platforms[@]}" --dest "$torch_home.wheels" \
        "${wheels[@]}"
    # Unpacked aside and renamed, so that an interrupted set-up never looks finished.
    rm -rf "$torch_home.partial"
    unpack_wheels "$torch_home.wheels" "$torch_home.partial" $cuda
    has_torch_headers "$torch_home.partial/torch" && has_torch_libraries "$torch_home.partial/torch" &&
        [ -f "$torch_home.partial/torch/lib/libtorch_cpu.so" ] ||
        die "the wheel in $torch_home.wheels lacks headers or libraries; delete the folder and start again"
    rm -rf "$torch_home"
    mv "$torch_home.partial" "$torch_home"
    rm -rf "$torch_home.wheels" .deps/venv
    say "LibTorch: $torch_home/torch ($(du -sm "$torch_home" | cut -f 1) MB)"
fi
say "ready"
