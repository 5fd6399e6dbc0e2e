# Properties that every target of this project shares. Nothing here touches a global variable.

# Warnings (but none for options that keep their defaults in a designated initialiser), C++20 and OpenMP:
# at::parallel_for runs on one thread in a file compiled without -fopenmp.
function(fmgs_configure target)
    target_compile_features(${target} PUBLIC cxx_std_20)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wno-missing-field-initializers -fopenmp -fPIC)
    target_link_options(${target} PRIVATE -fopenmp)
    if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
        # GCC 12 warns about std::string's own insert and operator+ (GCC bug 105651).
        target_compile_options(${target} PRIVATE -Wno-stringop-overflow -Wno-restrict)
    endif()
    # A tenth of a large file's time goes into collecting garbage at GCC's own setting; this costs 0.1 GB.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-expand=200>)
    # Checks in the standard library that keep its binary interface.
    target_compile_definitions(${target} PRIVATE $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
    if(FMGS_SANITIZE)
        target_compile_options(${target} PRIVATE -fsanitize=${FMGS_SANITIZE} -fno-omit-frame-pointer
            $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)  # of std::regex and std::optional themselves (GCC bug 105562)
        target_link_options(${target} PUBLIC -fsanitize=${FMGS_SANITIZE})
    endif()
    set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
endfunction()

# What nearly every file needs of torch, precompiled once, by fmgs, and read by all targets: so all are compiled with -fPIC,
# and fmgs has no definition of its own that another target would lack. Not torch/torch.h nor torch/autograd.h: GCC works
# off a precompiled header's templates in every file, 0.8 s more with the latter.
function(fmgs_precompile target)
    if(FMGS_PRECOMPILE AND target STREQUAL fmgs)
        target_precompile_headers(fmgs PRIVATE <torch/nn/module.h> <torch/utils.h>)
    elseif(FMGS_PRECOMPILE)
        target_precompile_headers(${target} REUSE_FROM fmgs)
    endif()
endfunction()

# fmgs_add_library(target name sources…): the library that projects outside know as fmgs::name.
function(fmgs_add_library target name)
    if(FMGS_SHARED)
        add_library(${target} SHARED ${ARGN})
        # Not under a sanitizer: that of undefined behaviour tells types apart by their address.
        if(CMAKE_SYSTEM_NAME STREQUAL Linux AND NOT FMGS_SANITIZE)
            target_link_options(${target} PRIVATE LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/fmgs.map)
            set_target_properties(${target} PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/fmgs.map)
        endif()
    else()
        add_library(${target} STATIC ${ARGN})
        target_link_options(${target} INTERFACE -fopenmp)
    endif()
    fmgs_configure(${target})
    set_target_properties(${target} PROPERTIES
        EXPORT_NAME ${name} DEFINE_SYMBOL "" VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
        INSTALL_RPATH "$ORIGIN;${FMGS_TORCH_ROOT}/lib;${FMGS_TORCH_ROOT}/../nvidia/cu13/lib")
    target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    fmgs_precompile(${target})
    add_library(fmgs::${name} ALIAS ${target})
endfunction()

# A program in build/bin that links fmgs and, where they exist, fmgs_data and fmgs_run.
function(fmgs_add_program target)
    add_executable(${target} ${ARGN})
    fmgs_configure(${target})
    target_link_libraries(${target} PRIVATE
        fmgs::fmgs $<TARGET_NAME_IF_EXISTS:fmgs::data> $<TARGET_NAME_IF_EXISTS:fmgs::run> fmt::fmt-header-only)
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
    if(FMGS_SANITIZE MATCHES thread)
        if(NOT CMAKE_CXX_COMPILER_ID STREQUAL GNU)
            message(FATAL_ERROR "fmgs: FMGS_SANITIZE=thread knows the OpenMP of GCC only")
        endif()
        if(NOT TARGET fmgs_fork_join)
            add_library(fmgs_fork_join OBJECT ${PROJECT_SOURCE_DIR}/tests/tsan/fork_join.cpp)
            fmgs_configure(fmgs_fork_join)
        endif()
        target_sources(${target} PRIVATE $<TARGET_OBJECTS:fmgs_fork_join>)
    endif()
    fmgs_precompile(${target})
endfunction()
