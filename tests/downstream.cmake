# Uses the library as another project would: cmake -DMODE=… -P downstream.cmake
# Needs SOURCE, BINARY, WORK, GENERATOR, TORCH, TORCH_VERSION; a failing step stops the script, each says how long it took.
#   installed       examples/downstream with the installed package; no LibTorch is named, and there is no fmt
#   after_torch     the project called find_package(Torch) first
#   fmt_user        the project links the distribution's fmt
#   by_name         the project opens the library and finds its operators by name
#   run_user        the project uses the component `run`
#   draw_avatar     a saved avatar and a motion, with nothing else on disk, give the pictures of `render RUN`
#   headers         every installed header compiles alone, without a warning
#   not_found       what the package says of a component or a LibTorch that is not there, and that it is not fatal
#   subdirectory    examples/downstream with add_subdirectory: static, without OpenCV, nothing global touched
#   static          the package installed from there, with OpenCV
#   least           fmgs alone, configured without what only its programs, tests and pictures need
#   wrong_torch     a LibTorch that is too old, and one that the package was not built with
function(run)
    string(TIMESTAMP begin "%s")
    execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
    string(TIMESTAMP end "%s")
    math(EXPR seconds "${end} - ${begin}")
    message("took ${seconds} s")
endfunction()

set(configure "${CMAKE_COMMAND}" -G "${GENERATOR}" -DCMAKE_BUILD_TYPE=Release)

# Configures a project in a folder of the repository and builds a target of it.
function(build project target)
    run(${configure} -S "${SOURCE}/${project}" -B "${WORK}/${target}" ${ARGN})
    run("${CMAKE_COMMAND}" --build "${WORK}/${target}" --target ${target})
endfunction()

# The same, and runs it.
function(use project target)
    build(${project} ${target} ${ARGN})
    run("${WORK}/${target}/${target}")
endfunction()

# Configures a project and expects it to stop with `words` in the message.
function(refused words project)
    execute_process(COMMAND ${configure} -S "${SOURCE}/${project}" -B "${WORK}/refused" ${ARGN}
        COMMAND_ECHO STDOUT RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE text)
    message("${text}")
    string(REGEX REPLACE "[ \n]+" " " text "${text}")
    file(REMOVE_RECURSE "${WORK}/refused")
    foreach(word IN LISTS words)
        string(FIND "${text}" "${word}" at)
        if(result EQUAL 0 OR at EQUAL -1)
            message(FATAL_ERROR "expected a refusal that says '${word}'")
        endif()
    endforeach()
endfunction()

# Looks for the package with these arguments, without REQUIRED, and expects it not to be found, for a reason with `words` in it.
function(not_found words)
    refused("no fmgs: ;${words}" tests/downstream/maybe ${ARGN})
endfunction()

# Trains a small avatar and draws a motion with it: leaves the avatar and the motion in `alone`, the pictures in `expected`,
# and removes all else.
function(train_and_render)
    run("${BINARY}/bin/make_synthetic" "${WORK}/capture" --size 64 --train-frames 2 --test-frames 1 --test-views 1
        --novel-frames 2 --subdivisions 0 --samples 1)
    run("${BINARY}/bin/train" "data.root=${WORK}/capture" "output=${WORK}/run" train.steps=2 avatar.subdivisions=0
        avatar.skinning.prefit_steps=2 avatar.skinning.prefit_points=256)
    file(COPY "${WORK}/run/avatar.safetensors" "${WORK}/capture/novel_motion/poses.npz" DESTINATION "${WORK}/alone")
    run("${BINARY}/bin/render" "${WORK}/run" --motion "${WORK}/alone/poses.npz")
    file(RENAME "${WORK}/run/render/poses" "${WORK}/expected")
    file(REMOVE_RECURSE "${WORK}/capture" "${WORK}/run")
endfunction()

# Every picture in `folder` is in `other`, byte for byte.
function(same_pictures folder other)
    file(GLOB_RECURSE pictures RELATIVE "${folder}" "${folder}/*.png")
    list(LENGTH pictures count)
    if(count EQUAL 0)
        message(FATAL_ERROR "there is no picture in ${folder}")
    endif()
    foreach(picture IN LISTS pictures)
        run("${CMAKE_COMMAND}" -E compare_files "${folder}/${picture}" "${other}/${picture}")
    endforeach()
endfunction()

# A LibTorch that has nothing but a version.
function(fake_torch folder major minor)
    set(include "${folder}/include/torch/csrc/api/include/torch")
    file(WRITE "${include}/torch.h" "")
    file(WRITE "${include}/version.h"
        "#define TORCH_VERSION_MAJOR ${major}\n#define TORCH_VERSION_MINOR ${minor}\n#define TORCH_VERSION_PATCH 1\n")
endfunction()

file(REMOVE_RECURSE "${WORK}")
set(installed "${WORK}/installed")
set(found "-DCMAKE_PREFIX_PATH=${installed}")
set(named_torch "-DTorch_DIR=${TORCH}/share/cmake/Torch")
if(MODE STREQUAL "subdirectory")
    use(examples/downstream downstream "-DFMGS_SOURCE=${SOURCE}" "${named_torch}"
        -DFMGS_SHARED=OFF -DFMGS_OPENCV=OFF -DFMGS_INSTALL=ON
        "-DCMAKE_PROJECT_fmgs_downstream_INCLUDE=${SOURCE}/tests/downstream/untouched.cmake")
    return()
endif()

if(MODE STREQUAL "least")
    set(missing Catch2 CLI11 OpenCV)
    list(TRANSFORM missing REPLACE "(.+)" "-DCMAKE_DISABLE_FIND_PACKAGE_\\1=ON")
    run(${configure} -S "${SOURCE}" -B "${WORK}/least" "${named_torch}" ${missing}
        -DFMGS_OPENCV=OFF -DFMGS_BUILD_EXAMPLES=OFF -DFMGS_BUILD_TESTS=OFF)
    return()
endif()

if(MODE STREQUAL "static")
    get_filename_component(added "${WORK}/../downstream_subdirectory/downstream" ABSOLUTE)
    run("${CMAKE_COMMAND}" "${added}" -DFMGS_OPENCV=ON)
    run("${CMAKE_COMMAND}" --build "${added}" --target fmgs_data)
    run("${CMAKE_COMMAND}" --install "${added}/fmgs" --prefix "${installed}")
else()
    run("${CMAKE_COMMAND}" --install "${BINARY}" --prefix "${installed}")
endif()

if(MODE STREQUAL "wrong_torch")
    fake_torch("${WORK}/old" 2 6)
    refused("2.6.1;2.7" . "-DCMAKE_PREFIX_PATH=${WORK}/old")
    fake_torch("${installed}/torch" 2 99)
    refused("2.99.1;${TORCH_VERSION}" examples/downstream "${found}")
elseif(MODE STREQUAL "after_torch")
    execute_process(COMMAND ${configure} -S "${SOURCE}/tests/downstream" -B "${WORK}/probe" -DAFTER_TORCH=ON "${named_torch}" "${found}"
        OUTPUT_QUIET ERROR_VARIABLE text)
    # A wheel's own package is one for CUDA: it asks for the toolkit, and for a library that set-up's CPU part leaves out.
    if(text MATCHES "version uses CUDA but" OR (text MATCHES "libc10_cuda" AND NOT EXISTS "${TORCH}/lib/libc10_cuda.so"))
        message("skipped: LibTorch's own package asks for CUDA")
        return()
    endif()
    use(tests/downstream fmt_user -DAFTER_TORCH=ON "${named_torch}" "${found}")
elseif(MODE STREQUAL "not_found")
    unset(ENV{Torch_DIR})
    unset(ENV{CMAKE_PREFIX_PATH})
    not_found("fmgs has no component 'viewer'" "${found}" -DCOMPONENTS=data,viewer)
    file(GLOB_RECURSE config "${installed}/fmgsConfig.cmake")
    file(READ "${config}" text)
    string(REPLACE "${TORCH}" "${WORK}/moved_away" text "${text}")
    file(WRITE "${config}" "${text}")
    not_found("LibTorch was not found" "${found}")
elseif(MODE STREQUAL "draw_avatar")
    build(tests/downstream draw_avatar "${found}")
    train_and_render()
    run("${WORK}/draw_avatar/draw_avatar" "${WORK}/alone/avatar.safetensors" "${WORK}/alone/poses.npz" "${WORK}/drawn")
    same_pictures("${WORK}/expected" "${WORK}/drawn")
elseif(MODE MATCHES "fmt_user|by_name|run_user|headers")
    use(tests/downstream ${MODE} "${found}")
else()
    use(examples/downstream downstream "${found}" -DCMAKE_DISABLE_FIND_PACKAGE_fmt=ON)
    if(MODE STREQUAL "static")
        use(tests/downstream by_name "${found}")
    else()
        run("${CMAKE_COMMAND}" --build "${WORK}/downstream" --target free_surfels)
        run("${WORK}/downstream/free_surfels")
    endif()
endif()
