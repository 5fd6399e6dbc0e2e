#!/usr/bin/env bash
# Makes the folder that gpu_check.sh --stage takes to a machine with a GPU and neither network nor packages: headers and
# libraries of everything but LibTorch and CUDA, and this tree's programs with CUDA for one GPU. Some 40 MB.
#
#   scripts/gpu_stage.sh FOLDER [--gsplat]
#
# --gsplat adds its sources and the Python packages that they need, to be drawn with beside ours: 16 MB.
# Runs on Debian or Ubuntu after scripts/setup.sh --cuda. The programs run on systems with this C library or a newer one;
# elsewhere gpu_check.sh builds from the sources. OpenCV, whose packages need half a gigabyte of others, is built from its
# source package with PNG, JPEG and motion JPEG alone (.deps/opencv; ten minutes on two processors, once).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ $# = 1 || ( $# = 2 && $2 = --gsplat ) ]] && [ "${1#-}" = "$1" ] || { sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2; }
mkdir -p "$1"
stage=$(cd "$1" && pwd)
export FMGS_BUILD_DIR=${FMGS_BUILD_DIR:-build-gpu} PATH="$PATH:${CUDA_HOME:-/usr/local/cuda}/bin"
. scripts/build_steps.sh
. scripts/gpu_build.sh

# What the build needs, and the libraries that those headers and OpenCV call, without documentation.
copy_packages() {
    local name file names=(libeigen3-dev libfmt-dev nlohmann-json3-dev zlib1g-dev zlib1g catch2 libcli11-dev libyaml-cpp-dev)
    mapfile -t -O ${#names[@]} names < <(dpkg-query -W -f '${Package}\n' 'libyaml-cpp0*' 'libfmt[0-9]*' 'libpng16-16*' \
        'libjpeg62-turbo' 'libjpeg-turbo8' 2>/dev/null | grep -v -- -dev)
    for name in "${names[@]}"; do
        dpkg -L "$name" | grep -vE '/share/(doc|man|pkgconfig)/|/pkgconfig/|/eigen3/unsupported/' | while read -r file; do
            if [ ! -d "$file" ]; then copy_file "$file"; fi
        done
    done
}

# A link to an absolute path would lead out of the stage.
copy_file() {
    local to=$stage/usr/${1#/}
    to=${to/\/usr\/usr\//\/usr\/}
    mkdir -p "$(dirname "$to")"
    cp -a --remove-destination "$1" "$to"
    if [ -L "$to" ]; then ln -sfn "$(basename "$(readlink "$to")")" "$to"; fi
}

build_opencv() {
    local home=$PWD/.deps/opencv source
    mkdir -p "$home/lists/partial"
    if ! ls -d "$home"/opencv-*/ >/dev/null 2>&1; then
        cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 's/^deb /deb-src /p' >"$home/source.list" || true
        cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed 's/^Types: .*/Types: deb-src/' >"$home/source.sources" || true
        apt_source update
        (cd "$home" && apt_source source --download-only opencv && tar xf opencv_*.orig.tar.*)
    fi
    source=$(ls -d "$home"/opencv-*/)
    local off=(IPP TBB OPENCL FFMPEG GSTREAMER V4L 1394 GTK QT VA VA_INTEL ITT EIGEN LAPACK PROTOBUF QUIRC ADE TIFF WEBP OPENJPEG
        JASPER OPENEXR GDAL GDCM IMGCODEC_HDR IMGCODEC_SUNRASTER IMGCODEC_PXM IMGCODEC_PFM)
    off=("${off[@]/#/-DWITH_}")
    off=("${off[@]/%/=OFF}")
    cmake -S "$source" -B "$home/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$stage/usr" \
        -DBUILD_LIST=core,imgproc,imgcodecs,videoio -DBUILD_SHARED_LIBS=ON -DCPU_BASELINE=SSE3 -DCPU_DISPATCH= \
        -DBUILD_TESTS=OFF -DBUILD_PERF_TESTS=OFF -DBUILD_opencv_apps=OFF -DBUILD_JAVA=OFF -DBUILD_opencv_python3=OFF \
        -DBUILD_ZLIB=OFF -DBUILD_PNG=OFF -DBUILD_JPEG=OFF "${off[@]}"
    cmake --build "$home/build" --target install/strip
}

apt_source() {
    apt-get -o Dir::State::Lists="$home/lists" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$home" "$@"
}

# The programs, without symbols, beside the libraries that they look for in LD_LIBRARY_PATH.
copy_programs() {
    local folder=$stage/built
    mkdir -p "$folder/bin" "$folder/tests"
    find "$build" -maxdepth 1 -type l -name 'libfmgs*.so.*' -exec cp -L {} "$folder/" \;  # under the names that are loaded
    (cd "$build/bin" && cp "${gpu_programs[@]}" "$folder/bin/")
    (cd "$build/tests" && cp "${gpu_tests[@]}" "$folder/tests/")
    find "$folder" -type f ! -name COMMIT -exec strip --strip-unneeded {} +
    git log -1 --format='%h %cs %s' >"$folder/COMMIT" 2>/dev/null || echo unknown >"$folder/COMMIT"
}

# Sources, which compile themselves there, without the tests and manuals of what they include.
copy_gsplat() {
    local glm
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target "$stage/python" gsplat==1.5.3 jaxtyping \
        wadler-lindig rich markdown-it-py mdurl pygments packaging ninja setuptools
    glm=$stage/python/gsplat/cuda/csrc/third_party/glm
    find "$glm" -mindepth 1 -maxdepth 1 ! -name glm ! -name 'copying*' -exec rm -rf {} +
    find "$stage/python" \( -name __pycache__ -o -name '*.dist-info' \) -prune -exec rm -rf {} +
}

phase packages copy_packages
phase opencv build_opencv
phase build build_for_gpu "$stage"
phase programs copy_programs
[ "${2:-}" != --gsplat ] || phase gsplat copy_gsplat
report_phases
du -sh "$stage"
[ "$(du -sm "$stage" | cut -f 1)" -le 60 ] || { echo "gpu_stage: $stage has more than 60 MB" >&2; exit 1; }
