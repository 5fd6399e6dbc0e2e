# The only place that knows how LibTorch is found. It defines fmgs::torch, an imported target made from the folders
# of a PyPI wheel or of a LibTorch zip (both have include/ and lib/), and changes no global flag. Where there is none that
# fits, it defines no target and says why in FMGS_TORCH_PROBLEM; whoever includes it decides what follows.
#
# Looked up in this order: an existing target `torch` (the consumer called find_package(Torch)), Torch_DIR,
# CMAKE_PREFIX_PATH, FMGS_RECORDED_TORCH (set by the installed package), and .deps/torch (with FMGS_CUDA
# .deps/torch-cuda), where scripts/setup.sh puts it.
# An installed package accepts the minor version it was built with (FMGS_RECORDED_TORCH_VERSION) only.
set(FMGS_TORCH_MINIMUM 2.7)
set(FMGS_TORCH_PROBLEM)

function(fmgs_find_torch_root out)
    set(candidates)
    if(TARGET torch)
        get_target_property(location torch IMPORTED_LOCATION)
        if(NOT location)
            get_target_property(location torch IMPORTED_LOCATION_RELEASE)
        endif()
        if(location)
            get_filename_component(lib "${location}" DIRECTORY)
            list(APPEND candidates "${lib}/..")
        endif()
    endif()
    if(Torch_DIR)
        list(APPEND candidates "${Torch_DIR}/../../..")
    endif()
    foreach(prefix IN LISTS CMAKE_PREFIX_PATH)
        list(APPEND candidates "${prefix}" "${prefix}/torch")
    endforeach()
    string(REPLACE ":" ";" environment_prefixes "$ENV{CMAKE_PREFIX_PATH}")
    foreach(prefix IN LISTS environment_prefixes)
        list(APPEND candidates "${prefix}" "${prefix}/torch")
    endforeach()
    if(DEFINED ENV{Torch_DIR})
        list(APPEND candidates "$ENV{Torch_DIR}/../../..")
    endif()
    list(APPEND candidates "${FMGS_RECORDED_TORCH}")
    if(FMGS_CUDA)
        list(APPEND candidates "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../.deps/torch-cuda/torch")
    endif()
    list(APPEND candidates "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../.deps/torch/torch")
    foreach(candidate IN LISTS candidates)
        if(candidate AND EXISTS "${candidate}/include/torch/csrc/api/include/torch/torch.h")
            get_filename_component(candidate "${candidate}" ABSOLUTE)
            set(${out} "${candidate}" PARENT_SCOPE)
            return()
        endif()
    endforeach()
endfunction()

# Sets `out` to the version of the LibTorch at `root`.
function(fmgs_read_torch_version root out)
    set(lines)
    foreach(header IN ITEMS torch/csrc/api/include/torch/version.h torch/headeronly/version.h)
        if(NOT lines AND EXISTS "${root}/include/${header}")
            file(STRINGS "${root}/include/${header}" lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
        endif()
    endforeach()
    string(REGEX REPLACE "[^0-9;]" "" version "${lines}")
    string(REPLACE ";" "." version "${version}")
    set(${out} "${version}" PARENT_SCOPE)
endfunction()

# Sets `out` to what is wrong with the LibTorch that was found, in words; to nothing when it fits.
function(fmgs_judge_torch out)
    string(REGEX MATCH "^[0-9]+\\.[0-9]+" minor "${FMGS_TORCH_VERSION}")
    set(problem)
    if(NOT FMGS_TORCH_ROOT)
        string(CONCAT problem
            "LibTorch was not found.\n"
            "Point CMake at yours with\n"
            "  -DCMAKE_PREFIX_PATH=/path/to/libtorch   or   -DTorch_DIR=/path/to/libtorch/share/cmake/Torch\n"
            "or, to build fmgs itself, run its scripts/setup.sh, which unpacks a CPU-only LibTorch into .deps/.")
    elseif(FMGS_TORCH_VERSION VERSION_LESS FMGS_TORCH_MINIMUM)
        string(CONCAT problem
            "LibTorch ${FMGS_TORCH_VERSION} at ${FMGS_TORCH_ROOT} is too old; ${FMGS_TORCH_MINIMUM} or newer is needed.\n"
            "Point -DCMAKE_PREFIX_PATH at a newer one, or run scripts/setup.sh.")
    elseif(FMGS_RECORDED_TORCH_VERSION AND NOT "${FMGS_RECORDED_TORCH_VERSION}." MATCHES "^${minor}\\.")
        # The binary interface changes with the minor version.
        string(CONCAT problem
            "built with LibTorch ${FMGS_RECORDED_TORCH_VERSION}, but this project uses ${FMGS_TORCH_VERSION} at ${FMGS_TORCH_ROOT}.\n"
            "Use the former (${FMGS_RECORDED_TORCH}), or build fmgs with the latter.")
    elseif(FMGS_CUDA AND NOT (EXISTS "${FMGS_TORCH_ROOT}/lib/libc10_cuda.so" AND EXISTS "${FMGS_TORCH_ROOT}/lib/libtorch_cuda.so"))
        string(CONCAT problem
            "FMGS_CUDA is on, but the LibTorch at ${FMGS_TORCH_ROOT} has no CUDA libraries.\n"
            "Run scripts/setup.sh --cuda, or point -DCMAKE_PREFIX_PATH at a LibTorch with CUDA.")
    endif()
    set(${out} "${problem}" PARENT_SCOPE)
endfunction()

if(NOT TARGET fmgs::torch)
    fmgs_find_torch_root(FMGS_TORCH_ROOT)
    fmgs_read_torch_version("${FMGS_TORCH_ROOT}" FMGS_TORCH_VERSION)
    fmgs_judge_torch(FMGS_TORCH_PROBLEM)
    if(FMGS_TORCH_PROBLEM)
        return()
    endif()
    if(NOT fmgs_FIND_QUIETLY)
        message(STATUS "fmgs: LibTorch ${FMGS_TORCH_VERSION} at ${FMGS_TORCH_ROOT}")
    endif()

    add_library(fmgs::torch INTERFACE IMPORTED GLOBAL)
    set_target_properties(fmgs::torch PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES
            "${FMGS_TORCH_ROOT}/include;${FMGS_TORCH_ROOT}/include/torch/csrc/api/include"
        INTERFACE_LINK_LIBRARIES "${FMGS_TORCH_ROOT}/lib/libtorch_cpu.so;${FMGS_TORCH_ROOT}/lib/libc10.so")
    # The wheel's libtorch_cpu needs libcudart and libcupti, found at run time by its own run path;
    # the linker has to be told where they lie.
    file(GLOB fmgs_torch_runtimes "${FMGS_TORCH_ROOT}/lib" "${FMGS_TORCH_ROOT}/../nvidia/*/lib")
    foreach(runtime IN LISTS fmgs_torch_runtimes)
        set_property(TARGET fmgs::torch APPEND PROPERTY INTERFACE_LINK_OPTIONS "LINKER:-rpath-link,${runtime}")
    endforeach()
endif()

# What the CUDA backend links on top; only where FMGS_CUDA asks for it.
if(FMGS_CUDA AND NOT TARGET fmgs::torch_cuda)
    add_library(fmgs::torch_cuda INTERFACE IMPORTED GLOBAL)
    # libtorch_cuda registers its kernels when it is loaded; no symbol of it is used.
    set_target_properties(fmgs::torch_cuda PROPERTIES INTERFACE_LINK_LIBRARIES
        "${FMGS_TORCH_ROOT}/lib/libc10_cuda.so;-Wl,--push-state,--no-as-needed,${FMGS_TORCH_ROOT}/lib/libtorch_cuda.so,--pop-state")
endif()
