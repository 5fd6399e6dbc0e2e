#pragma once
/// What files of bodies hold, beyond the arrays that read_body gives.
#include <fmgs/core/body_model.h>

namespace fmgs {

/// "basicmodel_f.pkl (247 MB): 6890 vertices, 13776 faces, 24 joints, 10 betas, female by its
/// name": users mix up files of one name, so logs say which one it was.
std::string describe_body(const std::filesystem::path& file, const BodyData& body);

/// Shape directions among the `count` of a file: the rest, at the end, are expressions, which
/// SMPL-X (55 joints) and FLAME (5 joints) have and nothing here uses.
int64_t shape_count(int64_t joints, int64_t count);

/// A triangle mesh of a PLY file (ascii, or binary of either byte order; other elements and
/// properties are stepped over). Error, which names the file, when it is none.
Mesh read_ply(const std::filesystem::path& file);
/// A Wavefront OBJ (.obj), else a PLY file. Errors as theirs.
Mesh read_mesh(const std::filesystem::path& file);

}  // namespace fmgs
