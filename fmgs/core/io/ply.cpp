// Meshes of PLY files.
#include <fmgs/core/check.h>
#include <fmgs/core/io/body_file.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/ply_file.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <array>
#include <cmath>

namespace fmgs {
namespace {

using detail::PlyElement;
using detail::PlyFile;
using detail::PlyProperty;

struct MeshRows {
    std::vector<double> vertices;
    std::vector<int64_t> faces;

    void read_vertex(PlyFile& file, const PlyElement& element) {
        std::array<double, 3> point{NAN, NAN, NAN};
        for (const auto& property : element.properties) {
            const auto& name = property.name;
            if (!property.is_list() && name.size() == 1 && name[0] >= 'x' && name[0] <= 'z')
                point[static_cast<size_t>(name[0] - 'x')] = file.number(property.type);
            else
                file.skip(property);
        }
        for (const double x : point) {
            if (!std::isfinite(static_cast<float>(x))) file.fail("a vertex without finite x, y, z");
            vertices.push_back(x);
        }
    }

    void read_face(PlyFile& file, const PlyProperty& property) {
        std::vector<int64_t> corners(static_cast<size_t>(file.list_size(property)));
        for (auto& corner : corners) {
            const double x = file.number(property.type);
            corner = x >= 0 && x < 9e15 ? static_cast<int64_t>(x) : -1;  // -1: refused as a corner
        }
        for (size_t k = 2; k < corners.size(); ++k)
            faces.insert(faces.end(), {corners[0], corners[k - 1], corners[k]});
    }

    void read(PlyFile& file, const PlyElement& element) {
        if (element.properties.empty()) return;
        for (int64_t row = 0; row < element.count; ++row) {
            if (element.name == "vertex") {
                read_vertex(file, element);
                continue;
            }
            for (const auto& property : element.properties) {
                const bool corners =
                    property.name == "vertex_indices" || property.name == "vertex_index";
                if (element.name == "face" && property.is_list() && corners)
                    read_face(file, property);
                else
                    file.skip(property);
            }
        }
    }
};

}  // namespace

Mesh read_ply(const std::filesystem::path& path) {
    const auto bytes = read_whole(path);
    PlyFile file(bytes, path.string());
    MeshRows rows;
    for (const auto& element : file.elements()) rows.read(file, element);
    if (rows.vertices.empty() || rows.faces.empty())
        file.fail("expected a mesh, found no vertex or no face");
    const auto count = static_cast<int64_t>(rows.vertices.size() / 3);
    for (const auto corner : rows.faces) {
        if (corner < 0 || corner >= count)
            file.fail(fmt::format("expected corners in [0,{}), got {}", count, corner));
    }
    return {torch::tensor(rows.vertices, torch::kDouble).view({-1, 3}).to(torch::kFloat),
            torch::tensor(rows.faces, torch::kLong).view({-1, 3})};
}

Mesh read_mesh(const std::filesystem::path& file) {
    return file.extension() == ".obj" ? read_obj(file) : read_ply(file);
}

}  // namespace fmgs
