#!/usr/bin/env bash
# Everything the build needs, on a bare Debian 12 or Ubuntu 24.04: compiler and libraries from the distribution, and a
# CPU-only LibTorch in .deps/torch. Installs only what is missing, asks nothing, and is a no-op the second time.
#
#   scripts/setup.sh            install what is missing
#   scripts/setup.sh --check    say what is missing and exit 1, or exit 0; changes nothing
#
# A LibTorch of your own is used instead when Torch_DIR or CMAKE_PREFIX_PATH (environment) points at it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

torch_version=2.11.0
torch_home=.deps/torch

say() { echo "setup: $*"; }
die() { echo "setup: $*" >&2; exit 1; }

check_only=0
case "${1:-}" in
    "") ;;
    --check) check_only=1 ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown option '$1'; expected --check or nothing" ;;
esac
[ $# -le 1 ] || die "expected at most one option, got $#"

# ---- What is there ----------------------------------------------------------------------------------------------

has_torch_headers() { [ -f "$1/include/torch/csrc/api/include/torch/torch.h" ]; }

# The LibTorch that CMake would take from the environment, in the order of cmake/FmgsTorch.cmake.
own_torch() {
    local prefix candidates=()
    [ -n "${Torch_DIR:-}" ] && candidates+=("$Torch_DIR/../../..")
    local IFS=':;'
    for prefix in ${CMAKE_PREFIX_PATH:-}; do candidates+=("$prefix" "$prefix/torch"); done
    for prefix in "${candidates[@]:-}"; do
        if [ -n "$prefix" ] && has_torch_headers "$prefix"; then (cd "$prefix" && pwd); return 0; fi
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
        libopencv-dev; do
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
elif has_torch_headers "$torch_home/torch"; then
    say "LibTorch: $torch_home/torch"
else
    torch_need=needs_torch
fi
packages=()
if command -v dpkg-query >/dev/null; then
    mapfile -t packages < <(missing_packages "$torch_need")
else
    say "this is no Debian or Ubuntu; the build needs: g++ ≥ 11, CMake ≥ 3.25, Ninja, Eigen 3, OpenCV 4, yaml-cpp," \
        "fmt, nlohmann-json, zlib, Catch2, CLI11"
fi

if [ $check_only = 1 ]; then
    [ ${#packages[@]} = 0 ] || say "missing packages: ${packages[*]}"
    [ $torch_need = has_torch ] || say "missing LibTorch (torch $torch_version)"
    [ ${#packages[@]} = 0 ] && [ $torch_need = has_torch ]
    exit
fi

# ---- Packages of the distribution -------------------------------------------------------------------------------

if [ ${#packages[@]} -gt 0 ]; then
    install=(apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "${packages[@]}")
    if [ "$(id -u)" = 0 ]; then
        as_root=(env DEBIAN_FRONTEND=noninteractive)
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=(sudo -n env DEBIAN_FRONTEND=noninteractive)
    else
        die "packages are missing and neither root nor a sudo without password is at hand. As root, run
  apt-get update && apt-get install -y --no-install-recommends ${packages[*]}
and start again."
    fi
    say "installing from the distribution: ${packages[*]} (on a bare system about 1 GB on disk, 1 to 3 minutes)"
    "${as_root[@]}" apt-get update -q -o DPkg::Lock::Timeout=300 >/dev/null ||
        say "apt-get update failed; trying with the package lists that are there"
    "${as_root[@]}" "${install[@]}" >/dev/null
fi

# ---- LibTorch ---------------------------------------------------------------------------------------------------

# Takes from the wheels what a CPU build needs: headers, CMake files, libtorch_cpu and the libraries it loads.
# Wheels are zip files; no Python package is installed and the programs never need Python.
unpack_wheels() {
    python3 - "$1" "$2" <<'PYTHON'
import fnmatch, pathlib, sys, zipfile
wheels, target = map(pathlib.Path, sys.argv[1:])
wanted = ["torch/include/*", "torch/share/*", "torch/lib/libtorch_cpu.so*", "torch/lib/libc10.so*",
          "torch/lib/libgomp*", "nvidia/*/lib/libcudart.so*", "nvidia/*/lib/libcupti.so*",
          "*.dist-info/METADATA", "*.dist-info/*LICENSE*", "*.dist-info/*NOTICE*"]
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
    free_mb=$(df -Pm . | awk 'NR == 2 {print $4}')
    [ "$free_mb" -ge 1500 ] || die "fetching LibTorch needs 1.5 GB of free disk for a moment, there are $free_mb MB"
    say "fetching LibTorch $torch_version (CPU part): 545 MB to download, 540 MB on disk, about a minute"
    if has_pip; then
        python=python3
    else
        python3 -m venv .deps/venv || die "neither pip nor venv works with $(command -v python3)"
        python=.deps/venv/bin/python
    fi
    mkdir -p .deps/wheels
    platforms=()
    for tag in manylinux_2_28 manylinux_2_27 manylinux_2_25 manylinux_2_24 manylinux_2_17 manylinux2014; do
        platforms+=(--platform "${tag}_x86_64")
    done
    # The Python version only picks one of the wheels that exist; any python3 may run this.
    "$python" -m pip download --quiet --disable-pip-version-check --no-input --no-deps --only-binary=:all: \
        --implementation cp --python-version 3.11 --abi cp311 --abi none "${platforms[@]}" --dest .deps/wheels \
        "torch==$torch_version" 'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-cupti==13.0.*'
    # Unpacked aside and renamed, so that an interrupted set-up never looks finished.
    rm -rf "$torch_home.partial"
    unpack_wheels .deps/wheels "$torch_home.partial"
    has_torch_headers "$torch_home.partial/torch" && [ -f "$torch_home.partial/torch/lib/libtorch_cpu.so" ] ||
        die "the torch wheel in .deps/wheels lacks headers or libtorch_cpu.so; delete the folder and start again"
    rm -rf "$torch_home"
    mv "$torch_home.partial" "$torch_home"
    rm -rf .deps/wheels .deps/venv
    say "LibTorch: $torch_home/torch ($(du -sm "$torch_home" | cut -f 1) MB)"
fi
say "ready"
