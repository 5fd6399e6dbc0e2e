/// Meshes: PLY files, and OBJ files when the input does not begin like one.
#include <fmgs/core/io/body_file.h>
#include <torch/types.h>

#include <cstring>

#include "target.h"

using namespace fmgs;

void read_input(const uint8_t* data, size_t size) {
    const InputFile file(data, size);
    const bool ply = size >= 3 && std::memcmp(data, "ply", 3) == 0;
    const auto mesh = ply ? read_ply(file.path()) : read_obj(file.path());
    if (!mesh.vertices.isfinite().all().item<bool>())
        throw std::logic_error("a vertex without a place");
    if (mesh.faces.min().item<int64_t>() < 0 ||
        mesh.faces.max().item<int64_t>() >= mesh.vertices.size(0))
        throw std::logic_error("a face without its vertices");
}
