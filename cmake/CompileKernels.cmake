# cmake -DNVCC=… -DSOURCE=… -DINCLUDE=… -DARCHITECTURES=… -DREPORT=… -DDEPENDENCIES=… -P CompileKernels.cmake
# Compiles one .cu file for every architecture and keeps what ptxas says about registers, spills and shared memory.
set(targets)
foreach(architecture IN LISTS ARCHITECTURES)
    list(APPEND targets -gencode arch=compute_${architecture},code=sm_${architecture})
endforeach()
execute_process(
    COMMAND ${NVCC} -std=c++17 -O3 -I${INCLUDE} ${targets} -Xptxas -v -MD -MF ${DEPENDENCIES} -MT ${REPORT}
            -fatbin -o ${REPORT}.fatbin ${SOURCE}
    RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT status EQUAL 0)
    message(FATAL_ERROR "${SOURCE} does not compile:\n${output}")
endif()
if(output MATCHES "warning")
    message("${output}")
endif()
file(WRITE ${REPORT} "${output}")
