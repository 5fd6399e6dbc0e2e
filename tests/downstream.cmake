# Uses the library as another project would: cmake -DMODE=installed|subdirectory … -P downstream.cmake
# Needs SOURCE, BINARY, WORK, GENERATOR, TORCH; a failing step stops the script.
function(run)
    execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${WORK}")
set(configure "${CMAKE_COMMAND}" -S "${SOURCE}/examples/downstream" -B "${WORK}/build" -G "${GENERATOR}" -DCMAKE_BUILD_TYPE=Release)
if(MODE STREQUAL "installed")
    run("${CMAKE_COMMAND}" --install "${BINARY}" --prefix "${WORK}/installed")
    # No LibTorch named: the installed package finds the one it was built with.
    run(${configure} "-DCMAKE_PREFIX_PATH=${WORK}/installed")
else()
    run(${configure} "-DFMGS_SOURCE=${SOURCE}" "-DTorch_DIR=${TORCH}/share/cmake/Torch" -DFMGS_OPENCV=OFF)
endif()
run("${CMAKE_COMMAND}" --build "${WORK}/build" --target downstream)
run("${WORK}/build/downstream")
