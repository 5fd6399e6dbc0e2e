// The texture of flat faces.
#include <fmgs/core/check.h>
#include <fmgs/data/gltf/skinned_glb.h>

#include <cmath>

namespace fmgs {

FaceAtlas face_atlas(const torch::Tensor& face_color) {
    constexpr int64_t kCell = 4;  // texels
    check_shape(face_color, {-1, 3}, "colours of faces");
    const auto color = face_color.to(torch::kCPU, torch::kFloat);
    const int64_t faces = color.size(0), cells = (faces + 1) / 2;
    if (faces == 0) throw Error("colours of faces: expected at least one face");
    const auto columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(cells))));
    const int64_t rows = (cells + columns - 1) / columns;
    // [rows·columns,2,3]: the two faces of each cell
    auto pairs = torch::zeros({2 * rows * columns, 3});
    pairs.slice(0, 0, faces).copy_(color);
    pairs = pairs.view({rows, columns, 2, 3});
    // Above the other diagonal lies the first face, from it on the second.
    const auto place = torch::arange(kCell);
    const auto second = (place.unsqueeze(1) + place.unsqueeze(0) >= kCell).to(torch::kLong);
    FaceAtlas out;
    out.image = pairs
                    .index_select(2, second.flatten())  // [rows,columns,16,3]
                    .view({rows, columns, kCell, kCell, 3})
                    .permute({4, 0, 2, 1, 3})
                    .reshape({3, rows * kCell, columns * kCell});
    // Corners at middles of texels.
    const auto corners =
        torch::tensor({{{0.5, 0.5}, {1.5, 0.5}, {0.5, 1.5}}, {{3.5, 3.5}, {2.5, 3.5}, {3.5, 2.5}}});
    const auto face = torch::arange(faces);
    const auto cell = face.div(2, "floor");
    const auto origin =
        torch::stack({cell.remainder(columns), cell.div(columns, "floor")}, 1) * kCell;
    const auto size =
        torch::tensor({static_cast<double>(columns * kCell), static_cast<double>(rows * kCell)});
    out.uv = (origin.unsqueeze(1) + corners.index_select(0, face.remainder(2))) / size;
    return out;
}

}  // namespace fmgs
