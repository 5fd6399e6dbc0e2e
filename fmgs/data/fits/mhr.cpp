#include <fmgs/data/fits/mhr.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/body_file.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/fits/arrays.h>
#include <fmt/format.h>
#include <torch/utils.h>

namespace fmgs::detail {

namespace fs = std::filesystem;

torch::Tensor MhrMap::apply(const torch::Tensor& vertices) const {
    const auto at = vertices.index_select(0, corners.reshape({-1})).reshape({-1, 3, 3});
    return (at * weights.unsqueeze(2)).sum(1);
}

MhrMap read_mhr_map(const fs::path& folder) {
    const auto map = folder / "mhr2smpl_mapping.npz", mesh = folder / "mhr_lod1_mesh.ply";
    for (const auto& file : {map, mesh}) {
        if (!is_there(file))
            throw Error(fmt::format(
                "{}: expected this file, which carries SAM 3D Body's vertices to SMPL's mesh; it "
                "is part of github.com/facebookresearch/MHR; name the folder that has it",
                file.string()));
    }
    const Value value = read_value(map);
    const Arrays in(value, map.string());
    const auto [vertices, faces] = read_ply(mesh);
    if (vertices.size(0) != kMhrVertices)
        throw Error(fmt::format("{}: expected the mesh of {} vertices, got {}", mesh.string(),
                                kMhrVertices, vertices.size(0)));
    const auto triangles = in.numbers("triangle_ids", {kSmplVertices}).to(torch::kLong);
    MhrMap out;
    out.weights = in.numbers("baryc_coords", {kSmplVertices, 3});
    if (triangles.min().item<int64_t>() < 0 || triangles.max().item<int64_t>() >= faces.size(0))
        throw Error(fmt::format("{}: triangle_ids: expected numbers below {}, the triangles of {}",
                                map.string(), faces.size(0), mesh.string()));
    if ((out.weights.sum(1) - 1).abs().max().item<double>() > 1e-3)
        throw Error(fmt::format("{}: baryc_coords: expected rows that sum to one", map.string()));
    out.corners = faces.index_select(0, triangles);
    return out;
}

}  // namespace fmgs::detail
