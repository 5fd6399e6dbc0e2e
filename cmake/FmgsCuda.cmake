# The CUDA kernels. With FMGS_CUDA they become part of fmgs; without, they are still compiled for every architecture
# where there is an nvcc and tests are built, so that a change on a machine without a GPU cannot break them unseen.
file(GLOB fmgs_kernel_sources CONFIGURE_DEPENDS fmgs/*/*/*.cu)

if(FMGS_CUDA)
    set(fmgs_real_architectures ${FMGS_CUDA_ARCHITECTURES})
    list(TRANSFORM fmgs_real_architectures APPEND -real)
    list(GET FMGS_CUDA_ARCHITECTURES -1 fmgs_newest_architecture)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
        set(CMAKE_CUDA_ARCHITECTURES ${FMGS_CUDA_ARCHITECTURES})  # enable_language insists on one
    endif()
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    # No torch in these files, and no precompiled header.
    add_library(fmgs_kernels OBJECT ${fmgs_kernel_sources})
    set_target_properties(fmgs_kernels PROPERTIES
        CUDA_STANDARD 17 POSITION_INDEPENDENT_CODE ON CUDA_RUNTIME_LIBRARY Shared
        CUDA_ARCHITECTURES "${fmgs_real_architectures};${fmgs_newest_architecture}-virtual")
    target_include_directories(fmgs_kernels PRIVATE ${PROJECT_SOURCE_DIR})
    target_sources(fmgs PRIVATE $<TARGET_OBJECTS:fmgs_kernels>)
    set_source_files_properties(${fmgs_sources} PROPERTIES COMPILE_DEFINITIONS FMGS_CUDA)  # not fmgs: see fmgs_precompile
    target_link_libraries(fmgs PRIVATE fmgs::torch_cuda CUDA::cudart)
elseif(FMGS_BUILD_TESTS)
    find_program(FMGS_NVCC nvcc HINTS /usr/local/cuda/bin $ENV{CUDA_HOME}/bin)
    if(FMGS_NVCC)
        set(fmgs_kernel_reports)
        foreach(source IN LISTS fmgs_kernel_sources)
            get_filename_component(name ${source} NAME_WE)
            set(report ${PROJECT_BINARY_DIR}/kernels/${name}.ptxas)
            add_custom_command(OUTPUT ${report}
                COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/kernels
                COMMAND ${CMAKE_COMMAND} -DNVCC=${FMGS_NVCC} -DSOURCE=${source} -DINCLUDE=${PROJECT_SOURCE_DIR}
                        "-DARCHITECTURES=${FMGS_CUDA_ARCHITECTURES}" -DREPORT=${report} -DDEPENDENCIES=${report}.d
                        -P ${PROJECT_SOURCE_DIR}/cmake/CompileKernels.cmake
                DEPENDS ${source} ${PROJECT_SOURCE_DIR}/cmake/CompileKernels.cmake
                DEPFILE ${report}.d COMMENT "Compiling ${name}.cu for ${FMGS_CUDA_ARCHITECTURES}" VERBATIM)
            list(APPEND fmgs_kernel_reports ${report})
        endforeach()
        add_custom_target(fmgs_kernel_reports ALL DEPENDS ${fmgs_kernel_reports})
    else()
        message(STATUS "fmgs: no nvcc: the CUDA kernels are not compiled, only run on the CPU by the tests")
    endif()
endif()
