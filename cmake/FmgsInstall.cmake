# Installs the libraries, the public headers under include/fmgs and the CMake package `fmgs`.
include(CMakePackageConfigHelpers)

set(fmgs_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fmgs)
set(fmgs_installed_targets fmgs fmgs_data fmgs_run)
if(TARGET fmgs_whole)
    list(APPEND fmgs_installed_targets fmgs_whole)
endif()

install(TARGETS ${fmgs_installed_targets} EXPORT fmgsTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# The headers of the top folders and of config/, io/ and synthetic/; the other folders below are machinery.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/fmgs DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h"
    PATTERN cpu EXCLUDE PATTERN cuda EXCLUDE PATTERN hash EXCLUDE PATTERN ssim EXCLUDE PATTERN layouts EXCLUDE PATTERN fits EXCLUDE PATTERN convert EXCLUDE PATTERN cache EXCLUDE
    # What is behind Ranks, and behind read_value.
    REGEX "/train/(link|watch)[.]h$" EXCLUDE
    REGEX "/core/io/(file_kind|inflate|npy_layout|pickle.*|torch_tensor|value_parts|zip)[.]h$" EXCLUDE)
install(EXPORT fmgsTargets NAMESPACE fmgs:: DESTINATION ${fmgs_package_dir})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/fmgsConfig.cmake.in ${PROJECT_BINARY_DIR}/fmgsConfig.cmake
    INSTALL_DESTINATION ${fmgs_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/fmgsConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fmgsConfig.cmake ${PROJECT_BINARY_DIR}/fmgsConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/FmgsTorch.cmake
    DESTINATION ${fmgs_package_dir})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/fmgs)
