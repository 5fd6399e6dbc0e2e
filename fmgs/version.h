#pragma once
/// The version of the library; CMake takes it from here.
#define FMGS_VERSION_MAJOR 0
#define FMGS_VERSION_MINOR 1
#define FMGS_VERSION_PATCH 0

/// One number that grows with the version: #if FMGS_VERSION_NUMBER >= 200  // 0.2.0
#define FMGS_VERSION_NUMBER \
    (FMGS_VERSION_MAJOR * 10000 + FMGS_VERSION_MINOR * 100 + FMGS_VERSION_PATCH)

#define FMGS_VERSION_QUOTED(x) #x
#define FMGS_VERSION_TEXT(major, minor, patch) \
    FMGS_VERSION_QUOTED(major) "." FMGS_VERSION_QUOTED(minor) "." FMGS_VERSION_QUOTED(patch)
/// "0.1.0"
#define FMGS_VERSION FMGS_VERSION_TEXT(FMGS_VERSION_MAJOR, FMGS_VERSION_MINOR, FMGS_VERSION_PATCH)
