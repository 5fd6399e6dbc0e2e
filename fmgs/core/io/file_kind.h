#pragma once
/// What a file is by its first bytes, not by its name. Not public.
#include <string_view>

namespace fmgs::detail {

enum class FileKind {
    kEmpty,
    kGitLfs,
    kWebPage,
    kZip,
    kNpy,
    kPickle,
    kZlib,
    kGzip,
    kPacked,  ///< by any other program
    kHdf5,
    kMatlab,
    kSafetensors,
    kJson,
    kBvh,
    kPly,
    kPicture,
    kUnknown
};

FileKind kind_of(std::string_view bytes);
/// "a Python pickle (.pkl)", with the cure where there is one that does not depend on what was
/// wanted: "a pointer of git-lfs …: fetch them with `git lfs pull`".
std::string_view words_of(FileKind kind);

}  // namespace fmgs::detail
